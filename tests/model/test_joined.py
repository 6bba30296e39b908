"""Spectrograms of several files become one, in order of time, and nothing counts twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.model.joined import join_spectrograms
from spectro_mpi.model.spectrogram import Spectrogram

LOW, HIGH = np.array([[1, 2, 4]], np.float32), np.array([[10, 20, 40]], np.float32)


def part(name: str, times: list[float], energy: np.ndarray = LOW, mode: int = 0) -> Spectrogram:
    time = np.array(times, np.float64)
    values = np.multiply.outer(time, np.arange(1, 4)).astype(np.float32)
    return Spectrogram(
        instrument="a",
        quantity="flux",
        category=("all", "parallel"),
        time=time,
        time_start=time - 0.5,
        time_end=time + 0.5,
        mode=np.full(len(time), mode, np.uint8),
        energy=energy,
        values=np.stack([values, -values]),
        source=name,
        source_size=100,
    )


def test_one_part_is_itself() -> None:
    alone = part("one", [1, 2])
    assert join_spectrograms([alone]) is alone


def test_parts_are_in_order_of_time_and_keep_their_energies() -> None:
    joined = join_spectrograms([part("b", [7, 8, 9], HIGH), part("a", [1, 2]), part("c", [11, 12])])
    assert joined.time.tolist() == [1, 2, 7, 8, 9, 11, 12]
    assert joined.time_start.tolist() == [0.5, 1.5, 6.5, 7.5, 8.5, 10.5, 11.5]
    assert joined.values[1, :, 2].tolist() == [-3 * time for time in joined.time]
    assert joined.energy.tolist() == [[1, 2, 4], [10, 20, 40]]
    assert joined.mode.tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert joined.mode.dtype == np.uint8
    assert joined.edges.shape == (2, 3, 2)
    assert (joined.source, joined.source_size, joined.notes) == ("a, b, c", 300, ())
    assert joined.quality.size == joined.errors.size == 0


def test_records_that_overlap_are_those_of_the_earlier_part_and_a_note_says_so() -> None:
    joined = join_spectrograms([part("a", [1, 2, 3, 4]), part("b", [3.5, 4, 5, 6]), part("c", [5])])
    assert joined.time.tolist() == [1, 2, 3, 4, 5, 6]
    assert joined.notes == (
        "b: 2 records at times of a left out",
        "c: 1 record at times of b left out",
    )


def test_many_parts_that_overlap_have_one_note() -> None:
    hours = [part(f"f{hour:02}", [10.0 * hour + k for k in range(12)]) for hour in range(12)]
    joined = join_spectrograms(hours)
    assert joined.time.tolist() == list(range(122))
    assert joined.notes == ("22 records of 11 files at times of earlier files left out",)


def test_records_without_a_table_or_a_time_stay_so() -> None:
    odd = replace(part("b", [7, float("nan"), 9], HIGH), mode=np.array([0, 0, 9], np.uint8))
    joined = join_spectrograms([part("a", [1, 2]), odd])
    assert joined.mode.tolist() == [0, 0, 1, 1, 2]
    assert len(joined.energy) == 2
    assert np.isnan(joined.time[3])


def test_flags_and_errors_are_joined() -> None:
    parts = [part("a", [1, 2]), part("b", [3])]
    flagged = [
        replace(one, quality=np.full(len(one.time), n, np.uint8), errors=one.values / np.float32(2))
        for n, one in enumerate(parts)
    ]
    joined = join_spectrograms(flagged)
    assert joined.quality.tolist() == [0, 0, 1]
    assert np.array_equal(joined.errors, joined.values / 2)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (part("b", [3], np.array([[1, 2]], np.float32)), "channels"),
        (replace(part("b", [3]), quantity="counts"), "quantities"),
        (replace(part("b", [3]), category=("all",)), "categories"),
    ],
)
def test_what_cannot_be_one_is_refused_by_name(other: Spectrogram, what: str) -> None:
    with pytest.raises(InvalidCdfError, match=f"b: has other {what} than a"):
        join_spectrograms([part("a", [1]), other])
