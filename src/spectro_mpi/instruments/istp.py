"""ISTP CDF files of any mission: one variable, by its `[[instrument]]` table and its attributes.

A chunk is (record, bin, channel), whatever the order of the axes in the file: all axes except that
of energy become bins. Energies may vary with time and with the bin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.energy_tables import EnergyTables
from spectro_mpi.instruments.istp_axes import NUMBERS, axes_along, axes_of, check_records
from spectro_mpi.instruments.istp_edges import EdgeVariable, is_log_axis, reported_edges
from spectro_mpi.instruments.istp_times import RecordTimes
from spectro_mpi.instruments.preset import NamedFile, Quantity
from spectro_mpi.instruments.units import is_unit, readable, titled
from spectro_mpi.model.distribution import (
    EVERYTHING,
    Categories,
    Combine,
    Distribution,
    is_measured,
)
from spectro_mpi.model.spectrogram import Legend
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.schema import Config

_MOST_CELLS = 1 << 24
"""Most values to read at a time: 128 MB in double precision."""
_AXIS_NAMES = {"energy": "Energy", "frequency": "Frequency"}


class Istp:
    """The preset for files of any mission, described by `[[instrument]]` tables."""

    files = "file"

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def example(self) -> str:
        """The file patterns of the tables."""
        return ", ".join(dict.fromkeys(table.file for table in self._config.instrument))

    @property
    def quantity(self) -> Quantity:
        """The quantity of all instruments; "values" if they have different ones."""
        datasets = {table.dataset for table in self._config.instrument}
        return Quantity(datasets.pop() if len(datasets) == 1 else "values")

    def names(self, file: str) -> Iterator[NamedFile]:
        """The instruments whose patterns match a file name."""
        for instrument, pattern in self._patterns:
            match = pattern.match(file)
            if match is not None:
                yield NamedFile(instrument, match.item, match.version, match.start)

    def is_companion(self, file: str) -> bool:
        """Always False: no other files are known."""
        return False

    @cached_property
    def _patterns(self) -> list[tuple[str, FilePattern]]:
        return [(table.name, FilePattern(table.file)) for table in self._config.instrument]

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` if it does not match the table."""
        table = next(table for table in self._config.instrument if table.name == instrument)
        return IstpFile(reader, table, self._config.pitch_angles)


