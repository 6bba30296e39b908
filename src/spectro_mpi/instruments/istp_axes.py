"""Find the axes of a variable of an ISTP CDF, from settings or else from its attributes.

In ISTP metadata, DEPEND_0 names the time of the records, and DEPEND_1 and so on name the variables
along the axes of a record (https://spdf.gsfc.nasa.gov/istp_guide/variables.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from spectro_mpi.errors import InvalidCdfError, NoRecordsError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp_bands import Bands, bands_as_set, bands_of, bands_of_edges
from spectro_mpi.instruments.times import (
    EPOCH_TYPES,
    TimeUnit,
    seconds_in,
    texts_on_time,
    time_unit_of,
    unix_seconds,
)
from spectro_mpi.instruments.units import AxisUnit, axis_unit
from spectro_mpi.settings.instrument_table import InstrumentTable

NUMBERS = frozenset(
    {f"CDF_{kind}" for kind in ("REAL4", "REAL8", "FLOAT", "DOUBLE", "BYTE")}
    | {f"CDF_{sign}INT{size}" for sign in ("", "U") for size in (1, 2, 4, 8)}
)


@dataclass(frozen=True)
class VariableAxes:
    """The axes of one variable. DEPEND_{i + 1} belongs to axis i."""

    records: int
    """Number of records."""
    shape: tuple[int, ...]
    """Shape of one record."""
    depends: tuple[str, ...]
    """Name of the variable along each axis; empty: the file names none."""
    time: str
    """Name of the variable with the time of the records, or with start and end of each."""
    time_unit: TimeUnit
    """How it counts."""
    energy: str
    """Name of the variable along the energy or frequency axis; empty: the channels are set."""
    energy_axis: int
    """Number of the energy or frequency axis, from 0."""
    unit: AxisUnit
    """Unit of the energy or frequency axis."""
    bands: Bands | None = None
    """The channels, if `energy` is a variable with labels or with both edges of each, or is empty;
    None: it has numbers."""
    described_by: str = ""
    """Name of the variable whose attributes describe the energy axis: `energy`, or the virtual one
    that is computed from it; empty: the channels are set."""

    @property
    def angle_axes(self) -> tuple[int, ...]:
        """Numbers of all axes except that of energy."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.energy_axis)


def axes_of(reader: CdfReader, table: InstrumentTable) -> VariableAxes:
    """Find the axes of the variable `table.value`.

    Raises `InvalidCdfError` if that is not possible; it names the setting that helps.
    """
    value = table.value
    _need(reader, value, "value", table)
    if reader.kind(value) not in NUMBERS:
        raise InvalidCdfError(f"{reader.path}: {value} is not numeric ({reader.kind(value)})")
    shape = reader.shape(value)
    if not shape:
        raise InvalidCdfError(
            f"{reader.path}: {value} is one number per record; set `value` in {_place(table)} to "
            "a variable with an energy or frequency axis"
        )
    records = reader.records(value)
    if records == 0:
        raise NoRecordsError(f"{reader.path}: {value} has no records{_virtual(reader, value)}")
    depends = tuple(_depend(reader, value, axis) for axis in range(len(shape)))
    time, time_unit = _time_of(reader, table, records)
    energy, axis, unit, bands = _energy_of(reader, table, shape, depends)
    if bands is None and not _orders(reader.shape(energy), shape):
        bands = bands_of_edges(reader, energy, shape[axis], unit)
    named = depends[axis] if energy and not table.energy else ""
    described_by = named if named and _stored(reader, named) == energy else energy
    return VariableAxes(
        records, shape, depends, time, time_unit, energy, axis, unit, bands, described_by
    )


def axes_along(
    reader: CdfReader, name: str, axes: VariableAxes, prefer: Sequence[int] = ()
) -> list[int]:
    """The axes of the value that the axes of the variable `name` correspond to, in its order.

    They are matched by the names in DEPEND_i and by size; `prefer` decides between axes that match
    equally. Raises `InvalidCdfError` if the sizes do not match.
    """
    return _along(reader, name, axes.shape, axes.depends, prefer)


