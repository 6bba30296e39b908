"""Bins of different energies are brought onto one axis: sums conserve what they sum."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.instruments.energy_tables import EnergyTables

RECORDS, BINS, CHANNELS = 7, 4, 9


def overlaps(
    values: NDArray[np.float64],
    edges: NDArray[np.float64],
    of_table: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Split values by the overlap of their channels, cell by cell; NaN: nothing overlaps."""
    out = np.full((len(values), edges.shape[0], len(of_table)), np.nan)
    for record, one, channel in np.ndindex(*values.shape):
        value, (low, high) = values[record, one, channel], edges[one, channel]
        if math.isnan(value) or math.isnan(low):
            continue
        for place, (bottom, top) in enumerate(of_table):
            shared = min(high, top) - max(low, bottom)
            if shared > 1e-6 * high:
                before = out[record, one, place]
                part = value * shared / (high - low)
                out[record, one, place] = part if math.isnan(before) else before + part
    return out


@pytest.mark.parametrize("seed", range(8))
def test_sums_are_split_by_the_overlap_of_channels(seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = np.cumsum(random.uniform(0.05, 0.4, (BINS, CHANNELS + 1)), axis=1)
    edges = np.stack([10 * np.exp(steps[:, :-1]), 10 * np.exp(steps[:, 1:])], axis=-1)
    edges[1:, CHANNELS - seed % 3 :] = np.nan  # the first bin has the most channels
    if seed % 2:
        edges = edges[:, ::-1]
    energy = np.sqrt(edges[..., 0] * edges[..., 1])
    values = random.integers(0, 1000, (RECORDS, BINS, CHANNELS)).astype(np.float64)
    values[random.random(values.shape) < 0.1] = np.nan
    tables = EnergyTables(CHANNELS, True, "sum")
    reach = energy - edges[..., 0], edges[..., 1] - energy
    split, mode = tables.take(values.copy(), energy[None], (reach[0][None], reach[1][None]))
    expected = overlaps(values, edges, edges[0])
    np.testing.assert_allclose(split, expected, rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(np.isnan(split), np.isnan(expected))
    np.testing.assert_allclose(tables.edges[mode[0]], edges[0], rtol=1e-6)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.3, 4.0])
def test_no_count_within_the_table_is_lost_or_appears_twice(factor: float) -> None:
    # The second bin has few channels, narrower or wider than those of the first, in its range.
    first = np.geomspace(10, 1000, CHANNELS)
    ratio = (first[1] / first[0]) ** factor
    second = np.full(CHANNELS, np.nan)
    count = min(CHANNELS - 1, int(math.log(1000 / 10) / math.log(ratio)))
    second[:count] = 10 * ratio ** (0.5 + np.arange(count))
    counts = np.full((2, 2, CHANNELS), np.nan, np.float32)
    counts[0, 0], counts[1, 0] = 3, 5
    counts[:, 1, :count] = np.arange(1, count + 1) * np.array([[7], [1000]])
    tables = EnergyTables(CHANNELS, True, "sum")
    split, _ = tables.take(counts.copy(), np.stack([first, second])[None])
    assert split.dtype == np.float32
    np.testing.assert_allclose(np.nansum(split, axis=2), np.nansum(counts, axis=2), rtol=1e-6)


def test_a_channel_that_a_table_repeats_is_one() -> None:
    energy = np.array([[8.0, 4, 2, 2], [16, 8, 4, np.nan]])
    counts = np.array([[[1.0, 2, 3, 4], [10, 20, 30, np.nan]]])
    tables = EnergyTables(4, True, "sum")
    split, _ = tables.take(counts.copy(), energy[None])
    np.testing.assert_allclose(split[0], [[1, 2, 7, np.nan], [20, 30, np.nan, np.nan]], rtol=1e-5)


def test_equal_energies_leave_counts_as_they_are() -> None:
    counts = np.arange(24.0).reshape(2, 3, 4)
    energy = np.array([8.0, 4, 2, 1])[None, None]
    split, mode = EnergyTables(4, True, "sum").take(counts.copy(), energy)
    np.testing.assert_array_equal(split, counts)
    assert mode.tolist() == [0, 0]
