"""Times → pixel columns: the edges of records, and the records that each pixel column shows.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.cadence import (
    gaps,
    join_edges,
    local_widths,
    own_edges,
    stray,
    time_order,
)
from spectro_mpi.settings.schema import PlotSettings


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
    stray: tuple[NDArray[np.float64], ...] = ()
    """Times of the records that are left out because they are far from all others, s since 1970
    UTC: a group before the others, a group after them."""


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
    time: NDArray[np.float64],
    time_start: NDArray[np.float64],
    time_end: NDArray[np.float64],
    gap_factor: float = PlotSettings.gap_factor,
) -> Records:
    """Sort records by time and compute their edges; all arrays (record,), s since 1970 UTC.

    A record extends from its `time_start` to its `time_end`. Where these are missing or invalid,
    its width is that of the steps around it (`cadence.local_widths`). There is a gap between two
    records where their step is above `gap_factor` times the larger of their local widths: both
    keep their edges. Otherwise they meet: halfway between their times, or at the edge that one of
    them has, or in the middle if both have one. Stray records (`cadence.stray`) are left out.
    """
    order = time_order(time)
    centre = np.asarray(time[order], np.float64)
    before, after = stray(centre)
    groups = (centre[:before], centre[len(centre) - after :])
    kept = slice(before, len(centre) - after)
    order, centre = order[kept], centre[kept]
    widths = local_widths(centre)
    start, end, given = own_edges(centre, time_start[order], time_end[order], widths)
    join_edges(centre, start, end, given, gaps(centre, widths, gap_factor))
    return Records(order, centre, start, end, tuple(group for group in groups if len(group)))


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


def flagged_columns(
    quality: NDArray[np.uint8], records: Records, columns: Columns
) -> NDArray[np.bool_]:
    """Tell the pixel columns that show a flagged record, (column,).

    `quality` is (record,), in the order of the file; above 0: the record is flagged.
    """
    before = np.append(0, np.cumsum(quality[records.order] > 0))
    of_group = before[columns.stop] > before[columns.first]
    flagged: NDArray[np.bool_] = np.append(of_group, False)[columns.group]  # −1: blank
    return flagged
