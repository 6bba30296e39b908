"""Read variables of an ISTP CDF along the axes of the value: as (record, bin, channel).

A variable that does not vary by record, bin or channel has size 1 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import Attribute, CdfReader
from spectro_mpi.instruments.istp_axes import NUMBERS, VariableAxes, axes_along, check_records
from spectro_mpi.instruments.istp_edges import EdgeVariable, ReportedEdges
from spectro_mpi.model.distribution import is_measured
from spectro_mpi.settings.instrument_table import InstrumentTable

Floats = NDArray[np.float64]
Reach = tuple[Floats, Floats]
"""Distances from centres to their lower and upper edges."""


class Variables:
    """The variables of an open file that belong to one value.

    `picked` selects one bin, as an index for each angle axis; None: all bins.
    """

    def __init__(
        self,
        reader: CdfReader,
        table: InstrumentTable,
        axes: VariableAxes,
        picked: tuple[int, ...] | None,
    ) -> None:
        self._reader, self._table, self._axes, self._picked = reader, table, axes, picked
        self._static: dict[str | tuple[str, EdgeVariable], Floats] = {}

    def check(self, name: str) -> None:
        """Raise `InvalidCdfError` unless a variable exists, is numeric and has a shape that fits.

        An empty name is accepted.
        """
        if not name:
            return
        if name not in self._reader.names:
            raise InvalidCdfError(
                f"{self._reader.path}: has no variable {name}; correct its name in [[instrument]] "
                f'"{self._table.name}"'
            )
        if self._reader.kind(name) not in NUMBERS:
            raise InvalidCdfError(
                f"{self._reader.path}: {name} is not numeric ({self._reader.kind(name)})"
            )
        check_records(self._reader, name, self._axes.records)
        self.axes_of(name)

    def axes_of(self, name: str) -> list[int]:
        """The axes of the value that those of a variable correspond to.

        Among axes of equal size the energies prefer theirs, all others the angles. Raises
        `InvalidCdfError` if the sizes do not match.
        """
        axes = self._axes
        prefer = (axes.energy_axis,) if name == axes.energy else axes.angle_axes
        return axes_along(self._reader, name, axes, prefer)

    def values(self, first: int, last: int) -> NDArray[np.floating[Any]]:
        """(record, bin, channel) the value, NaN: missing. The table may override its attributes."""
        name, table = self._table.value, self._table
        attributes = self._reader.attributes(name)
        fill, low, high = (attributes.get(key) for key in ("FILLVAL", "VALIDMIN", "VALIDMAX"))
        values = self.in_order(self._reader.range(name, first, last))
        return without_missing(
            values,
            self._limit_of_value(fill) if table.fill is None else table.fill,
            self._limit_of_value(low) if table.valid_min is None else table.valid_min,
            self._limit_of_value(high) if table.valid_max is None else table.valid_max,
        )

    def along(self, name: str, first: int, last: int) -> Floats:
        """Read a variable along some of the axes: (record or 1, bin or 1, channel or 1), NaN: none.

        It is read once if it does not vary by record.
        """
        if name in self._static:
            return self._static[name]
        values, varies = self.floats(name, first, last)
        values = self.spread(values, self.axes_of(name))
        if not varies:
            self._static[name] = values
        return values

    def reach(
        self, reported: ReportedEdges | None, axis: str, centres: Floats, first: int, last: int
    ) -> Reach | None:
        """Distances from `centres` of the variable `axis` to their edges; None: not reported.

        `centres` is (record or 1, bin or 1, channel or 1), as the distances are.
        """
        if reported is None:
            return None
        ends = [self._edge(edge, axis, first, last) for edge in (reported.lower, reported.upper)]
        are_distances = reported.are_distances
        if are_distances is None:
            with np.errstate(invalid="ignore"):
                are_distances = bool(((ends[0] > centres) | (ends[1] < centres)).any())
        if are_distances:
            return ends[0], ends[1]
        low = np.where(ends[1] < ends[0], ends[1], ends[0])
        return centres - low, ends[0] + ends[1] - low - centres

    def in_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """(record, axis, …) as in the file → (record, bin, channel), with one bin if selected."""
        values = np.moveaxis(values, self._axes.energy_axis + 1, -1)
        if self._picked is not None:
            for index in self._picked:
                values = values[:, index]
            return values[:, None, :]
        return values.reshape(len(values), -1, values.shape[-1])

    def floats(self, name: str, first: int, last: int) -> tuple[Floats, bool]:
        """The measured values of a variable, (record or 1, …), and whether it varies by record."""
        varies = check_records(self._reader, name, self._axes.records)
        if varies:
            values = self._reader.range(name, first, last)
        else:
            values = self._reader.static(name)[None]
        return measured(values, self._reader.attributes(name)).astype(np.float64), varies

    def spread(self, values: Floats, order: Sequence[int]) -> Floats:
        """(record, axis, …) along the axes `order` → (record, bin or 1, channel or 1)."""
        axes = self._axes
        values = np.moveaxis(values, range(1, values.ndim), np.argsort(np.argsort(order)) + 1)
        shape = [axes.shape[axis] if axis in order else 1 for axis in range(len(axes.shape))]
        values = values.reshape(len(values), *shape)
        if any(axis in order for axis in axes.angle_axes):
            full_shape = list(axes.shape)
            full_shape[axes.energy_axis] = shape[axes.energy_axis]
            values = self.in_order(np.broadcast_to(values, (len(values), *full_shape)))
        else:
            values = values.reshape(len(values), 1, -1)
        return values

    def _edge(self, edge: EdgeVariable | None, axis: str, first: int, last: int) -> Floats:
        """The values of an edge, (record or 1, bin or 1, channel or 1); 0 if there is none.

        They are read once if they do not vary by record.
        """
        if edge is None:
            return np.zeros((1, 1, 1))
        key = (axis, edge)
        if key in self._static:
            return self._static[key]
        values, varies = self.floats(edge.name, first, last)
        if edge.part is not None:
            place, index = edge.part
            values = np.moveaxis(values, place + 1, 0)[index]
        order = self.axes_of(axis) if values.ndim > 1 else []
        values = self.spread(values, order) * edge.factor
        if not varies:
            self._static[key] = values
        return values

    def _limit_of_value(self, limit: Attribute | None) -> Attribute | Floats | None:
        """A limit or fill value; one per channel, bin or cell as (1, bin or 1, channel or 1)."""
        if not isinstance(limit, tuple):
            return limit
        axes = self._axes
        shape = axes.shape
        if len(limit) == np.prod(shape):
            order: Sequence[int] = range(len(shape))
            sizes = shape
        else:
            fitting = [axis for axis in (*axes.angle_axes, axes.energy_axis)]
            fitting = [axis for axis in fitting if shape[axis] == len(limit)]
            if not fitting:
                return limit[0]
            order, sizes = fitting[-1:], (len(limit),)
        return self.spread(np.reshape(limit, (1, *sizes)), order)


def measured(values: NDArray[Any], attributes: dict[str, Attribute]) -> NDArray[np.floating[Any]]:
    """Values (record, …) as floats, NaN where FILLVAL, VALIDMIN or VALIDMAX say "missing"."""
    limits = (attributes.get(name) for name in ("FILLVAL", "VALIDMIN", "VALIDMAX"))
    fill, low, high = (
        _shaped(limit, values.shape[1:]) if isinstance(limit, tuple) else limit for limit in limits
    )
    return without_missing(values, fill, low, high)


def without_missing(
    values: NDArray[Any],
    fill: Attribute | Floats | None,
    low: Attribute | Floats | None,
    high: Attribute | Floats | None,
) -> NDArray[np.floating[Any]]:
    """Values as floats, with NaN for the fill value and values outside the valid range.

    Limits are numbers, text that reads as one, or arrays that broadcast to `values`; anything else
    is none. A pair with `low` at or above `high` was never set, and is none either.
    """
    fill, low, high = (
        _number(limit) if isinstance(limit, str) else limit for limit in (fill, low, high)
    )
    fill, low, high = (
        limit if isinstance(limit, int | float | np.ndarray) else None
        for limit in (fill, low, high)
    )
    missing = np.zeros(values.shape, bool)
    if fill is not None:
        # Rounded to the type of the values, since −1e31 is not a float32.
        missing |= values == _in_type(fill, values.dtype)
    if low is not None and high is not None:
        unset = np.asarray(low) >= np.asarray(high)
        if unset.all():
            low = high = None
        elif unset.any():
            low, high = np.where(unset, -np.inf, low), np.where(unset, np.inf, high)
    if low is not None:
        missing |= values < _in_type(low, values.dtype)
    if high is not None:
        missing |= values > _in_type(high, values.dtype)
    # float32 represents integers of up to 24 bits exactly.
    small = values.dtype.itemsize <= (4 if values.dtype.kind == "f" else 2)
    floats = values.astype(np.float32 if small else np.float64)
    return np.where(missing | ~is_measured(floats), floats.dtype.type(np.nan), floats)


def _shaped(limits: tuple[float, ...], shape: tuple[int, ...]) -> float | Floats:
    """Limits as an array along the last axis of `shape` whose size they have, or the first."""
    if len(limits) == np.prod(shape):
        return np.reshape(limits, shape)
    for axis in reversed(range(len(shape))):
        if shape[axis] == len(limits):
            return np.reshape(limits, (-1, *([1] * (len(shape) - axis - 1))))
    return limits[0]


def _number(text: str) -> int | float | None:
    """The number that a text holds, as some files have limits; None: it holds none."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return None


def _in_type(limit: float | Floats, dtype: np.dtype[Any]) -> Any:
    """The limit, rounded to the type of the values if they are floats."""
    try:
        with np.errstate(over="ignore"):
            if isinstance(limit, np.ndarray):
                return limit.astype(dtype) if dtype.kind == "f" else limit
            return dtype.type(limit) if dtype.kind == "f" else limit
    except (OverflowError, ValueError):
        return limit
