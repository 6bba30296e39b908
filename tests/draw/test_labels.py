"""Labels of axes are wrapped or shortened where there is little room, and their units never cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spectro_mpi.draw.figure import Painter
from spectro_mpi.draw.labels import fit_label, split_unit
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.text import Lettering, Stamp
from spectro_mpi.model.extrema import Limits
from tests.draw.test_figure import ARC, SIZES, _assert_words_are_whole
from tests.draw.test_pixels import content, spectrogram, style

EFLUX = "Differential energy flux (eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)"
UNIT = "(eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)"
LONG = "Omnidirectional differential flux of protons by the time-of-flight section " + UNIT
NAME = "FEDU_omnidirectional_background_corrected_energy_flux_density " + UNIT
POINT = 200 / 72


class Recorder(Lettering):
    """Lettering that knows the text of its stamps."""

    def __init__(self) -> None:
        super().__init__()
        self.text: dict[int, str] = {}

    def stamp(self, text: str, size: float, math: bool = False) -> Stamp:
        stamp = super().stamp(text, size, math)
        self.text[id(stamp)] = text
        return stamp


def lines_of(label: str, length: float, depth: float) -> tuple[list[str], float]:
    """The lines of a label in 10-point letters at 200 dpi, and their size in points."""
    lettering = Recorder()
    stamps, size = fit_label(lettering, label, 10 * POINT, length * POINT, depth * POINT)
    assert all(stamp.width <= length * POINT for stamp in stamps)
    heights = [stamp.height for stamp in stamps]
    assert max(heights) + (len(stamps) - 1) * size <= depth * POINT + 2
    return [lettering.text[id(stamp)] for stamp in stamps], size / POINT


@pytest.mark.parametrize(
    ("label", "title", "unit"),
    [
        (EFLUX, "Differential energy flux", UNIT),
        ("Flux (1/(cm² s sr))", "Flux", "(1/(cm² s sr))"),
        ("Energy [eV]", "Energy", "[eV]"),
        ("Counts", "Counts", ""),
        ("(eV)", "", "(eV)"),
        ("odd)", "odd)", ""),
        ("", "", ""),
    ],
)
def test_the_unit_is_the_bracket_at_the_end(label: str, title: str, unit: str) -> None:
    assert split_unit(label) == (title, unit)


def test_a_label_that_fits_is_one_line_of_the_size_asked_for() -> None:
    lines, size = lines_of("Energy (eV)", 180, 14)
    assert lines == ["Energy (eV)"]
    assert size == pytest.approx(10)


def test_a_long_label_is_wrapped_before_its_unit() -> None:
    lines, size = lines_of(EFLUX, 185, 30)
    assert lines == ["Differential energy flux", UNIT]
    assert size == pytest.approx(10)


@pytest.mark.parametrize("label", [EFLUX, LONG, NAME, UNIT])
@pytest.mark.parametrize("length", [25, 40, 55, 80, 120, 185])
@pytest.mark.parametrize("depth", [9, 15, 25, 38])
def test_a_unit_is_never_cut(label: str, length: float, depth: float) -> None:
    lines, size = lines_of(label, length, depth)
    text, unit = ("".join(words.split()) for words in (" ".join(lines), UNIT))
    assert text.endswith(unit)
    title, whole = text.removesuffix(unit), "".join(label.split()).removesuffix(unit)
    assert title in ("", whole) or (title.endswith("…") and whole.startswith(title[:-1]))
    assert size >= 6 * 0.97 or not title


@pytest.mark.parametrize("label", [EFLUX, LONG, NAME])
@pytest.mark.parametrize(("dpi", "size"), [*SIZES, (200, (12.0, 1.0)), (200, (6.0, 2.0))])
@pytest.mark.parametrize("rows", [1, 4])
def test_long_labels_overlap_nothing_and_stay_inside(
    label: str, dpi: int, size: tuple[float, float], rows: int
) -> None:
    data = replace(spectrogram(ARC), quality=np.ones(len(ARC), np.uint8))
    shown = content(*[data] * rows, limits=Limits(5.0, 34000.0, 2e-7, 8.2e-7))
    panels = tuple(replace(panel, z_label=label, y_label=label) for panel in shown.panels)
    canvas, described = Painter().compose(replace(shown, panels=panels), style(dpi, size))
    _assert_words_are_whole(canvas, [Box(*panel["box"]) for panel in described["panels"]])


@pytest.mark.parametrize("zoom", ["", " (zoom)"])
def test_a_title_is_shrunk_before_it_is_cut(zoom: str) -> None:
    lettering, title = Recorder(), f"perpendicular (40°–140°, 220°–320°){zoom}"
    for size in np.arange(8.0, 30.0, 0.7):
        width = lettering.stamp(title, size).width
        for part in (0.7, 0.85, 0.97, 0.99):
            stamp = lettering.fit(title, size, part * width)
            assert stamp.width <= part * width
            assert lettering.text[id(stamp)] == title
    stamp = lettering.fit(title, 20.0, 0.4 * lettering.stamp(title, 20.0).width)
    assert lettering.text[id(stamp)].endswith("…")


def test_the_label_of_energy_flux_is_whole_in_rows_of_three_inches() -> None:
    shown = content(*[spectrogram(ARC)] * 4, limits=Limits(5.0, 34000.0, 1e4, 1e8))
    panels = tuple(replace(panel, z_label=EFLUX) for panel in shown.panels)
    painter = Painter()
    lettering = painter._lettering = Recorder()
    painter.draw(replace(shown, panels=panels), style(200, (12.0, 3.0)))
    drawn = list(lettering.text.values())
    assert "Differential energy flux" in drawn and UNIT in drawn
