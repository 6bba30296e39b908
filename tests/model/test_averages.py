"""Records of a cadence are what a loop over bins, modes and records gives; gaps stay gaps."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.columns import columns_of, records_of
from spectro_mpi.model import averages
from spectro_mpi.model.averages import averaged
from spectro_mpi.model.spectrogram import Spectrogram
from tests.model.spectrograms import COUNTS, with_values

MIDNIGHT = 1_577_836_800.0
SECOND = 1_000_000


def spectrogram(
    time: NDArray[Any],
    widths: NDArray[Any] | float | None,
    seed: int = 1,
    **more: Any,
) -> Spectrogram:
    """Random values, a tenth of them missing, in records around `time`, s since midnight."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(2, 2, (2, len(time), 5)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    one = replace(with_values(values, time=MIDNIGHT + time), **more)
    if widths is None:
        return one
    return replace(one, time_start=one.time - widths / 2, time_end=one.time + widths / 2)


def straight(
    one: Spectrogram, cadence: float, widths: NDArray[np.float64] | None
) -> dict[tuple[int, int], tuple[NDArray[np.float64], NDArray[np.float64], float, float]]:
    """(bin, mode) → mean or sum (`widths` None) of each cell, its uncertainty, start and end."""
    groups: dict[tuple[int, int], list[int]] = {}
    for record, time in enumerate(one.time):
        if np.isfinite(time) and np.isfinite(one.values[:, record]).any():
            key = int(np.floor(round(time, 6) / cadence)), int(one.mode[record])
            groups.setdefault(key, []).append(record)
    result = {}
    for key, records in groups.items():
        values = np.full(one.values[:, 0].shape, np.nan)
        errors = values.copy()
        for place in np.ndindex(values.shape):
            total = norm = square = 0.0
            for record in records:
                value = float(one.values[place[0], record, place[1]])
                if np.isfinite(value):
                    weight = 1.0 if widths is None else float(widths[record])
                    total, norm = total + weight * value, norm + weight
                    if one.errors.size:
                        square += (weight * float(one.errors[place[0], record, place[1]])) ** 2
            if norm:
                values[place] = total if widths is None else total / norm
                errors[place] = np.sqrt(square) / (1 if widths is None else norm)
        start = min(one.time_start[record] for record in records)
        result[key] = values, errors, start, max(one.time_end[record] for record in records)
    return result


def assert_is(result: Spectrogram, expected: dict[Any, Any]) -> None:
    assert len(result.time) == len(expected)
    rows = sorted(zip(expected.values(), expected, strict=True), key=lambda row: row[0][2])
    for record, ((values, errors, start, end), (_, mode)) in enumerate(rows):
        assert result.mode[record] == mode
        np.testing.assert_allclose(result.values[:, record], values, rtol=1e-6)
        if result.errors.size:
            np.testing.assert_allclose(result.errors[:, record], errors, rtol=1e-6)
        assert result.time_start[record] == start
        assert result.time_end[record] == end
        assert result.time[record] == (start + end) / 2


def test_a_mean_is_that_of_the_values_in_each_bin() -> None:
    time = 7.3 + 4.0 * np.arange(100)
    one = spectrogram(time, 4.0)
    result = averaged(one, 30 * SECOND, "mean")
    assert_is(result, straight(one, 30.0, np.ones(100)))
    assert result.values.dtype == np.float32
    assert np.isnan(one.values).any()
    assert np.floor((result.time - MIDNIGHT) / 30).tolist() == list(range(len(result.time)))


def test_records_count_by_their_widths_where_these_differ() -> None:
    widths = np.r_[np.full(40, 1.0), np.full(20, 5.0), np.full(30, 0.25)]
    edges = np.r_[0, np.cumsum(widths)]
    one = spectrogram((edges[1:] + edges[:-1]) / 2, widths)
    assert_is(averaged(one, 20 * SECOND, "mean"), straight(one, 20.0, widths))


def test_widths_that_the_file_does_not_report_follow_from_the_steps() -> None:
    time = np.r_[0.5 + np.arange(30), 35 + 10.0 * np.arange(7)]
    one = spectrogram(time, None)
    widths = np.r_[np.full(29, 1.0), 3.25, 7.75, np.full(6, 10.0)]  # halfway to the neighbours
    expected = straight(one, 60.0, widths)
    result = averaged(one, 60 * SECOND, "mean")
    for record, (values, *_) in enumerate(expected.values()):
        np.testing.assert_allclose(result.values[:, record], values, rtol=1e-6)
    assert result.time_start[0] == MIDNIGHT
    assert result.time_end[-1] == MIDNIGHT + 100


@pytest.mark.parametrize("errors", ["none", "all", "some"])
def test_uncertainties_add_in_squares(errors: str) -> None:
    widths = np.tile([1.0, 2.0, 3.0], 20)
    edges = np.r_[0, np.cumsum(widths)]
    one = spectrogram((edges[1:] + edges[:-1]) / 2, widths)
    sigma = 0.1 * one.values
    if errors == "some":
        sigma[0, 10:14] = np.nan
    if errors != "none":
        one = replace(one, errors=sigma)
    for combine, weights in (("mean", widths), ("sum", None)):
        result = averaged(one, 12 * SECOND, combine)  # type: ignore[arg-type]
        assert_is(result, straight(one, 12.0, weights))
        assert result.errors.size == (0 if errors == "none" else result.values.size)
    if errors == "some":
        assert np.isnan(result.errors[0][np.isfinite(result.values[0])]).any()