def is_usable(reader: CdfReader, name: str, records: int) -> bool:
    """Whether a variable exists, is numeric and has one record or `records`."""
    return (
        name in reader.names
        and reader.kind(name) in NUMBERS
        and reader.records(name) in (1, records)
    )


def check_records(reader: CdfReader, name: str, records: int) -> bool:
    """Whether a variable varies by record, and so has `records` records.

    Raises `InvalidCdfError` if it has neither one record nor this many.
    """
    written = reader.records(name)
    if written not in (1, records):
        raise InvalidCdfError(
            f"{reader.path}: {name} has {written} records, expected {records}, as the value has"
            f"{_virtual(reader, name) if not written else ''}"
        )
    return written == records


def _time_of(reader: CdfReader, table: InstrumentTable, records: int) -> tuple[str, TimeUnit]:
    """Name of the variable with the time of the records, and how it counts."""
    time = table.time or str(reader.attributes(table.value).get("DEPEND_0", ""))
    if not time:
        raise InvalidCdfError(
            f"{reader.path}: {table.value} has no attribute DEPEND_0; set `time` in "
            f"{_place(table)} to the variable with the time of its records"
        )
    _need(reader, time, "time", table)
    if not table.time and reader.records(time) == 0:
        component = _component_time(reader, table, time, records)
        if component is not None:
            return component
    kind, attributes = reader.kind(time), reader.attributes(time)
    units = table.time_units or str(attributes.get("UNITS", ""))
    try:
        if kind not in EPOCH_TYPES and kind not in NUMBERS:
            raise ValueError(f"is neither an epoch nor a number ({kind})")
        if reader.shape(time) not in ((), (2,)):
            raise ValueError(
                f"has shape {reader.shape(time)} per record, expected one time, or start and end"
            )
        unit = time_unit_of(kind, units, texts_on_time(time, attributes))
    except ValueError as error:
        raise InvalidCdfError(
            f"{reader.path}: {time} {error}; set `time` in {_place(table)} to the variable with "
            'the time of the records, or `time_units` to its units, such as "seconds since '
            '1970-01-01"'
        ) from None
    if reader.records(time) != records:
        raise InvalidCdfError(
            f"{reader.path}: {time} has {reader.records(time)} records, but {table.value} has "
            f"{records}{_virtual(reader, time)}; set `time` in {_place(table)} to the variable "
            "with the time of the records"
        )
    return time, unit


def _component_time(
    reader: CdfReader, table: InstrumentTable, time: str, records: int
) -> tuple[str, TimeUnit] | None:
    """The variable with the times of `time`, a virtual epoch without records, and how it counts.

    THEMIS files name it in DEPEND_TIME of the value and in one of COMPONENT_i of the epoch; another
    component may be the epoch from which it counts. None: none of these has a time per record.
    """
    attributes = reader.attributes(time)
    components = [
        str(attributes[key]) for key in sorted(attributes) if key.startswith("COMPONENT_")
    ]
    named = [str(reader.attributes(table.value).get("DEPEND_TIME", "")), *components]
    scalars = [
        name
        for name in dict.fromkeys(named)
        if name in reader.names and not reader.shape(name) and reader.records(name)
    ]
    epochs = [name for name in scalars if reader.kind(name) in EPOCH_TYPES]
    numbers = [name for name in scalars if reader.kind(name) in NUMBERS]
    # Of a single record, an epoch may be the one from which the numbers count.
    for name in [*numbers, *epochs] if records == 1 else [*epochs, *numbers]:
        if reader.records(name) != records:
            continue
        kind, own = reader.kind(name), reader.attributes(name)
        units = table.time_units or str(own.get("UNITS", ""))
        with suppress(ValueError):
            return name, time_unit_of(kind, units, texts_on_time(name, own))
        factor = seconds_in(units)
        bases = [epoch for epoch in epochs if reader.records(epoch) == 1]
        if factor is not None and bases:
            base = np.atleast_1d(reader.static(bases[0]))
            origin = float(unix_seconds(base, TimeUnit(reader.kind(bases[0])))[0])
            return name, TimeUnit(kind, factor, origin)
    return None


