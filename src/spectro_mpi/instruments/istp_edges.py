"""Find the edges that an ISTP CDF reports for an axis of energy, frequency or pitch angle.

DELTA_MINUS_VAR and DELTA_PLUS_VAR of the axis variable name its distances to the edges (on data
they name uncertainties); an attribute such as BOUNDS names the edges themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp_axes import is_usable
from spectro_mpi.instruments.units import AxisUnit, axis_unit, degrees_in

_BOUNDS = ("BOUNDS", "BOUNDS_VAR", "BIN", "BINS", "BIN_BOUNDS", "BIN_EDGES", "BIN_VAR", "EDGES")


@dataclass(frozen=True)
class EdgeVariable:
    """One edge of all channels, as a variable, or a part of one, gives it."""

    name: str
    part: tuple[int, int] | None = None
    """(axis of a record, index along it) of the values; None: the whole variable."""
    factor: float = 1.0
    """Factor that converts the values to the unit of the axis."""


@dataclass(frozen=True)
class ReportedEdges:
    """The variables with the edges of an axis. One that is missing lies at the centre."""

    lower: EdgeVariable | None
    upper: EdgeVariable | None
    are_distances: bool | None
    """Whether they are distances from the centres; None: if they do not enclose the centres."""


def reported_edges(
    reader: CdfReader, axis: str, records: int, unit: AxisUnit
) -> ReportedEdges | None:
    """The edges that the variable `axis` names; None if the file reports none that fit it.

    `records` is the number of records of the value, `unit` what `axis` is converted to.
    """
    attributes = {key.upper(): str(text) for key, text in reader.attributes(axis).items()}
    for key in _BOUNDS:
        pair = _pair(reader, axis, records, unit, attributes.get(key, ""))
        if pair is not None:
            return ReportedEdges(*pair, are_distances=False)
    names = [attributes.get(key, "") for key in ("DELTA_MINUS_VAR", "DELTA_PLUS_VAR")]
    for name in names:
        pair = _pair(reader, axis, records, unit, name)
        if pair is not None:
            return ReportedEdges(*pair, are_distances=None)
    lower, upper = (
        EdgeVariable(name, factor=_factor(reader, axis, unit, name))
        if is_usable(reader, name, records) and reader.shape(name) in ((), reader.shape(axis))
        else None
        for name in names
    )
    if lower is None and upper is None:
        return None
    return ReportedEdges(lower, upper, are_distances=True)


def is_log_axis(reader: CdfReader, name: str) -> bool | None:
    """Whether SCALETYP of a variable is "log"; None: neither that nor "linear", or no variable."""
    if name not in reader.names:
        return None
    scale = str(reader.attributes(name).get("SCALETYP", "")).strip().lower()
    return True if scale.startswith("log") else False if scale.startswith("lin") else None


def _pair(
    reader: CdfReader, axis: str, records: int, unit: AxisUnit, name: str
) -> tuple[EdgeVariable, EdgeVariable] | None:
    """Lower and upper edge in one variable of shape (2, n) or (n, 2); None if it is not one."""
    shape = reader.shape(axis)
    if not is_usable(reader, name, records) or reader.shape(name) not in (
        (2, *shape),
        (*shape, 2),
    ):
        return None
    place = 0 if reader.shape(name) == (2, *shape) else len(shape)
    factor = _factor(reader, axis, unit, name)
    return EdgeVariable(name, (place, 0), factor), EdgeVariable(name, (place, 1), factor)


def _factor(reader: CdfReader, axis: str, unit: AxisUnit, name: str) -> float:
    """Factor to the unit of the axis: by the variable's own UNITS if these are of its kind."""
    units = [str(reader.attributes(each).get("UNITS", "")) for each in (axis, name)]
    angles = [degrees_in(each) for each in units]
    if angles[0] and angles[1]:
        return unit.factor * angles[1] / angles[0]
    own = axis_unit(units[1])
    is_other = units[0].strip() != units[1].strip() and own.kind == unit.kind != "y"
    return own.factor if is_other else unit.factor
