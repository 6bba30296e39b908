"""What an item contributes to the common axis limits; contributions merge in any order.

Pure array science: no files, no MPI. Values are physical (counts, flux), never log10 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.bins import LARGEST_WHOLE, Bins, bins_of, range_middles, range_numbers
from spectro_mpi.model.levels import Levels, count_levels
from spectro_mpi.model.samples import Grouping, Samples, grouping_of, samples_of
from spectro_mpi.model.spectrogram import Spectrogram


@dataclass
class Tally:
    """Counts of the finite cells of one category of one instrument, by value and by channel."""

    whole: Bins = field(default_factory=Bins)
    """Cells that are whole numbers of at most 65,535: a bin is one number."""
    ranges: Bins = field(default_factory=Bins)
    """All other cells, and means: bins of 0.1 % (`bins.range_numbers`)."""
    smallest: float = np.inf
    """Smallest value; inf: there is no cell."""
    smallest_positive: float = np.inf
    """Smallest value above 0; inf: there is none."""
    largest: float = -np.inf
    """Largest value; -inf: there is no cell."""
    levels: Levels = field(default_factory=Levels)
    """Number of cells by channel."""
    y_scale: str = ""
    """Scale that the channels' axis is drawn with, whatever the pair of scales; empty: the pair's.
    """
    z_scale: str = ""
    """Scale that the colours are drawn with, whatever the pair of scales; empty: the pair's."""

    @property
    def has_positive(self) -> bool:
        """Whether any value is above 0."""
        return self.smallest_positive < np.inf

    def merge(self, other: Tally) -> None:
        """Add the counts of `other`."""
        self.whole.merge(other.whole)
        self.ranges.merge(other.ranges)
        self.levels.merge(other.levels)
        self.smallest = min(self.smallest, other.smallest)
        self.smallest_positive = min(self.smallest_positive, other.smallest_positive)
        self.largest = max(self.largest, other.largest)
        self.y_scale = _common(self.y_scale, other.y_scale)
        self.z_scale = _common(self.z_scale, other.z_scale)

    def percentiles(self, percents: Sequence[float], positive: bool) -> list[float]:
        """The percentiles of all cells, or of positive ones, as `numpy.percentile` (linear) gives.

        Whole numbers up to 65,535 are exact, and so are the smallest and the largest value. Any
        other value counts as the middle of its bin, which is 0.05 % off at most. Raises
        `IndexError` if there is no such cell.
        """
        smallest = self.smallest_positive if positive else self.smallest
        values, cells = self._ascending(positive)
        cumulative = np.cumsum(cells)
        count = int(cumulative[-1])

        def value_at(rank: int) -> float:
            if rank in (0, count - 1):
                return self.largest if rank else smallest
            value = float(values[np.searchsorted(cumulative, rank, side="right")])
            return min(max(value, smallest), self.largest)

        return [interpolated(percent, count, value_at) for percent in percents]

    def _ascending(self, positive: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The values of all bins, or of those above 0, ascending, and their numbers of cells."""
        whole, whole_cells = self.whole.held()
        ranges, range_cells = self.ranges.held()
        values = np.concatenate([whole.astype(np.float64), range_middles(ranges)])
        cells = np.concatenate([whole_cells, range_cells])
        if positive:
            values, cells = values[values > 0], cells[values > 0]
        order = np.argsort(values, kind="stable")
        return values[order], cells[order]


def interpolated(percent: float, count: int, value_at: Callable[[int], float]) -> float:
    """A percentile of `count` values as `numpy.percentile` (linear) gives it, to the last bit.

    `value_at` gives the value of a rank, which is 0 for the smallest.
    """
    position = (count - 1) * (percent / 100)
    below = int(position)
    low, high = value_at(below), value_at(min(below + 1, count - 1))
    share = position - below
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


Tallies = dict[tuple[str, str], Tally]
"""(instrument, category) → its tally."""


def tally(spectrogram: Spectrogram) -> Tallies:
    """Count the cells of one spectrogram, for each of its categories.

    With more than 4,096 records, means of several records are counted (`samples.grouping_of`).
    """
    grouping = grouping_of(spectrogram)
    return {
        (spectrogram.instrument, category): _tally_of(spectrogram, row, grouping)
        for row, category in enumerate(spectrogram.category)
    }


def tally_series(series: Spectrogram) -> Tallies:
    """Count the values of a series (`model.series`), for each of its categories."""
    tallies = {}
    for category, values in zip(series.category, series.values, strict=True):
        counts = tallies[series.instrument, category] = Tally(y_scale=series.legend.y_scale)
        _count(counts, Samples(series.mode, values, are_means=False), is_whole=False)
    return tallies


def merge_tallies(into: Tallies, other: Tallies) -> None:
    """Add `other` to `into`; the order of merging makes no difference."""
    for key, added in other.items():
        into.setdefault(key, Tally()).merge(added)


def _tally_of(spectrogram: Spectrogram, row: int, grouping: Grouping | None) -> Tally:
    legend = spectrogram.legend
    counts = Tally(y_scale=legend.y_scale, z_scale=legend.z_scale)
    for samples in samples_of(spectrogram, row, grouping):
        _count(counts, samples, legend.is_whole)
        counts.levels.merge(count_levels(spectrogram.energy, spectrogram.edges, samples))
    return counts


def _count(counts: Tally, samples: Samples, is_whole: bool) -> None:
    """Add the values of samples to a tally."""
    values = samples.values[np.isfinite(samples.values)]
    if not len(values):
        return
    counts.smallest = min(counts.smallest, float(values.min()))
    counts.largest = max(counts.largest, float(values.max()))
    positive = values[values > 0]
    counts.smallest_positive = min(counts.smallest_positive, float(positive.min(initial=np.inf)))
    others = values[values <= 0] if len(positive) < len(values) else values[:0]
    if is_whole and not samples.are_means:
        positive = _count_whole(counts, positive)
        others = _count_whole(counts, others)
    counts.ranges.merge(bins_of(range_numbers(positive)))
    negative = others[others < 0]
    counts.ranges.merge(bins_of(-range_numbers(-negative)))
    counts.ranges.merge(bins_of(np.zeros(len(others) - len(negative), np.int32)))


def _count_whole(counts: Tally, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add whole numbers to a tally; returns the values that are none, or too large."""
    exact = (np.abs(values) <= LARGEST_WHOLE) & (np.trunc(values) == values)
    if exact.all():
        counts.whole.merge(bins_of(values.astype(np.int32)))
        return np.zeros(0, np.float32)
    counts.whole.merge(bins_of(values[exact].astype(np.int32)))
    others: NDArray[np.float32] = values[~exact]
    return others


def _common(scale: str, other: str) -> str:
    """The scale that two tallies are drawn with: if they name different ones, linear."""
    named = {scale, other} - {""}
    return "" if not named else "linear" if len(named) > 1 else named.pop()
