"""Times → pixel columns: the edges of records, and which records each pixel column shows.

Pure functions, arrays in and out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP_CADENCES = 2.5
"""Neighbouring records farther apart than this many median cadences have a gap between them."""
_LONGEST_RECORD = 3600.0  # s; a start or end farther away than this is a fill value or damage.
_LATEST = 9e9  # s since 1970; times beyond (before 1684, after 2255) are fill values or damage.
_LONGEST_ITEM = 31 * 86400.0  # s; a time farther than this from the median is damage.


@dataclass(frozen=True)
class Records:
    """Records in order of time, as an axis needs them."""

    order: NDArray[np.intp]
    """(record,) index in the file, sorted by time; those without a time are left out."""
    centre: NDArray[np.float64]
    """(record,) s since 1970 UTC, never decreasing."""
    start: NDArray[np.float64]
    """(record,) s since 1970 UTC, never decreasing."""
    end: NDArray[np.float64]
    """(record,) s since 1970 UTC; where less than the next start, a gap follows."""


@dataclass(frozen=True)
class Columns:
    """Which records each pixel column shows; columns that show the same ones form a group."""

    first: NDArray[np.intp]
    """(group,) first record, as an index into `Records`, increasing."""
    stop: NDArray[np.intp]
    """(group,) one past the last record."""
    group: NDArray[np.intp]
    """(column,) group; −1: blank."""


def records_of(
    time: NDArray[np.float64], time_start: NDArray[np.float64], time_end: NDArray[np.float64]
) -> Records:
    """Order records by time and find their edges; all (record,), s since 1970 UTC.

    A record reaches from its `time_start` to its `time_end`, or half the median cadence to
    either side where those are missing or make no sense. Neighbours meet in the middle, unless
    there is a gap between them: then each keeps its own edge.
    """
    order = np.flatnonzero(np.abs(time) < _LATEST)
    if len(order):
        order = order[np.abs(time[order] - np.median(time[order])) <= _LONGEST_ITEM]
    order = order[np.argsort(time[order], kind="stable")]
    centre = np.asarray(time[order], np.float64)
    steps = np.diff(centre)
    cadence = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    start, end = time_start[order], time_end[order]
    own = (start < end) & (start <= centre) & (centre <= end) & (end - start <= _LONGEST_RECORD)
    start = np.where(own, start, centre - cadence / 2)
    end = np.where(own, end, centre + cadence / 2)
    meet = (steps <= GAP_CADENCES * cadence) | (end[:-1] > start[1:])
    middle = np.clip((end[:-1] + start[1:]) / 2, centre[:-1], centre[1:])
    end[:-1] = np.where(meet, middle, end[:-1])
    start[1:] = np.where(meet, middle, start[1:])
    return Records(order, centre, start, end)


def columns_of(records: Records, begin: float, finish: float, columns: int) -> Columns:
    """Find the records of `columns` pixel columns between two times, s since 1970 UTC.

    A column shows the records whose centres fall into it, or else the one that covers its own
    centre, or else nothing.
    """
    edges = begin + (finish - begin) * (np.arange(columns + 1) / columns)
    middle = (edges[:-1] + edges[1:]) / 2
    cut = np.searchsorted(records.centre, edges, "left")
    first, stop = cut[:-1], cut[1:]
    covering = np.searchsorted(records.start, middle, "right") - 1
    if len(records.end):
        covered = (covering >= 0) & (middle < records.end[covering])
    else:
        covered = np.zeros(columns, bool)
    none_inside = first == stop
    first = np.where(none_inside, covering, first)
    stop = np.where(none_inside, covering + 1, stop)
    shown = np.flatnonzero(~none_inside | covered)
    first, stop = first[shown], stop[shown]
    fresh = np.ones(len(shown), bool)
    fresh[1:] = (first[1:] != first[:-1]) | (stop[1:] != stop[:-1])
    group = np.full(columns, -1, np.intp)
    group[shown] = np.cumsum(fresh) - 1
    return Columns(first[fresh], stop[fresh], group)
