"""When and where the data of an item were measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.model.coverage import Coverage, Track, coverage_of
from spectro_mpi.model.ephemeris import HEMISPHERE, Variable
from spectro_mpi.model.spectrogram import Spectrogram

BEGIN = 946_684_800.0


def spectrogram(count: int = 4, **ephemeris: Any) -> Spectrogram:
    """A spectrogram with a record every 10 s, each 5 s to either side of its time."""
    time = BEGIN + 10 * np.arange(count, dtype=np.float64)
    return Spectrogram(
        "ees",
        "counts",
        ("all",),
        time,
        time - 5,
        time + 5,
        np.zeros(count, np.uint8),
        np.array([[10, 20]], np.float32),
        np.ones((1, count, 2), np.float32),
        "a.cdf",
        1,
        ephemeris=tuple(
            Variable(name, np.array(values, np.float32)) for name, values in ephemeris.items()
        ),
    )


def tracks(**ephemeris: Any) -> tuple[Track, ...]:
    covered = coverage_of([spectrogram(**ephemeris)])
    assert covered is not None
    return covered.tracks


def test_the_times_reach_from_the_first_edge_to_the_last_of_all_instruments() -> None:
    later = spectrogram()
    later = replace(later, time=later.time + 100, time_end=np.full(4, np.nan))
    assert coverage_of([spectrogram(), later]) == Coverage(BEGIN - 5, BEGIN + 130)


def test_damaged_edges_and_missing_times_do_not_count() -> None:
    one = spectrogram()
    one.time_start[0], one.time_end[3] = 0.0, 1e12
    one.time[1] = np.nan
    assert coverage_of([one]) == Coverage(BEGIN, BEGIN + 30)
    assert coverage_of([replace(one, time=np.full(4, np.nan))]) is None
    assert coverage_of([]) is None


def test_adjacent_degrees_of_one_hour_are_one_track() -> None:
    found = tracks(mlt=[10.2, 10.9, 10.5, 11.0], ilat=[70.1, 71.9, 73.5, 72.0])
    assert found == (Track(10, 70, 72), Track(10, 73, 74), Track(11, 72, 73))


def test_the_south_is_negative_whatever_sign_the_latitude_has() -> None:
    for sign in (1, -1):
        latitude = sign * np.array([70.5, 71.5, 0.5, 0.5])
        found = tracks(mlt=[1, 1, 1, 1], ilat=latitude, **{HEMISPHERE: [-1, -1, -1, 1]})
        assert found == (Track(1, -72, -70), Track(1, -1, 0), Track(1, 0, 1))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mlt": [23.5, 24.0, 0.1, np.nan]}, (Track(0, None, None), Track(23, None, None))),
        ({"ilat": [60, 90, np.nan, 60]}, (Track(None, 60, 61), Track(None, 89, 90))),
        ({"alt": [1, 2, 3, 4]}, ()),
        ({"mlt": [1, np.nan, 1, 1], "ilat": [np.nan, 60, np.nan, np.nan]}, ()),
    ],
)
def test_what_is_not_known_is_left_out(given: Any, expected: tuple[Track, ...]) -> None:
    assert tracks(**given) == expected
