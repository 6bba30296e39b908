"""Common limits equal numpy's over all values pooled, in whatever order the parts are merged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.instruments.fast_esa import legend
from spectro_mpi.model.extrema import (
    Limits,
    Tallies,
    flat_extrema,
    given_limits,
    merge_tallies,
    raw_limits,
    tally,
)
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import AxisLimits, ScalePair

ENERGY = np.array([[500, 40, 30, 20, 10], [55, 45, 35, 25, np.nan]], np.float32)


def spectrogram(seed: int, quantity: str = "counts", records: int = 40) -> Spectrogram:
    rng = np.random.default_rng(seed)
    shape = (2, records, 5)
    drawn = rng.poisson(30, shape) if quantity == "counts" else rng.lognormal(15, 3, shape)
    values = np.asarray(drawn, np.float32)
    values[rng.random(shape) < 0.2] = np.nan
    values[:, :, 0][:, records // 5 :] = 0
    time = np.arange(records, dtype=np.float64)
    mode = rng.integers(0, 2, records).astype(np.uint8)
    values[:, mode == 1, 4] = np.nan
    return Spectrogram(
        "ees",
        quantity,
        ("all", "upgoing"),
        time,
        time,
        time,
        mode,
        ENERGY,
        values,
        "x.cdf",
        1,
        legend("ees", quantity),
    )


def tallied(spectrograms: list[Spectrogram]) -> Tallies:
    merged: Tallies = {}
    for one in spectrograms:
        merge_tallies(merged, tally(one))
    return merged


def pooled(spectrograms: list[Spectrogram], row: int) -> NDArray[np.float64]:
    values = np.concatenate([one.values[row].ravel() for one in spectrograms], dtype=np.float64)
    return values[np.isfinite(values) & (values > 0)]


@pytest.mark.parametrize("percent", [0.5, 33.3, 50, 95, 99.9, 100])
def test_percentiles_of_counts_are_exactly_numpys(percent: float) -> None:
    parts = [spectrogram(seed) for seed in range(9)]
    found = tallied(parts)["ees", "upgoing"].percentile(percent)
    assert found == np.percentile(pooled(parts, 1), percent)


@pytest.mark.parametrize("percent", [0.5, 33.3, 50, 95, 99.9, 100])
def test_percentiles_of_eflux_are_numpys_within_a_thousandth(percent: float) -> None:
    parts = [spectrogram(seed, "eflux", 400) for seed in range(9)]
    found = tallied(parts)["ees", "all"].percentile(percent)
    assert found == pytest.approx(np.percentile(pooled(parts, 0), percent), rel=1e-3)


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
def test_the_order_of_merging_makes_no_difference(quantity: str) -> None:
    parts = [spectrogram(seed, quantity) for seed in range(8)]
    scales: list[ScalePair] = [("linear", "log"), ("log", "linear")]
    one_way = flat_extrema(tallied(parts), scales, 95, 0.99)
    halves = tallied(parts[5:])
    merge_tallies(halves, tallied(parts[:5][::-1]))
    assert one_way == flat_extrema(halves, scales, 95, 0.99)


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.9, 1.0])
def test_y_max_is_the_smallest_upper_edge_that_covers_so_many_cells(coverage: float) -> None:
    parts = [spectrogram(seed) for seed in range(5)]
    energies = []
    for one in parts:
        counted = np.isfinite(one.values[0]) & (one.values[0] > 0)
        energies.append(one.edges[one.mode][..., 1][counted])
    pool = np.sort(np.concatenate(energies))
    smallest = next(e for e in np.unique(pool) if (pool <= e).sum() >= coverage * len(pool))
    ends = tallied(parts)["ees", "all"].levels.limits("log", coverage)
    assert ends is not None and ends[1] == smallest


def test_flat_keys_and_minima() -> None:
    parts = [spectrogram(1)]
    flat = flat_extrema(tallied(parts), [("log", "log"), ("linear", "linear")], 95, 0.99)
    assert len(flat) == 3 * 2 * 4
    assert flat["ees_log_log_y_min"] == np.float32(10 / np.sqrt(2))
    assert flat["ees_log_log_z_min"] == pooled(parts, 0).min()
    assert flat["ees_linear_linear_y_min"] == flat["ees_linear_linear_z_min"] == 0
    assert flat["ees-all_log_log_z_max"] == flat["ees_log_log_z_max"]
    assert flat["ees-upgoing_log_log_z_max"] == np.percentile(pooled(parts, 1), 95)


def test_without_a_positive_cell_there_are_no_limits() -> None:
    empty = spectrogram(1)
    empty.values[:] = np.nan
    empty.values[:, 3] = 0
    flat = flat_extrema(tallied([empty]), [("log", "log")], 95, 0.99)
    assert flat == {}
    assert given_limits(flat, {}, "ees", "all", ("log", "log"), "own") is None
    assert raw_limits(empty, 0, ("log", "log"), 0.99) is None


def test_limits_are_rounded_outward_and_overridden_by_settings() -> None:
    flat = {
        f"{name}_log_log_{end}": value
        for name, values in {
            "ees": (5.88, 30105.6, 3.0, 1234.0),
            "ees-upgoing": (9.8, 812.3, 1.0, 77.1),
        }.items()
        for end, value in zip(("y_min", "y_max", "z_min", "z_max"), values, strict=True)
    }
    scales: ScalePair = ("log", "log")
    assert given_limits(flat, {}, "ees", "all", scales, "own") == Limits(5.8, 31000, 3, 1300)
    own = given_limits(flat, {}, "ees", "upgoing", scales, "own")
    assert own == Limits(9.8, 820, 1, 78)
    whole = given_limits(flat, {}, "ees", "upgoing", scales, "instrument")
    assert whole == Limits(5.8, 31000, 3, 1300)
    axes = {"ees": AxisLimits(z_max=99.9, y_min=7.77), "ees.upgoing": AxisLimits(z_max=11)}
    assert given_limits(flat, axes, "ees", "all", scales, "own") == Limits(7.77, 31000, 3, 99.9)
    assert given_limits(flat, axes, "ees", "upgoing", scales, "own") == Limits(7.77, 820, 1, 11)


def test_an_end_set_beyond_the_other_moves_the_other() -> None:
    ends = {"y_min": 10.0, "y_max": 30000.0, "z_min": 1.0, "z_max": 100.0}
    flat = {f"ees_log_log_{end}": value for end, value in ends.items()}
    scales: ScalePair = ("log", "log")
    axes = {"ees": AxisLimits(y_min=50000.0, z_max=0.5)}
    assert given_limits(flat, axes, "ees", "all", scales, "own") == Limits(50000, 5e5, 0.05, 0.5)
    axes = {"ees.all": AxisLimits(z_max=7.0)}
    assert given_limits(flat, axes, "ees", "all", scales, "own") == Limits(10, 30000, 1, 7)


def test_raw_limits_are_the_rows_own() -> None:
    one = spectrogram(3)
    low, high = np.percentile(pooled([one], 1), [1, 99])
    found = raw_limits(one, 1, ("log", "log"), 0.99)
    assert found is not None
    assert found.z_min <= low < 1.1 * found.z_min + 1
    assert found.z_max >= high > 0.9 * found.z_max
