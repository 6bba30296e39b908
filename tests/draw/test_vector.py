"""PDF and SVG figures: text is text, panels show the data, equal figures are equal bytes."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi.draw.content import FigureContent, Style
from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.resolution import even_grid
from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.draw.vector_canvas import plain
from spectro_mpi.model.extrema import Limits
from tests.draw.test_figure import ARC, _assert_words_are_whole
from tests.draw.test_pixels import CADENCE, FAST_TABLE, LIMITS, T0, content, spectrogram, style

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
WIDE = "Differential energy flux (eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)"
TITLE = "FAST ESA electron survey (ees), orbit 13312: pitch angles"


def paper(
    width: float, height: float, rows: int, text_scale: float = 1.0, dpi: int = 200
) -> tuple[FigureContent, Style]:
    """A figure with everything that needs room, and a style without zoom columns."""
    data = spectrogram(ARC, time=T0 + np.arange(400) * CADENCE)
    shown = content(*[data] * rows)
    panels = tuple(
        replace(panel, label="perpendicular (40°–140°, 220°–320°)", z_label=WIDE)
        for panel in shown.panels
    )
    event = Event(T0 + 300, T0 + 360, "cusp")
    small = Style(dpi, (width, height), "viridis", 6.25, text_scale=text_scale, has_zooms=False)
    return replace(shown, title=TITLE, panels=panels, events=(event,)), small


def images_of(svg: bytes) -> list[NDArray[np.uint8]]:
    """The images of an SVG file, (row, column, rgb) from the top, in the order drawn."""
    found = []
    for image in ElementTree.fromstring(svg).iter(f"{SVG}image"):
        encoded = image.attrib[HREF].partition(",")[2]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
        height = float(image.attrib["transform"].strip(")").split()[3])
        found.append(pixels[::-1] if height < 0 else pixels)
    return found


def texts_of(svg: bytes) -> dict[str, float]:
    """Each text of an SVG file and its font size in px, which are points at 72 an inch."""
    texts = {}
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        size = re.search(r"(?:font-size:|font:)\s*([\d.]+)px", text.attrib["style"])
        assert size is not None
        texts["".join(text.itertext())] = float(size[1])
    return texts


@pytest.mark.skipif(not shutil.which("pdffonts"), reason="pdffonts (poppler-utils) is missing")
def test_fonts_of_a_pdf_are_embedded_truetype(tmp_path: Path) -> None:
    shown, small = paper(3.4, 1.25, 4)
    (tmp_path / "x.pdf").write_bytes(VectorPainter().file(shown, small, "pdf"))
    fonts = subprocess.run(["pdffonts", tmp_path / "x.pdf"], capture_output=True, text=True)
    rows = fonts.stdout.splitlines()[2:]
    assert rows and all("TrueType" in row and "Type 3" not in row for row in rows)
    assert all(re.search(r"\s(yes)\s+(yes)\s+(yes)\s", row) for row in rows)
    text = subprocess.run(["pdftotext", tmp_path / "x.pdf", "-"], capture_output=True, text=True)
    assert TITLE in text.stdout and "cusp" in text.stdout and "10³" in text.stdout
    told = subprocess.run(["pdfinfo", tmp_path / "x.pdf"], capture_output=True, text=True).stdout
    assert f"Title:           {TITLE}" in told
    assert "244.8 x 360 pts" in told  # 3.4 × 5 in


def test_text_of_an_svg_is_text_in_a_font_that_is_in_the_file() -> None:
    shown, small = paper(3.4, 1.25, 4)
    svg = VectorPainter().file(shown, small, "svg")
    texts = texts_of(svg)
    assert {TITLE, "perpendicular (40°–140°, 220°–320°)", "10⁴", "Energy (eV)"} <= texts.keys()
    face = re.search(rb"font-family:'DejaVu Sans';src:url\(data:font/ttf;base64,([^)]+)\)", svg)
    assert face is not None
    from fontTools.ttLib import TTFont

    letters: Any = TTFont(io.BytesIO(base64.b64decode(face[1]))).getBestCmap()
    assert {ord(letter) for letter in "".join(texts)} - {32} <= set(letters)


@pytest.mark.parametrize(
    ("width", "height", "rows", "text_scale", "most"),
    [
        (3.4, 1.25, 4, 1.0, 8),
        (3.2, 1.1, 4, 1.0, 8),
        (7.0, 1.5, 4, 0.8, 10),
        (13.3, 1.9, 4, 1.6, 20),
    ],
)
def test_type_in_paper_sizes_is_readable_and_whole(
    width: float, height: float, rows: int, text_scale: float, most: float
) -> None:
    shown, small = paper(width, height, rows, text_scale)
    texts = texts_of(VectorPainter().file(shown, small, "svg"))
    assert min(texts.values()) >= 5.5
    assert max(texts.values()) <= most
    words = " ".join(texts)
    assert TITLE in words
    assert "(eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)" in words
    for painter, dpi in ((Painter(), 200), (Painter(), 100), (VectorPainter(), 600)):
        canvas, described = painter.compose(shown, replace(small, dpi=dpi))
        _assert_words_are_whole(canvas, [Box(*panel["box"]) for panel in described["panels"]])


def test_a_long_title_of_a_narrow_figure_has_two_lines() -> None:
    shown, small = paper(3.4, 1.25, 2)
    title = f"{TITLE}, and what else belongs in a title that is long"
    texts = texts_of(VectorPainter().file(replace(shown, title=title), small, "svg"))
    lines = [text for text in texts if text and text in title and len(text) > 20]
    assert " ".join(lines) == title


def test_a_panel_has_a_pixel_for_each_record_where_these_are_even() -> None:
    values = np.arange(1.0, 21)[:, None] + np.zeros((20, 48))
    shown = content(spectrogram(values), limits=Limits(5.0, 34000.0, 1.0, 20.0))
    svg = VectorPainter().file(shown, style(), "svg")
    panel = max(images_of(svg), key=lambda image: image.shape[1])
    assert panel.shape[1] == 20
    middle = panel[len(panel) // 2].astype(int)
    assert len(np.unique(middle, axis=0)) == 20
    assert (np.diff(middle.sum(axis=1)) > 0).all()  # viridis becomes brighter


def test_values_of_a_vector_figure_are_at_their_times_and_energies() -> None:
    """Of uneven records: the brightest one, in the brightest channel, found in the image."""
    time = T0 + np.cumsum(np.random.default_rng(3).uniform(1, 4, 300))
    values = np.ones((300, 48))
    values[123, FAST_TABLE.index(101.92)] = 900
    shown = content(spectrogram(values, time, edges=False))
    svg = VectorPainter().file(shown, style(size=(7.0, 3.0)), "svg")
    panel = max(images_of(svg), key=lambda image: image.shape[1])
    bright = (panel.astype(int) - panel[0, 0]).any(axis=2)
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    begin, end = time[0] - (time[1] - time[0]) / 2, time[-1] + (time[-1] - time[-2]) / 2
    place = (np.array([time[122] + time[123], time[123] + time[124]]) / 2 - begin) / (end - begin)
    wide = panel.shape[1]
    assert np.abs(np.array([columns[0], columns[-1] + 1]) - place * wide).max() <= 4
    edges = np.sqrt([86.24 * 101.92, 101.92 * 117.6])
    high = 1 - np.log(edges[::-1] / LIMITS.y_min) / np.log(LIMITS.y_max / LIMITS.y_min)
    assert np.abs(np.array([rows[0], rows[-1] + 1]) - high * len(panel)).max() <= 1


def test_equal_figures_are_equal_bytes_that_say_what_they_show() -> None:
    shown, small = paper(3.4, 1.25, 2)
    for file_format in ("pdf", "svg"):
        first = VectorPainter().file(shown, small, file_format)
        painter = VectorPainter()
        painter.file(content(spectrogram(np.ones((5, 48)))), style(), file_format)
        assert painter.file(shown, small, file_format) == first
    svg = VectorPainter().file(shown, small, "svg").decode()
    told = re.search(r"<dc:description>(.*?)</dc:description>", svg, re.DOTALL)
    assert told is not None
    described = json.loads(told[1])
    assert (described["item"], described["dpi"]) == ("13312", 600)
    assert described["events"][0]["label"] == "cusp"


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        (np.arange(10.0), (0, 9, 9)),
        (np.arange(10.0) + 0.3, (-0.7, 9.3, 10)),  # reaches beyond both ends
        ([0, 1, 2, 5, 6, 7, 8, 9], (0, 9, 9)),  # a wide cell is several of the grid
        ([0, 1, 2.5, 3.7, 3.9, 6, 7, 9], (0, 9, 100)),  # uneven
        (np.linspace(0, 9, 95), (0, 9, 94)),
        (np.linspace(0, 9, 105), (0, 9, 100)),  # finer than the limit
        ([0, 1.5, 3.6, 5, 9], (0, 9, 50)),  # uneven and thick
    ],
)
def test_the_grid_of_even_cells_is_found(edges: Any, expected: tuple[float, float, int]) -> None:
    sides = np.stack([np.array(edges)[:-1], np.array(edges)[1:]], axis=1).astype(float)
    low, high, cells = even_grid(sides, 0.0, 9.0, 100)
    assert cells == expected[2]
    assert (low, high) == pytest.approx(expected[:2], abs=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$\mathdefault{10^{5}}$", "10⁵"),
        (r"$\mathdefault{2.5 \times 10^{-12}}$", "2.5 × 10⁻¹²"),
        ("0.5", "0.5"),
    ],
)
def test_tick_labels_are_plain_text(text: str, expected: str) -> None:
    assert plain(text) == expected
