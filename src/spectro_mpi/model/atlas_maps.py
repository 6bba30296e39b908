"""Maps of the atlas: statistics of the values in each cell.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.atlas_tally import bin_ends, bin_sums
from spectro_mpi.model.sums import Whole

Map = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Of the values of each place, all (place,) or (percentile, place); NaN: it has none."""

    count: Whole
    mean: Map
    percentiles: Map


def statistics(
    places: Whole,
    numbers: Whole,
    counts: Whole,
    excess: Whole,
    size: int,
    percents: Sequence[float],
) -> Statistics:
    """Statistics of values that are counted in bins.

    Parameters
    ----------
    places, numbers, counts, excess : ndarray, (bin,), int64
        Bins, by place and then by number (`atlas_tally.numbers_of`), ascending; how many values
        each has, and the sum of their `atlas_tally.excess_of`.
    size : int
        Number of places.
    percents : sequence of float
        Percentiles to compute.

    Returns
    -------
    Statistics
        Means are exact but for rounding. Percentiles are interpolated as `numpy.percentile` does;
        the values of a bin are spread evenly round their mean, within the bin.
    """
    total = np.zeros(size, np.int64)
    np.add.at(total, places, counts)
    sums = bin_sums(numbers, counts, excess)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(places, weights=sums, minlength=size)[:size] / total
    before = np.concatenate([[0], np.cumsum(counts)])
    start = np.concatenate([[0], np.cumsum(total)])[:-1]
    known = np.flatnonzero(total)
    percentiles = np.full((len(percents), size), np.nan)
    for row, percent in enumerate(percents):
        rank = (total[known] - 1) * (percent / 100)
        low = np.floor(rank).astype(np.int64)
        high = np.minimum(low + 1, total[known] - 1)
        ends = [
            _value_at(start[known] + each, before, numbers, counts, sums) for each in (low, high)
        ]
        percentiles[row, known] = ends[0] + (rank - low) * (ends[1] - ends[0])
    return Statistics(total, mean, percentiles)


def _value_at(
    rank: Whole, before: Whole, numbers: Whole, counts: Whole, sums: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The values of some ranks among all, from 0; `before`: values before each bin."""
    place = np.searchsorted(before, rank, side="right") - 1
    count = counts[place]
    share = (rank - before[place] + 0.5) / count - 0.5
    begin, end = bin_ends(numbers[place])
    sign = np.where(sums[place] < 0, -1.0, 1.0)
    low, high = np.minimum(sign * begin, sign * end), np.maximum(sign * begin, sign * end)
    return np.asarray(np.clip(sums[place] / count + share * (high - low), low, high))
