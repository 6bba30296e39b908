"""Data → pixels: each panel pixel shows the value at its own time and energy.

Pure functions, arrays in and out. The way: `columns.py` finds the records of each pixel column;
`reduce_columns` averages them, still by channel (`Cells`); `paint` turns the averages into
palette indices and only then spreads them over the pixel rows of their channels. No Python loop
runs over records, columns or rows.
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

_EXACT_FLOAT32 = 256  # Records whose float32 sum is good enough; more are summed in float64.
_SAME_ENERGY = 1e-6  # Centres nearer than this, relative, are one channel.
_LONE_CHANNEL = 1.1  # A table's only channel reaches from its centre / 1.1 to its centre × 1.1.


@dataclass(frozen=True)
class EnergyTable:
    """One energy table, and the records it holds for."""

    lead: NDArray[np.intp]
    """(channel,) column of the values of each channel, by rising energy."""
    repeated: tuple[tuple[int, NDArray[np.intp]], ...]
    """Channels whose centre the table repeats, with all their columns."""
    edges: NDArray[np.float64]
    """(channel + 1,) eV, increasing."""
    here: NDArray[np.intp]
    """(record,) its records, as indices into `Records`, increasing."""


@dataclass(frozen=True)
class Cells:
    """What the records of one energy table sum up to, by group of columns and channel."""

    edges: NDArray[np.float64]
    """(channel + 1,) eV, increasing."""
    groups: NDArray[np.intp]
    """(here,) the groups of columns that have records of this table, increasing."""
    sum: Floats
    """(here, channel) sum of the finite values."""
    count: Counts
    """(here, channel) number of the finite values."""


def tables_of(
    energy: NDArray[np.float32], mode: NDArray[np.uint8], records: Records
) -> tuple[EnergyTable, ...]:
    """The energy tables in use; modes with equal energies share one.

    `energy` is (mode, channel), eV, in any order, NaN where unused; `mode` (record,) stands as
    in the file. Channel edges are geometric means of neighbouring centres; an outer channel
    reaches as far outward as inward, as a ratio. Centres that repeat are one channel. A record
    whose mode has no row in `energy` belongs to no table.
    """
    centres = np.where(np.isfinite(energy) & (energy > 0), energy, 0)
    alike: dict[bytes, list[int]] = {}
    for number, row in enumerate(centres):
        alike.setdefault(row.tobytes(), []).append(number)
    # Table by mode; the last place is for modes without a row in `energy`.
    table_of = np.full(len(centres) + 1, -1)
    for number, modes in enumerate(alike.values()):
        table_of[modes] = number
    own = table_of[np.minimum(mode[records.order], len(centres))]
    by_table = np.argsort(own, kind="stable")
    ends = np.searchsorted(own[by_table], np.arange(len(alike) + 1))
    tables = []
    for number, modes in enumerate(alike.values()):
        here = by_table[ends[number] : ends[number + 1]]
        if len(here) and centres[modes[0]].any():
            tables.append(_table(centres[modes[0]], here))
    return tuple(tables)


def reduce_columns(
    values: NDArray[np.float32], tables: tuple[EnergyTable, ...], records: Records, columns: Columns
) -> tuple[Cells, ...]:
    """Sum up the records of each group of columns, separately for each energy table.

    `values` is (record, channel) as in the file. Repeated centres count as the mean of their
    finite values.
    """
    cells = []
    for table in tables:
        chosen = records.order[table.here]
        rows = values if _is_whole(chosen, len(values)) else values[chosen]
        first = np.searchsorted(table.here, columns.first)
        stop = np.searchsorted(table.here, columns.stop)
        # Where every record has a table of its own, each has few groups.
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
    """Palette indices of a panel's pixels, rows of equal pixels given once.

    `index_of_step` (step,) is the palette index of each step of the colour map. Returns bands
    (band, column) and (row,) the band of each pixel row from the top: `bands[band_of_row]` is
    the panel. A pixel without a value is BLANK.
    """
    energy = y_scale.value((rows - 0.5 - np.arange(rows)) / rows)
    channel_of_row = np.array([_channel_at(one.edges, energy) for one in cells], np.intp)
    channel_of_row = channel_of_row.reshape(len(cells), rows)
    fresh = np.ones(rows, bool)
    fresh[1:] = (channel_of_row[:, 1:] != channel_of_row[:, :-1]).any(axis=0)
    channel_of_band = channel_of_row[:, fresh]
    groups = len(columns.first)
    # One column more, which stays blank: index −1 means it.
    bands = np.full((channel_of_band.shape[1], groups + 1), BLANK, np.uint8)
    present = [(one.count > 0).any(axis=1) for one in cells]
    tables = np.zeros(groups, np.intp)
    for one, here in zip(cells, present, strict=True):
        tables[one.groups[here]] += 1
    mixed = tables > 1
    for one, channel, here in zip(cells, channel_of_band, present, strict=True):
        pure = np.flatnonzero(here & ~mixed[one.groups])
        if not len(pure):
            continue
        index = _indices(_means(one.sum[pure], one.count[pure]), z_scale, index_of_step)
        index = np.append(index, np.full((len(pure), 1), BLANK, np.uint8), axis=1)
        bands[:, one.groups[pure]] = index[:, channel].T
    if mixed.any():
        means = _mixed_means(cells, channel_of_band, np.flatnonzero(mixed))
        bands[:, np.flatnonzero(mixed)] = _indices(means, z_scale, index_of_step).T
    return bands[:, columns.group], np.cumsum(fresh) - 1


def _table(centres: NDArray[np.float32], here: NDArray[np.intp]) -> EnergyTable:
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
    repeated = tuple((int(one), used[number == one]) for one in np.unique(number[~fresh]))
    edges = np.concatenate([[outer[0]], inner, [outer[1]]])
    return EnergyTable(used[fresh], repeated, edges, here)


def _is_whole(chosen: NDArray[np.intp], records: int) -> bool:
    return len(chosen) == records and bool((np.diff(chosen) == 1).all())


def _group_sums(
    values: NDArray[np.float32],
    lead: NDArray[np.intp],
    first: NDArray[np.intp],
    stop: NDArray[np.intp],
) -> tuple[Floats, Counts]:
    """Sums and counts (group, channel) of the finite values of rows [first, stop).

    `lead` (channel,) names the columns of `values` that are wanted.
    """
    size = stop - first
    # Most groups are one record: only the others need to be summed up.
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
    """Sums of rows [first, stop), none empty, none overlapping: every second `reduceat` sum."""
    bounds: NDArray[np.intp] = np.stack([first, stop], axis=1).reshape(-1)
    if bounds[-1] == len(values):
        bounds = bounds[:-1]
    with np.errstate(invalid="ignore", over="ignore"):
        return np.add.reduceat(values, bounds, axis=0, dtype=dtype)[::2]


def _finite_mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(record,) mean over the finite values of a few channels; NaN where there is none."""
    finite = np.isfinite(values)
    sums = np.where(finite, values, 0).sum(axis=1, dtype=np.float64)
    return _means(sums, finite.sum(axis=1)).astype(np.float32)


