"""Histograms of the values in many cells, and their exact sums; they merge in any order.

A value is a float32. A bin is named by the upper bits of its pattern, which are ordered like the
numbers themselves: an octave has 32 bins. Beside the number of values, a bin has the sum of their
mantissas, a whole number, so that the sum of its values is exact: no rounding, no order.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.sums import Whole, summed

BIN_BITS = 14
"""Bits of the number of a bin in a key: sign, exponent and five bits of mantissa."""
COARSEST = 5
"""The level at which a bin is an octave; its values must have one exponent."""
ENTRY_BYTES = 24
"""Memory of a bin that has values."""
_MANTISSA = 23
_MANTISSA_OF_BIN = 5
_SMALLEST_EXPONENT = -149
"""Of a float32: the last bit of the smallest numbers is 2 to this power."""
_PENDING = 1 << 16
"""Bins that may wait to be merged, however few there are."""


def _none() -> Whole:
    return np.zeros(0, np.int64)


@dataclass
class Histograms:
    """Bins with values, by cell and value. Read `settled` fields only after `settle`.

    Above `most` bins, two neighbouring ones become one: at `level` L a bin is 2ᴸ⁻⁵ of an octave.
    The level follows from all values alone, since no part of them needs more bins than all.
    """

    most: int
    level: int = 0
    keys: Whole = field(default_factory=_none)
    """(bin,) cell × 2^(14 − level) + number of the bin, ascending."""
    counts: Whole = field(default_factory=_none)
    """(bin,) number of values."""
    mantissas: Whole = field(default_factory=_none)
    """(bin,) sum of their lower 23 bits."""
    _pending: list[tuple[Whole, Whole, Whole]] = field(default_factory=list)

    def add(self, cells: Whole, values: NDArray[np.float32]) -> None:
        """Count finite values, each (value,) in its cell."""
        magnitude = (np.ascontiguousarray(values, np.float32).view(np.uint32) & 0x7FFFFFFF).astype(
            np.int64
        )
        upper = magnitude >> (_MANTISSA - _MANTISSA_OF_BIN)
        number = np.where(values < 0, -1 - upper, upper) + (1 << (BIN_BITS - 1))
        keys = ((cells << BIN_BITS) + number) >> self.level
        mantissas = magnitude & ((1 << _MANTISSA) - 1)
        self._wait(*summed(keys, np.ones(len(keys), np.int64), mantissas))

    def merge(self, other: Histograms) -> None:
        """Add the bins of `other`, which is left as it is, but settled."""
        other.settle()
        level = max(self.level, other.level)
        self._coarsen(level)
        keys = other.keys >> (level - other.level)
        self._wait(keys, other.counts, other.mantissas)

    def settle(self) -> None:
        """Bring all bins into `keys`, `counts` and `mantissas`, at most `most` if possible."""
        parts = [(self.keys, self.counts, self.mantissas), *self._pending]
        if self._pending or len(self.keys) > self.most:
            joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
            self._pending = []
            self.keys, self.counts, self.mantissas = summed(*joined)
        while len(self.keys) > self.most and self.level < COARSEST:
            self._coarsen(self.level + 1)
            self.keys, self.counts, self.mantissas = summed(self.keys, self.counts, self.mantissas)

    def move(self, cell_of: Callable[[Whole], Whole]) -> None:
        """Give the cells other numbers, which `cell_of` computes."""
        self.settle()
        bits = BIN_BITS - self.level
        cells, bins = self.keys >> bits, self.keys & ((1 << bits) - 1)
        keys = (cell_of(cells) << bits) + bins
        self.keys, self.counts, self.mantissas = summed(keys, self.counts, self.mantissas)

    def part(self, first: int, stop: int) -> Histograms:
        """The histograms of the cells from `first` to before `stop`; numbers stay."""
        bits = BIN_BITS - self.level
        rows = slice(*np.searchsorted(self.keys, [first << bits, stop << bits]))
        return Histograms(
            self.most, self.level, self.keys[rows], self.counts[rows], self.mantissas[rows]
        )

    def repeated(self, entry: NDArray[np.intp], cells: Whole) -> Histograms:
        """Histograms of other cells: bin `entry[i]` counts in cell `cells[i]`; both (copy,)."""
        bits = BIN_BITS - self.level
        keys = (cells << bits) + (self.keys[entry] & ((1 << bits) - 1))
        keys, counts, mantissas = summed(keys, self.counts[entry], self.mantissas[entry])
        return Histograms(self.most, self.level, keys, counts, mantissas)

    @property
    def cells(self) -> Whole:
        """(bin,) the cell of each bin."""
        return self.keys >> (BIN_BITS - self.level)

    @property
    def width(self) -> float:
        """Largest width of a bin relative to its values; no percentile is off by more."""
        return float(2.0 ** (self.level - _MANTISSA_OF_BIN))

    def sums(self) -> NDArray[np.float64]:
        """(bin,) the exact sum of the values in each bin."""
        bits = BIN_BITS - self.level
        number = (self.keys & ((1 << bits) - 1)) - (1 << (bits - 1))
        upper = np.where(number < 0, -1 - number, number)
        exponent = upper >> (_MANTISSA_OF_BIN - self.level)
        # Numbers of the smallest exponent lack the leading bit of all others.
        leading = np.where(exponent > 0, self.counts << _MANTISSA, 0)
        scale = np.maximum(exponent, 1) - 1 + _SMALLEST_EXPONENT
        size = np.ldexp((leading + self.mantissas).astype(np.float64), scale)
        sums: NDArray[np.float64] = np.where(number < 0, -size, size)
        return sums

    def __reduce__(self) -> tuple[type, tuple[int, int, Whole, Whole, Whole]]:
        self.settle()
        return Histograms, (self.most, self.level, self.keys, self.counts, self.mantissas)

    def _wait(self, keys: Whole, counts: Whole, mantissas: Whole) -> None:
        self._pending.append((keys, counts, mantissas))
        waiting = sum(len(part[0]) for part in self._pending)
        if waiting > max(_PENDING, len(self.keys) // 2):
            self.settle()

    def _coarsen(self, level: int) -> None:
        """Have all bins of a higher level; bins that become one still stand apart."""
        by = level - self.level
        if by:
            self.level = level
            self.keys = self.keys >> by
            self._pending = [(keys >> by, *rest) for keys, *rest in self._pending]  # type: ignore[misc]


@dataclass(frozen=True)
class CellStatistics:
    """Statistics of the values in cells; all arrays (cell,), NaN without values."""

    count: Whole
    mean: NDArray[np.float64]
    percentiles: NDArray[np.float64]
    """(percent, cell)"""


def statistics_of(
    histograms: Histograms, cells: int, percents: tuple[float, ...]
) -> CellStatistics:
    """Count, mean and percentiles of the values in cells 0 to before `cells`.

    The mean is of the exact sum. Percentiles interpolate as `numpy.percentile`; each value counts
    as the mean of those in its bin, which is off by less than `Histograms.width`, and not at all
    where they are equal. `histograms` are settled.
    """
    cell, counts, sums = histograms.cells, histograms.counts, histograms.sums()
    count = np.bincount(cell, counts, cells).astype(np.int64)
    total = np.bincount(cell, sums, cells)  # adds in the order of the bins
    values = sums / np.maximum(counts, 1)
    used = np.flatnonzero(count)
    cumulative = np.cumsum(counts)
    before = np.append(0, np.cumsum(count[used]))[:-1]  # of the cell's first value, over all bins
    found = np.full((len(percents), cells), np.nan)
    for row, percent in enumerate(percents):
        position = (count[used] - 1) * (percent / 100)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, count[used] - 1)
        low, high = (
            values[np.searchsorted(cumulative, before + rank, side="right")]
            for rank in (below, above)
        )
        found[row, used] = low + (high - low) * (position - below)
    mean = np.full(cells, np.nan)
    mean[used] = total[used] / count[used]
    return CellStatistics(count, mean, found)
