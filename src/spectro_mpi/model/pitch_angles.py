"""Reduce: (time, pitch angle, energy) → (category, time, energy).

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import (
    FILL_FLOAT,
    Categories,
    Combine,
    Distribution,
    Rows,
    blocks,
    is_measured,
)
from spectro_mpi.model.intervals import Around, Cut, Intervals, bins_at
from spectro_mpi.model.rings import ring_solid_angle
from spectro_mpi.settings.direction import Direction

_EXACT = 2**24
"""float32 holds whole numbers up to this exactly."""


class Reduced(NamedTuple):
    """A distribution reduced to categories."""

    values: NDArray[np.float32]
    """(category, record, channel); NaN where no bin counts."""
    errors: NDArray[np.float32] | None
    """(category, record, channel) uncertainty of `values`, NaN where it is not known; None: the
    distribution has no variance."""


def reduce_distribution(
    distribution: Distribution, categories: Categories, combine: Combine
) -> Reduced:
    """Sum or average the bins of each category.

    A record of which a direction is not known has no bin in a category of that direction.

    With the share w of a bin in the category (1 or 0 by its centre, or the fraction inside if the
    distribution has `width`), its solid angle Ω (`weight`, `ring_width`, or 1), its value C and the
    variance of that, σ²: a sum is Σ w C ± √Σ w² σ², a mean Σ w Ω C / Σ w Ω ± √Σ (w Ω)² σ² / Σ w Ω.
    Sums of whole numbers over whole bins are exact up to 2²⁴.
    """
    records, _, channels = distribution.values.shape
    shape = (len(categories), records, channels)
    values = np.full(shape, np.nan, np.float32)
    errors = None if distribution.variance is None else np.full(shape, np.nan, np.float32)
    fixed = {
        name: Intervals(given)
        for name, given in categories.items()
        if not isinstance(given, Direction)
    }
    for rows, bins, used in _blocks(distribution):
        slab = _Slab(distribution, rows, bins, used, combine)
        intervals = [
            _around(distribution, rows, given) if isinstance(given, Direction) else fixed[name]
            for name, given in categories.items()
        ]
        total, norm, variance = slab.sums(intervals)
        blank = ~(norm > 0)
        if slab.blank is not None:
            blank = blank | slab.blank
        divisor = 1 if combine == "sum" else np.where(blank, np.nan, norm)
        cells = np.where(blank, np.nan, total / divisor)
        values[:, rows, :used] = cells.swapaxes(0, 1)
        if errors is not None and variance is not None:
            cells = np.where(blank, np.nan, np.sqrt(variance) / divisor)
            errors[:, rows, :used] = cells.swapaxes(0, 1)
    return Reduced(values, errors)


def _around(distribution: Distribution, rows: Rows, direction: Direction) -> Around:
    """The intervals of some records in a direction; empty where that is not known."""
    unknown = np.full(len(distribution.valid), np.nan)
    earthward = unknown if distribution.earthward is None else distribution.earthward
    cone = unknown if distribution.loss_cone is None else distribution.loss_cone
    middle = earthward if direction.is_downward else 180.0 - earthward
    reach = cone if direction.within is None else np.full(len(unknown), direction.within)
    return Around(middle[rows], reach[rows])


class _Slab:
    """Some records with equal numbers of bins and channels."""

    def __init__(
        self, distribution: Distribution, rows: Rows, bins: int, used: int, combine: Combine
    ) -> None:
        def part(array: Any) -> Any:
            """The array of these records, bins and channels; an axis of length 1 is kept."""
            if array is None:
                return None
            return array[rows if len(array) > 1 else slice(None), :bins, :used]

        self._values: NDArray[Any] = part(distribution.values)
        self._variance: NDArray[Any] | None = part(distribution.variance)
        self._present = self._counting(distribution.value_fill)
        """(record, bin, channel) whether a cell counts; None: all do."""
        self._weight: NDArray[Any] | None = None
        """(record, bin, channel), 0 where a cell does not count; None: 1 where it does."""
        self.blank: NDArray[np.bool_] | None = None
        """(record or 1, 1, channel or 1) cells that no bin has measured; None: there are none."""
        measured = part(distribution.measured)
        if measured is not None and measured.shape[1] == 1:
            self.blank = ~measured
        elif measured is not None:
            self._require(measured)
        angle = self._usable(part(distribution.pitch_angle))
        if combine == "mean":
            self._weigh(part(distribution.weight), part(distribution.ring_width), angle)
        self._bins = bins_at(angle, part(distribution.width))
        is_whole = combine == "sum" and distribution.width is None and self._is_exact()
        self._precision = np.float32 if is_whole else np.float64

    def sums(
        self, intervals: Sequence[Intervals | Around]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Sums over the bins of each category, (record, category, channel).

        These are Σ w Ω C, Σ w Ω and Σ (w Ω)² σ², or None without a variance.
        """
        shares = [category.shares(self._bins) for category in intervals]
        whole = np.stack([inside for inside, _ in shares], axis=1).astype(self._precision)
        cuts = [cut for _, cut in shares]
        values = self._present_only(self._values)
        weight: NDArray[Any]
        if self._weight is not None:
            weight = self._weight
            values = np.multiply(values, weight, dtype=self._precision)
        else:
            weight = np.ones(values.shape, bool) if self._present is None else self._present
        total, norm = _sum(values, whole, cuts), _sum(weight, whole, cuts)
        if self._variance is None:
            return total, norm, None
        variance = self._present_only(self._variance)
        unknown = ~np.isfinite(variance)
        variance = np.where(unknown, 0, variance).astype(np.float64)
        if self._weight is not None:
            variance *= np.square(self._weight, dtype=np.float64)
        whole = whole.astype(np.float64)
        squares = _sum(variance, whole, cuts, power=2)
        if unknown.any():
            squares[_sum(unknown, whole, cuts) > 0] = np.nan
        return total, norm, squares

    def _counting(self, fill: float | None) -> NDArray[np.bool_] | None:
        """(record, bin, channel) whether a value counts; None: all do."""
        values = self._values
        present = np.ones(values.shape, bool) if fill is None else values != fill
        if values.dtype.kind == "f":
            present &= is_measured(values)
        return None if present.all() else present

    def _require(self, counting: NDArray[np.bool_]) -> None:
        """Let only those cells count that also are `counting`."""
        present = counting if self._present is None else self._present & counting
        self._present = None if present.all() else np.broadcast_to(present, self._values.shape)

    def _usable(self, angle: NDArray[np.float32]) -> NDArray[np.float32]:
        """The pitch angles, where those that are missing are 0 and do not count."""
        if angle.min() > FILL_FLOAT / 10 and np.isfinite(angle.max()):
            return angle
        self._require(is_measured(angle))
        return np.where(is_measured(angle), angle, np.float32(0))

    def _weigh(
        self,
        weight: NDArray[Any] | None,
        ring_width: NDArray[Any] | None,
        angle: NDArray[np.float32],
    ) -> None:
        """Set the weights; cells without one do not count."""
        if weight is not None:
            usable = is_measured(weight)
        elif ring_width is not None:
            weight = ring_solid_angle(angle, ring_width)
            usable = weight > 0
        else:
            return
        if not usable.all():
            self._require(usable)
        self._weight = self._present_only(np.broadcast_to(weight, self._values.shape))

    def _present_only(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values, with 0 where a cell does not count."""
        return values if self._present is None else np.where(self._present, values, 0)

    def _is_exact(self) -> bool:
        """Whether float32 holds all sums of the values: they are whole, and not large."""
        values = self._values
        if values.dtype.kind not in "ui":
            return False
        if values.dtype.itemsize <= 2:
            most = 2**16
        else:
            most = max(-int(values.min(initial=0)), int(values.max(initial=0)))
        return bool(most * values.shape[1] <= _EXACT)


def _blocks(distribution: Distribution) -> Iterator[tuple[Rows, int, int]]:
    """The blocks of records that may be used (`blocks`).

    A number beyond the shape of the arrays is a fill value or damage: such a record has no valid
    bin.
    """
    _, bins, channels = distribution.values.shape
    nbins, nenergy = distribution.nbins.astype(np.intp), distribution.nenergy.astype(np.intp)
    usable = distribution.valid & (nbins <= bins) & (nenergy <= channels)
    yield from blocks(usable & (nbins > 0) & (nenergy > 0), nbins, nenergy)


def _sum(
    array: NDArray[Any], whole: NDArray[Any], cuts: list[Cut | None], power: int = 1
) -> NDArray[Any]:
    """Sum an array (record, bin, channel) over the bins of each category.

    `whole` is (record, category, bin), 1 for bins that lie inside; they are summed by a batched
    matrix product. The bins that a border cuts are added cell by cell, by their share to a `power`.
    Returns (record, category, channel).
    """
    total: NDArray[Any] = whole @ array.astype(whole.dtype, copy=False)
    for number, cut in enumerate(cuts):
        if cut is None:
            continue
        parts = cut.share**power * array[cut.records, cut.bins]
        first = np.flatnonzero(np.diff(cut.records, prepend=-1))
        added = np.add.reduceat(parts, first, axis=0)
        total[cut.records[first], number] += added.astype(whole.dtype, copy=False)
    return total
