"""Times → pixel columns: the edges of records, and the records that each pixel column shows.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP_CADENCES = 2.5
"""Median cadences between neighbouring records above which there is a gap."""
_LONGEST_RECORD = 3600.0  # s; a longer record has a fill value or a damaged edge.
_LATEST = 9e9  # s since 1970 (1684 to 2255); times beyond are fill values or damaged.
_LONGEST_ITEM = 31 * 86400.0  # s; a time farther than this from the median is damaged.


@dataclass(frozen=True)
class Records:
    """Records sorted by time."""

    order: NDArray[np.intp]
    """(record,) index in the file; records without a valid time are left out."""
    centre: NDArray[np.float64]
    """(record,) s since 1970 UTC, never decreasing."""
    start: NDArray[np.float64]
    """(record,) s since 1970 UTC, never decreasing."""
    end: NDArray[np.float64]
    """(record,) s since 1970 UTC; a gap follows where this is below the next start."""


@dataclass(frozen=True)
class Columns:
    """The records that each pixel column shows; columns that show the same records are a group."""

    first: NDArray[np.intp]
    """(group,) first record, as an index into `Records`, increasing."""
    stop: NDArray[np.intp]
    """(group,) one past the last record."""
    group: NDArray[np.intp]
    """(column,) group of the column; −1: blank."""


def records_of(
    time: NDArray[np.float64], time_start: NDArray[np.float64], time_end: NDArray[np.float64]
) -> Records:
    """Sort records by time and compute their edges; all arrays (record,), s since 1970 UTC.

    A record extends from its `time_start` to its `time_end`. Where these are missing or
    invalid, it extends half the median cadence to either side of its `time`. Neighbouring
    records meet halfway; where there is a gap between them, both keep their edges.
    """
    order = np.flatnonzero(np.abs(time) < _LATEST)
    if len(order):
        order = order[np.abs(time[order] - np.median(time[order])) <= _LONGEST_ITEM]
    order = order[np.argsort(time[order], kind="stable")]
    centre = np.asarray(time[order], np.float64)
    steps = np.diff(centre)
    cadence = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    start, end = time_start[order], time_end[order]
    valid = (start < end) & (start <= centre) & (centre <= end) & (end - start <= _LONGEST_RECORD)
    start = np.where(valid, start, centre - cadence / 2)
    end = np.where(valid, end, centre + cadence / 2)
    meet = (steps <= GAP_CADENCES * cadence) | (end[:-1] > start[1:])
    middle = np.clip((end[:-1] + start[1:]) / 2, centre[:-1], centre[1:])
    end[:-1] = np.where(meet, middle, end[:-1])
    start[1:] = np.where(meet, middle, start[1:])
    return Records(order, centre, start, end)


def columns_of(records: Records, begin: float, finish: float, columns: int) -> Columns:
    """Assign records to `columns` pixel columns between two times, s since 1970 UTC.

    A column shows the records whose centres lie in it. If there are none, it shows the record
    that covers the centre of the column; if there is none either, the column is blank.
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
