"""Records have the edges that their file gives, or the width of the steps around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Records, records_of
from spectro_mpi.draw.figure import Painter, Style
from spectro_mpi.model.cadence import local_widths, stray
from spectro_mpi.previews.values import values_of
from tests.draw.test_pixels import content, read, spectrogram, style

T0 = 1.2e9
DAY = 86400.0
Times = NDArray[np.float64]


def edges_of(time: Any, gap_factor: float = 2.5) -> Records:
    """The records of a file that has neither starts nor ends."""
    time = np.asarray(time, np.float64)
    unknown = np.full(len(time), np.nan)
    return records_of(time, unknown, unknown, gap_factor)


def as_times(time: Any, start: Any, end: Any) -> tuple[Times, Times, Times]:
    """The same as float64."""
    return np.asarray(time, np.float64), np.asarray(start, np.float64), np.asarray(end, np.float64)


def blanks(records: Records) -> list[tuple[float, float]]:
    """(from, to) of the gaps between the records."""
    gaps = np.flatnonzero(records.end[:-1] < records.start[1:])
    return [(float(records.end[gap]), float(records.start[gap + 1])) for gap in gaps]


def by_definition(centre: Times) -> Times:
    """Local widths, record by record."""
    distinct = np.unique(centre)
    steps = np.diff(distinct)
    widths = []
    for place in range(len(distinct)):
        sides = [steps[max(0, place - 5) : place], steps[place : place + 5]]
        full = [side for side in sides if len(side) >= 3]
        chosen = full or [side for side in sides if len(side)]
        widths.append(max((float(np.median(side)) for side in chosen), default=1.0))
    return np.array(widths)[np.searchsorted(distinct, centre)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 10, 11, 12, 90])
def test_the_local_width_is_the_larger_of_two_medians(count: int) -> None:
    rng = np.random.default_rng(count)
    for repeats in (1, 3):
        centre = np.sort(rng.integers(0, 4 * count // repeats + 1, count)).astype(np.float64)
        np.testing.assert_array_equal(local_widths(centre), by_definition(centre))


@pytest.mark.parametrize("turned", [False, True])
def test_a_file_whose_cadence_changes_has_no_blanks(turned: bool) -> None:
    steps = np.r_[np.full(900, 0.25), np.full(150, 4.0), np.full(60, 60.0)]
    time = T0 + np.cumsum(steps[::-1] if turned else steps)
    records = edges_of(time)
    assert blanks(records) == []
    np.testing.assert_allclose(records.end[:-1], (time[1:] + time[:-1]) / 2)


def test_a_gap_of_hours_stays_blank_whatever_the_cadence_around_it() -> None:
    slow = T0 + 30.0 * np.arange(50)
    for step in (30.0, 0.5):
        after = slow[-1] + 7200 + step * np.arange(50)
        ((begin, finish),) = blanks(edges_of(np.r_[slow, after]))
        # Beside a gap, a record extends by half its local width, here that of the slower part.
        assert (begin - slow[-1], after[0] - finish) == (15.0, 15.0)


@pytest.mark.parametrize("tail", [1, 2, 3])
def test_a_few_records_after_a_gap_do_not_hide_it(tail: int) -> None:
    time = T0 + np.r_[2.0 * np.arange(40), 20_000 + 2.0 * np.arange(tail)]
    assert blanks(edges_of(time)) == [(T0 + 79, T0 + 19_999)]
    # The same gap at the start.
    assert blanks(edges_of(2 * T0 - time[::-1])) == [(T0 - 19_999, T0 - 79)]


def test_the_gap_factor_decides_what_a_gap_is() -> None:
    time = T0 + np.delete(8.0 * np.arange(40), [20, 21, 22])  # a step of four widths
    assert blanks(edges_of(time)) == [(T0 + 156, T0 + 180)]
    assert blanks(edges_of(time, 3.9)) == [(T0 + 156, T0 + 180)]
    assert blanks(edges_of(time, 4.1)) == []


def test_records_of_an_hour_a_day_or_a_month_keep_their_edges() -> None:
    for width in (3 * 3600.0, DAY, 30 * DAY):
        start = T0 + width * np.array([0.0, 1.0, 2.0, 3.0, 12.0, 13.0])
        for some in (start, start[:1]):
            records = records_of(*as_times(some + width / 2, some, some + width))
            np.testing.assert_array_equal(records.start, some)
            np.testing.assert_array_equal(records.end, some + width)


def test_an_edge_that_is_damaged_gives_way_to_the_steps() -> None:
    time = T0 + 10.0 * np.arange(30)
    start, end = time - 5, time + 5
    start[[0, 4]] = [0.0, -1e31]
    end[[29, 9]] = [4e9, np.nan]
    records = records_of(*as_times(time, start, end))
    np.testing.assert_allclose(records.start, time - 5)
    np.testing.assert_allclose(records.end, time + 5)


def test_beside_a_record_without_edges_a_record_keeps_those_of_its_file() -> None:
    time = T0 + 10.0 * np.arange(3)
    start = np.array([time[0], np.nan, time[2] - 2])
    end = np.array([time[0] + 6, np.nan, time[2] + 2])
    records = records_of(*as_times(time, start, end))
    np.testing.assert_allclose(records.start - T0, [0, 6, 18])
    np.testing.assert_allclose(records.end - T0, [6, 18, 22])


def test_two_years_of_daily_records_are_all_drawn() -> None:
    records = edges_of(T0 + DAY * np.arange(731))
    assert len(records.order) == 731
    assert blanks(records) == []


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (np.r_[0.0, T0 + np.arange(30.0), 2 * T0], (1, 1)),
        (np.r_[np.zeros(3), T0 + np.arange(300.0)], (3, 0)),
        (np.r_[np.zeros(4), T0 + np.arange(300.0)], (0, 0)),  # more than 1 %
        (np.r_[T0 + np.arange(18.0), 2 * T0], (0, 0)),  # one of 19
        (np.r_[T0 + np.arange(100.0), T0 + 30 * DAY], (0, 0)),
        (np.r_[T0 + np.arange(100.0), T0 + 33 * DAY], (0, 1)),
        (T0 + 40 * DAY * np.arange(30), (0, 0)),
        (np.r_[T0 + DAY * np.arange(200), T0 + 300 * DAY], (0, 0)),  # nearer than the rest is long
        (np.r_[T0 + DAY * np.arange(200), T0 + 400 * DAY], (0, 1)),
    ],
)
def test_stray_times_are_few_and_farther_than_the_rest_is_long(
    time: Times, expected: tuple[int, int]
) -> None:
    assert stray(time) == expected


def test_a_figure_says_which_records_it_leaves_out() -> None:
    values = np.full((250, 48), 30.0)
    time = T0 + 2.5 * np.arange(250)
    plain = spectrogram(values, time=time)
    damaged = time.copy()
    damaged[[3, 7, 100]] = [0.0, DAY, 1.6e9]
    strayed = spectrogram(values, time=damaged)
    both = replace(strayed, instrument="ies")
    painter = Painter()
    (panel,), _ = read(painter.draw(content(strayed), style()))
    np.testing.assert_allclose(panel.entry["time"], [time[0] - 1.25, time[-1] + 1.25])
    figure = content(strayed)
    notes = list(painter._left_out(figure, style()))
    assert notes == [
        "2 records at 1970-01-01 to 1970-01-02 left out",
        "1 record at 2020-09-13 left out",
    ]
    notes = list(painter._left_out(content(strayed, both), style()))
    assert notes[1] == "ees: 1 record at 2020-09-13 left out"
    assert notes[2].startswith("ies: 2 records")
    # The note takes a line: the data begin lower than without it.
    tops = [
        read(painter.draw(content(one), style()))[0][0].entry["box"][1] for one in (plain, strayed)
    ]
    assert tops[1] > tops[0]


def test_figures_and_values_under_the_pointer_have_the_same_gaps() -> None:
    time = T0 + np.delete(10.0 * np.arange(60), [30, 31])  # a step of three widths
    data = spectrogram(np.full((58, 48), 30.0), time=time, edges=False)
    painter = Painter()
    for factor, blank in ((2.5, True), (3.5, False)):
        chosen: Style = replace(style(), gap_factor=factor)
        (panel,), _ = read(painter.draw(content(data), chosen))
        assert panel.blank[100].any() == blank
    parts = [values_of(data, factor).parts[0].data for factor in (2.5, 2.5, 3.5)]
    assert parts[0] == parts[1] != parts[2]
    assert values_of(data) == values_of(data, 2.5)
