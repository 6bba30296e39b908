"""Labels of the ephemeris stand below the times: at the ticks, of the nearest record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Records, records_of
from spectro_mpi.draw.figure import Painter
from spectro_mpi.draw.positions import lines_at, names_shown
from spectro_mpi.draw.ticks import time_ticks
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.spectrogram import Spectrogram
from tests.draw.test_events import ARC, SPAN, WIDE, event, texts
from tests.draw.test_pixels import T0, content, spectrogram, style

SHOWN = ("alt", "ilat", "mlt")


def with_places(data: Spectrogram, **changes: NDArray[Any]) -> Spectrogram:
    """A spectrogram whose altitude rises by 1 km a second from 1000 km, past midnight."""
    since = data.time - T0
    values = {
        "alt": (1000 + since, "km", 0.0),
        "ilat": (-60 - since / 100, "degrees", 0.0),
        "mlt": ((23.5 + since / 1000) % 24, "h", 24.0),
    }
    variables = tuple(
        Variable(name, changes.get(name, each).astype(np.float32), units, "", period)
        for name, (each, units, period) in values.items()
    )
    return replace(data, ephemeris=variables)


def records(data: Spectrogram) -> tuple[Spectrogram, Records]:
    return data, records_of(data.time, data.time_start, data.time_end)


def test_labels_are_the_values_at_the_ticks() -> None:
    shown = [records(with_places(spectrogram(ARC)))]
    lines = lines_at(shown, SHOWN, T0 + np.array([100.0, 499.6, 500.0, 900.0]))
    assert [line.title for line in lines] == ["ALT (km)", "ILAT (°)", "MLT (h)"]
    assert lines[0].labels == ("1100", "1500", "1500", "1900")
    assert lines[1].labels == ("−61.0", "−65.0", "−65.0", "−69.0")
    assert lines[2].labels == ("23.6", "0.0", "0.0", "0.4")  # never 24.0


def test_other_variables_have_as_many_digits_as_they_need() -> None:
    data = spectrogram(ARC)
    for largest, text in ((5.0, "2.50"), (50.0, "25.0"), (5000.0, "2500")):
        values = np.linspace(0, largest, len(data.time))
        l_shell = replace(data, ephemeris=(Variable("l", values, ""),))
        ticks = T0 + SPAN * np.array([0.5, 1.0])
        (line,) = lines_at([records(l_shell)], ["l"], ticks)
        assert (line.title, line.labels[0]) == ("L", text)


def test_the_spectrogram_with_the_nearest_record_gives_the_label() -> None:
    first, second = spectrogram(ARC[:100]), spectrogram(ARC[:100], T0 + 2000 + np.arange(100.0))
    shown = [records(with_places(each)) for each in (first, second)]
    ticks = T0 + np.array([100.0, 1100.0, 2050.0])
    (line,) = lines_at(shown, ["alt"], ticks)
    assert line.labels == ("1100", "", "3050")  # nothing is known in a gap of half an hour
    alone = lines_at([(first, shown[0][1]), shown[1]], ["alt"], ticks)
    assert alone[0].labels == ("", "", "3050")


def test_only_what_is_known_has_a_line() -> None:
    data = spectrogram(ARC)
    assert names_shown([data], SHOWN) == ()
    missing = np.full(len(data.time), np.nan)
    known = with_places(data, ilat=missing)
    assert names_shown([data, known], SHOWN) == ("alt", "mlt")
    assert names_shown([known], ("mlt", "alt", "flat")) == ("mlt", "alt")


def test_a_figure_has_the_labels_below_its_ticks() -> None:
    data = with_places(spectrogram(ARC))
    canvas, described = Painter().compose(content(data, data), WIDE)
    box = described["panels"][-1]["box"]
    ticks = np.array(time_ticks(T0, T0 + SPAN, (box[2] - box[0]) / (9 * 100 / 72)).major)
    lines = lines_at([records(data)], SHOWN, ticks)
    found = texts(canvas, box, 100 / 72, *dict.fromkeys(lines[0].labels))
    assert found == list(lines[0].labels)
    titles = [line.title for line in lines]
    assert texts(canvas, box, 100 / 72, *titles) == titles


def test_the_panels_leave_room_for_the_lines_and_for_events() -> None:
    plain, data = spectrogram(ARC), with_places(spectrogram(ARC))

    def bottom(shown: Spectrogram, **changes: Any) -> int:
        drawn = replace(content(shown), **changes)
        _, described = Painter().compose(drawn, replace(WIDE, has_zooms=False))
        return int(described["panels"][0]["box"][3])

    line = 11.5 * 100 / 72
    assert bottom(plain) - bottom(data) == pytest.approx(3 * line, abs=2)
    events = (event(0.3, 0.45),)
    assert bottom(plain, events=events) - bottom(data, events=events) == pytest.approx(
        3 * line, abs=2
    )


def test_an_event_stands_below_the_labels() -> None:
    shown = replace(content(with_places(spectrogram(ARC))), events=(event(0.3, 0.45),))
    canvas, described = Painter().compose(shown, WIDE)
    text = "cusp 00:22:37–00:25:07"
    for panel in described["panels"]:
        assert texts(canvas, panel["box"], 100 / 72, text) == [text]
    boxes = canvas.stamped
    overlaps = [
        (one, other)
        for number, one in enumerate(boxes)
        for other in boxes[number + 1 :]
        if one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    ]
    assert overlaps == []


def test_without_variables_in_the_style_the_figure_is_as_before() -> None:
    plain, data = spectrogram(ARC), with_places(spectrogram(ARC))
    none = replace(style(), ephemeris=())
    assert Painter().draw(content(data), none) == Painter().draw(content(plain), none)
    assert Painter().draw(content(data), style()) != Painter().draw(content(data), none)


def test_figures_of_an_item_share_them_and_are_as_if_drawn_alone() -> None:
    one, other = (with_places(spectrogram(ARC, T0 + late + np.arange(100.0))) for late in (0, 50))
    event_there = (event(0.3, 0.45),)
    figures = [
        content(one),
        replace(content(one), events=event_there),
        content(other),
        content(one, other),
        replace(content(one), title="another title that takes as much room"),
        content(one),
    ]
    painter = Painter()
    for drawn in figures:
        for look in (WIDE, style()):
            assert painter.draw(drawn, look) == Painter().draw(drawn, look)