def _energy_of(
    reader: CdfReader, table: InstrumentTable, shape: tuple[int, ...], depends: tuple[str, ...]
) -> tuple[str, int, AxisUnit, Bands | None]:
    """(variable along the energy axis, number of that axis, its unit, channels of labels)."""
    if table.energy_axis > len(shape):
        raise InvalidCdfError(
            f"{reader.path}: energy_axis = {table.energy_axis} in {_place(table)} is not an axis "
            f"of {table.value}, which has {len(shape)}"
        )
    bands = bands_as_set(table)
    if bands is not None:
        return (
            "",
            _axis_as_set(reader, table, shape, depends, len(bands.channels)),
            bands.unit,
            bands,
        )
    variable = table.energy_variable
    if variable:
        _need(reader, variable, "energy", table)
        axis = _axis_of(reader, table, variable, shape, depends)
        if "CHAR" in reader.kind(variable):
            return _labelled_axis(reader, table, variable, shape, axis)
        return variable, axis, _unit_of(reader, table, variable), None
    hinted = re.search(r"\by=(\w+)", str(reader.attributes(table.value).get("DISPLAY_TYPE", "")))
    candidates: list[tuple[str, int, AxisUnit, Bands | None]] = [
        (name, axis, unit, None)
        for axis, name in enumerate(_stored(reader, depend) for depend in depends)
        if name in reader.names
        and reader.kind(name) in NUMBERS
        and table.energy_axis in (0, axis + 1)
        and ((unit := _unit_of(reader, table, name)).kind != "y" or table.energy_axis)
    ]
    preferred = [
        candidate
        for candidate in candidates
        if hinted and candidate[0] == _stored(reader, hinted[1])
    ]
    candidates = (
        candidates
        or _beside(reader, table, shape, depends)
        or _labelled(reader, table, shape, depends)
    )
    if len(preferred or candidates) == 1:
        return (preferred or candidates)[0]
    if candidates:
        which = ", ".join(f"DEPEND_{axis + 1} = {name}" for name, axis, *_ in candidates)
        raise InvalidCdfError(
            f"{reader.path}: {table.value} has more than one axis of energy or frequency "
            f"({which}); choose one by `energy` in {_place(table)}"
        )
    raise InvalidCdfError(
        f"{reader.path}: {table.value} has no axis in units of energy or frequency "
        f"({_listed(reader, depends)}); name the variable by `energy` in {_place(table)}, and its "
        "unit by `energy_units`"
    )


def _beside(
    reader: CdfReader, table: InstrumentTable, shape: tuple[int, ...], depends: tuple[str, ...]
) -> list[tuple[str, int, AxisUnit, Bands | None]]:
    """The only variable of energies or frequencies along an axis that DEPEND_i gives numbers of
    steps; empty if there are several."""
    along: list[tuple[str, int, AxisUnit, Bands | None]] = [
        (name, axis, unit, None)
        for axis, step in enumerate(depends)
        if step and table.energy_axis in (0, axis + 1)
        for name in sorted(reader.names - {table.value, step})
        if reader.kind(name) in NUMBERS
        and reader.shape(name) == (shape[axis],)
        and _depend(reader, name, 0) == step
        and (unit := _unit_of(reader, table, name)).kind != "y"
    ]
    widths = {
        str(reader.attributes(name).get(key, ""))
        for name, *_ in along
        for key in ("DELTA_MINUS_VAR", "DELTA_PLUS_VAR")
    }
    centres = [each for each in along if each[0] not in widths]
    return centres if len(centres) == 1 else []


