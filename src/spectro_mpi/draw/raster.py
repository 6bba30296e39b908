"""Data → pixels: each pixel of a panel shows the value at its own time and energy.

Pure functions: arrays in, arrays out. First, `columns.py` finds the records of each pixel column.
Then `reduce_columns` sums them by channel (`Cells`). Last, `paint` turns the means into palette
indices and only then spreads these over the pixel rows of their channels (`rows.py`). No Python
loop runs over records or columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Columns, Records
from spectro_mpi.draw.palette import BLANK, UNDER
from spectro_mpi.draw.rows import PixelRows, rows_of
from spectro_mpi.draw.scale import Scale
from spectro_mpi.model.channels import log_edges

Floats = NDArray[np.floating[Any]]
Counts = NDArray[np.integer[Any]]

Reach = tuple[float, float, float, float]
"""Left, top, right and bottom edge of an image, as fractions of the box that it is cut to."""
WHOLE_BOX: Reach = (0.0, 0.0, 1.0, 1.0)

_EXACT_FLOAT32 = 256  # Up to this many records are summed in float32, more in float64.
_SAME_ENERGY = 1e-6  # Relative; centres closer than this are one channel.


@dataclass(frozen=True)
class EnergyTable:
    """One energy table, and the records that use it."""

    lead: NDArray[np.intp]
    """(channel,) column of the values of each channel, in order of energy (lower edges)."""
    repeated: tuple[tuple[int, NDArray[np.intp]], ...]
    """Channels whose centre the table repeats, with all their columns."""
    edges: NDArray[np.float64]
    """(channel, 2) lower and upper edges, eV; channels need not touch."""
    log_edges: NDArray[np.float64]
    """(channel, 2) the same as drawn on a log axis; NaN: the channel cannot be drawn there."""
    records: NDArray[np.intp]
    """(record,) the records that use it, as indices into `Records`, increasing."""


@dataclass(frozen=True)
class Cells:
    """Sums over the records of one energy table, by group of columns and by channel."""

    edges: NDArray[np.float64]
    """(channel, 2) lower and upper edges, eV."""
    log_edges: NDArray[np.float64]
    """(channel, 2) the same as drawn on a log axis; NaN: the channel cannot be drawn there."""
    groups: NDArray[np.intp]
    """(row,) the groups of columns that have records of this table, increasing."""
    sum: Floats
    """(row, channel) sum of the finite values; a row per group in `groups`."""
    count: Counts
    """(row, channel) number of the finite values."""

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """(channel, row) mean of the finite values; NaN: there are none."""
        return np.ascontiguousarray(_means(self.sum, self.count).T)

    @cached_property
    def has_values(self) -> NDArray[np.bool_]:
        """(row,) whether there is any finite value."""
        return np.asarray((self.count > 0).any(axis=1))


@dataclass(frozen=True)
class Painted:
    """The pixels of a panel."""

    bands: NDArray[np.uint8]
    """(band, column) palette indices of the distinct pixel rows."""
    band_of_row: NDArray[np.intp]
    """(row,) the band of each pixel row, from the top."""
    below: bool
    """Whether any pixel shows a value below the colour scale."""
    above: bool
    """Whether any pixel shows a value above the colour scale."""
    reach: Reach = WHOLE_BOX

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(row, column) palette indices, from the top."""
        return self.bands[self.band_of_row]


def tables_of(
    energy: NDArray[np.float32],
    edges: NDArray[np.float32],
    mode: NDArray[np.integer[Any]],
    records: Records,
) -> tuple[EnergyTable, ...]:
    """Return the energy tables in use; modes with equal channels share a table.

    `energy` is (mode, channel), eV, in any order; `edges` is (mode, channel, 2), NaN where there is
    no channel; `mode` is (record,), in the order of the file. Repeated centres are one channel. A
    record whose mode has no row in `energy` belongs to no table.
    """
    known = np.isfinite(energy) & np.isfinite(edges).all(axis=2)
    centres = np.where(known, energy, np.nan)
    alike: dict[bytes, list[int]] = {}
    for number, row in enumerate(centres):
        alike.setdefault(row.tobytes() + edges[number].tobytes(), []).append(number)
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
        if len(members) and known[modes[0]].any():
            tables.append(_table(centres[modes[0]], edges[modes[0]], members))
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
        cells.append(Cells(table.edges, table.log_edges, groups, total, count))
    return tuple(cells)


