"""ISTP CDF files of any mission: one variable, by its `[[instrument]]` table and its attributes.

A chunk is (record, bin, channel), whatever the order of the axes in the file: all axes except that
of energy become bins. Energies may vary with time and with the bin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.as_set import title_of
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.energy_tables import EnergyTables
from spectro_mpi.instruments.flux_units import FluxUnits, for_moments
from spectro_mpi.instruments.istp_axes import axes_of, is_usable
from spectro_mpi.instruments.istp_edges import ReportedEdges, is_log_axis, reported_edges
from spectro_mpi.instruments.istp_rings import PitchAxis, angle_factor, is_pitch_angle
from spectro_mpi.instruments.istp_times import RecordTimes
from spectro_mpi.instruments.istp_variables import Variables
from spectro_mpi.instruments.master import with_master
from spectro_mpi.instruments.preset import NamedFile, Quantity
from spectro_mpi.instruments.units import is_count, is_logarithmic, is_unit, readable, titled
from spectro_mpi.model.distribution import EVERYTHING, Categories, Combine, Distribution
from spectro_mpi.model.spectrogram import Legend
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.instrument_table import VARIABLES, InstrumentTable
from spectro_mpi.settings.schema import Config

AngleBorders = Literal["", "fraction", "centre"]

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
                yield NamedFile(instrument, match.item, match.version, match.start, match.part)

    def is_companion(self, file: str) -> bool:
        """Whether a file is the master of an instrument."""
        return any(Path(table.master).name == file for table in self._config.instrument)

    @cached_property
    def _patterns(self) -> list[tuple[str, FilePattern]]:
        return [(table.name, FilePattern(table.file)) for table in self._config.instrument]

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` if it does not match the table."""
        table = next(table for table in self._config.instrument if table.name == instrument)
        if table.master:
            reader = with_master(reader, table.master, table.master_sha256)
        table = named_for(table, reader)
        config = self._config
        moments = config.species(instrument) is not None
        return IstpFile(reader, table, config.pitch_angles, config.data.angle_borders, moments)


def named_for(table: InstrumentTable, reader: CdfReader) -> InstrumentTable:
    """The table for one file: parts of the file name are put in for `{name}` in variables.

    They are written as in the file's variables where these differ only in upper and lower case.
    """
    match = FilePattern(table.file).match(reader.path.name)
    filled = table.filled(match.words.__getitem__) if match else table
    if filled is table:
        return table
    by_name = {name.casefold(): name for name in sorted(reader.names)}
    spelt: dict[str, Any] = {
        key: by_name.get(name.casefold(), name)
        for key in VARIABLES
        if isinstance(name := getattr(filled, key), str) and name not in reader.names
    }
    return replace(filled, **spelt)


