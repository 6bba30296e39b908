"""Data → pixels: each pixel of a panel shows the value at its own time and energy.

Pure functions: arrays in, arrays out. First, `columns.py` finds the records of each pixel column.
Then `reduce_columns` sums them by channel (`Cells`). Last, `paint` turns the means into palette
indices and only then spreads these over the pixel rows of their channels. No Python loop runs
over records, columns or rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Columns, Records
from spectro_mpi.draw.palette import BLANK
from spectro_mpi.draw.scale import Scale

Floats = NDArray[np.floating[Any]]
Counts = NDArray[np.integer[Any]]

_EXACT_FLOAT32 = 256  # Up to this many records are summed in float32, more in float64.
_SAME_ENERGY = 1e-6  # Relative; centres closer than this are one channel.
_LONE_CHANNEL = 1.1  # A table's only channel extends from its centre / 1.1 to its centre × 1.1.


@dataclass(frozen=True)
class EnergyTable:
    """One energy table, and the records that use it."""

    lead: NDArray[np.intp]
    """(channel,) column of the values of each channel, in order of energy."""
    repeated: tuple[tuple[int, NDArray[np.intp]], ...]
    """Channels whose centre the table repeats, with all their columns."""
    edges: NDArray[np.float64]
    """(channel + 1,) eV, increasing."""
    records: NDArray[np.intp]
    """(record,) the records that use it, as indices into `Records`, increasing."""


@dataclass(frozen=True)
class Cells:
    """Sums over the records of one energy table, by group of columns and by channel."""

    edges: NDArray[np.float64]
    """(channel + 1,) eV, increasing."""
    groups: NDArray[np.intp]
    """(row,) the groups of columns that have records of this table, increasing."""
    sum: Floats
    """(row, channel) sum of the finite values; a row per group in `groups`."""
    count: Counts
    """(row, channel) number of the finite values."""


def tables_of(
    energy: NDArray[np.float32], mode: NDArray[np.uint8], records: Records
) -> tuple[EnergyTable, ...]:
    """Return the energy tables in use; modes with equal energies share a table.

    `energy` is (mode, channel), eV, in any order, NaN where unused; `mode` is (record,), in the
    order of the file. Channel edges are the geometric means of neighbouring centres; the first
    and the last channel extend outward by the same ratio as inward. Repeated centres are one
    channel. A record whose mode has no row in `energy` belongs to no table.
    """
    centres = np.where(np.isfinite(energy) & (energy > 0), energy, 0)
    alike: dict[bytes, list[int]] = {}
    for number, row in enumerate(centres):
        alike.setdefault(row.tobytes(), []).append(number)
    # Table by mode; the last element is for modes without a row in `energy`.
    table_of = np.full(len(centres) + 1, -1)
    for number, modes in enumerate(alike.values()):
        table_of[modes] = number
    table_of_record = table_of[np.minimum(mode[records.order], len(centres))]
    by_table = np.argsort(table_of_record, kind="stable")
    ends = np.searchsorted(table_of_record[by_table], np.arange(len(alike) + 1))
    tables = []
    for number, modes in enumerate(alike.values()):
        members = by_table[ends[number] : ends[number + 1]]
        if len(members) and centres[modes[0]].any():
            tables.append(_table(centres[modes[0]], members))
    return tuple(tables)


def reduce_columns(
    values: NDArray[np.float32], tables: tuple[EnergyTable, ...], records: Records, columns: Columns
) -> tuple[Cells, ...]:
    """Sum the records of each group of columns, separately for each energy table.

    `values` is (record, channel), in the order of the file. Channels with the same centre count
    as the mean of their finite values.
    """
    cells = []
    for table in tables:
        chosen = records.order[table.records]
        rows = values if _is_whole(chosen, len(values)) else values[chosen]
        first = np.searchsorted(table.records, columns.first)
        stop = np.searchsorted(table.records, columns.stop)
        # Only these groups: where many tables are in use, each has few of them.
        groups = np.flatnonzero(stop > first)
        first, stop = first[groups], stop[groups]
        total, count = _group_sums(rows, table.lead, first, stop)
        for channel, members in table.repeated:
            mean = _finite_mean(rows[:, members])[:, None]
            lone = np.zeros(1, np.intp)
            total[:, [channel]], count[:, [channel]] = _group_sums(mean, lone, first, stop)
        cells.append(Cells(table.edges, groups, total, count))
    return tuple(cells)


def paint(
    cells: tuple[Cells, ...],
    columns: Columns,
    rows: int,
    y_scale: Scale,
    z_scale: Scale,
    index_of_step: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Compute the palette indices of a panel's pixels; equal pixel rows are returned once.

    `index_of_step` (step,) is the palette index of each step of the colour map. Returns the
    distinct pixel rows, (band, column), and the band of each pixel row from the top, (row,):
    `bands[band_of_row]` is the panel. A pixel without a value is BLANK.
    """
    energy = y_scale.value((rows - 0.5 - np.arange(rows)) / rows)
    channel_of_row = np.array(
        [_channel_at(table_cells.edges, energy) for table_cells in cells], np.intp
    )
    channel_of_row = channel_of_row.reshape(len(cells), rows)
    fresh = np.ones(rows, bool)
    fresh[1:] = (channel_of_row[:, 1:] != channel_of_row[:, :-1]).any(axis=0)
    channel_of_band = channel_of_row[:, fresh]
    groups = len(columns.first)
    # An additional last column stays blank: the group −1 selects it.
    bands = np.full((channel_of_band.shape[1], groups + 1), BLANK, np.uint8)
    present = [(table_cells.count > 0).any(axis=1) for table_cells in cells]
    tables = np.zeros(groups, np.intp)
    for table_cells, has_values in zip(cells, present, strict=True):
        tables[table_cells.groups[has_values]] += 1
    mixed = tables > 1
    for table_cells, channel, has_values in zip(cells, channel_of_band, present, strict=True):
        pure = np.flatnonzero(has_values & ~mixed[table_cells.groups])
        if not len(pure):
            continue
        index = _indices(
            _means(table_cells.sum[pure], table_cells.count[pure]), z_scale, index_of_step
        )
        index = np.append(index, np.full((len(pure), 1), BLANK, np.uint8), axis=1)
        bands[:, table_cells.groups[pure]] = index[:, channel].T
    if mixed.any():
        means = _mixed_means(cells, channel_of_band, np.flatnonzero(mixed))
        bands[:, np.flatnonzero(mixed)] = _indices(means, z_scale, index_of_step).T
    return bands[:, columns.group], np.cumsum(fresh) - 1


