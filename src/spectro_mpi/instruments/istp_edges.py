"""Find the edges of channels that an ISTP CDF reports for its axis of energy or frequency.

DELTA_MINUS_VAR and DELTA_PLUS_VAR of the axis variable name its distances to the edges (on data
they name uncertainties); an attribute such as BOUNDS names the edges themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp_axes import VariableAxes, is_usable
from spectro_mpi.instruments.units import axis_unit

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


def reported_edges(reader: CdfReader, axes: VariableAxes) -> ReportedEdges | None:
    """The edges that the axis variable names; None if the file reports none that fit the axis."""
    attributes = {key.upper(): str(text) for key, text in reader.attributes(axes.energy).items()}
    for key in _BOUNDS:
        pair = _pair(reader, axes, attributes.get(key, ""))
        if pair is not None:
            return ReportedEdges(*pair, are_distances=False)
    names = [attributes.get(key, "") for key in ("DELTA_MINUS_VAR", "DELTA_PLUS_VAR")]
    for name in names:
        pair = _pair(reader, axes, name)
        if pair is not None:
            return ReportedEdges(*pair, are_distances=None)
    lower, upper = (
        EdgeVariable(name, factor=_factor(reader, axes, name))
        if is_usable(reader, name, axes.records)
        and reader.shape(name) in ((), reader.shape(axes.energy))
        else None
        for name in names
    )
    if lower is None and upper is None:
        return None
    return ReportedEdges(lower, upper, are_distances=True)


def is_log_axis(reader: CdfReader, name: str) -> bool | None:
    """Whether SCALETYP of a variable is "log"; None: it is neither that nor "linear"."""
    scale = str(reader.attributes(name).get("SCALETYP", "")).strip().lower()
    return True if scale.startswith("log") else False if scale.startswith("lin") else None


def _pair(
    reader: CdfReader, axes: VariableAxes, name: str
) -> tuple[EdgeVariable, EdgeVariable] | None:
    """Lower and upper edge in one variable of shape (2, n) or (n, 2); None if it is not one."""
    shape = reader.shape(axes.energy)
    if not is_usable(reader, name, axes.records) or reader.shape(name) not in (
        (2, *shape),
        (*shape, 2),
    ):
        return None
    axis = 0 if reader.shape(name) == (2, *shape) else len(shape)
    factor = _factor(reader, axes, name)
    return EdgeVariable(name, (axis, 0), factor), EdgeVariable(name, (axis, 1), factor)


def _factor(reader: CdfReader, axes: VariableAxes, name: str) -> float:
    """Factor to the unit of the axis: by the variable's own UNITS if these are of its kind."""
    units = [str(reader.attributes(each).get("UNITS", "")) for each in (axes.energy, name)]
    own = axis_unit(units[1])
    is_other = units[0].strip() != units[1].strip() and own.kind == axes.unit.kind != "y"
    return own.factor if is_other else axes.unit.factor