def _labelled(
    reader: CdfReader, table: InstrumentTable, shape: tuple[int, ...], depends: tuple[str, ...]
) -> list[tuple[str, int, AxisUnit, Bands | None]]:
    """The axes whose labels, in DEPEND_i or LABL_PTR_i, name energies or frequencies."""
    found: list[tuple[str, int, AxisUnit, Bands | None]] = []
    attributes = reader.attributes(table.value)
    for axis, size in enumerate(shape):
        if table.energy_axis not in (0, axis + 1):
            continue
        for name in (depends[axis], str(attributes.get(f"LABL_PTR_{axis + 1}", ""))):
            bands = bands_of(reader, name, table.energy_units)
            if bands is not None and len(bands.channels) == size:
                found.append((name, axis, bands.unit, bands))
                break
    return found


def _labelled_axis(
    reader: CdfReader, table: InstrumentTable, variable: str, shape: tuple[int, ...], axis: int
) -> tuple[str, int, AxisUnit, Bands]:
    """The axis `axis` by the labels in `variable`. Raises `InvalidCdfError`."""
    bands = bands_of(reader, variable, table.energy_units)
    if bands is None or len(bands.channels) != shape[axis]:
        raise InvalidCdfError(
            f"{reader.path}: {variable} holds text that does not name {shape[axis]} ranges of "
            f'energy or frequency, such as "13.6 - 15.1 MeV"; set `energy` in {_place(table)} to '
            "another variable, or `energy_units` if only the unit is missing"
        )
    return variable, axis, bands.unit, bands


def _axis_as_set(
    reader: CdfReader,
    table: InstrumentTable,
    shape: tuple[int, ...],
    depends: tuple[str, ...],
    channels: int,
) -> int:
    """Number of the axis of the value with as many channels as the table has numbers for.

    Of several, it is the one that the file says is of energy or frequency.
    """
    fitting = [axis for axis, size in enumerate(shape) if size == channels]
    if table.energy_axis:
        fitting = [axis for axis in fitting if axis == table.energy_axis - 1]
    if len(fitting) > 1:
        by_file = replace(table, energy_units="")
        by_units = [
            axis for axis in fitting if _unit_of(reader, by_file, depends[axis]).kind != "y"
        ]
        fitting = by_units if len(by_units) == 1 else fitting
    if len(fitting) == 1:
        return fitting[0]
    key = "energy" if table.energy else "energy_edges"
    axes = f"axis {table.energy_axis} of" if table.energy_axis else "the axes of"
    hint = "set `energy_axis` too" if fitting else f"correct `{key}`"
    raise InvalidCdfError(
        f"{reader.path}: `{key}` in {_place(table)} has numbers for {channels} channels, but "
        f"{axes} {table.value} have {' × '.join(map(str, shape))}; {hint}"
    )


def _axis_of(
    reader: CdfReader,
    table: InstrumentTable,
    variable: str,
    shape: tuple[int, ...],
    depends: tuple[str, ...],
) -> int:
    """Number of the axis of the value along which `variable` is."""
    if table.energy_axis:
        return table.energy_axis - 1
    if variable in depends:
        return depends.index(variable)
    attributes = reader.attributes(table.value)
    for axis in range(len(shape)):
        if attributes.get(f"LABL_PTR_{axis + 1}") == variable:
            return axis
    sizes = reader.shape(variable)
    if 2 in sizes and not _orders(sizes, shape):
        # Lower and upper edges of the channels of one axis.
        edged = [axis for axis, size in enumerate(shape) if sizes in ((2, size), (size, 2))]
        if len(edged) == 1:
            return edged[0]
    along = _along(reader, variable, shape, depends, ())
    if len(along) == 1:
        return along[0]
    # Energies of each bin and channel: choose the axis whose units are energies, or the last one.
    kinds = {axis: _unit_of(reader, table, depends[axis]).kind for axis in along if depends[axis]}
    energies = [axis for axis, kind in kinds.items() if kind != "y"]
    return energies[0] if len(energies) == 1 else max(along)


