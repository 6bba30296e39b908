"""Marked events in figures: lines, brackets, labels, times and colours, as measured in pixels."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.figure import Event, Painter
from spectro_mpi.draw.palette import BLANK, FIRST_COLOR, FIRST_MARKER, UNDER, palette_of
from spectro_mpi.draw.text import Lettering
from tests.draw.test_pixels import CADENCE, T0, content, spectrogram, style

ARC = 10 ** np.add.outer(np.sin(np.arange(400) / 25), np.cos(np.arange(48) / 9) + 1)
SPAN = 400 * CADENCE  # s; the figure is of 00:17:37 to 00:34:17
WIDE = style(100, (12.0, 3.0))


def event(first: float, last: float, label: str = "cusp", number: int = 0) -> Event:
    """An event by fractions of the figure's time span."""
    return Event(T0 + first * SPAN, T0 + last * SPAN, label, number)


def composed(*events: Event, style: Any = WIDE) -> tuple[Canvas, dict[str, Any]]:
    shown = replace(content(spectrogram(ARC)), events=events)
    return Painter().compose(shown, style)


def texts(canvas: Canvas, box: list[int], unit: float, *candidates: str) -> list[str]:
    """Those of `candidates` that stand below a panel, read off the picture, in order of place."""
    found = []
    column = slice(box[0] - 64 * unit, box[2] + 89 * unit)
    for text in candidates:
        ink = Lettering().stamp(text, 9 * unit).ink
        for at in canvas.stamped:
            there = canvas.image[at.top : at.bottom, at.left : at.right]
            is_below = column.start - 1 <= at.left < column.stop and at.top > box[3]
            if is_below and there.shape == ink.shape and (there == ink).all():
                found.append((at.left, text))
    return [text for _, text in sorted(found)]


def test_label_start_and_end_are_written_at_the_bracket_of_every_column() -> None:
    canvas, described = composed(event(0.3, 0.45))
    unit = 100 / 72
    # 0.3 and 0.45 of 1000 s after 00:17:37.
    text = "cusp 00:22:37–00:25:07"
    for panel in described["panels"]:
        assert texts(canvas, panel["box"], unit, text) == [text]


def test_an_event_of_no_length_has_one_time_and_one_beyond_the_figure_an_ellipsis() -> None:
    canvas, described = composed(event(-0.1, 0.03), event(0.5, 0.5, "shock"), event(0.9, 1.1))
    box, unit = described["panels"][0]["box"], 100 / 72
    expected = ["cusp …–00:18:07", "shock 00:25:57", "cusp 00:32:37–…"]
    assert texts(canvas, box, unit, *expected) == expected


FIRST, LAST = -62135596800.0, 253402300799.0  # 0001-01-01T00:00:00 and 9999-12-31T23:59:59


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (0.5, LAST, "storm 00:25:57–…"),
        (0.5, 1e18, "storm 00:25:57–…"),
        (FIRST, 0.5, "storm …–00:25:57"),
        (FIRST, LAST, "storm"),
    ],
)
def test_an_event_without_end_is_shown_as_far_as_the_figure(
    start: float, end: float, text: str
) -> None:
    start, end = (T0 + at * SPAN if 0 < at < 1 else at for at in (start, end))
    canvas, described = composed(Event(start, end, "storm"))
    whole, zoom = described["panels"]
    for panel in (whole, zoom):
        assert texts(canvas, panel["box"], 100 / 72, text) == [text]
    shown = [max(start, T0 - CADENCE), min(end, T0 + SPAN)]
    span = 1.5 * (shown[1] - shown[0])
    assert zoom["time"] == pytest.approx(
        [sum(shown) / 2 - span / 2, sum(shown) / 2 + span / 2], abs=2 * CADENCE
    )
    assert [told["end"] for told in described["events"]] == [end]
    lines = [bool(drawn_colors(canvas, described, at)) for at in (0.003, 0.5, 0.997)]
    assert lines == [False, (start, end) != (FIRST, LAST), False]


def test_crowded_events_have_their_times_in_several_lines() -> None:
    events = (event(0.2, 0.3), event(0.25, 0.4, "inverted V", 1), event(0.42, 0.43))
    canvas, described = composed(*events)
    box, unit = described["panels"][0]["box"], 100 / 72
    expected = ["cusp 00:20:57–00:22:37", "inverted V 00:21:47–00:24:17", "cusp 00:24:37–00:24:47"]
    assert texts(canvas, box, unit, *expected) == expected
    tops = {at.top for at in canvas.stamped if at.top > box[3] + 34 * unit and at.left < box[2]}
    assert len(tops) == 2


def test_where_not_all_times_have_room_a_column_has_none() -> None:
    events = [event(0.30 + 0.03 * n, 0.31 + 0.03 * n) for n in range(9)]
    canvas, described = composed(*events)
    box, unit = described["panels"][0]["box"], 100 / 72
    times = [
        f"cusp 00:{s // 60:02d}:{s % 60:02d}–00:{(s + 10) // 60:02d}:{(s + 10) % 60:02d}"
        for s in (17 * 60 + 37 + 300 + 30 * n for n in range(9))
    ]
    assert texts(canvas, box, unit, "cusp", *times) == ["cusp"] * 9
    # The zoom of the first shows 375 s, and of six more events: their times need three lines.
    assert texts(canvas, described["panels"][1]["box"], unit, "cusp", *times) == times[:7]


