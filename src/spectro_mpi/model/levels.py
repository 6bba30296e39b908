"""Number of cells by channel, for the limits of energy axes, which enclose whole channels.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.bins import (
    MANTISSA_BITS_DROPPED,
    PackedWhole,
    pack_whole,
    union_of,
    unpack_whole,
)
from spectro_mpi.model.channels import Floats, log_edges
from spectro_mpi.model.samples import Samples
from spectro_mpi.model.spectrogram import Spectrogram

_FEW_TABLES = 32
"""With more energy tables than this in a file, the edges of their channels are binned."""


def _no_cells() -> NDArray[np.int64]:
    return np.zeros((0, 2, 2), np.int64)


def _nowhere() -> NDArray[np.float32]:
    return np.full((2, 2), np.inf, np.float32)


@dataclass
class Levels:
    """Number of cells by channel. Levels merge in any order, to the same bytes."""

    upper: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """(level,) upper edges of channels with finite cells, ascending."""
    cells: NDArray[np.int64] = field(default_factory=_no_cells)
    """(level, 2, 2) number of finite cells: of channels that cannot and that can be drawn on a log
    axis; not positive and positive ones."""
    lowest: NDArray[np.float32] = field(default_factory=_nowhere)
    """(2, 2) lowest edge, on a linear and on a log axis, of the channels with such cells: not
    positive and positive ones; inf: there are none."""
    has_negative: bool = False
    """Whether any value is negative; then all finite cells count."""

    def merge(self, other: Levels) -> None:
        """Add the counts of `other`."""
        self.has_negative |= other.has_negative
        self.lowest = np.minimum(self.lowest, other.lowest)
        if not np.array_equal(self.upper, other.upper):
            union = union_of(self.upper, other.upper)
            cells = np.zeros((len(union), 2, 2), np.int64)
            cells[np.searchsorted(union, self.upper)] = self.cells
            self.upper, self.cells = union, cells
        self.cells[np.searchsorted(self.upper, other.upper)] += other.cells

    def limits(self, scale: str, coverage: float) -> tuple[float, float] | None:
        """The lowest edge of a channel with a counted cell, and an upper edge; None: no such cell.

        A cell counts if it is finite and positive; if any value is negative, or none is positive,
        all finite cells count. The upper edge is the smallest at or below which channels with
        `coverage` of the cells lie. On a linear axis (`scale`) the lower limit is at most 0; on a
        log axis only channels that can be drawn count.
        """
        only_positive = not self.has_negative and bool(self.cells[..., 1].any())
        is_log = scale == "log"
        counted = self.cells[:, int(is_log) :, int(only_positive) :].sum(axis=(1, 2))
        used = np.flatnonzero(counted)
        if not len(used):
            return None
        cumulative = np.cumsum(counted[used])
        reached = used[np.searchsorted(cumulative, coverage * cumulative[-1])]
        low = float(self.lowest[int(is_log), int(only_positive) :].min())
        return low if is_log else min(0.0, low), float(self.upper[reached])

    def __reduce__(self) -> tuple[Any, ...]:
        """As few bytes: of energies that drift there are thousands of levels."""
        bits = np.append(np.uint32(0), self.upper.view(np.uint32))
        steps: NDArray[np.uint32] = bits[1:] - bits[:-1]  # modulo 2³²
        packed = pack_whole(steps), pack_whole(self.cells.reshape(len(steps), 4).T)
        return _unpacked, (*packed, self.lowest, self.has_negative)


def count_levels(energy: Floats, edges: Floats, samples: Samples) -> Levels:
    """Count the cells of samples by channel.

    `energy` is (table, channel), `edges` (table, channel, 2).
    """
    values = samples.values
    finite = np.isfinite(values)
    positive = finite & (values > 0)
    tables = len(energy)
    order = np.argsort(samples.mode, kind="stable")
    modes = samples.mode[order].astype(np.intp)
    order, modes = order[modes < tables], modes[modes < tables]
    present, first = np.unique(modes, return_index=True)
    if not len(present):
        return Levels()
    all_cells, positive_cells = (
        _sums_by_table(counted[order], first) for counted in (finite, positive)
    )
    ends = _level_edges(energy[present], edges[present], tables)
    held = (all_cells > 0) & np.isfinite(ends[..., :2]).all(axis=-1)
    lower, upper, lower_on_log = ends[held].T
    cells = np.stack([all_cells - positive_cells, positive_cells], axis=-1)[held]
    drawable = lower_on_log > 0
    levels, where = np.unique(upper, return_inverse=True)
    total = np.zeros((len(levels), 2, 2), np.int64)
    np.add.at(total, (where.reshape(-1), drawable.astype(np.intp)), cells)
    lowest = _nowhere()
    for axis, low in enumerate((lower, np.where(drawable, lower_on_log, np.inf))):
        for kind in (0, 1):
            lowest[axis, kind] = low[cells[:, kind] > 0].min(initial=np.inf)
    return Levels(levels, total, lowest, bool((finite & (values < 0)).any()))


def edge_range(
    energy: Floats, edges: Floats, measured: NDArray[np.bool_], scale: str
) -> tuple[float, float] | None:
    """The lowest and highest edge of the channels that are measured, else of all, on an axis.

    A linear axis begins at 0 or below. `energy` and `measured` (`channels.measured_channels`) are
    (table, channel), `edges` is (table, channel, 2). None: no channel can be drawn.
    """
    drawn = log_edges(edges, energy) if scale == "log" else edges
    known = np.isfinite(drawn).all(axis=-1)
    drawn = drawn[known & measured if (known & measured).any() else known]
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
    energy, edges = spectrogram.energy[used], _drawn_edges(spectrogram, scale)[used]
    undrawn = (energy <= 0) & np.isnan(edges).any(axis=-1)
    return int(undrawn.sum(axis=1).max(initial=0))


def count_beyond(
    spectrogram: Spectrogram, row: int, scale: str, limits: tuple[float, float]
) -> int:
    """Number of channels with a finite value in a row whose centres are not on an energy axis.

    `limits` are the ends of the axis. Since these are rounded, a border of the next channel may be
    on it. Channels that an axis of this scale cannot show at all are not counted.
    """
    energy = spectrogram.energy
    with np.errstate(invalid="ignore"):
        outside = (energy < limits[0]) | (energy > limits[1])
    if not outside.any():
        return 0
    outside &= np.isfinite(_drawn_edges(spectrogram, scale)).all(axis=-1)
    return int((spectrogram.measured[row] & outside).any(axis=0).sum())


def _drawn_edges(spectrogram: Spectrogram, scale: str) -> NDArray[np.float32]:
    return spectrogram.log_edges if scale == "log" else spectrogram.edges


def _sums_by_table(counted: NDArray[np.bool_], first: NDArray[np.intp]) -> NDArray[np.int64]:
    """Numbers of cells by energy table; (table, channel).

    `counted` is (record, channel), in order of the tables; `first` (table,) is the first record.
    """
    if len(first) > _FEW_TABLES:
        return np.add.reduceat(counted, first, axis=0, dtype=np.int64)
    # A product of matrices is several times as fast, and exact up to 2²⁴ records.
    table = np.searchsorted(first, np.arange(len(counted)), side="right") - 1
    uses = np.equal.outer(np.arange(len(first)), table).astype(np.float32)
    return (uses @ counted.astype(np.float32)).astype(np.int64)


def _level_edges(energy: Floats, edges: Floats, tables: int) -> NDArray[np.float32]:
    """Lower, upper, and lower edge on a log axis of channels: (table, channel, 3).

    NaN where there is no channel; the last is 0 where the channel cannot be drawn on a log axis.

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


def _unpacked(
    steps: PackedWhole, cells: PackedWhole, lowest: NDArray[np.float32], has_negative: bool
) -> Levels:
    upper = np.cumsum(unpack_whole(steps), dtype=np.uint32).view(np.float32)
    counts = unpack_whole(cells).reshape(4, -1).T.reshape(-1, 2, 2).astype(np.int64, order="C")
    return Levels(upper, counts, lowest, has_negative)