class IstpFile:
    """One variable of an open file, checked.

    Raises `InvalidCdfError` if a variable is missing, or shapes do not match.
    """

    def __init__(self, reader: CdfReader, table: InstrumentTable, categories: Categories) -> None:
        self._reader, self._table = reader, table
        self._axes = axes = axes_of(reader, table)
        self._attributes = reader.attributes(table.value)
        self.records, self.channels = axes.records, axes.shape[axes.energy_axis]
        self.most_records = max(1, _MOST_CELLS // int(np.prod(axes.shape)))
        self.quantity = table.dataset
        self.categories = categories if table.pitch_angle else EVERYTHING
        self.combine: Combine = self._combination()
        self._picked = self._picked_bins()
        self._tables = EnergyTables(self.channels, is_log_axis(reader, axes.energy), self.combine)
        self._reported = reported_edges(reader, axes)
        self._static: dict[str | EdgeVariable, NDArray[np.float64]] = {}
        for name in (axes.energy, table.pitch_angle, table.weight):
            self._check_along(name)
        self._times = RecordTimes(reader, axes.time, axes.time_unit, axes.records, self._measured)
        self.legend = self._legend()

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) float32, channel centres, eV, Hz or as in the file; NaN: no channel."""
        return self._tables.energy

    @property
    def edges(self) -> NDArray[np.float32]:
        """(mode, channel, 2) float32, lower and upper edges of the channels; NaN: no channel."""
        return self._tables.edges

    def chunk(self, first: int, last: int) -> Distribution:
        """Read records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""
        axes, table = self._axes, self._table
        values = self._in_order(self._reader.range(table.value, first, last))
        values = self._measured(values, self._attributes, settings=True)
        energy = self._along(axes.energy, first, last) * axes.unit.factor
        values, mode = self._tables.take(values, energy, self._reach(energy, first, last))
        angle = np.zeros(1, np.float32)
        if table.pitch_angle:
            degrees = self._along(table.pitch_angle, first, last)
            angle = (degrees * self._degrees(table.pitch_angle)).astype(np.float32)
        weight: NDArray[np.float32] | None = None
        if table.weight and self.combine == "mean":
            solid_angle = self._along(table.weight, first, last).astype(np.float32)
            weight = np.broadcast_to(solid_angle, values.shape)
        time, start, end = self._times.range(first, last)
        count, bins, channels = values.shape
        return Distribution(
            time=time,
            time_start=start,
            time_end=end,
            valid=np.ones(count, bool),
            mode=mode,
            nbins=np.full(count, bins),
            nenergy=np.full(count, channels),
            values=values,
            value_fill=np.nan,
            pitch_angle=np.broadcast_to(angle, values.shape),
            weight=weight,
        )

    def _combination(self) -> Combine:
        """How to combine bins: as in the table; by default the sum of counts, else the mean."""
        angles = self._table.angles
        if angles == "sum" or angles == "mean":
            return angles
        units = str(self._table.units or self._attributes.get("UNITS", ""))
        is_count = re.fullmatch(r"(raw )?counts?", units.strip().lower())
        return "sum" if angles == "" and is_count else "mean"

    def _picked_bins(self) -> tuple[int, ...] | None:
        """The bin that `angles` selects, as one index for each angle axis; None: all bins."""
        angles = self._table.angles
        if isinstance(angles, str):
            return None
        picked = angles if isinstance(angles, tuple) else (angles,)
        sizes = tuple(self._axes.shape[axis] for axis in self._axes.angle_axes)
        if len(picked) != len(sizes) or any(
            index >= size for index, size in zip(picked, sizes, strict=True)
        ):
            raise InvalidCdfError(
                f"{self._reader.path}: angles = {list(picked)} in [[instrument]] "
                f'"{self._table.name}" is not a bin of {self._table.value}; give one index '
                f"(from 0) for each angle axis, whose sizes are {list(sizes)}"
            )
        return picked

    def _check_along(self, name: str) -> None:
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
        check_records(self._reader, name, self.records)
        axes_along(self._reader, name, self._axes, self._preferred(name))

    def _preferred(self, name: str) -> tuple[int, ...]:
        """Axes to prefer for a variable that may be along several axes of equal size."""
        is_energy = name == self._axes.energy
        return (self._axes.energy_axis,) if is_energy else self._axes.angle_axes

    def _in_order(self, values: NDArray[Any]) -> NDArray[Any]:
        """(record, axis, …) as in the file → (record, bin, channel), with one bin if selected."""
        values = np.moveaxis(values, self._axes.energy_axis + 1, -1)
        if self._picked is not None:
            for index in self._picked:
                values = values[:, index]
            return values[:, None, :]
        return values.reshape(len(values), -1, values.shape[-1])

    def _along(self, name: str, first: int, last: int) -> NDArray[np.float64]:
        """Read a variable along some of the axes: (record or 1, bin or 1, channel or 1), NaN: none.

        It is read once if it does not vary by record.
        """
        if name in self._static:
            return self._static[name]
        values, varies = self._floats(name, first, last)
        values = self._spread(
            values, axes_along(self._reader, name, self._axes, self._preferred(name))
        )
        if not varies:
            self._static[name] = values
        return values

    def _floats(self, name: str, first: int, last: int) -> tuple[NDArray[np.float64], bool]:
        """The measured values of a variable, (record or 1, …), and whether it varies by record."""
        varies = check_records(self._reader, name, self.records)
        if varies:
            values = self._reader.range(name, first, last)
        else:
            values = self._reader.static(name)[None]
        return self._measured(values, self._reader.attributes(name)).astype(np.float64), varies

    def _spread(self, values: NDArray[np.float64], order: list[int]) -> NDArray[np.float64]:
        """(record, axis, …) along the axes `order` → (record, bin or 1, channel or 1)."""
        axes = self._axes
        values = np.moveaxis(values, range(1, values.ndim), np.argsort(np.argsort(order)) + 1)
        shape = [axes.shape[axis] if axis in order else 1 for axis in range(len(axes.shape))]
        values = values.reshape(len(values), *shape)
        if any(axis in order for axis in axes.angle_axes):
            full_shape = list(axes.shape)
            full_shape[axes.energy_axis] = shape[axes.energy_axis]
            values = self._in_order(np.broadcast_to(values, (len(values), *full_shape)))
        else:
            values = values.reshape(len(values), 1, -1)
        return values

    def _reach(
        self, energy: NDArray[np.float64], first: int, last: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Distances from the centres `energy` to the lower and upper edges; None: not reported."""
        reported = self._reported
        if reported is None:
            return None
        ends = [self._edge(edge, first, last) for edge in (reported.lower, reported.upper)]
        are_distances = reported.are_distances
        if are_distances is None:
            with np.errstate(invalid="ignore"):
                are_distances = bool(((ends[0] > energy) | (ends[1] < energy)).any())
        if are_distances:
            return ends[0], ends[1]
        low = np.where(ends[1] < ends[0], ends[1], ends[0])
        return energy - low, ends[0] + ends[1] - low - energy

    def _edge(self, edge: EdgeVariable | None, first: int, last: int) -> NDArray[np.float64]:
        """The values of an edge, (record or 1, bin or 1, channel or 1); 0 if there is none.

        They are read once if they do not vary by record.
        """
        if edge is None:
            return np.zeros((1, 1, 1))
        if edge in self._static:
            return self._static[edge]
        values, varies = self._floats(edge.name, first, last)
        if edge.part is not None:
            axis, index = edge.part
            values = np.moveaxis(values, axis + 1, 0)[index]
        energy = self._axes.energy
        along = axes_along(self._reader, energy, self._axes, self._preferred(energy))
        values = self._spread(values, along if values.ndim > 1 else []) * edge.factor
        if not varies:
            self._static[edge] = values
        return values

    def _measured(
        self, values: NDArray[Any], attributes: dict[str, Any], settings: bool = False
    ) -> NDArray[np.floating[Any]]:
        """Values as floats, with NaN for fill values and values outside the valid range.

        `settings`: whether the table may override FILLVAL, VALIDMIN and VALIDMAX.
        """
        limits = [attributes.get(name) for name in ("FILLVAL", "VALIDMIN", "VALIDMAX")]
        if settings:
            table = self._table
            overrides = (table.fill, table.valid_min, table.valid_max)
            limits = [
                limit if override is None else override
                for override, limit in zip(overrides, limits, strict=True)
            ]
        fill, low, high = (limit if isinstance(limit, int | float) else None for limit in limits)
        missing = np.zeros(values.shape, bool)
        if fill is not None:
            # Rounded to the type of the values, since −1e31 is not a float32.
            missing |= values == _in_type(fill, values.dtype)
        if low is not None and high is not None and low >= high:
            low = high = None  # the attributes were never set
        if low is not None:
            missing |= values < _in_type(low, values.dtype)
        if high is not None:
            missing |= values > _in_type(high, values.dtype)
        # float32 represents integers of up to 24 bits exactly.
        small = values.dtype.itemsize <= (4 if values.dtype.kind == "f" else 2)
        floats = values.astype(np.float32 if small else np.float64)
        return np.where(missing | ~is_measured(floats), floats.dtype.type(np.nan), floats)

    def _degrees(self, name: str) -> float:
        """Factor that converts the angles of a variable to degrees."""
        units = str(self._reader.attributes(name).get("UNITS", "")).strip().lower()
        return 180 / np.pi if units.startswith("rad") else 1.0

    def _legend(self) -> Legend:
        """Titles, labels and units, from the table or else from the attributes."""
        table, axes, attributes = self._table, self._axes, self._attributes
        units = readable(table.units or str(attributes.get("UNITS", "")))
        texts = (str(attributes.get(key, "")) for key in ("LABLAXIS", "FIELDNAM", "CATDESC"))
        label = readable(table.label or next((text for text in texts if text.strip()), table.value))
        of_file = self._reader.global_attributes()
        mission = of_file.get("Source_name", "").partition(">")[0].strip()
        descriptor = of_file.get("Descriptor", "").partition(">")[0].strip()
        title = table.title or " ".join(part for part in (mission, descriptor, label) if part)
        name = readable(str(self._reader.attributes(axes.energy).get("LABLAXIS", "")))
        y_name = _AXIS_NAMES.get(axes.unit.kind, name or axes.energy)
        return Legend(
            mission=mission or title,
            title=title,
            name=table.title or label,
            long_name=readable(str(attributes.get("CATDESC", ""))) or label,
            units=units if is_unit(units) else "",
            z_label=titled(label, units),
            axis=axes.unit.kind,
            axis_units=axes.unit.units,
            y_label=titled(y_name, axes.unit.units),
            rows=self._rows(),
        )

    def _rows(self) -> str:
        """What the row shows if there are no pitch angles: a bin, or how bins are combined."""
        sizes = [self._axes.shape[axis] for axis in self._axes.angle_axes]
        if self._picked is not None:
            indices = zip(self._picked, sizes, strict=True)
            which = ", ".join(f"{index} of {size}" for index, size in indices)
            return f"bin {which} (counted from 0)"
        if not sizes:
            return ""
        return f"{self.combine} over {' × '.join(map(str, sizes))} bins"


def _in_type(limit: float, dtype: np.dtype[Any]) -> Any:
    """The limit, rounded to the type of the values if they are floats."""
    try:
        with np.errstate(over="ignore"):
            return dtype.type(limit) if dtype.kind == "f" else limit
    except (OverflowError, ValueError):
        return limit