def test_no_event_changes_nothing_and_one_beside_the_data_counts_as_none() -> None:
    plain, _ = composed()
    beside, described = composed(event(-0.5, -0.1), event(1.2, 1.3), event(float("nan"), 0.5))
    np.testing.assert_array_equal(plain.image, beside.image)
    assert "events" not in described


def test_events_that_touch_the_edges_of_the_data_are_shown() -> None:
    _, described = composed(event(-1, 0, "before"), event(1, 2, "after"), event(-9, 9, "around"))
    assert [shown["label"] for shown in described["events"]] == ["around", "before", "after"]


def drawn_colors(canvas: Canvas, described: dict[str, Any], at: float) -> set[int]:
    """Palette indices of markers in the panel's pixel columns at a fraction of the time span."""
    left, top, right, bottom = described["panels"][0]["box"]
    x = left + at * (right - left)
    columns = canvas.image[top:bottom, round(x) - 1 : round(x) + 1]
    return {int(index) for index in np.unique(columns) if index >= FIRST_MARKER}


def test_labels_have_colours_of_their_own_which_repeat() -> None:
    events = [event(0.1 + 0.2 * n, 0.2 + 0.2 * n, f"kind {n}", n) for n in range(4)]
    canvas, described = composed(*events)
    colors = [drawn_colors(canvas, described, 0.1 + 0.2 * n) for n in range(4)]
    assert all(len(color) == 1 for color in colors)
    assert len(set.union(*colors)) == 3
    assert colors[3] == colors[0]
    rgb = palette_of("viridis").rgb
    shown = [rgb[color.pop()].tolist() for color in colors]
    assert [told["color"] for told in described["events"]] == shown


def test_bracket_and_square_have_the_colour_of_the_lines() -> None:
    canvas, described = composed(event(0.3, 0.6, number=1))
    left, _, right, bottom = described["panels"][0]["box"]
    below = canvas.image[bottom + 1 :, : right + 100]
    rows, columns = np.nonzero(below == FIRST_MARKER + 1)
    assert not (below > FIRST_MARKER + 1).any() and not (below == FIRST_MARKER).any()
    x0, x1 = (left + at * (right - left) for at in (0.3, 0.6))
    bracket = rows < rows.min() + 8  # 5.6 pixels high
    assert columns[bracket].min() == pytest.approx(x0, abs=2)
    assert columns[bracket].max() == pytest.approx(x1, abs=2)
    square = columns[~bracket]
    assert len(square) == (np.ptp(square) + 1) ** 2
    text = max(canvas.stamped, key=lambda at: (at.left < right, at.top))
    assert 0 < text.left - square.max() < 10


@pytest.mark.parametrize(
    ("dpi", "size"), [(40, (3.0, 1.0)), (60, (12.0, 3.0)), (100, (5.0, 2.0)), (200, (4.0, 1.2))]
)
def test_words_of_events_stay_in_the_figure_and_off_each_other(
    dpi: int, size: tuple[float, float]
) -> None:
    rng = np.random.default_rng(15)
    labels = ["cusp", "inverted V", "x", "a very long label of an event that is cut", "磁気圏"]
    painter = Painter()
    for number in range(12):
        starts = rng.uniform(-0.1, 1.1, number + 1)
        lengths = rng.choice([0, 1e-4, 0.01, 0.2], number + 1)
        events = tuple(
            event(start, start + length, labels[n % 5], n % 5)
            for n, (start, length) in enumerate(zip(starts, lengths, strict=True))
        )
        shown = replace(content(spectrogram(ARC)), events=events)
        canvas, described = painter.compose(shown, style(dpi, size))
        height, width = canvas.image.shape
        words = [at for at in canvas.stamped if at.width]
        data = [tuple(panel["box"]) for panel in described["panels"]]
        for at in words:
            assert at.left >= 0 and at.top >= 0 and at.right <= width and at.bottom <= height
        for a, b in itertools.chain(
            itertools.combinations(words, 2), itertools.product(words, data)
        ):
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)


# Linear RGB of dichromats: Viénot, Brettel and Mollon, Color Res. Appl. 24 (1999) 243.
VISIONS = {
    "all": np.eye(3),
    "protan": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "deutan": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}


def lab(rgb: NDArray[np.uint8], vision: str) -> NDArray[np.float64]:
    """CIELAB of one colour as seen with a vision."""
    linear = [(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in rgb / 255]
    red, green, blue = np.clip(VISIONS[vision] @ linear, 0, 1)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)])


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("colormap", ["viridis", "cividis", "plasma", "inferno"])
def test_the_colours_of_events_can_be_told_apart(colormap: str, vision: str) -> None:
    rgb = palette_of(colormap).rgb
    markers = [lab(color, vision) for color in rgb[FIRST_MARKER:]]
    for a, b in itertools.combinations(markers, 2):
        assert np.linalg.norm(a - b) > 20  # a difference of 2.3 is just noticed
    for marker in markers:
        around = (*rgb[FIRST_COLOR:FIRST_MARKER], rgb[UNDER], rgb[BLANK])
        others = [lab(color, vision) for color in around]
        # Green comes nearest, to the yellow of plasma for those who lack a pigment.
        least = 5 if colormap == "plasma" and vision != "all" else 17
        assert min(np.linalg.norm(marker - other) for other in others) > least