def test_sums_of_counts_are_exact() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 9_000, (2, 1000, 5)).astype(np.float64)
    counts[0, 5, 2] = np.nan
    one = with_values(counts, COUNTS, time=MIDNIGHT + 0.05 + 0.1 * np.arange(1000.0))
    result = averaged(one, 10 * SECOND, "sum")
    expected = np.nansum(counts.reshape(2, 10, 100, 5), axis=2)
    np.testing.assert_array_equal(result.values, expected)


def test_modes_are_not_mixed_and_invalid_records_not_counted() -> None:
    time = 0.5 + np.arange(90.0)
    mode = (np.arange(90) // 25) % 2
    one = spectrogram(time, 1.0, mode=mode.astype(np.uint8))
    one.values[:, 8:12] = np.nan
    one.mode[10] = 7  # a record without values, whose mode is damaged
    result = averaged(one, 30 * SECOND, "mean")
    assert_is(result, straight(one, 30.0, np.ones(90)))
    assert result.mode.tolist() == [0, 1, 1, 0, 0, 1]


def test_sweeps_that_alternate_have_a_record_each_in_every_bin() -> None:
    one = spectrogram(0.5 + np.arange(120.0), 1.0, mode=np.tile(np.array([1, 0], np.uint8), 60))
    result = averaged(one, 60 * SECOND, "mean")
    assert result.mode.tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(
        result.values[0, 1], np.nanmean(one.values[0, 1:60:2], axis=0), rtol=1e-6
    )


def test_a_bin_is_flagged_as_any_of_its_records() -> None:
    quality = np.zeros(40, np.uint8)
    quality[[3, 17, 18]] = 2, 4, 8
    one = spectrogram(0.5 + np.arange(40.0), 1.0, quality=quality)
    assert averaged(one, 10 * SECOND, "mean").quality.tolist() == [2, 12, 0, 0]


def drawn(one: Spectrogram, begin: float, end: float) -> NDArray[np.bool_]:
    """Whether each second of a figure shows a value."""
    records = records_of(one.time, one.time_start, one.time_end)
    columns = columns_of(records, MIDNIGHT + begin, MIDNIGHT + end, int(end - begin))
    shows = np.isfinite(one.values[0, records.order[columns.first]]).any(axis=1)
    return np.append(shows, False)[columns.group]


@pytest.mark.parametrize("hidden", ["missing", "filled"])
def test_gaps_stay_as_long_as_they_are(hidden: str) -> None:
    time = 0.5 + np.arange(7200.0)
    gone = (
        ((time > 100) & (time < 140))
        | ((time > 250) & (time < 370))
        | (time > 3000) & (time < 5000)
    )
    one = spectrogram(time, 1.0)
    one.values[:, gone] = np.nan
    one.values[:, ~gone, 0] = 1
    if hidden == "missing":
        one = replace(
            one,
            **{name: getattr(one, name)[~gone] for name in ("time", "time_start", "time_end")},
            mode=one.mode[~gone],
            values=one.values[:, ~gone],
        )
    result = averaged(one, 60 * SECOND, "mean")
    seen = drawn(result, 0, 7200)
    np.testing.assert_array_equal(seen, ~gone)


def test_bins_are_the_same_for_parts_of_the_data_and_times_on_a_border_are_in_the_later() -> None:
    time = np.arange(0, 60, 0.1)
    one = spectrogram(time, 0.1)
    whole = averaged(one, 300_000, "mean")
    first = np.floor((whole.time[1:] - MIDNIGHT) / 0.3)
    np.testing.assert_array_equal(first, np.arange(1, len(whole.time)))
    for bin_ in (1, 70, 198):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cells without a value
            expected = np.nanmean(one.values[:, 3 * bin_ : 3 * bin_ + 3], axis=1)
        np.testing.assert_allclose(whole.values[:, bin_], expected, rtol=1e-6)


def test_a_cadence_below_that_of_the_records_leaves_their_values() -> None:
    one = spectrogram(5.0 * np.arange(50), 5.0)
    result = averaged(one, 1 * SECOND, "mean")
    np.testing.assert_array_equal(result.values, one.values)
    np.testing.assert_allclose(result.time, one.time)


def test_records_in_any_order_and_without_a_time_do_not_matter() -> None:
    one = spectrogram(0.5 + np.arange(200.0), 1.0)
    shuffled = np.random.default_rng(5).permutation(200)
    moved = replace(
        one,
        **{name: getattr(one, name)[shuffled] for name in ("time", "time_start", "time_end")},
        mode=one.mode[shuffled],
        values=one.values[:, shuffled],
    )
    for name in ("time", "values", "time_start"):
        np.testing.assert_array_equal(
            getattr(averaged(moved, 9 * SECOND, "mean"), name),
            getattr(averaged(one, 9 * SECOND, "mean"), name),
        )
    one.time[50:60] = np.nan
    result = averaged(one, 10 * SECOND, "mean")
    rows = [values for values, *_ in straight(one, 10.0, np.ones(200)).values()]
    rows.insert(5, np.full_like(rows[0], np.nan))  # the gap
    np.testing.assert_allclose(result.values, np.stack(rows, axis=1), rtol=1e-6)
    nothing = replace(one, time=np.full(200, np.nan))
    assert averaged(nothing, SECOND, "mean") is nothing


def test_what_is_averaged_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = np.tile([1.0, 2.0], 250)
    edges = np.r_[0, np.cumsum(widths)]
    one = spectrogram((edges[1:] + edges[:-1]) / 2, widths)
    one = replace(one, errors=0.1 * one.values)
    monkeypatch.setattr(averages, "_CELLS_AT_ONCE", 40)  # 8 records
    for seconds in (1.0, 7.0, 100.0):
        expected = straight(one, seconds, widths)
        assert_is(averaged(one, int(seconds * SECOND), "mean"), expected)
