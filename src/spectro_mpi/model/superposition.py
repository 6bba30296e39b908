"""What items contribute to the superposed epoch analysis; contributions merge in any order.

Energy tables differ between modes and files. So values are counted by channel, that is by its two
edges, and only at the end by energy bins, which are the pieces that all edges cut the axis into
(`superposed.py`). Edges are rounded to eight bits of mantissa (0.2 %), so that tables which drift a
little have the same channels.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.epochs import Epochs, TimeBins
from spectro_mpi.model.histograms import ENTRY_BYTES, Histograms
from spectro_mpi.model.spectrogram import Legend, Spectrogram

Edges = NDArray[np.float32]
Counts = NDArray[np.int32]

CHANNEL_BITS = 20
"""Bits of the number of a channel in that of a cell."""
_EDGE_BITS_DROPPED = 15
"""Of the 23 bits of mantissa of an edge."""
_CHUNK_RECORDS = 2048
"""Records that are counted at a time, which bounds the memory."""


@dataclass
class Spread:
    """The cells of events in bins of time where other items may have records of them, too.

    Each row is an event in a bin of time. An event that two items have records of in a cell counts
    there once, so that their cells must be known one by one. There are few such bins: those that
    hold the first or last record of an item, and those in which the energy table changes.
    """

    identity: NDArray[np.int64]
    """(row,) as of `Epochs`; rows are sorted by it, then by bin."""
    bin: NDArray[np.int64]
    """(row,) bin of time"""
    cells: NDArray[np.uint8]
    """(row, byte) which cells have values, (category, channel), packed by `numpy.packbits`."""


@dataclass
class Superposition:
    """The values of one instrument around events, by category, bin of time and channel.

    Read `spread`, `identity` and the histograms only after `settle`.
    """

    legend: Legend
    category: tuple[str, ...]
    intervals: NDArray[np.float32]
    """(category, interval, 2) as of `Spectrogram`."""
    quantity: str
    bins: TimeBins
    channels: Edges
    """(channel, 2) lower and upper edges, sorted: those of channels with values."""
    histograms: Histograms
    """Cells are numbered (category × bins of time + bin) × 2²⁰ + channel."""
    events: Counts
    """(category, bin, channel) number of events with values, without those in `spread`."""
    spread: Spread
    identity: NDArray[np.int64]
    """(event,) the events that have values, ascending."""
    records: int = 0
    """Number of records with values; one in the windows of two events counts twice."""
    modes: frozenset[int] = field(default_factory=frozenset)
    """Modes of the records."""
    _waiting: list[tuple[Spread, NDArray[np.int64]]] = field(default_factory=list)
    """What is to be sorted into `spread` and `identity`, since that takes as long as they are."""
    _events_waiting: int = 0

    def merge(self, other: Superposition) -> None:
        """Add what other items contribute; `other` is left as it is, but settled."""
        other.settle()
        channels = self.channels
        if not np.array_equal(channels, other.channels):
            channels = np.unique(np.concatenate([channels, other.channels]), axis=0)
        self._move(channels)
        moved = other._moved(channels)
        self.histograms.merge(moved.histograms)
        self.events = self.events + moved.events
        self._waiting.append((moved.spread, other.identity))
        self._events_waiting += len(other.identity)
        if self._events_waiting > len(self.identity):
            self._settle_events()
        self.records += other.records
        self.modes |= other.modes
        # Titles of files may differ; whichever comes first in the alphabet, in any order.
        self.legend = min(self.legend, other.legend, key=repr)

    def settle(self) -> None:
        """Bring all that was merged into `spread`, `identity` and the fields of the histograms."""
        self.histograms.settle()
        self._settle_events()

    def _settle_events(self) -> None:
        if self._waiting:
            spreads, identities = zip(*self._waiting, strict=True)
            self._waiting, self._events_waiting = [], 0
            self.spread = _merged(self.spread, *spreads)
            self.identity = np.unique(np.concatenate([self.identity, *identities]))

    def _moved(self, channels: Edges) -> Superposition:
        """The same with more channels."""
        same = Superposition(**{name: getattr(self, name) for name in self.__dataclass_fields__})
        if not np.array_equal(channels, self.channels):
            same.histograms = Histograms(self.histograms.most)
            same.histograms.merge(self.histograms)
            same._move(channels)
        return same

    def _move(self, channels: Edges) -> None:
        if np.array_equal(channels, self.channels):
            return
        self._settle_events()
        place = _places(channels, self.channels)
        mask = (1 << CHANNEL_BITS) - 1
        self.histograms.move(lambda cells: (cells & ~mask) + place[cells & mask])
        shape = len(self.category), len(self.channels)
        wider = len(self.category), len(channels)
        events = np.zeros((wider[0], self.bins.count, wider[1]), np.int32)
        events[:, :, place] = self.events
        rows = len(self.spread.identity)
        cells = np.zeros((rows, *wider), bool)
        cells[:, :, place] = unpacked(self.spread.cells, shape)
        self.spread = Spread(self.spread.identity, self.spread.bin, _packed(cells))
        self.events, self.channels = events, channels


def superpose(
    spectrogram: Spectrogram, epochs: Epochs, bins: TimeBins, memory_mb: int
) -> Superposition | None:
    """Relate the records of a spectrogram to events; None: none is in the window of any.

    A record counts in the bin that holds its `time`, once for each event that has it in its window,
    with each value that is finite, 0 too. `memory_mb` bounds the memory of the histograms.
    """
    known = np.flatnonzero(np.isfinite(spectrogram.time))
    known = known[np.argsort(spectrogram.time[known], kind="stable")]
    time = spectrogram.time[known]
    if not len(time):
        return None
    near = epochs.near(float(time[0]), float(time[-1]), bins)
    if not len(near.time):
        return None
    channels, number, is_overlapping = _channels_of(spectrogram.edges)
    whole = _empty(spectrogram, channels, bins, (memory_mb << 20) // ENTRY_BYTES)
    parts = []
    for zero, identity in zip(near.time.tolist(), near.identity.tolist(), strict=True):
        place = bins.bin_of(time - zero)
        inside = np.flatnonzero((place >= 0) & (place < bins.count))
        rows = known[inside]
        cells = _count(whole, spectrogram, rows, place[inside], number)
        if not cells.any():
            continue
        mode = np.minimum(spectrogram.mode[rows], len(is_overlapping) - 1)
        apart = _borders(time - zero, bins) | _mixed(place[inside], mode, is_overlapping, bins)
        whole.events += cells & ~apart[:, None]
        at = np.flatnonzero(apart & cells.any(axis=(0, 2)))
        row = np.full(len(at), identity), at, _packed(cells[:, at].transpose(1, 0, 2))
        parts.append(Spread(*row))
        whole.identity = np.union1d(whole.identity, [identity])
    whole.spread = _merged(whole.spread, *parts)
    return _used(whole) if len(whole.identity) else None


def rounded_edges(edges: NDArray[np.floating]) -> Edges:
    """Edges rounded to eight bits of mantissa; NaN stays NaN."""
    exact = np.ascontiguousarray(edges, np.float32)
    bits = exact.view(np.uint32)
    half = np.uint32(1 << (_EDGE_BITS_DROPPED - 1))
    cut = ((bits + half) >> _EDGE_BITS_DROPPED << _EDGE_BITS_DROPPED).view(np.float32)
    rounded: Edges = np.where(np.isfinite(exact), cut, np.float32(np.nan)) + np.float32(0)
    return rounded


def unpacked(cells: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """`Spread.cells` as (row, category, channel); `shape` is (category, channel)."""
    whole = np.unpackbits(cells, axis=1, count=shape[0] * shape[1])
    return whole.reshape(len(cells), *shape).astype(bool)


def _packed(cells: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(cells.reshape(len(cells), cells.shape[1] * cells.shape[2]), axis=1)


def _channels_of(edges: Edges) -> tuple[Edges, NDArray[np.int64], NDArray[np.bool_]]:
    """The channels of all tables, the number of each (table, channel), −1: none; and which tables
    (table,) have channels that overlap.

    Both have one more row, for records whose mode has no table.
    """
    ends = rounded_edges(edges)
    low, high = ends[..., 0], ends[..., 1]
    # A channel narrower than the rounding would vanish.
    step = np.nextafter(low, np.float32(np.inf)) - low
    high = np.where(high > low, high, rounded_edges(low + step * (1 << _EDGE_BITS_DROPPED)))
    exists = np.isfinite(low) & np.isfinite(high)
    pairs = np.stack([low, high], axis=-1)
    channels, inverse = np.unique(pairs[exists], axis=0, return_inverse=True)
    number = np.full((len(edges) + 1, edges.shape[1]), -1, np.int64)
    number[:-1][exists] = inverse.reshape(-1)
    overlaps = np.zeros(len(edges) + 1, bool)
    for table, row in enumerate(pairs):
        ends_of_table = row[exists[table]]
        ends_of_table = ends_of_table[np.lexsort(ends_of_table.T[::-1])]
        overlaps[table] = bool((ends_of_table[1:, 0] < ends_of_table[:-1, 1]).any())
    return channels, number, overlaps


def _empty(spectrogram: Spectrogram, channels: Edges, bins: TimeBins, most: int) -> Superposition:
    rows = len(spectrogram.category)
    none = np.zeros(0, np.int64)
    width = -(-rows * len(channels) // 8)
    return Superposition(
        legend=spectrogram.legend,
        category=spectrogram.category,
        intervals=spectrogram.intervals,
        quantity=spectrogram.quantity,
        bins=bins,
        channels=channels,
        histograms=Histograms(most),
        events=np.zeros((rows, bins.count, len(channels)), np.int32),
        spread=Spread(none, none, np.zeros((0, width), np.uint8)),
        identity=none,
    )


def _count(
    whole: Superposition,
    spectrogram: Spectrogram,
    rows: NDArray[np.intp],
    place: NDArray[np.int64],
    number: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Count the records `rows`, which lie in the bins `place` of an event.

    Returns which cells have a value, (category, bin, channel).
    """
    present = np.zeros(whole.events.shape, bool)
    for chunk in _chunks(len(rows)):
        records, bin_of = rows[chunk], place[chunk]
        values = spectrogram.values[:, records]
        channel = number[np.minimum(spectrogram.mode[records], len(number) - 1)]
        row, record, column = np.nonzero(np.isfinite(values) & (channel >= 0))
        at, of = bin_of[record], channel[record, column]
        cells = ((row * whole.bins.count + at) << CHANNEL_BITS) + of
        whole.histograms.add(cells, values[row, record, column])
        present[row, at, of] = True
        has_value = np.unique(record)
        whole.records += len(has_value)
        whole.modes |= frozenset(spectrogram.mode[records[has_value]].tolist())
    return present