def paint(
    cells: tuple[Cells, ...],
    columns: Columns,
    rows: int,
    y_scale: Scale,
    z_scale: Scale,
    index_of_step: NDArray[np.uint8],
) -> Painted:
    """Compute the palette indices of a panel's pixels; equal pixel rows are returned once.

    A pixel row shows the channel at its centre; one that channels share (`rows.py`) shows the mean
    of their values, weighted by how much of the row each covers. `index_of_step` (step,) is the
    palette index of each step of the colour map. A pixel without a value is BLANK. One below a log
    colour scale is UNDER, with a value at or below 0 too; below a linear scale it has the map's
    first colour. Above either it has the last.
    """
    is_log = y_scale.kind == "log"
    edges = [table.log_edges if is_log else table.edges for table in cells]
    pixels = [_rows_of(of_table.tobytes(), y_scale, rows) for of_table in edges]
    labels = np.array([table_pixels.label for table_pixels in pixels], np.intp)
    labels = labels.reshape(len(cells), rows)
    fresh = np.ones(rows, bool)
    fresh[1:] = (labels[:, 1:] != labels[:, :-1]).any(axis=0)
    row_of_band = np.flatnonzero(fresh)
    groups = len(columns.first)
    # An additional last column stays blank: the group −1 selects it.
    bands = np.full((len(row_of_band), groups + 1), BLANK, np.uint8)
    tables = np.zeros(groups, np.intp)
    for table_cells in cells:
        tables[table_cells.groups[table_cells.has_values]] += 1
    mixed = tables > 1
    below = above = False
    for table_cells, table_pixels in zip(cells, pixels, strict=True):
        pure = np.flatnonzero(table_cells.has_values & ~mixed[table_cells.groups])
        if not len(pure):
            continue
        means = _label_means(table_cells, table_pixels, pure)
        label = table_pixels.label[row_of_band]
        index = _indices(means, z_scale, index_of_step)
        index = np.append(index, np.full((1, len(pure)), BLANK, np.uint8), axis=0)
        bands[:, table_cells.groups[pure]] = index[label]
        drawn = label[label >= 0]
        below |= bool(np.any(means < z_scale.low, axis=1)[drawn].any())
        above |= bool(np.any(means > z_scale.high, axis=1)[drawn].any())
    if mixed.any():
        means = _mixed_means(cells, pixels, row_of_band, np.flatnonzero(mixed))
        bands[:, np.flatnonzero(mixed)] = _indices(means, z_scale, index_of_step).T
        below |= bool((means < z_scale.low).any())
        above |= bool((means > z_scale.high).any())
    # `bands[:, group]` would lie in memory column by column, from which rows are copied slowly.
    shown = np.take(bands, columns.group, axis=1)
    return Painted(shown, np.cumsum(fresh) - 1, below, above)


@lru_cache(maxsize=256)
def _rows_of(edges: bytes, scale: Scale, rows: int) -> PixelRows:
    """Return `rows_of` of edges (channel, 2) float64: the same for all categories, often items."""
    return rows_of(np.frombuffer(edges).reshape(-1, 2), scale, rows)


def overlaid(layers: Sequence[Painted]) -> Painted:
    """Combine the pixels of one panel: each shows the first of `layers` that is not blank there."""
    if len(layers) == 1:
        return layers[0]
    pixels = layers[0].pixels
    for layer in layers[1:]:
        pixels = np.where(pixels == BLANK, layer.pixels, pixels)
    below, above = (any(getattr(layer, end) for layer in layers) for end in ("below", "above"))
    return Painted(pixels, np.arange(len(pixels)), below, above)


def _table(
    centres: NDArray[np.float32], edges: NDArray[np.float32], members: NDArray[np.intp]
) -> EnergyTable:
    used = np.flatnonzero(np.isfinite(centres))
    used = used[np.lexsort((centres[used], edges[used, 0]))]
    centre = centres[used].astype(np.float64)
    fresh = np.ones(len(used), bool)
    fresh[1:] = np.abs(np.diff(centre)) > _SAME_ENERGY * np.abs(centre[:-1])
    number = np.cumsum(fresh) - 1
    channels = np.unique(number[~fresh])
    repeated = tuple((int(channel), used[number == channel]) for channel in channels)
    lead = used[fresh]
    on_log = log_edges(edges[lead], centres[lead]).astype(np.float64)
    return EnergyTable(lead, repeated, edges[lead].astype(np.float64), on_log, members)


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


def _label_means(cells: Cells, pixels: PixelRows, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Averages of each channel, then of each shared pixel row; (label, group).

    `chosen` are rows of `cells`.
    """
    means = np.take(cells.means, chosen, axis=1)
    if not len(pixels.start):
        return means
    shared = _means(*_shared_sums(cells.sum[chosen], cells.count[chosen], pixels))
    both: NDArray[np.float64] = np.concatenate([means, shared.T])
    return both


def _shared_sums(
    total: Floats, count: NDArray[Any], pixels: PixelRows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sums and counts of the pixel rows that channels share; (group, shared row)."""
    sums, counts = (
        np.add.reduceat(part[:, pixels.channel] * pixels.weight, pixels.start, axis=1)
        for part in (total, count)
    )
    return sums, counts


def _mixed_means(
    cells: tuple[Cells, ...],
    pixels: list[PixelRows],
    row_of_band: NDArray[np.intp],
    groups: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Average over records with different energy tables; (group, band)."""
    total = np.zeros((len(groups), len(row_of_band)))
    count = np.zeros(total.shape)
    for table_cells, table_pixels in zip(cells, pixels, strict=True):
        _, places, chosen = np.intersect1d(groups, table_cells.groups, True, return_indices=True)
        label, share = table_pixels.label[row_of_band], table_pixels.share[row_of_band]
        sums: Floats = table_cells.sum[chosen]
        counts: NDArray[Any] = table_cells.count[chosen]
        if len(table_pixels.start):
            shared_sums, shared_counts = _shared_sums(sums, counts, table_pixels)
            sums = np.append(sums, shared_sums, axis=1)
            counts = np.append(counts, shared_counts, axis=1)
        inside = label >= 0
        total[places] += np.where(inside, sums[:, label] * share, 0)
        count[places] += np.where(inside, counts[:, label] * share, 0)
    return _means(total, count)


def _means(total: Floats, count: NDArray[Any]) -> NDArray[np.float64]:
    """Means of what is not NaN or infinite; NaN where the count is 0, as its sum is then."""
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.divide(total, count, dtype=np.float64)
    return mean


def _indices(
    means: NDArray[np.float64], z_scale: Scale, index_of_step: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Return the palette indices of values, by the rule of matplotlib's colour maps, clipped.

    Values below a log scale are UNDER instead.
    """
    steps = len(index_of_step)
    step = np.clip(z_scale.fraction(means) * steps, 0, steps - 1)
    index = np.append(index_of_step, np.array([UNDER, BLANK], np.uint8))
    if z_scale.kind == "log":
        np.copyto(step, steps, where=means < z_scale.low)
    np.copyto(step, steps + 1, where=np.isnan(step))
    return np.take(index, step.astype(np.intp))
