"""What an item contributes to the atlas: whole numbers by cell, which merge in any order.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.bins import PackedWhole, pack_whole, unpack_whole
from spectro_mpi.model.items import item_order
from spectro_mpi.model.sums import Whole, summed

TOP = 5
"""Items with the most records that are kept of each cell."""
BITS_DROPPED = 20
"""Of a float32's 23 bits of the mantissa: a bin is an eighth of an octave, 6 to 13 % wide."""
NUMBERS = 1 << 13
"""Numbers of bins of one cell, those of negative values included."""
_MIDDLE = NUMBERS // 2
_LOW_BITS = (1 << BITS_DROPPED) - 1
_MOST_PENDING = 1 << 16
"""Rows that wait to be merged, at least."""


def _no_rows(columns: int) -> Whole:
    return np.zeros((0, columns), np.int64)


class Sums:
    """Whole numbers by key. They merge in any order, to the same arrays.

    Rows wait until there are as many as half of those that are merged, so that merging many small
    contributions one after the other takes time in proportion to their size.
    """

    def __init__(self, keys: Whole, columns: Whole) -> None:
        """`keys` (row,), which may repeat; `columns` (row, column), to be summed by key."""
        self._merged = (keys[:0], columns[:0])
        self._pending = [(keys, columns)]

    @classmethod
    def none(cls, columns: int) -> Sums:
        """No rows."""
        return cls(np.zeros(0, np.int64), _no_rows(columns))

    def merge(self, other: Sums) -> None:
        """Add the rows of `other`."""
        self._pending.append(other.held())
        if sum(len(keys) for keys, _ in self._pending) > max(
            _MOST_PENDING, len(self._merged[0]) // 2
        ):
            self.held()

    def held(self) -> tuple[Whole, Whole]:
        """The keys, ascending, (row,), and the sums of each, (row, column)."""
        if self._pending:
            parts = [self._merged, *self._pending]
            keys = np.concatenate([keys for keys, _ in parts])
            columns = np.concatenate([columns for _, columns in parts])
            keys, columns = summed(keys, columns)
            self._merged, self._pending = (keys, columns), []
        return self._merged

    def __reduce__(self) -> tuple[Any, ...]:
        keys, columns = self.held()
        steps = np.diff(keys, prepend=0)
        packed = [pack_whole(steps), *(pack_whole(column) for column in columns.T)]
        return _unpacked, (packed,)


def _unpacked(packed: Sequence[PackedWhole]) -> Sums:
    steps, *columns = (unpack_whole(each).astype(np.int64) for each in packed)
    return Sums(np.cumsum(steps), np.stack(columns, axis=1))


@dataclass
class TopItems:
    """The items with the most records in each cell, at most `TOP`; equal numbers by item id.

    An item comes whole, so it is listed once: merging lists is exact.
    """

    cells: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """(row,) ascending."""
    records: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    """(row,) descending within a cell."""
    items: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, "U1"))
    """(row,)."""

    def merge(self, other: TopItems) -> None:
        """Keep the items with the most records of both."""
        if not len(other.cells):
            return
        cells = np.concatenate([self.cells, other.cells])
        records = np.concatenate([self.records, other.records])
        items = np.concatenate([self.items, other.items])
        names, where = np.unique(items, return_inverse=True)
        rank = np.empty(len(names), np.int64)
        in_order = sorted(range(len(names)), key=lambda place: item_order(str(names[place])))
        rank[in_order] = np.arange(len(names))
        order = np.lexsort((rank[where.reshape(-1)], -records, cells))
        first = np.flatnonzero(np.diff(cells[order], prepend=cells[order][:1] - 1))
        lengths = np.diff(np.append(first, len(order)))
        place = np.arange(len(order)) - np.repeat(first, lengths)
        kept = order[place < TOP]
        self.cells, self.records, self.items = cells[kept], records[kept], items[kept]


Described = tuple[str, str, str, str, str]
"""Instrument, `name`, `units` and `long_name` of what is mapped of it, and its title."""