def _chunks(records: int) -> Iterator[slice]:
    return (slice(at, at + _CHUNK_RECORDS) for at in range(0, records, _CHUNK_RECORDS))


def _borders(seconds: NDArray[np.float64], bins: TimeBins) -> NDArray[np.bool_]:
    """Which bins do not lie between the first and the last record of the item; (bin,)."""
    first, last = bins.bin_of(seconds[[0, -1]])
    number = np.arange(bins.count)
    borders: NDArray[np.bool_] = (number <= first) | (number >= last)
    return borders


def _mixed(
    place: NDArray[np.int64],
    mode: NDArray[np.unsignedinteger],
    is_overlapping: NDArray[np.bool_],
    bins: TimeBins,
) -> NDArray[np.bool_]:
    """In which bins channels of an event may overlap: records of several tables, or of one whose
    channels do; (bin,)."""
    lowest = np.full(bins.count, len(is_overlapping))
    highest = np.full(bins.count, -1)
    np.minimum.at(lowest, place, mode)
    np.maximum.at(highest, place, mode)
    mixed = lowest < highest
    np.logical_or.at(mixed, place, is_overlapping[mode])
    return mixed


def _used(whole: Superposition) -> Superposition:
    """The same, with only those channels that have values."""
    mask = (1 << CHANNEL_BITS) - 1
    whole.histograms.settle()
    used = np.unique(whole.histograms.cells & mask)
    place = np.zeros(len(whole.channels), np.int64)
    place[used] = np.arange(len(used))
    whole.histograms.move(lambda cells: (cells & ~mask) + place[cells & mask])
    cells = unpacked(whole.spread.cells, (len(whole.category), len(whole.channels)))
    whole.spread = Spread(whole.spread.identity, whole.spread.bin, _packed(cells[:, :, used]))
    whole.events, whole.channels = whole.events[:, :, used], whole.channels[used]
    return whole


def _places(channels: Edges, some: Edges) -> NDArray[np.int64]:
    """The places of some channels among all."""
    number = {edges: place for place, edges in enumerate(map(tuple, channels.tolist()))}
    return np.array([number[edges] for edges in map(tuple, some.tolist())], np.int64)


def _merged(*parts: Spread) -> Spread:
    """Rows of all; cells of the same event in the same bin are united."""
    identity = np.concatenate([part.identity for part in parts])
    at = np.concatenate([part.bin for part in parts])
    cells = np.concatenate([part.cells for part in parts])
    order = np.lexsort((at, identity))
    identity, at, cells = identity[order], at[order], cells[order]
    first = np.flatnonzero((np.diff(identity, prepend=-1) != 0) | (np.diff(at, prepend=-1) != 0))
    if len(first) < len(identity):
        cells = np.bitwise_or.reduceat(cells, first, axis=0)
    return Spread(identity[first], at[first], cells)
