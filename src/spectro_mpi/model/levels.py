"""Number of cells by channel, for the limits of energy axes, which enclose whole channels.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.channels import Floats, log_edges
from spectro_mpi.model.spectrogram import Spectrogram

_FEW_TABLES = 32
"""With more energy tables than this in a file, the edges of their channels are binned."""
MANTISSA_BITS_DROPPED = 13
"""Of a float32's 23. With ten bits left, a bin is 0.1 % wide and its middle 0.05 % off at most."""


def _no_edges() -> NDArray[np.float32]:
    return np.zeros((0, 3), np.float32)


def _no_cells() -> NDArray[np.int64]:
    return np.zeros((0, 2), np.int64)


@dataclass
class Levels:
    """Number of cells by channel. Levels merge in any order, to the same result."""

    edges: NDArray[np.float32] = field(default_factory=_no_edges)
    """(level, 3) of a channel: lower edge, upper edge, and lower edge as drawn on a log axis (0:
    the channel cannot be drawn there); each once, in the order of their bytes."""
    cells: NDArray[np.int64] = field(default_factory=_no_cells)
    """(level, 2) number of finite cells, and of those that are positive."""
    has_negative: bool = False
    """Whether any value is negative; then all finite cells count, else only positive ones."""

    def merge(self, other: Levels) -> None:
        """Add the counts of `other`."""
        self.has_negative |= other.has_negative
        keys, added = _keys(self.edges), _keys(other.edges)
        where = np.searchsorted(keys, added)
        if not np.array_equal(keys[np.minimum(where, len(keys) - 1)] if len(keys) else [], added):
            union = np.union1d(keys, added)
            cells = np.zeros((len(union), 2), np.int64)
            cells[np.searchsorted(union, keys)] = self.cells
            self.edges, self.cells = _edges_of(union), cells
            where = np.searchsorted(union, added)
        self.cells[where] += other.cells

    def limits(self, scale: str, coverage: float) -> tuple[float, float] | None:
        """The lowest edge of a channel with a counted cell, and an upper edge; None: no such cell.

        A cell counts if it is finite and positive; if any value is negative, all finite cells
        count. The upper edge is the smallest at or below which channels with `coverage` of the
        cells lie. On a linear axis (`scale`) the lower limit is at most 0; on a log axis only
        channels that can be drawn count.
        """
        cells = self.cells[:, 0 if self.has_negative else 1]
        is_log = scale == "log"
        used = (cells > 0) & ((self.edges[:, 2] > 0) | (not is_log))
        if not used.any():
            return None
        lower, upper, lower_on_log = self.edges[used].T
        order = np.argsort(upper, kind="stable")
        cumulative = np.cumsum(cells[used][order])
        reached = order[np.searchsorted(cumulative, coverage * cumulative[-1])]
        low = float(lower_on_log.min()) if is_log else min(0.0, float(lower.min()))
        return low, float(upper[reached])


def count_levels(spectrogram: Spectrogram, row: int) -> Levels:
    """Count the cells of one category by channel."""
    values = spectrogram.values[row]
    finite = np.isfinite(values)
    positive = finite & (values > 0)
    tables = len(spectrogram.energy)
    order = np.argsort(spectrogram.mode, kind="stable")
    modes = spectrogram.mode[order].astype(np.intp)
    order, modes = order[modes < tables], modes[modes < tables]
    present, first = np.unique(modes, return_index=True)
    if not len(present):
        return Levels()
    cells = np.stack(
        [
            np.add.reduceat(counted[order], first, axis=0, dtype=np.int64)
            for counted in (finite, positive)
        ],
        axis=-1,
    )
    edges = _level_edges(spectrogram.energy[present], spectrogram.edges[present], tables)
    held = (cells[..., 0] > 0) & np.isfinite(edges[..., :2]).all(axis=-1)
    keys, where = np.unique(_keys(edges[held]), return_inverse=True)
    total = np.zeros((len(keys), 2), np.int64)
    np.add.at(total, where.reshape(-1), cells[held])
    has_negative = bool((finite & (values < 0)).any())
    return Levels(_edges_of(keys), total, has_negative)


def edge_range(energy: Floats, edges: Floats, scale: str) -> tuple[float, float] | None:
    """The lowest and highest edge of all channels on an axis; a linear one begins at 0 or below.

    `energy` is (table, channel), `edges` (table, channel, 2). None: no channel can be drawn.
    """
    drawn = log_edges(edges, energy) if scale == "log" else edges
    drawn = drawn[np.isfinite(drawn).all(axis=-1)]
    if not len(drawn):
        return None
    low, high = float(drawn[:, 0].min()), float(drawn[:, 1].max())
    return (low if scale == "log" else min(0.0, low)), high


def count_undrawn(spectrogram: Spectrogram, scale: str) -> int:
    """Number of channels that an axis cannot show, because they are at or below 0.

    Of the energy tables in use, that with the most counts.
    """
    used = np.unique(spectrogram.mode)
    used = used[used < len(spectrogram.energy)]
    energy, edges = spectrogram.energy[used], spectrogram.edges[used]
    drawn = log_edges(edges, energy) if scale == "log" else edges
    undrawn = (energy <= 0) & np.isnan(drawn).any(axis=-1)
    return int(undrawn.sum(axis=1).max(initial=0))


def _level_edges(energy: Floats, edges: Floats, tables: int) -> NDArray[np.float32]:
    """(table, channel, 3) edges as `Levels` has them, NaN where there is no channel.

    Energies that drift from record to record, as with the spacecraft potential, would give as many
    levels as there are records. The edges are then moved outward to bins of 0.1 %, as values are.
    """
    on_log = np.nan_to_num(log_edges(edges, energy)[..., 0], nan=0.0)
    lower, upper = edges[..., 0], edges[..., 1]
    if tables > _FEW_TABLES:
        lower, upper, on_log = _bin_below(lower), -_bin_below(-upper), _bin_below(on_log)
    # Adding 0 makes −0 and 0 the same bytes.
    ends: NDArray[np.float32] = np.stack([lower, upper, on_log], axis=-1).astype(np.float32)
    ends += np.float32(0)
    return ends


def _bin_below(values: Floats) -> NDArray[np.float32]:
    """The lower ends of the bins in which values lie; NaN stays NaN."""
    exact = np.ascontiguousarray(values, np.float32)
    bits = exact.view(np.uint32)
    cut = (bits >> MANTISSA_BITS_DROPPED) << MANTISSA_BITS_DROPPED
    # Cutting goes toward 0, so a negative value goes one bin further.
    cut = np.where((exact < 0) & (cut != bits), cut + np.uint32(1 << MANTISSA_BITS_DROPPED), cut)
    below = cut.astype(np.uint32).view(np.float32)
    ends: NDArray[np.float32] = np.where(np.isfinite(exact), below, exact)
    return ends


def _keys(edges: NDArray[np.float32]) -> NDArray[np.bytes_]:
    """The bytes of each level, which sort and compare faster than rows."""
    keys: NDArray[np.bytes_] = np.ascontiguousarray(edges, np.float32).view("S12").reshape(-1)
    return keys


def _edges_of(keys: NDArray[np.bytes_]) -> NDArray[np.float32]:
    return np.ascontiguousarray(keys).view(np.float32).reshape(-1, 3)
