"""Which axes a variable of an ISTP CDF has: by settings, and by its attributes otherwise.

ISTP metadata: DEPEND_0 names the time of the records, DEPEND_1 and so on the variables along the
axes of a record (https://spdf.gsfc.nasa.gov/istp_guide/variables.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.times import EPOCH_TYPES
from spectro_mpi.instruments.units import AxisUnit, axis_unit
from spectro_mpi.settings.instrument_table import InstrumentTable

NUMBERS = frozenset(
    {f"CDF_{kind}" for kind in ("REAL4", "REAL8", "FLOAT", "DOUBLE", "BYTE")}
    | {f"CDF_{sign}INT{size}" for sign in ("", "U") for size in (1, 2, 4, 8)}
)


@dataclass(frozen=True)
class VariableAxes:
    """The axes of one variable. Axis i is that of DEPEND_{i + 1}."""

    records: int
    shape: tuple[int, ...]
    """Of one record of the value."""
    depends: tuple[str, ...]
    """The variable along each axis; empty where the file names none."""
    time: str
    energy: str
    """The variable along the energy or frequency axis."""
    energy_axis: int
    unit: AxisUnit

    @property
    def angle_axes(self) -> tuple[int, ...]:
        """All axes but that of energy."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.energy_axis)


def axes_of(reader: CdfReader, table: InstrumentTable) -> VariableAxes:
    """The axes of `table.value`.

    Raises `InvalidCdfError` with a sentence that names the setting which would help.
    """
    value = table.value
    _need(reader, value, "value", table)
    if reader.kind(value) not in NUMBERS:
        raise InvalidCdfError(f"{reader.path}: {value} holds no numbers ({reader.kind(value)})")
    shape = reader.shape(value)
    if not shape:
        raise InvalidCdfError(
            f"{reader.path}: {value} is one number a record, and no spectrogram: `value` in "
            f"{_place(table)} wants a variable with an energy or frequency axis"
        )
    records = reader.records(value)
    if records == 0:
        raise InvalidCdfError(f"{reader.path}: {value} has no records{_virtual(reader, value)}")
    depends = tuple(_depend(reader, value, axis) for axis in range(len(shape)))
    time = _time_of(reader, table, records)
    energy, axis, unit = _energy_of(reader, table, shape, depends)
    return VariableAxes(records, shape, depends, time, energy, axis, unit)


def axes_along(
    reader: CdfReader, name: str, axes: VariableAxes, prefer: Sequence[int] = ()
) -> list[int]:
    """The axes of the value that a variable's own axes are, in its order.

    By the names of both their DEPEND_i, and by sizes; `prefer` settles what these leave open.
    Raises `InvalidCdfError` if the sizes do not fit.
    """
    return _along(reader, name, axes.shape, axes.depends, prefer)


def check_records(reader: CdfReader, name: str, records: int) -> bool:
    """Whether a variable varies by record. Raises `InvalidCdfError` if it has another number."""
    own = reader.records(name)
    if own not in (1, records):
        raise InvalidCdfError(
            f"{reader.path}: {name} has {own} records where the value has {records}"
            f"{_virtual(reader, name) if not own else ''}"
        )
    return own == records


def _time_of(reader: CdfReader, table: InstrumentTable, records: int) -> str:
    time = table.time or str(reader.attributes(table.value).get("DEPEND_0", ""))
    if not time:
        raise InvalidCdfError(
            f"{reader.path}: {table.value} has no attribute DEPEND_0: name the time of its records "
            f"by `time` in {_place(table)}"
        )
    _need(reader, time, "time", table)
    kind, units = reader.kind(time), str(reader.attributes(time).get("UNITS", ""))
    counts_seconds = kind in NUMBERS and re.match(r"s(ec|econds?)?\b", units.strip().lower())
    if kind not in EPOCH_TYPES and not counts_seconds:
        raise InvalidCdfError(
            f'{reader.path}: {time} is neither an epoch nor in seconds ({kind}, UNITS "{units}"): '
            f"name the time of the records by `time` in {_place(table)}"
        )
    if reader.records(time) != records:
        raise InvalidCdfError(
            f"{reader.path}: {time} has {reader.records(time)} records, {table.value} has "
            f"{records}{_virtual(reader, time)}: name the time of the records by `time` in "
            f"{_place(table)}"
        )
    return time


