"""Intervals of pitch angle on the circle, and the share of each bin that lies in them.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import EVERYTHING, Categories

_TURNS = 360.0 * np.arange(-2, 3)
"""Borders are repeated on the turns that an angle from −180 to 540, ± 180, may reach."""


@dataclass(frozen=True)
class Bins:
    """Angle bins of some records: where they are, and between which angles each one lies."""

    angle: NDArray[np.float32]
    """(record, bin, channel) degrees, −180 to 540, of the centres."""
    half: NDArray[np.float64] | None
    """(record or 1, bin or 1, channel or 1) degrees, 0 to 180, from the centre to either edge; 0:
    the centre stands for the bin. None: it does for all."""
    low: NDArray[np.float64]
    """(record, bin) degrees, the lowest edge among the channels."""
    high: NDArray[np.float64]
    """(record, bin) degrees, the highest edge among the channels."""


@dataclass(frozen=True)
class Cut:
    """The bins that a border of one category goes through, in the order of records."""

    records: NDArray[np.intp]
    """(cut bin,)"""
    bins: NDArray[np.intp]
    """(cut bin,)"""
    share: NDArray[np.float64]
    """(cut bin, channel) 0 to 1, the share of the bin that lies in the category."""


def padded(categories: Categories) -> NDArray[np.float32]:
    """The intervals of categories as an array, degrees: (category, interval, 2), padded with NaN.

    Of shape (0, 0, 2) for `EVERYTHING`, whose bins have no pitch angles.
    """
    given = [list(intervals) for intervals in categories.values()]
    if list(categories) == list(EVERYTHING) and given == [[(0, 360)]]:
        return np.empty((0, 0, 2), np.float32)
    array = np.full((len(given), max(map(len, given), default=0), 2), np.nan, np.float32)
    for row, intervals in enumerate(given):
        array[row, : len(intervals)] = intervals
    return array


class Intervals:
    """The union of intervals [lo, hi) on the circle of 360°; they may touch, overlap and wrap."""

    def __init__(self, intervals: Sequence[tuple[float, float]]) -> None:
        starts = sorted({0.0} | {end % 360 for interval in intervals for end in interval})
        inside = [any(low <= start < high for low, high in intervals) for start in starts]
        # Two intervals that touch, as at 360, have no border there.
        borders = [
            start
            for start, here, before in zip(starts, inside, [inside[-1], *inside], strict=False)
            if here != before
        ]
        self._borders = np.add.outer(_TURNS, borders).ravel()
        """(border,) ascending, degrees: in turn into and out of the category, or out and in."""
        self._begins_inside = inside[-1]
        """Whether angles below the first border are inside."""

    def shares(self, bins: Bins) -> tuple[NDArray[np.bool_], Cut | None]:
        """What share of each bin lies inside.

        Returns whether a bin lies inside with all its channels, (record, bin); and the bins that a
        border goes through, which are False there. None: there are no such bins.
        """
        if not len(self._borders):
            return np.full(bins.low.shape, self._begins_inside), None
        first = np.searchsorted(self._borders, bins.low, "right")
        last = np.searchsorted(self._borders, bins.high, "right")
        inside = (first % 2 == 1) != self._begins_inside
        is_cut = first != last
        if not is_cut.any():
            return inside, None
        records, numbers = np.nonzero(is_cut)
        first, last = first[is_cut], last[is_cut]
        angle = bins.angle[is_cut].astype(np.float64)
        half = None
        if bins.half is not None:
            half = np.broadcast_to(bins.half, (*is_cut.shape, bins.half.shape[2]))[is_cut]
        share = np.repeat(inside[is_cut].astype(np.float64)[:, None], angle.shape[1], axis=1)
        for step in range(int((last - first).max())):
            # All are cut once, few more often.
            cut = slice(None) if step == 0 else np.flatnonzero(first + step < last)
            number = first[cut] + step
            border = self._borders[number][:, None]
            beyond = _share_beyond(border, angle[cut], None if half is None else half[cut])
            enters = (number % 2 == 1) == self._begins_inside
            share[cut] += np.where(enters, 1.0, -1.0)[:, None] * beyond
        return inside & ~is_cut, Cut(records, numbers, share)


def bins_at(angle: NDArray[np.float32], width: NDArray[np.floating[Any]] | None) -> Bins:
    """Bins at finite angles (record, bin, channel), any degrees, `width` degrees wide.

    `width` may have length 1 along any axis; one that is not above 0 counts as 0. None: all are 0.
    """
    low, high = angle.min(axis=2), angle.max(axis=2)
    if low.min(initial=0) < -180 or high.max(initial=0) > 540:
        angle = np.mod(angle, np.float32(360))
        low, high = angle.min(axis=2), angle.max(axis=2)
    wraps = high - low > 180
    if wraps.any():
        # A bin whose channels lie on both sides of 360 is not one of 360 degrees.
        angle = angle.copy()
        around = angle[wraps]
        around[around > 180] -= 360
        angle[wraps] = around
        low[wraps], high[wraps] = around.min(axis=1), around.max(axis=1)
    low, high = low.astype(np.float64), high.astype(np.float64)
    if width is None:
        return Bins(angle, None, low, high)
    half = np.minimum(np.asarray(width, np.float64) / 2, 180)
    half = np.where(np.isfinite(width) & (half > 0), half, 0)
    widest = half.max(axis=2)
    return Bins(angle, half, low - widest, high + widest)


def _share_beyond(
    border: NDArray[np.float64], angle: NDArray[np.float64], half: NDArray[np.float64] | None
) -> NDArray[np.floating[Any]]:
    """The share of each cell that lies at or above a border: exactly 0 or 1 if it is not cut."""
    if half is None:
        return (angle >= border).astype(np.float64)
    full = 2 * half
    reach = np.clip(angle - border + half, 0, full)
    if full.all():
        return reach / full
    return np.where(full > 0, reach / np.where(full > 0, full, 1), angle >= border)
