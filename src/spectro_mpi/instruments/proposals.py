"""Propose how to draw a variable of a CDF file, and what a scientist would draw first.

What a file does not say is guessed from names and descriptions. A guess has a remark, which the
proposed settings show, so that the reader can judge it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp import IstpFile
from spectro_mpi.instruments.istp_axes import NUMBERS, VariableAxes, axes_of, is_usable
from spectro_mpi.instruments.istp_edges import is_log_axis
from spectro_mpi.instruments.istp_rings import is_pitch_angle
from spectro_mpi.instruments.istp_variables import measured
from spectro_mpi.instruments.times import EPOCH_TYPES
from spectro_mpi.instruments.units import axis_unit, readable
from spectro_mpi.model.distribution import EVERYTHING
from spectro_mpi.settings.instrument_table import InstrumentTable

_UNIT_IN_TEXT = re.compile(r"\d\s?((?:[kMG]?eV|[kMG]?Hz)(?:/(?:nuc(?:leon)?|n|q|e|u|amu))?)(?!\w)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ERROR = re.compile(
    r"(?<![a-z])(sigma|uncert\w*|err|errors?|std|stddev|variance|delta|background|bkgd?)(?![a-z])"
)
_ERROR_IN_TEXT = re.compile(r"\b(sigma|uncertaint\w+|standard deviation|statistical errors?)\b")
_QUANTITIES = (
    re.compile(r"flux|intensit|s(te)?r[ad]*i?a?n?(⁻¹|\)|-|\b)|density"),
    re.compile(r"rate|counts?\s*/|/\s*s\b|s⁻¹"),
    re.compile(r"count"),
)
"""Words of fluxes, rates and counts, in the order in which they are proposed."""
_SPECIES = (
    re.compile(r"electron|(?<![a-z])e-(?!\d)|(?<![a-z])ele?(?![a-z])"),
    re.compile(r"proton|hydrogen|(?<![a-z])ions?(?![a-z])|(?<![a-z])h(\+|plus)?(?![a-z0-9])"),
    re.compile(r"alpha|helium|(?<![a-z])he\d?(\+|plus)*(?![a-z])"),
    re.compile(
        r"carbon|nitrogen|oxygen|neon|sodium|magnesium|alumini?um|silicon|sulfur|argon|calcium|iron"
        r"|nickel|heavy|trace|(?<![a-z])(c|n|o|cno|ne|na|mg|al|si|s|ar|ca|fe|ni|uh)(\+|plus)*\d*\+*(?![a-z])"
    ),
)
"""Words of electrons, protons (or all ions), helium and traces."""
_WEIGHTS = {
    "support data": 1,
    "an uncertainty or a background": 2,
    "a table of energies or angles": 4,
    "no value above 0": 8,
}
"""Why a variable is not among the first to draw, and how far behind it is."""
_CELLS = 1 << 20
"""Values read at a time to see whether any counts."""
_MOST_CELLS = 1 << 25
"""Values read of one variable for it."""


@dataclass(frozen=True)
class Drawable:
    """A variable that can be drawn."""

    name: str
    records: int
    axes: tuple[str, ...]
    """The variable along each axis of a record, with the size of the axis: "H_Energy (48)"."""
    energy: str
    """Name of the variable along the energy or frequency axis."""
    units: str
    label: str
    scales: tuple[str, str]
    """Scale of the energy axis and of the values, from SCALETYP."""
    table: InstrumentTable
    """The `[[instrument]]` table that draws it."""
    remarks: tuple[str, ...] = ()
    """What is guessed, and why it is not among the first to draw."""
    rank: tuple[int, ...] = ()
    """Sort key: what a scientist would draw first is lowest."""
    is_first_choice: bool = True
    """Whether it is worth a figure: it is no uncertainty or table, and some value counts."""


def drawable(reader: CdfReader, plain: InstrumentTable) -> Drawable:
    """The variable `plain.value` and the table that draws it.

    `plain` has its name and file. Raises `InvalidCdfError` if it cannot be drawn.
    """
    name = plain.value
    table, guesses = _with_axes(reader, plain)
    axes = axes_of(reader, table)
    table = replace(
        table,
        pitch_angle=_pitch_angle_of(reader, name, axes),
        angles=IstpFile(reader, table, EVERYTHING).combine if axes.angle_axes else "",
    )
    IstpFile(reader, table, EVERYTHING)  # raises if the table does not work
    attributes = reader.attributes(name)
    units = readable(str(attributes.get("UNITS", "")))
    reasons = _reasons_to_wait(reader, name, units)
    return Drawable(
        name=name,
        records=axes.records,
        axes=tuple(
            f"{depend or (axes.energy if axis == axes.energy_axis else 'axis')} ({size})"
            for axis, (depend, size) in enumerate(zip(axes.depends, axes.shape, strict=True))
        ),
        energy=axes.depends[axes.energy_axis] or axes.energy,
        units=units,
        label=readable(str(attributes.get("LABLAXIS", "") or name)),
        scales=(_scale(reader, axes.described_by), _scale(reader, name)),
        table=table,
        remarks=(*guesses, *reasons),
        rank=(sum(map(_WEIGHTS.__getitem__, reasons)), *_rank(reader, name, units, table, axes)),
        is_first_choice=not reasons,
    )


def why_not(reader: CdfReader, name: str, explicit: bool) -> str:
    """Why a variable cannot be drawn, or empty; `explicit`: the user has asked for it."""
    attributes = reader.attributes(name)
    kind = str(attributes.get("VAR_TYPE", "data")).lower()
    records = reader.records(name)
    if reader.kind(name) not in NUMBERS:
        return "holds text" if "CHAR" in reader.kind(name) else "is a time"
    if not reader.shape(name):
        return "is one number per record" if records > 1 else "is one number"
    if not explicit and kind not in ("data", "support_data"):
        return f"is {kind.replace('_', ' ')}"
    if "DEPEND_0" not in attributes:
        if records == 1:
            return "has no DEPEND_0: it does not vary with time"
        if not _time_of(reader, records):
            return "has no DEPEND_0: it varies, but the file does not say with which time"
    if not explicit and kind == "support_data":
        return "is support data"
    if not explicit and str(attributes.get("DISPLAY_TYPE", "")).lower().startswith("no_plot"):
        return "is not to be plotted, by its DISPLAY_TYPE"
    return ""


def _with_axes(reader: CdfReader, plain: InstrumentTable) -> tuple[InstrumentTable, list[str]]:
    """The table with what its axes need, and a remark on each guess.

    Raises the `InvalidCdfError` of the table without guesses if none helps.
    """
    guesses: list[str] = []
    attributes = reader.attributes(plain.value)
    if "DEPEND_0" not in attributes:
        plain = replace(plain, time=_time_of(reader, reader.records(plain.value)))
        guesses.append(f"{plain.time} is assumed to be its time")
    try:
        axes_of(reader, plain)
    except InvalidCdfError as error:
        for keys, remark in _guessed_energies(reader, plain):
            try:
                table = replace(plain, **keys)
                axes_of(reader, table)
            except InvalidCdfError:
                continue
            return table, [*guesses, remark]
        if not guesses:
            raise
        raise InvalidCdfError(
            f"{reader.path}: {plain.value} has no DEPEND_0, and no energies can be guessed; name "
            f'`time` and `energy` in [[instrument]] "{plain.name}"'
        ) from error
    return plain, guesses


def _time_of(reader: CdfReader, records: int) -> str:
    """The epoch of a variable that does not name one; empty: the file has none, or several."""
    epochs = [
        name
        for name in sorted(reader.names)
        if reader.kind(name) in EPOCH_TYPES
        and not reader.shape(name)
        and reader.records(name) == records
    ]
    named = [name for name in epochs if name.lower() == "epoch"]
    return (named or epochs)[0] if len(epochs) == 1 or named else ""


def _guessed_energies(
    reader: CdfReader, table: InstrumentTable
) -> Iterator[tuple[dict[str, Any], str]]:
    """(keys of the table, remark) that may give the value an energy axis, the best first."""
    value = table.value
    attributes = reader.attributes(value)
    labels = [str(attributes.get(f"LABL_PTR_{axis}", "")) for axis in range(1, 10)]
    for name in (value, *filter(None, labels)):
        of_name = reader.attributes(name) if name in reader.names else {}
        for key in ("CATDESC", "FIELDNAM", "LABLAXIS", "VAR_NOTES"):
            if match := _UNIT_IN_TEXT.search(str(of_name.get(key, ""))):
                yield {"energy_units": match[1]}, f"energy_units is from {key} of {name}"
    shape, records = reader.shape(value), reader.records(value)
    depends = {axis: str(attributes.get(f"DEPEND_{axis}", "")) for axis in range(1, len(shape) + 1)}
    if not any(depends.values()) and not any(labels):
        near = [
            name
            for name in sorted(reader.names - {value})
            if "energ" in name.lower()
            and not _ERROR.search(_words(name))
            and is_usable(reader, name, records)
            and reader.shape(name) == shape
        ]
        if len(near) == 1:
            units = str(reader.attributes(near[0]).get("UNITS", ""))
            unit = "" if units.strip() else "; set energy_units, which the file does not name"
            yield {"energy": near[0]}, f"{near[0]} is assumed to be its energies{unit}"
    for name in depends.values():
        if not is_usable(reader, name, records):
            continue
        of_name = reader.attributes(name)
        texts = [name, *(str(of_name.get(key, "")) for key in ("LABLAXIS", "FIELDNAM", "CATDESC"))]
        if not str(of_name.get("UNITS", "")).strip() and re.search(
            "energ", " ".join(texts), re.IGNORECASE
        ):
            yield (
                {"energy": name},
                f"{name} has no unit: set energy_units, or energy to numbers if it counts steps",
            )


def _pitch_angle_of(reader: CdfReader, value: str, axes: VariableAxes) -> str:
    """The variable with the pitch angles, of each cell or along one axis; empty if none."""
    of_cells = [
        name
        for name in sorted(reader.names)
        if name != value
        and len(axes.shape) > 1
        and reader.kind(name) in NUMBERS
        and reader.shape(name) == axes.shape
        and reader.records(name) in (1, axes.records)
        and is_pitch_angle(reader, name)
    ]
    along = [
        axes.depends[axis]
        for axis in axes.angle_axes
        if axes.depends[axis]
        and reader.kind(axes.depends[axis]) in NUMBERS
        and is_pitch_angle(reader, axes.depends[axis])
    ]
    return next(iter([*of_cells, *along]), "")


def _scale(reader: CdfReader, name: str) -> str:
    """Scale ("linear" or "log") in the attribute SCALETYP of a variable."""
    return "linear" if is_log_axis(reader, name) is False else "log"


def _words(name: str) -> str:
    """A name in lower case, with its words apart: "fluxErr" → "flux err"."""
    return _CAMEL.sub(" ", name).lower()


def _reasons_to_wait(reader: CdfReader, name: str, units: str) -> list[str]:
    """Why a variable is not among the first to draw: some of `_WEIGHTS`."""
    kind = str(reader.attributes(name).get("VAR_TYPE", "")).lower()
    is_table = axis_unit(units).kind != "y" or units.lower() in ("sr", "ster", "deg", "degrees")
    applies = (kind == "support_data", _is_error(reader, name), is_table, not _counts(reader, name))
    return [reason for reason, holds in zip(_WEIGHTS, applies, strict=True) if holds]


def _is_error(reader: CdfReader, name: str) -> bool:
    """Whether a variable has the uncertainties or the background of another."""
    attributes = reader.attributes(name)
    names = [name, str(attributes.get("FIELDNAM", "")), str(attributes.get("LABLAXIS", ""))]
    if any(_ERROR.search(_words(text)) for text in names):
        return True
    if _ERROR_IN_TEXT.search(str(attributes.get("CATDESC", "")).lower()):
        return True
    return any(
        str(reader.attributes(other).get(key, "")) == name
        for other in reader.names
        for key in ("DELTA_PLUS_VAR", "DELTA_MINUS_VAR")
    )


def _counts(reader: CdfReader, name: str) -> bool:
    """Whether any value counts: it is positive, or negative. True for a very large variable."""
    records = reader.records(name)
    step = max(1, _CELLS // max(1, int(np.prod(reader.shape(name)))))
    attributes = reader.attributes(name)
    for first in range(0, min(records, step * (_MOST_CELLS // _CELLS)), step):
        values = measured(reader.range(name, first, min(first + step, records)), attributes)
        with np.errstate(invalid="ignore"):
            if (values != 0)[np.isfinite(values)].any():
                return True
    return records > step * (_MOST_CELLS // _CELLS)


def _rank(
    reader: CdfReader, name: str, units: str, table: InstrumentTable, axes: VariableAxes
) -> tuple[int, int, int, int]:
    """Quantity, trace or not, angles, species: each the lower, the sooner it is drawn."""
    attributes = reader.attributes(name)
    keys = ("FIELDNAM", "LABLAXIS", "CATDESC", "DICT_KEY")
    texts = [name, *(str(attributes.get(key, "")) for key in keys)]
    text = _words(" ".join(texts).replace("_", " "))
    known = f"{text} {units.lower()}"
    quantity = next(
        (place for place, words in enumerate(_QUANTITIES) if words.search(known)), len(_QUANTITIES)
    )
    # The name decides before the description, which may mention other species.
    species = next(
        (
            place
            for each in (_words(name.replace("_", " ")), text)
            for place, words in enumerate(_SPECIES)
            if words.search(each)
        ),
        1,
    )
    angles = 0 if not axes.angle_axes else 1 if table.pitch_angle else 2
    return quantity, max(0, species - 1), angles, species
