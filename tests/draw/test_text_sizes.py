"""All text of figures for journals and slides is readable, whole, and overlaps nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.draw.axes_figure import AxesPainter
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.content import FigureContent, Style
from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.sizes import PRESETS
from spectro_mpi.draw.text import Stamp
from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.draw.vector_canvas import VectorCanvas
from spectro_mpi.model.extrema import Limits
from tests.draw.test_figure import ARC, _assert_words_are_whole
from tests.draw.test_pixels import CADENCE, LIMITS, T0, content, spectrogram

LEAST = 5.5  # points
FLUX = "flux_Al (cm⁻² Sr⁻¹ sec⁻¹ MeV⁻¹ nucleon⁻¹)"  # of ACE
NAME = "FEDU_omnidirectional_background_corrected_energy_flux (keV/(cm^2-s-sr-keV))"
OMNI = "Omnidirectional differential flux of protons by the time of flight (cm⁻² s⁻¹ sr⁻¹)"
LONG_ROW = "Magnetic electron ion spectrometer, low energy unit, corrected: pitch angles 165°–180°"
LONG_TITLE = "Radiation Belt Storm Probes, magnetic electron spectrometer, 20130317: pitch angles"
NOTES = (
    "No data: eeb (no file), ieb (invalid-cdf)",
    "Channels outside of the axis: antiparallel 3, perpendicular 4",
    "Counts are comparable only within a mode (modes 0, 1)",
)
MANY_DIGITS = Limits(6.1e7, 1.1e8, 3.21e-7, 3.31e-7)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Stamp, Canvas]]:
    """The stamps that are written from now on."""
    stamps: list[tuple[Stamp, Canvas]] = []
    for kind in (Canvas, VectorCanvas):
        write = kind.write

        def record(
            canvas: Any, stamp: Stamp, *place: float, _write: Any = write, **more: float
        ) -> Box:
            stamps.append((stamp, canvas))
            box: Box = _write(canvas, stamp, *place, **more)
            return box

        monkeypatch.setattr(kind, "write", record)
    return stamps


def sizes() -> Iterator[tuple[str, Style, int]]:
    """Names of sizes, styles, and rows."""
    for name, preset in PRESETS.items():
        for rows in (1, 2, 4, 9):
            height = preset.height_of(rows) / rows
            style = Style(
                preset.dpi, (preset.width, height), "viridis", 6.25, text_scale=preset.text_scale,
                has_zooms=False, keeps_height=preset.height is not None,
            )  # fmt: skip
            yield f"{name} {rows}", style, rows
    for rows, width in itertools.product((1, 4), (3.2, 3.4, 7.0)):
        yield f"batch {width} {rows}", Style(200, (width, 1.1), "viridis", 6.25), rows


SIZES = {name: (style, rows) for name, style, rows in sizes()}
WORDS = {
    "plain": {},
    "flux": {"z_label": FLUX, "y_label": "Energy (MeV/nucleon)"},
    "name": {"z_label": NAME, "y_label": NAME},
    "omni": {"z_label": OMNI, "y_label": "Energy per charge (eV/e)", "label": LONG_ROW},
}


@pytest.mark.parametrize("limits", [LIMITS, MANY_DIGITS], ids=["decades", "digits"])
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("size", SIZES)
def test_all_text_is_readable_and_whole(
    written: list[tuple[Stamp, Canvas]], size: str, words: str, limits: Limits
) -> None:
    style, rows = SIZES[size]
    events = (0, 1, 4)[(list(SIZES).index(size) + list(WORDS).index(words)) % 3]
    shown = figure(rows, events, limits, **WORDS[words])
    expected = {shown.title, *shown.notes, *(event.label for event in shown.events)}
    for panel in shown.panels:
        expected |= {panel.label, panel.z_label, panel.y_label}
    for painter, dpi in ((Painter(), style.dpi), (VectorPainter(), 600)):
        written.clear()
        canvas, described = painter.compose(shown, replace(style, dpi=dpi))
        texts = [stamp.text for stamp, _ in written]
        small = {stamp.text: stamp.size * 72 / dpi for stamp, _ in written if stamp.text}
        assert {t: s for t, s in small.items() if s < 0.999 * LEAST} == {}
        assert [text for text in texts if "…" in text] == []
        everything = "".join("".join(texts).split())
        assert [word for word in expected if "".join(word.split()) not in everything] == []
        _assert_words_are_whole(canvas, [Box(*panel["box"]) for panel in described["panels"]])


@pytest.mark.parametrize(
    ("size", "text_scale"), [((12.0, 1.35), 1.0), ((6.0, 0.7), 1.0), ((12.0, 1.35), 1.5)]
)
def test_labels_at_the_left_are_whole_and_of_one_size(
    written: list[tuple[Stamp, Canvas]], size: tuple[float, float], text_scale: float
) -> None:
    style = Style(
        100, size, "viridis", 6.25, text_scale=text_scale, has_zooms=False, labels_at_left=True
    )
    shown = figure(9, 0, LIMITS, label="electron survey: perpendicular")
    for painter, dpi in ((Painter(), 100), (VectorPainter(), 600)):
        written.clear()
        painter.compose(shown, replace(style, dpi=dpi))
        for text in ("electron survey", "perpendicular", "Energy (eV)"):
            stamps = [stamp for stamp, _ in written if stamp.text == text]
            assert len(stamps) == 9
            assert {stamp.size for stamp in stamps} == {stamps[0].size}
            assert stamps[0].size * 72 / dpi >= 0.999 * LEAST
        assert not [stamp.text for stamp, _ in written if "…" in stamp.text]
    assert {axes.get_ylabel() for axes in AxesPainter().on_axes(shown, style).axes[:9]} == {
        "electron survey\nperpendicular\nEnergy (eV)"
    }


def figure(rows: int, events: int, limits: Limits, **words: str) -> FigureContent:
    """A figure with all that needs room."""
    low, high = np.log10([limits.z_min, limits.z_max])
    values = 10 ** (low + (high - low) * (np.log10(ARC) + 1) / 4)
    data = replace(
        spectrogram(values, time=T0 + np.arange(400) * CADENCE),
        energy=np.geomspace(limits.y_min, limits.y_max, 96, dtype=np.float32)[None].repeat(3, 0),
    )
    shown = content(*[data] * rows, limits=limits)
    panels = tuple(
        replace(panel, **{"label": f"perpendicular (40°–140°, 220°–320°) {n}", **words})  # type: ignore[arg-type]
        for n, panel in enumerate(shown.panels)
    )
    marked = tuple(
        Event(T0 + 200 * n + 50, T0 + 200 * n + 90, f"magnetopause {n}", n % 3)
        for n in range(events)
    )
    title = LONG_TITLE if "label" in words else "FAST ESA electron survey (ees), orbit 13312"
    return replace(shown, title=title, panels=panels, events=marked, notes=NOTES)