def _table(centres: NDArray[np.float32], members: NDArray[np.intp]) -> EnergyTable:
    used = np.flatnonzero(centres)
    used = used[np.argsort(centres[used], kind="stable")]
    centre = centres[used].astype(np.float64)
    fresh = np.ones(len(used), bool)
    fresh[1:] = np.diff(centre) > _SAME_ENERGY * centre[:-1]
    centre = centre[fresh]
    inner = np.sqrt(centre[:-1] * centre[1:])
    if len(centre) > 1:
        outer = centre[0] ** 2 / inner[0], centre[-1] ** 2 / inner[-1]
    else:
        outer = centre[0] / _LONE_CHANNEL, centre[0] * _LONE_CHANNEL
    number = np.cumsum(fresh) - 1
    channels = np.unique(number[~fresh])
    repeated = tuple((int(channel), used[number == channel]) for channel in channels)
    edges = np.concatenate([[outer[0]], inner, [outer[1]]])
    return EnergyTable(used[fresh], repeated, edges, members)


def _is_whole(chosen: NDArray[np.intp], records: int) -> bool:
    return len(chosen) == records and bool((np.diff(chosen) == 1).all())


def _group_sums(
    values: NDArray[np.float32],
    lead: NDArray[np.intp],
    first: NDArray[np.intp],
    stop: NDArray[np.intp],
) -> tuple[Floats, Counts]:
    """Sum and count the finite values of rows [first, stop); both results (group, channel).

    `lead` (channel,) selects the columns of `values`.
    """
    size = stop - first
    # Most groups are a single record: only the others need summing.
    total: Floats = values[np.minimum(first, len(values) - 1)][:, lead]
    count: Counts = np.where(np.isfinite(total), np.minimum(size, 1)[:, None], 0)
    several = np.flatnonzero(size > 1)
    if len(several):
        begin, finish = first[several], stop[several]
        exact = np.float32 if size.max() <= _EXACT_FLOAT32 else np.float64
        sums = _sums(values, begin, finish, exact)[:, lead]
        counts: Counts = size[several][:, None]
        if not np.isfinite(sums).all():
            finite = np.isfinite(values)
            sums = _sums(np.where(finite, values, 0), begin, finish, np.float64)[:, lead]
            counts = _sums(finite, begin, finish, np.int64)[:, lead]
        total = total.astype(sums.dtype)
        total[several] = sums
        count[several] = counts
    return np.where(count > 0, total, 0), count


def _sums(
    values: NDArray[Any], first: NDArray[np.intp], stop: NDArray[np.intp], dtype: type[Any]
) -> NDArray[Any]:
    """Sum rows [first, stop), none empty, none overlapping: every second sum of `reduceat`."""
    bounds: NDArray[np.intp] = np.stack([first, stop], axis=1).reshape(-1)
    if bounds[-1] == len(values):
        bounds = bounds[:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.add.reduceat(values, bounds, axis=0, dtype=dtype)[::2]


def _finite_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the finite values of a few channels; (record,), NaN where there are none."""
    finite = np.isfinite(values)
    sums = np.where(finite, values, 0).sum(axis=1, dtype=np.float64)
    return _means(sums, finite.sum(axis=1)).astype(np.float32)


def _channel_at(edges: NDArray[np.float64], energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the channel at each energy, (row,); −1 outside all channels."""
    channel = np.searchsorted(edges, energy, "right") - 1
    return np.where(channel < len(edges) - 1, channel, -1)


def _mixed_means(
    cells: tuple[Cells, ...], channel_of_band: NDArray[np.intp], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Average over records with different energy tables; (group, band)."""
    total = np.zeros((len(groups), channel_of_band.shape[1]))
    count = np.zeros(total.shape, np.int64)
    for table_cells, channel in zip(cells, channel_of_band, strict=True):
        inside = channel >= 0
        _, rows, shared = np.intersect1d(groups, table_cells.groups, True, return_indices=True)
        total[rows] += np.where(inside, table_cells.sum[shared][:, channel], 0)
        count[rows] += np.where(inside, table_cells.count[shared][:, channel], 0)
    return _means(total, count)


def _means(total: Floats, count: Counts) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.full(total.shape, np.nan)
    return np.divide(total, count, out=mean, where=count > 0)


def _indices(
    means: NDArray[np.float64], z_scale: Scale, index_of_step: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the palette indices of values, by the rule of matplotlib's colour maps, clipped."""
    steps = len(index_of_step)
    step = np.clip(z_scale.fraction(means) * steps, 0, steps - 1)
    index = np.append(index_of_step, np.uint8(BLANK))
    return index[np.where(np.isnan(step), steps, step).astype(np.intp)]
