"""Read ephemeris files: `fa_k0_orb_*` of FAST, or files of any mission with ISTP attributes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.inert import inert
from spectro_mpi.instruments.cdf import Attribute, CdfReader
from spectro_mpi.instruments.istp_variables import measured
from spectro_mpi.instruments.times import texts_on_time, time_unit_of, unix_seconds
from spectro_mpi.instruments.units import degrees_in, readable
from spectro_mpi.model.ephemeris import Ephemeris, Variable
from spectro_mpi.model.spectrogram import SEPARATOR
from spectro_mpi.settings.ephemeris import EphemerisSettings, component_of
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

_TIMES = ("epoch", "unix_time", "time", "time_unix")
"""Variables that may hold the times if no attribute names one, in lower case."""
_KNOWN = {
    "alt": ("km", "Altitude", 0.0),
    "ilat": ("degrees", "Invariant latitude", 0.0),
    "mlt": ("h", "Magnetic local time", 24.0),
    "flat": ("degrees", "Latitude of the footprint", 0.0),
    "flng": ("degrees", "Longitude of the footprint", 360.0),
}
"""Name → units, long name and period of what has a meaning to the program."""
_METRES = ("m", "meter", "meters", "metre", "metres")


def read_ephemeris(reader: CdfReader, settings: EphemerisSettings) -> Ephemeris:
    """Read the variables of `[ephemeris]` in a file; those it lacks are named in the log, once.

    Names match in any case. Raises `InvalidCdfError` if it has no times or none of the variables.
    """
    names = {name.lower(): name for name in sorted(reader.names)}
    found: dict[str, tuple[str, int | None]] = {}
    for name, given in settings.variables.items():
        variable, index = component_of(given)
        if variable.lower() in names:
            found[name] = names[variable.lower()], index
    missing = [given for name, given in settings.variables.items() if name not in found]
    if not found:
        raise InvalidCdfError(f"{reader.path}: has no variable {', '.join(missing)}")
    if missing:
        _say_missing(tuple(missing), reader.path.name)
    time = _times(reader, _time_name(reader, settings.time, names, found.values()))
    variables = [
        _variable(reader, name, variable, index, len(time))
        for name, (variable, index) in found.items()
    ]
    order = np.argsort(time, kind="stable")  # NaN last
    order = order[np.isfinite(time[order])]
    return Ephemeris(
        time[order],
        tuple(_taken(variable, order) for variable in variables),
        inert(reader.path.name),
    )


def joined(parts: Sequence[Ephemeris]) -> Ephemeris:
    """One ephemeris of the files of an item, in order of time."""
    if len(parts) == 1:
        return parts[0]
    time = np.concatenate([part.time for part in parts])
    order = np.argsort(time, kind="stable")
    kinds = {each.name: each for part in reversed(parts) for each in part.variables}
    variables = []
    for name, kind in kinds.items():
        values = [
            next(
                (each.values for each in part.variables if each.name == name),
                np.full(part.time.shape, np.nan),
            )
            for part in parts
        ]
        variables.append(replace(kind, values=np.concatenate(values)[order]))
    source, sha256 = (
        SEPARATOR.join(texts) for texts in zip(*((p.source, p.sha256) for p in parts), strict=True)
    )
    return Ephemeris(time[order], tuple(variables), source, sha256)


def _say_missing(names: tuple[str, ...], file: str) -> None:
    if names not in _SAID:
        _SAID.add(names)
        log.warning("%s, and files like it: no variable %s", file, ", ".join(names))


_SAID: set[tuple[str, ...]] = set()
"""Names that a warning has said to be missing: thousands of files are alike."""


def _time_name(
    reader: CdfReader,
    given: str,
    names: dict[str, str],
    variables: Iterable[tuple[str, int | None]],
) -> str:
    """The variable of the times. Raises `InvalidCdfError` if there is none."""
    if given:
        if given.lower() in names:
            return names[given.lower()]
        raise InvalidCdfError(f"{reader.path}: has no variable {given}")
    for variable, _ in variables:
        depend = reader.attributes(variable).get("DEPEND_0")
        if isinstance(depend, str) and depend.lower() in names:
            return names[depend.lower()]
    for name in _TIMES:
        if name in names:
            return names[name]
    raise InvalidCdfError(f"{reader.path}: has no variable of times")


def _times(reader: CdfReader, name: str) -> NDArray[np.float64]:
    """(point,) s since 1970 UTC; NaN where missing."""
    kind, attributes = reader.kind(name), reader.attributes(name)
    units = str(attributes.get("UNITS", ""))
    try:
        unit = time_unit_of(kind, units, texts_on_time(name, attributes))
    except ValueError as error:
        if name.lower() not in _TIMES or name.lower() == "epoch":
            raise InvalidCdfError(f"{reader.path}: {name} {error}") from None
        # The FAST key parameters count in s since 1970, whether an attribute says so or not.
        unit = time_unit_of("CDF_DOUBLE", "seconds since 1970-01-01", [])
    time = unix_seconds(_numbers(reader, name), unit).reshape(-1)
    if not np.isfinite(time).any():
        raise InvalidCdfError(f"{reader.path}: none of its times is valid ({name})")
    return time


def _variable(
    reader: CdfReader, name: str, variable: str, index: int | None, points: int
) -> Variable:
    """One variable, or a component of it. Raises `InvalidCdfError` if it does not fit the times."""
    if reader.records(variable) != points:
        raise InvalidCdfError(
            f"{reader.path}: {variable} has {reader.records(variable)} records, expected {points}, "
            "as its times have"
        )
    attributes = reader.attributes(variable)
    values = measured(_numbers(reader, variable), attributes).astype(np.float64)
    values = values.reshape(points, -1)
    components = values.shape[1]
    if (index or 0) >= components or (index is None and components > 1):
        raise InvalidCdfError(
            f"{reader.path}: {variable} has {count(components, 'component')}; name one, as in "
            f"{variable}[0]"
        )
    values = values[:, index or 0]
    values[np.isinf(values)] = np.nan
    units = readable(str(attributes.get("UNITS", ""))).strip()
    long_name = readable(str(attributes.get("CATDESC", "") or attributes.get("FIELDNAM", "")))
    if name in _KNOWN:
        known_units, known_name, period = _KNOWN[name]
        if name == "alt" and units.lower() in _METRES:
            values = values / 1e3
        return Variable(name, values, known_units, known_name, period)
    is_circular = degrees_in(units) is not None and _spans_circle(attributes)
    return Variable(name, values, units, long_name or variable, 360.0 if is_circular else 0.0)


def _numbers(reader: CdfReader, variable: str) -> NDArray[Any]:
    """All values of a variable. Raises `InvalidCdfError` if they are text."""
    values = reader.range(variable, 0, reader.records(variable))
    if values.dtype.kind in "SUO":
        raise InvalidCdfError(f"{reader.path}: {variable} is text, expected numbers")
    return values


def _spans_circle(attributes: Mapping[str, Attribute]) -> bool:
    """Whether the valid range of angles is a full circle, as that of longitudes."""
    low, high = attributes.get("VALIDMIN"), attributes.get("VALIDMAX")
    return isinstance(low, int | float) and isinstance(high, int | float) and high - low == 360


def _taken(variable: Variable, order: NDArray[np.intp]) -> Variable:
    return replace(variable, values=variable.values[order])