def _channel_at(edges: NDArray[np.float64], energy: NDArray[np.float64]) -> NDArray[np.intp]:
    """(row,) the channel at an energy; −1 outside of all channels."""
    channel = np.searchsorted(edges, energy, "right") - 1
    return np.where(channel < len(edges) - 1, channel, -1)


def _mixed_means(
    cells: tuple[Cells, ...], channel_of_band: NDArray[np.intp], groups: NDArray[np.intp]
) -> NDArray[np.float64]:
    """(group, band) averages over records with different energy tables."""
    total = np.zeros((len(groups), channel_of_band.shape[1]))
    count = np.zeros(total.shape, np.int64)
    for one, channel in zip(cells, channel_of_band, strict=True):
        inside = channel >= 0
        _, rows, here = np.intersect1d(groups, one.groups, True, return_indices=True)
        total[rows] += np.where(inside, one.sum[here][:, channel], 0)
        count[rows] += np.where(inside, one.count[here][:, channel], 0)
    return _means(total, count)


def _means(total: Floats, count: Counts) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.full(total.shape, np.nan)
    return np.divide(total, count, out=mean, where=count > 0)


def _indices(
    means: NDArray[np.float64], z_scale: Scale, index_of_step: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Palette indices of values: as matplotlib steps through a colour map, clipped at the ends."""
    steps = len(index_of_step)
    step = np.clip(z_scale.fraction(means) * steps, 0, steps - 1)
    index = np.append(index_of_step, np.uint8(BLANK))
    return index[np.where(np.isnan(step), steps, step).astype(np.intp)]