def _along(
    reader: CdfReader,
    name: str,
    shape: tuple[int, ...],
    depends: tuple[str, ...],
    prefer: Sequence[int],
) -> list[int]:
    """The axes of the value, of shape `shape`, that the axes of `name` correspond to."""
    sizes = reader.shape(name)
    names = [_depend(reader, name, axis) for axis in range(len(sizes))]
    if len(sizes) == 1 and name in depends:
        names = [name]
    fitting = _orders(sizes, shape)
    if not fitting:
        raise InvalidCdfError(
            f"{reader.path}: {name} has shape {sizes} per record, which does not match the "
            f"value's {shape}"
        )

    def rank(axes: list[int]) -> tuple[int, int, list[int]]:
        agreed = sum(
            bool(names[place]) and depends[axis] == names[place] for place, axis in enumerate(axes)
        )
        return -agreed, -len(set(axes) & set(prefer)), axes

    return min(fitting, key=rank)


def _orders(sizes: Sequence[int], shape: tuple[int, ...]) -> list[list[int]]:
    """All choices of axes of the value, of shape `shape`, that have the sizes `sizes` in order."""
    return [
        list(axes)
        for axes in permutations(range(len(shape)), len(sizes))
        if all(shape[axis] == size for axis, size in zip(axes, sizes, strict=True))
    ]


def _unit_of(reader: CdfReader, table: InstrumentTable, name: str) -> AxisUnit:
    """Unit of the variable along an axis, from the table or else from UNITS."""
    if name not in reader.names:
        return AxisUnit("y", 1.0, "")
    return axis_unit(table.energy_units or str(reader.attributes(name).get("UNITS", "")))


def _depend(reader: CdfReader, name: str, axis: int) -> str:
    """The variable that DEPEND_{axis + 1} names; empty if there is none."""
    depend = str(reader.attributes(name).get(f"DEPEND_{axis + 1}", ""))
    return depend if depend in reader.names else ""


def _stored(reader: CdfReader, name: str) -> str:
    """`name`; if that is a virtual variable without records, the variable it is computed from."""
    if name not in reader.names or reader.records(name):
        return name
    component = str(reader.attributes(name).get("COMPONENT_0", ""))
    return component if _virtual(reader, name) and component in reader.names else name


def _listed(reader: CdfReader, depends: Sequence[str]) -> str:
    """The variables along the axes, and their units, for a message."""
    axes = []
    for axis, name in enumerate(depends, 1):
        units = reader.attributes(name).get("UNITS", "") if name else ""
        axes.append(f'DEPEND_{axis} = {name}, UNITS "{units}"' if name else f"no DEPEND_{axis}")
    return "; ".join(axes)


def _need(reader: CdfReader, name: str, setting: str, table: InstrumentTable) -> None:
    """Raise `InvalidCdfError` if there is no variable called `name`."""
    if name not in reader.names:
        raise InvalidCdfError(
            f"{reader.path}: has no variable {name}; set `{setting}` in {_place(table)} to a "
            "variable of the file"
        )


def _virtual(reader: CdfReader, name: str) -> str:
    """A remark that a variable is virtual, that is computed from others; empty if it is not."""
    attributes = reader.attributes(name)
    if str(attributes.get("VIRTUAL", "")).lower() != "true":
        return ""
    components = ", ".join(
        str(attributes[key]) for key in sorted(attributes) if key.startswith("COMPONENT_")
    )
    return f" (it is virtual, computed from {components})"


def _place(table: InstrumentTable) -> str:
    """The table as messages refer to it; `inspection` removes this from a message."""
    return f'[[instrument]] "{table.name}"'
