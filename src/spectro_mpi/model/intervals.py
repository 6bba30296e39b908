"""Intervals of pitch angle on the circle, and the share of each bin that lies in them.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import EVERYTHING, Categories
from spectro_mpi.settings.direction import Direction

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

    A direction has no intervals. Of shape (0, 0, 2) for `EVERYTHING`, whose bins have no pitch
    angles.
    """
    given = [
        [] if isinstance(intervals, Direction) else list(intervals)
        for intervals in categories.values()
    ]
    if list(categories) == list(EVERYTHING) and given == [[(0, 360)]]:
        return np.empty((0, 0, 2), np.float32)
    array = np.full((len(given), max(map(len, given), default=0), 2), np.nan, np.float32)
    for row, intervals in enumerate(given):
        if intervals:
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

        def border(number: NDArray[np.intp], _: NDArray[np.intp]) -> NDArray[np.float64]:
            at: NDArray[np.float64] = self._borders[number]
            return at

        return _cut(bins, first, last, inside, border, self._begins_inside)


class Around:
    """An interval of its own for each record: so many degrees to either side of a direction."""

    def __init__(self, middle: NDArray[np.floating[Any]], reach: NDArray[np.floating[Any]]) -> None:
        """`middle` and `reach` (record,) in degrees; NaN: nothing of the record is inside."""
        is_known = np.isfinite(middle) & np.isfinite(reach) & (reach > 0)
        self._is_known = is_known[:, None]
        self._is_all = is_known & (reach >= 180)
        self._enter = np.where(is_known, middle - reach, 0.0).astype(np.float64)
        """(record,) degrees, where the interval begins; also whole turns away."""
        self._width = np.where(is_known, 2 * reach, 0.0).astype(np.float64)

    def shares(self, bins: Bins) -> tuple[NDArray[np.bool_], Cut | None]:
        """As `Intervals.shares`."""
        enter, width = self._enter[:, None], self._width[:, None]

        def before(angle: NDArray[np.float64]) -> NDArray[np.intp]:
            """The number of borders at or below an angle, but for a constant: odd inside."""
            turns, rest = np.divmod(angle - enter, 360.0)
            return (2 * turns + 1 + (rest >= width)).astype(np.intp)

        def border(number: NDArray[np.intp], record: NDArray[np.intp]) -> NDArray[np.float64]:
            turns, leaves = np.divmod(number, 2)
            return self._enter[record] + 360.0 * turns + leaves * self._width[record]

        first, last = before(bins.low), before(bins.high)
        first = np.where(self._is_known & ~self._is_all[:, None], first, 0)
        last = np.where(self._is_known & ~self._is_all[:, None], last, 0)
        inside = ((first % 2 == 1) | self._is_all[:, None]) & self._is_known
        return _cut(bins, first, last, inside, border, False)


_Border = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.float64]]
"""Numbers of borders and records, both (cut bin,) → degrees."""


def _cut(
    bins: Bins,
    first: NDArray[np.intp],
    last: NDArray[np.intp],
    inside: NDArray[np.bool_],
    border_of: _Border,
    begins_inside: bool,
) -> tuple[NDArray[np.bool_], Cut | None]:
    """The shares of bins of which `first` and `last` (record, bin) borders lie before their edges.

    `inside` (record, bin) is whether the lowest edge is inside; a border of an even number leads
    inside, unless the first one does not (`begins_inside`).
    """
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
        border = border_of(number, records[cut])[:, None]
        beyond = _share_beyond(border, angle[cut], None if half is None else half[cut])
        enters = (number % 2 == 1) == begins_inside
        share[cut] += np.where(enters, 1.0, -1.0)[:, None] * beyond
    return inside & ~is_cut, Cut(records, numbers, share)


def bins_at(angle: NDArray[np.float32], width: NDArray[np.floating[Any]] | None) -> Bins:
    """Bins at finite angles (record, bin, channel), any degrees, `width` degrees wide.

    `width` may have length 1 along any axis; one that is not above 0 counts as 0. None: all are 0.
    """
    low, high = _ends_of(angle)
    if low.min(initial=0) < -180 or high.max(initial=0) > 540:
        angle = np.mod(angle, np.float32(360))
        low, high = _ends_of(angle)
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


def _ends_of(angle: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest angle among the channels, (record, bin)."""
    # NumPy compares whole planes several times faster than the few channels of each bin.
    by_channel = np.ascontiguousarray(angle.transpose(2, 0, 1))
    return by_channel.min(axis=0), by_channel.max(axis=0)


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
