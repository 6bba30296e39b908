"""Records as they are tallied: one by one or, where there are many, means of consecutive ones.

A figure shows the mean of the records in a pixel column. Where there are many more records than
columns, limits of single records would not be those of what is drawn: of sparse counts, most cells
of single records are 0. The means here do not depend on any setting, so that limits do not either.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.cadence import gaps, local_widths, time_order
from spectro_mpi.model.spectrogram import Spectrogram

MOST_SINGLE_RECORDS = 4096
"""An instrument of an item with more records is tallied by means."""
_MEANS = 2048
"""Means of such an instrument: of so many records each that there are about this many."""
_GAP_FACTOR = 2.5
"""Local widths in the step above which no mean extends; not `plot.gap_factor`, which may differ."""
_CELLS_AT_ONCE = 1 << 20
"""Cells that are averaged at a time, to bound memory."""


@dataclass(frozen=True)
class Samples:
    """Records of one category, or means of records."""

    mode: NDArray[np.unsignedinteger[Any]]
    """(sample,) row of the energy table in use."""
    values: NDArray[np.float32]
    """(sample, channel) values, or means of the finite ones; NaN where there are none."""
    are_means: bool


@dataclass(frozen=True)
class Grouping:
    """Groups of consecutive records of one mode, without a gap between them."""

    order: NDArray[np.intp]
    """(record,) records in order of time; those without a valid time are left out."""
    first: NDArray[np.intp]
    """(group,) first record of each group, as an index into `order`, ascending."""


def grouping_of(spectrogram: Spectrogram) -> Grouping | None:
    """The groups of records that are averaged; None if each record is tallied by itself.

    With more than 4,096 records, a group has ceil(records / 2,048) of them, or fewer before a
    change of mode, before a gap (a step above 2.5 local widths, see `cadence.gaps`) and at the end.
    """
    records = len(spectrogram.time)
    if records <= MOST_SINGLE_RECORDS:
        return None
    size = -(-records // _MEANS)
    order = time_order(spectrogram.time)
    if not len(order):
        return Grouping(order, order)
    centre = np.asarray(spectrogram.time[order], np.float64)
    begins = np.ones(len(order), bool)
    begins[1:] = np.diff(spectrogram.mode[order]) != 0
    begins[1:] |= gaps(centre, local_widths(centre), _GAP_FACTOR)
    starts = np.flatnonzero(begins)
    place = np.arange(len(order)) - starts[np.cumsum(begins) - 1]
    return Grouping(order, np.flatnonzero(place % size == 0))


def samples_of(spectrogram: Spectrogram, row: int, grouping: Grouping | None) -> Iterator[Samples]:
    """The samples of one category, in parts; `grouping` is that of the spectrogram."""
    values = spectrogram.values[row]
    if grouping is None:
        yield Samples(spectrogram.mode, values, are_means=False)
        return
    order, first = grouping.order, grouping.first
    step = max(1, _CELLS_AT_ONCE // max(1, values.shape[1]))
    cuts = np.unique(np.searchsorted(first, np.arange(0, len(order) + step, step)))
    for begin, end in pairwise(cuts):
        starts = first[begin:end]
        stop = first[end] if end < len(first) else len(order)
        part = values[order[starts[0] : stop]]
        means = _finite_means(part, starts - starts[0])
        yield Samples(spectrogram.mode[order[starts]], means, are_means=True)


def _finite_means(values: NDArray[np.float32], first: NDArray[np.intp]) -> NDArray[np.float32]:
    """Averages of the finite values of each group; (group, channel), NaN where there are none."""
    finite = np.isfinite(values)
    bare = values if finite.all() else np.where(finite, values, np.float32(0))
    total = np.add.reduceat(bare, first, axis=0, dtype=np.float64)
    count = np.add.reduceat(finite, first, axis=0, dtype=np.int64)
    mean = np.full(total.shape, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)
