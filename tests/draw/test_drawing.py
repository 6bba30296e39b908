"""The version of the drawing is raised when reference figures change, and only then."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from spectro_mpi.draw.content import FigureContent
from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.names import DRAWING
from spectro_mpi.draw.palette import BLACK, palette_of
from spectro_mpi.draw.text import Lettering, Stamp
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Provenance, Spectrogram
from tests.draw.test_pixels import CADENCE, T0, content, read, spectrogram, style

REFERENCE = (2, "9e7e8b619146e23c")
"""`DRAWING`, and the digest of the reference figures that it draws."""


class Blocks(Lettering):
    """Letters as blocks, so that neither matplotlib's version nor its fonts matter."""

    def _draw(self, text: str, size: float, math_text: bool) -> Stamp:
        codes = np.array([zlib.crc32(letter.encode()) % BLACK + 1 for letter in text], np.uint8)
        width, height = max(1, round(size / 2)), max(1, round(0.7 * size))
        return Stamp(np.tile(np.repeat(codes, width), (height, 1)), height)


def reference_figures() -> Iterator[FigureContent]:
    """Figures with all that a figure can show: modes, gaps, zeros, events, notes, each scale."""
    records, channels = np.arange(60)[:, None], np.arange(48)
    values = (1 + records * 7919 + channels * 1047) % 997.0
    values[5] = 0.0
    values[9:12, 20:30] = np.nan
    time = T0 + CADENCE * (np.arange(60) + 40.0 * (np.arange(60) > 45))
    modes = (2 * (np.arange(60) > 30)).astype(np.uint8)
    flags = (2 * (np.arange(60) % 20 == 7)).astype(np.uint8)
    data = replace(spectrogram(values, time, mode=modes), quality=flags)
    limits = Limits(4.0, 33000.0, 2.0, 900.0)
    yield content(data, spectrogram(values), limits=limits)
    yield content(data, scales=("linear", "linear"), limits=Limits(0.0, 20000.0, 0.0, 1000.0))
    events = (Event(T0 + 20, T0 + 50, "cusp"), Event(T0 + 90, T0 + 110, "other"))
    marked = content(data, scales=("linear", "log"), limits=limits)
    yield replace(marked, events=events, notes=("No data: ies (no file)",))
    yield content(spectrogram(np.full((3, 48), np.nan)), scales=("log", "linear"), limits=limits)
    places = np.linspace(1000, 1240, 60), np.linspace(-65, -68, 60), np.linspace(23, 26, 60) % 24
    located = tuple(
        Variable(name, values.astype(np.float32), units, "", period)
        for name, values, units, period in zip(
            ("alt", "ilat", "mlt"), places, ("km", "degrees", "h"), (0.0, 0.0, 24.0), strict=True
        )
    )
    yield replace(content(replace(data, ephemeris=located), limits=limits), events=events)


def test_the_version_of_the_drawing_is_raised_with_the_pixels() -> None:
    painter = Painter()
    painter._lettering = Blocks()
    digest = hashlib.sha256()
    for figure in reference_figures():
        canvas, described = painter.compose(figure, style(dpi=60, size=(5.0, 2.0)))
        for key in ("version", "sha256", "settings"):
            del described[key]
        digest.update(json.dumps(described, sort_keys=True).encode())
        digest.update(np.array(canvas.image.shape, "<u4").tobytes() + canvas.image.tobytes())
        digest.update(palette_of("viridis").rgb.tobytes())
    drawn = digest.hexdigest()[:16]
    assert drawn == REFERENCE[1], (
        f"the reference figures have changed: raise DRAWING above {REFERENCE[0]} (once for each "
        f'release), and set REFERENCE to (DRAWING, "{drawn}")'
    )
    assert REFERENCE[0] == DRAWING, "DRAWING is raised only when the reference figures change"


def made_of(sha256: str, settings: str = "0011223344556677") -> Spectrogram:
    data = spectrogram(np.ones((20, 48)))
    source = f"fa_{sha256[:1]}.cdf"
    return replace(data, source=source, provenance=Provenance(sha256, settings, software="any 1.0"))


def test_a_figure_tells_the_digests_of_its_inputs_and_settings() -> None:
    first, second = made_of("a" * 64), made_of("b" * 64)
    _, described = read(Painter().draw(content(first, second, first), style()))
    assert described["sources"] == ["fa_a.cdf", "fa_b.cdf", "fa_a.cdf"]
    assert described["sha256"] == ["a" * 64, "b" * 64, "a" * 64]
    assert described["settings"] == "0011223344556677"
    assert described["version"] == DRAWING
    _, described = read(Painter().draw(content(spectrogram(np.ones((20, 48)))), style()))
    assert (described["sha256"], described["settings"]) == ([""], "")


def test_the_version_of_the_program_or_a_library_is_not_in_a_figure() -> None:
    data = made_of("a" * 64)
    png = Painter().draw(content(data), style())
    newer = replace(data, provenance=replace(data.provenance, software="any 2.0"))
    assert Painter().draw(content(newer), style()) == png
    assert version("spectro-mpi") not in json.dumps(read(png)[1])