@dataclass
class AtlasTally:
    """What some items contribute. Keys are made by `phases.atlas`, of layers and cells."""

    values: Sums = field(default_factory=lambda: Sums.none(2))
    """Key: (layer, cell, number of the bin) → how many values, and their `excess_of`."""
    records: Sums = field(default_factory=lambda: Sums.none(2))
    """Key: (instrument, cell) → records, items."""
    beams: Sums = field(default_factory=lambda: Sums.none(2))
    """Key: (test, cell) → records that can be judged, records with a beam."""
    top: TopItems = field(default_factory=TopItems)
    """Of (instrument, cell)."""
    totals: dict[str, int] = field(default_factory=dict)
    """Numbers of the whole run by name."""
    measures: set[Described] = field(default_factory=set)

    def merge(self, other: AtlasTally) -> None:
        """Add what other items contribute."""
        self.values.merge(other.values)
        self.records.merge(other.records)
        self.beams.merge(other.beams)
        self.top.merge(other.top)
        for name, number in other.totals.items():
            self.totals[name] = self.totals.get(name, 0) + number
        self.measures |= other.measures


def numbers_of(values: NDArray[np.float32]) -> Whole:
    """The number of the bin of each value, from 0 to below `NUMBERS`; ascending with the values."""
    bits = np.abs(values).view(np.int32).astype(np.int64)
    number = np.where(values == 0, 0, (bits >> BITS_DROPPED) + 1)
    return np.asarray(_MIDDLE + np.where(values < 0, -number, number))


def excess_of(values: NDArray[np.float32]) -> Whole:
    """By how much the magnitude of each value is above that of its bin, in its `bin_units`."""
    return np.abs(values).view(np.int32).astype(np.int64) & _LOW_BITS


def bin_ends(numbers: Whole) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The magnitudes at which bins begin and end; 0 and 0 of the bin of zero."""
    number = np.abs(numbers - _MIDDLE)
    first, last = (
        (each.astype(np.uint32) << BITS_DROPPED).view(np.float32).astype(np.float64)
        for each in (np.maximum(number - 1, 0), number)
    )
    return first, np.where(number == 0, 0.0, last)


def bin_sums(numbers: Whole, counts: Whole, excess: Whole) -> NDArray[np.float64]:
    """The sum of the values in each bin, exact as long as it has at most 2^29 values."""
    number = numbers - _MIDDLE
    bits = np.maximum(np.abs(number) - 1, 0) << BITS_DROPPED
    unit = np.ldexp(1.0, np.maximum(bits >> 23, 1) - 150)
    first, _ = bin_ends(numbers)
    return np.asarray(np.sign(number) * (counts * first + excess * unit))


def arrays_of(tally: AtlasTally) -> dict[str, NDArray[Any]]:
    """A tally as arrays, to be kept; equal tallies give equal arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    for name in ("values", "records", "beams"):
        keys, columns = getattr(tally, name).held()
        arrays[f"{name}_key"], arrays[f"{name}_sum"] = keys, columns
    names = sorted(tally.totals)
    return {
        **arrays,
        "top_cell": tally.top.cells,
        "top_records": tally.top.records,
        "top_item": tally.top.items,
        "total_name": np.array(names, np.str_),
        "total": np.array([tally.totals[name] for name in names], np.int64),
        "measures": np.array(sorted(tally.measures), np.str_).reshape(-1, 5),
    }


def tally_from(arrays: Mapping[str, NDArray[Any]]) -> AtlasTally:
    """The tally that `arrays_of` made arrays of. Raises `KeyError` if an array is missing."""

    def sums(name: str) -> Sums:
        columns = arrays[f"{name}_sum"].astype(np.int64).reshape(-1, 2)
        return Sums(arrays[f"{name}_key"].astype(np.int64), columns)

    totals = zip(arrays["total_name"].tolist(), arrays["total"].tolist(), strict=True)
    return AtlasTally(
        sums("values"),
        sums("records"),
        sums("beams"),
        TopItems(arrays["top_cell"], arrays["top_records"], arrays["top_item"]),
        dict(totals),
        {(row[0], row[1], row[2], row[3], row[4]) for row in arrays["measures"].tolist()},
    )
