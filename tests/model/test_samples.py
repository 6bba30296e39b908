"""Many records are tallied by means of consecutive ones, few records one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.samples import grouping_of, samples_of
from spectro_mpi.model.spectrogram import Spectrogram
from tests.model.spectrograms import with_values


def means(part: Spectrogram, row: int = 0) -> list[tuple[int, list[float]]]:
    """(mode, means by channel) of each sample."""
    samples = [
        (int(mode), values.tolist())
        for piece in samples_of(part, row, grouping_of(part))
        for mode, values in zip(piece.mode, piece.values, strict=True)
    ]
    assert all(piece.are_means for piece in samples_of(part, row, grouping_of(part)))
    return samples


def straight(part: Spectrogram, gaps: set[int], row: int = 0) -> list[tuple[int, list[float]]]:
    """The same, one record after the other; `gaps` are the places, in time order, before which
    there is one."""
    size = math.ceil(len(part.time) / 2048)
    known = [record for record, time in enumerate(part.time) if not math.isnan(time)]
    known.sort(key=lambda record: part.time[record])
    groups: list[list[int]] = []
    for place, record in enumerate(known):
        full = bool(groups) and len(groups[-1]) == size
        changes = bool(groups) and part.mode[groups[-1][-1]] != part.mode[record]
        if not groups or full or changes or place in gaps:
            groups.append([])
        groups[-1].append(record)
    averaged = []
    for group in groups:
        columns = []
        for channel in range(part.values.shape[2]):
            column = [float(part.values[row, record, channel]) for record in group]
            finite = [value for value in column if math.isfinite(value)]
            columns.append(float(np.float32(sum(finite) / len(finite))) if finite else math.nan)
        averaged.append((int(part.mode[group[0]]), columns))
    return averaged


def assert_equal(first: list[tuple[int, list[float]]], second: Any) -> None:
    assert [mode for mode, _ in first] == [mode for mode, _ in second]
    np.testing.assert_allclose(
        [values for _, values in first], [values for _, values in second], rtol=1e-6
    )


def sparse(records: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    values = 200 * rng.poisson(0.3, (2, records, 5)).astype(np.float64)
    values[rng.random(values.shape) < 0.3] = np.nan
    return values


def test_up_to_4096_records_are_tallied_one_by_one() -> None:
    part = with_values(sparse(4096))
    assert grouping_of(part) is None
    (samples,) = samples_of(part, 1, None)
    np.testing.assert_array_equal(samples.values, part.values[1])
    assert not samples.are_means


@pytest.mark.parametrize("records", [4097, 6144, 10000])
def test_more_records_are_averaged(records: int) -> None:
    part = with_values(sparse(records))
    averaged = means(part, 1)
    assert len(averaged) == math.ceil(records / math.ceil(records / 2048))
    assert_equal(averaged, straight(part, set(), row=1))


def test_a_mean_ends_at_a_change_of_mode_and_at_a_gap() -> None:
    rng = np.random.default_rng(4)
    mode = np.repeat(rng.integers(0, 2, 500), 11)
    time = np.arange(5500.0)
    time[1001:] += 1.6  # a step of 2.6 local widths
    time[2003:] += 1.4  # and one of 2.4
    part = with_values(sparse(5500), mode=mode, time=time)
    assert_equal(means(part), straight(part, {1001}))


def test_records_are_averaged_in_order_of_time_as_they_are_drawn() -> None:
    rng = np.random.default_rng(5)
    time = np.arange(6000.0)
    time[50:60] = np.nan
    part = with_values(sparse(6000), time=rng.permutation(time))
    assert_equal(means(part), straight(part, {50}))


def test_parts_of_many_records_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    part = with_values(sparse(9000), mode=np.arange(9000) // 7 % 2)
    whole = means(part)
    monkeypatch.setattr("spectro_mpi.model.samples._CELLS_AT_ONCE", 5 * 100)
    pieces = list(samples_of(part, 0, grouping_of(part)))
    assert len(pieces) == 90
    assert_equal(means(part), whole)


def test_without_a_valid_time_nothing_is_drawn_and_nothing_is_tallied() -> None:
    part = with_values(sparse(5000), time=np.full(5000, np.nan))
    assert list(samples_of(part, 0, grouping_of(part))) == []