def _energy_of(
    reader: CdfReader, table: InstrumentTable, shape: tuple[int, ...], depends: tuple[str, ...]
) -> tuple[str, int, AxisUnit]:
    """The variable along the energy axis, which axis that is, and its unit."""
    if table.energy_axis > len(shape):
        raise InvalidCdfError(
            f"{reader.path}: {table.value} has {len(shape)} axes; energy_axis = "
            f"{table.energy_axis} in {_place(table)} is none of them"
        )
    if table.energy:
        _need(reader, table.energy, "energy", table)
        axis = _axis_of(reader, table, shape, depends)
        return table.energy, axis, _unit_of(reader, table, table.energy)
    hinted = re.search(r"\by=(\w+)", str(reader.attributes(table.value).get("DISPLAY_TYPE", "")))
    candidates = [
        (name, axis, unit)
        for axis, name in enumerate(_stored(reader, depend) for depend in depends)
        if name in reader.names
        and reader.kind(name) in NUMBERS
        and table.energy_axis in (0, axis + 1)
        and ((unit := _unit_of(reader, table, name)).kind != "y" or table.energy_axis)
    ]
    named = [one for one in candidates if hinted and one[0] == _stored(reader, hinted[1])]
    if len(named or candidates) == 1:
        return (named or candidates)[0]
    if candidates:
        which = ", ".join(f"DEPEND_{axis + 1} = {name}" for name, axis, _ in candidates)
        raise InvalidCdfError(
            f"{reader.path}: {table.value} has more than one axis of energy or frequency "
            f"({which}): choose by `energy` in {_place(table)}"
        )
    raise InvalidCdfError(
        f"{reader.path}: {table.value} has no axis in units of energy or frequency "
        f"({_told(reader, depends)}): name the variable by `energy` in {_place(table)}, and its "
        "unit by `energy_units`"
    )


def _axis_of(
    reader: CdfReader, table: InstrumentTable, shape: tuple[int, ...], depends: tuple[str, ...]
) -> int:
    """Which axis of the value `table.energy` is along."""
    if table.energy_axis:
        return table.energy_axis - 1
    if table.energy in depends:
        return depends.index(table.energy)
    along = _along(reader, table.energy, shape, depends, ())
    if len(along) == 1:
        return along[0]
    # One for each bin and channel: the axis that is not one of angles, by its units; or the last.
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
    own = reader.shape(name)
    own_depends = [_depend(reader, name, axis) for axis in range(len(own))]
    if len(own) == 1 and name in depends:
        own_depends = [name]
    fitting = [
        list(axes)
        for axes in permutations(range(len(shape)), len(own))
        if all(shape[axis] == size for axis, size in zip(axes, own, strict=True))
    ]
    if not fitting:
        raise InvalidCdfError(
            f"{reader.path}: {name} has shape {own} a record, which does not fit the value's "
            f"{shape}"
        )

    def rank(axes: list[int]) -> tuple[int, int, list[int]]:
        agreed = sum(
            bool(own_depends[place]) and depends[axis] == own_depends[place]
            for place, axis in enumerate(axes)
        )
        return -agreed, -len(set(axes) & set(prefer)), axes

    return min(fitting, key=rank)


def _unit_of(reader: CdfReader, table: InstrumentTable, name: str) -> AxisUnit:
    if name not in reader.names:
        return AxisUnit("y", 1.0, "")
    return axis_unit(table.energy_units or str(reader.attributes(name).get("UNITS", "")))


def _depend(reader: CdfReader, name: str, axis: int) -> str:
    depend = str(reader.attributes(name).get(f"DEPEND_{axis + 1}", ""))
    return depend if depend in reader.names else ""


def _stored(reader: CdfReader, name: str) -> str:
    """A variable, or what it is made of where it is virtual and holds nothing itself."""
    if name not in reader.names or reader.records(name):
        return name
    component = str(reader.attributes(name).get("COMPONENT_0", ""))
    return component if _virtual(reader, name) and component in reader.names else name


def _told(reader: CdfReader, depends: Sequence[str]) -> str:
    told = []
    for axis, name in enumerate(depends, 1):
        units = reader.attributes(name).get("UNITS", "") if name else ""
        told.append(f'DEPEND_{axis} = {name}, UNITS "{units}"' if name else f"no DEPEND_{axis}")
    return "; ".join(told)


def _need(reader: CdfReader, name: str, setting: str, table: InstrumentTable) -> None:
    if name not in reader.names:
        raise InvalidCdfError(
            f"{reader.path}: has no variable {name} ({setting} in {_place(table)})"
        )


def _virtual(reader: CdfReader, name: str) -> str:
    """Says so if a variable is not stored but to be computed from others."""
    attributes = reader.attributes(name)
    if str(attributes.get("VIRTUAL", "")).lower() != "true":
        return ""
    made_of = ", ".join(
        str(attributes[key]) for key in sorted(attributes) if key.startswith("COMPONENT_")
    )
    return f" (it is virtual, to be made of {made_of})"


def _place(table: InstrumentTable) -> str:
    return f'[[instrument]] "{table.name}"'
