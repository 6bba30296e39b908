"""Which cells of a FAST ESA record are a measurement, and how wide its angle bins are.

A cell is no measurement where `denergy` of the record's mode is 0 (the retrace of the sweep, and
channels that repeat another), where `bins` is 0, and in channel 1 if `header_bytes` reports a
double retrace. `bins` is chosen by `bins_ind`. A file with a single table of `bins` describes its
first mode only, as does its `gf`: where that is 0, `bins` says nothing about other modes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.model.distribution import Rows, blocks, is_measured

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_RETRACE_BYTE, _DOUBLE_RETRACE = 6, 2
"""Byte of `header_bytes`, and its bit that says that channel 1 is retrace too."""
_SAME_STEP = 1e-3
"""Relative; bins whose steps differ by less from 360°/`nbins` are that far apart."""


@dataclass(frozen=True)
class RecordShape:
    """The numbers of a chunk of records that choose their cells, each (record,)."""

    mode: NDArray[np.unsignedinteger[Any]]
    nbins: NDArray[np.integer[Any]]
    nenergy: NDArray[np.integer[Any]]
    valid: Bools
    """Whether the record may be used; `nbins` and `nenergy` are then within the arrays."""

    def blocks(self) -> Iterator[tuple[Rows, slice, slice]]:
        """Indices of valid records with equal numbers of bins and channels, and of their cells."""
        for rows, bins, channels in blocks(self.valid, self.nbins, self.nenergy):
            yield rows, slice(bins), slice(channels)


class CellTables:
    """The tables of an open file that say which cells count.

    `shape` is (bins, channels) of a record. Raises `InvalidCdfError` if a table cannot be read or
    has another shape.
    """

    def __init__(self, reader: CdfReader, shape: tuple[int, int], records: int) -> None:
        self._reader, self._shape = reader, shape
        width = tables(reader, "denergy", shape, np.nan)
        self._no_width = None if width is None else _without_width(width)
        self._dtheta = tables(reader, "dtheta", shape, np.nan)
        bins = tables(reader, "bins", shape, 1)
        self._bins = None if bins is None else _says_not(reader, bins == 0, shape)
        self._rows = RowIndex(reader, "bins_ind", 0 if bins is None else len(bins), records)
        header = "header_bytes"
        self._has_header = has_records(reader, header, records) and (
            np.prod(reader.shape(header)) > _RETRACE_BYTE
        )

    def measured(self, shape: RecordShape, first: int, last: int) -> Bools:
        """Whether each cell of records `first` to `last` (exclusive) is a measurement.

        Returns (record, bin, channel), of length 1 along records that are all alike, and along bins
        if all those in use are alike.
        """
        choices = np.stack(
            [
                shape.mode.astype(np.int64),
                self._rows.range(first, last),
                self._is_double(first, last),
            ],
            axis=1,
        )
        keys, which = np.unique(choices, axis=0, return_inverse=True)
        which = which.reshape(-1)
        each = np.stack([self._measured_of(*key) for key in keys.tolist()])
        if all(_is_alike(table, shape, which == place) for place, table in enumerate(each)):
            each = each[:, :1]
        return each if len(each) == 1 else each[which]

    def widths(self, shape: RecordShape, angle: Floats) -> Floats:
        """Extent in pitch angle of the bins, degrees: `dtheta` of the mode, else their spacing.

        `angle` is (record, bin, channel), degrees. Returns the same shape, with length 1 along bins
        and channels if all bins of each record are equally wide. NaN: not known.
        """
        unknown = np.full((1, 1), np.nan, np.float32)
        each: list[Floats] = []
        modes, which = np.unique(shape.mode, return_inverse=True)
        for mode in modes:
            rows = (shape.mode == mode) & shape.valid
            table = unknown
            if self._dtheta is not None and mode < len(self._dtheta) and rows.any():
                used = self._dtheta[mode, : shape.nbins[rows].max(), : shape.nenergy[rows].max()]
                alike = used.size and (used == used[0, 0]).all()
                table = used[:1, :1] if alike else self._dtheta[mode]
            each.append(table)
        if any(table.size > 1 for table in each):
            each = [np.broadcast_to(table, angle.shape[1:]) for table in each]
        widths: Floats = np.stack(each)[which]
        missing = ~(widths > 0)
        if missing[shape.valid].any():
            widths = np.where(missing, _spacing(shape, angle)[:, None, None], widths)
        return widths

    def _measured_of(self, mode: int, row: int, double: int) -> Bools:
        """(bin, channel) for one mode, row of `bins`, and kind of retrace."""
        measured = np.ones(self._shape, bool)
        if self._no_width is not None and mode < len(self._no_width):
            measured &= ~self._no_width[mode]
        if self._bins is not None and row >= 0:
            measured &= ~self._bins[row]
        if double:
            measured[:, 1:2] = False
        return measured

    def _is_double(self, first: int, last: int) -> NDArray[np.int64]:
        """1 for records whose first two steps are retrace."""
        if not self._has_header:
            return np.zeros(last - first, np.int64)
        header = self._reader.range("header_bytes", first, last).reshape(last - first, -1)
        double: Bools = header[:, _RETRACE_BYTE] & _DOUBLE_RETRACE != 0
        return double.astype(np.int64)


class RowIndex:
    """The row of a table that each record uses, by the index variable `name`.

    A single table is that of all records; several without an index are of none.
    """

    def __init__(self, reader: CdfReader, name: str, rows: int, records: int) -> None:
        self._reader, self._name, self._count = reader, name, rows
        self._varies = rows > 1 and has_records(reader, name, records)

    def range(self, first: int, last: int) -> NDArray[np.int64]:
        """The rows of records `first` to `last` (exclusive); −1: none."""
        if not self._varies:
            return np.full(last - first, 0 if self._count == 1 else -1)
        row = self._reader.range(self._name, first, last).reshape(-1).astype(np.int64)
        return np.where((row >= 0) & (row < self._count), row, -1)


def has_records(reader: CdfReader, name: str, records: int) -> bool:
    """Whether the file has values of a variable that varies by record and may be left out.

    Raises `InvalidCdfError` if it has another number of records than `records`.
    """
    count = reader.records(name) if name in reader.names else 0
    if count not in (0, records):
        raise InvalidCdfError(
            f"{reader.path}: {name} has {count} records, expected {records}, as time_unix has"
        )
    return count > 0


def tables(
    reader: CdfReader, name: str, shape: tuple[int, int], unused: float
) -> NDArray[Any] | None:
    """The tables of a variable that does not vary by record: (table, bin, channel) in `shape`.

    A single table may lack its leading axis. Cells that the file does not have, or that are fill
    values, are `unused`. None: the file does not have the variable. Raises `InvalidCdfError` if it
    has another shape.
    """
    if name not in reader.names:
        return None
    values = reader.static(name)
    if values.ndim not in (2, 3):
        raise InvalidCdfError(
            f"{reader.path}: {name} has shape {values.shape}, expected (bin, channel) or (table, "
            "bin, channel)"
        )
    values = values.reshape(-1, *values.shape[-2:])[:, : shape[0], : shape[1]]
    padded = np.full((len(values), *shape), unused, values.dtype)
    if values.dtype.kind == "f":
        values = np.where(is_measured(values), values, unused)
    padded[:, : values.shape[1], : values.shape[2]] = values
    return padded


def _is_alike(table: NDArray[Any], shape: RecordShape, rows: Bools) -> bool:
    """Whether `table` (bin, channel) is the same for all bins that valid ones of `rows` use."""
    used = rows & shape.valid
    bins, channels = (int(most[used].max(initial=0)) for most in (shape.nbins, shape.nenergy))
    return bool((table[:bins, :channels] == table[:1, :channels]).all())


def _says_not(reader: CdfReader, zero: Bools, shape: tuple[int, int]) -> Bools:
    """(table, bin, channel) where `bins` says that there is no measurement; `zero`: it is 0."""
    if len(zero) > 1:
        return zero
    gf = tables(reader, "gf", shape, 0)
    if gf is not None:
        says: Bools = zero & (gf > 0).all(axis=0)
        return says
    # Without `gf`, the last channels, all 0, are those that the first mode does not have.
    bins = tables(reader, "bins", shape, 0)
    used = ~zero.all(axis=(0, 1)) if bins is None else (bins > 0).any(axis=(0, 1))
    first_mode: Bools = np.arange(shape[1]) <= np.flatnonzero(used).max(initial=-1)
    return zero & first_mode


def _without_width(width: Floats) -> Bools:
    """Where a channel's `denergy` (mode, bin, channel) is 0; NaN: the table does not have the bin.

    All bins of a mode have the same energies: those that the table lacks are as the others.
    """
    lacks, zero = np.isnan(width), width == 0
    every = (zero | lacks).all(axis=1) & zero.any(axis=1)
    without: Bools = zero | (lacks & every[:, None, :])
    return without


def _spacing(shape: RecordShape, angle: Floats) -> Floats:
    """(record,) median step in pitch angle between neighbouring bins, degrees; NaN: not known."""
    spacing = np.full(len(angle), np.nan, np.float32)
    for rows, bins, channels in shape.blocks():
        used = angle[rows, bins, channels].astype(np.float64)
        step = np.diff(np.where(is_measured(used), used, np.nan), axis=1)
        step = np.abs((step + 180) % 360 - 180).reshape(len(used), -1)
        known = np.isfinite(step).any(axis=1)
        if bins.stop == 1:
            spacing[rows] = 360.0
            continue
        middle = np.full(len(used), np.nan)
        middle[known] = np.nanmedian(step[known], axis=1)
        around = 360.0 / bins.stop
        spacing[rows] = np.where(np.abs(middle / around - 1) < _SAME_STEP, around, middle)
    return spacing