class IstpFile:
    """One variable of an open file, checked.

    Raises `InvalidCdfError` if a variable is missing, or shapes do not match.
    """

    def __init__(
        self,
        reader: CdfReader,
        table: InstrumentTable,
        categories: Categories,
        borders: AngleBorders = "",
        moments: bool = False,
    ) -> None:
        self._reader, self._table = reader, table
        self._axes = axes = axes_of(reader, table)
        self._attributes = reader.attributes(table.value)
        self.records, self.channels = axes.records, axes.shape[axes.energy_axis]
        self.most_records = max(1, _MOST_CELLS // int(np.prod(axes.shape)))
        self.quantity = table.dataset
        self.categories = categories if table.pitch_angle else EVERYTHING
        self.combine: Combine = self._combination()
        self.weight = table.weight or "pitch-angle"
        self._picked = self._picked_bins()
        self._variables = Variables(reader, table, axes, self._picked)
        self._tables = EnergyTables(
            self.channels, is_log_axis(reader, axes.described_by), self.combine
        )
        self._reported: ReportedEdges | None = None
        if axes.bands is None:
            self._variables.check(axes.energy)
            self._reported = reported_edges(reader, axes.energy, axes.records, axes.unit)
        for name in (table.pitch_angle, table.weight):
            self._variables.check(name)
        self._pitch_axis = self._axis_with_rings()
        self._by_fraction = borders == "fraction" or (borders == "" and self.combine == "mean")
        self._flux: FluxUnits | None = None
        if moments:
            units = str(table.units or self._attributes.get("UNITS", ""))
            has_rings = self._pitch_axis is not None
            self._flux = for_moments(units, axes.unit, has_rings, reader.path, table.value)
        self._times = RecordTimes(reader, axes.time, axes.time_unit, axes.records)
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
        values = self._variables.values(first, last)
        energy, reach = self._energies(first, last)
        values, mode = self._tables.take(values, energy, reach)
        angle, width, weight = self._angles(first, last)
        time, start, end = self._times.range(first, last)
        count, bins, channels = values.shape
        flux = None
        if self._flux is not None and self._pitch_axis is not None:
            eflux = self._flux.eflux(values, self.energy[mode])
            flux = self._pitch_axis.rings(first, last).energy_flux(eflux)
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
            weight=None if weight is None else np.broadcast_to(weight, values.shape),
            width=None if width is None else np.broadcast_to(width, values.shape),
            eflux=flux,
        )

    def _energies(
        self, first: int, last: int
    ) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], NDArray[np.float64]] | None]:
        """Centres of the channels, and the distances to their edges if these are reported."""
        axes = self._axes
        if axes.bands is not None:
            centres, low, high = axes.bands.channels.T[:, None, None]
            return centres, (centres - low, high - centres)
        centres = self._variables.along(axes.energy, first, last) * axes.unit.factor
        return centres, self._variables.reach(self._reported, axes.energy, centres, first, last)

    def _angles(
        self, first: int, last: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Pitch angles (0 if there are none), widths and weights of the bins, if they have any."""
        table, variables = self._table, self._variables
        rings = self._pitch_axis.rings(first, last) if self._pitch_axis else None
        angle, width, weight = np.zeros(1, np.float32), None, None
        if table.pitch_angle:
            degrees = variables.along(table.pitch_angle, first, last)
            factor = angle_factor(self._reader, table.pitch_angle)
            angle = (degrees * factor).astype(np.float32)
            if rings is not None and self._by_fraction:
                angle, width = rings.middle, rings.width
        if self.combine == "mean":
            if table.weight:
                weight = variables.along(table.weight, first, last).astype(np.float32)
            elif rings is not None:
                weight = rings.solid_angle
        return angle, width, weight

    def _axis_with_rings(self) -> PitchAxis | None:
        """The pitch-angle axis: the table's `pitch_angle`, or else one that a DEPEND_i names.

        None if there is none, if its angles are not those of rings, or if one bin is selected.
        """
        reader, axes, table = self._reader, self._axes, self._table
        if self._picked is not None:
            return None
        names = [table.pitch_angle] if table.pitch_angle else self._pitch_angles_by_attribute()
        for name in names:
            axis = PitchAxis(reader, axes, self._variables, name)
            if axis.has_rings:
                return axis
        return None

    def _pitch_angles_by_attribute(self) -> list[str]:
        """The variables with pitch angles that DEPEND_i of the angle axes name."""
        reader, axes = self._reader, self._axes
        named = {axis: axes.depends[axis] for axis in axes.angle_axes}
        return [
            name
            for axis, name in named.items()
            if is_usable(reader, name, axes.records)
            and reader.shape(name) == (axes.shape[axis],)
            and is_pitch_angle(reader, name)
        ]

    def _combination(self) -> Combine:
        """How to combine bins: as in the table; by default the sum of counts, else the mean."""
        angles = self._table.angles
        if angles == "sum" or angles == "mean":
            return angles
        units = str(self._table.units or self._attributes.get("UNITS", ""))
        return "sum" if angles == "" and is_count(units) else "mean"

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

    def _legend(self) -> Legend:
        """Titles, labels, scales and units, from the attributes.

        What the table says of titles, labels and scales is not stored, because it may change:
        `shown_as_set` puts it in.
        """
        table, axes, attributes = self._table, self._axes, self._attributes
        reader = self._reader
        units = readable(table.units or str(attributes.get("UNITS", "")))
        texts = (str(attributes.get(key, "")) for key in ("LABLAXIS", "FIELDNAM", "CATDESC"))
        label = readable(next((text for text in texts if text.strip()), table.value))
        of_file = reader.global_attributes()
        mission = of_file.get("Source_name", "").partition(">")[0].strip()
        descriptor = of_file.get("Descriptor", "").partition(">")[0].strip()
        title = title_of(mission, descriptor, label)
        of_axis = reader.attributes(axes.described_by) if axes.described_by else {}
        name = readable(str(of_axis.get("LABLAXIS", ""))) or axes.energy
        y_name = _AXIS_NAMES.get(axes.unit.kind, name)
        is_weighted = self.combine == "mean" and (table.weight or self._pitch_axis)
        by_attribute = [
            "linear" if is_log_axis(reader, each) is False else ""
            for each in (axes.described_by, table.value)
        ]
        if is_logarithmic(table.units or str(attributes.get("UNITS", ""))):
            by_attribute[1] = "linear"
        return Legend(
            mission=mission or title,
            title=title,
            name=label,
            long_name=readable(str(attributes.get("CATDESC", ""))) or label,
            units=units if is_unit(units) else "",
            z_label=titled(label, units),
            axis=axes.unit.kind,
            axis_units=axes.unit.units,
            y_label=titled(y_name, axes.unit.units),
            rows=self._rows(", by solid angle" if is_weighted else ""),
            y_scale=by_attribute[0],
            z_scale=by_attribute[1],
            source=mission,
            descriptor=descriptor,
            label=label,
        )

    def _rows(self, weighted: str) -> str:
        """What the row shows if there are no pitch angles: a bin, or how bins are combined."""
        sizes = [self._axes.shape[axis] for axis in self._axes.angle_axes]
        if self._picked is not None:
            indices = zip(self._picked, sizes, strict=True)
            which = ", ".join(f"{index} of {size}" for index, size in indices)
            return f"bin {which} (counted from 0)"
        if not sizes:
            return ""
        return f"{self.combine} over {' × '.join(map(str, sizes))} bins{weighted}"
