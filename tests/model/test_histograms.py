"""Histograms of many cells: exact sums, percentiles within a bin, the same in any order."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.histograms import COARSEST, Histograms, statistics_of

CELLS = 20
PERCENTS = (0.0, 25.0, 50.0, 75.0, 100.0)


def values_of(seed: int, size: int = 20_000) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cells and values of both signs over many decades, with zeros and numbers below the normal."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(3, 4, size) * np.where(rng.random(size) < 0.2, -1, 1)
    values[rng.random(size) < 0.1] = 0
    values[:3] = [1e-41, -1e-41, 3e38]
    return rng.integers(0, CELLS, size), values.astype(np.float32)


def merged(seed: int, parts: int, most: int, order_seed: int) -> Histograms:
    cells, values = values_of(seed)
    order = np.random.default_rng(order_seed).permutation(len(cells))
    whole = Histograms(most)
    for rows in np.array_split(order, parts):
        part = Histograms(most)
        part.add(cells[rows], values[rows])
        whole.merge(pickle.loads(pickle.dumps(part)))
    whole.settle()
    return whole


@pytest.mark.parametrize("most", [10**9, 5000, 1200])
def test_the_mean_is_exact_and_percentiles_are_within_a_bin(most: int) -> None:
    cells, values = values_of(1)
    histograms = merged(1, 7, most, 1)
    found = statistics_of(histograms, CELLS + 1, PERCENTS)
    for cell in range(CELLS):
        exact = values[cells == cell].astype(np.float64)
        assert found.count[cell] == len(exact)
        scale = np.abs(exact).sum() / len(exact)
        assert abs(found.mean[cell] - math.fsum(exact) / len(exact)) <= 1e-14 * scale
        for row, percent in enumerate(PERCENTS):
            # Each of the two values that a percentile lies between is off by less than the width.
            low, high = (
                np.percentile(exact, percent, method=method) for method in ("lower", "higher")
            )
            most_off = histograms.width * max(abs(low), abs(high)) + 1e-38
            assert abs(found.percentiles[row, cell] - np.percentile(exact, percent)) <= most_off
    assert found.count[CELLS] == 0
    assert np.isnan(found.mean[CELLS])
    assert np.isnan(found.percentiles[:, CELLS]).all()


@pytest.mark.parametrize("most", [10**9, 5000, 1200, 10])
def test_any_order_and_any_parts_give_the_same_bins(most: int) -> None:
    one = merged(2, 1, most, 1)
    levels = {10**9: {0}, 5000: set(range(1, COARSEST)), 10: {COARSEST}}
    assert one.level in levels.get(most, range(COARSEST + 1))
    for parts, order_seed in ((2, 2), (40, 3), (1000, 4)):
        other = merged(2, parts, most, order_seed)
        assert other.level == one.level
        for name in ("keys", "counts", "mantissas"):
            np.testing.assert_array_equal(getattr(other, name), getattr(one, name))


def test_the_memory_is_bounded_where_the_bins_can_be_made_wider() -> None:
    histograms = merged(3, 20, 3000, 1)
    assert histograms.level > 0
    assert len(histograms.keys) <= 3000


def test_whole_numbers_below_64_and_single_values_have_exact_percentiles() -> None:
    values = np.array([3, 60, 63, 63, 12345.678], np.float32)
    histograms = Histograms(1000)
    histograms.add(np.zeros(5, np.int64), values)
    histograms.settle()
    found = statistics_of(histograms, 1, PERCENTS)
    np.testing.assert_array_equal(
        found.percentiles[:, 0], np.percentile(values.astype(np.float64), PERCENTS)
    )
