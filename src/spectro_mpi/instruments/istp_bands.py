"""Channels of an axis without centres in the file: by labels ("13.6 - 15.1 MeV"), by the lower and
upper edges in one variable, or by settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.units import AxisUnit, axis_unit
from spectro_mpi.model.distribution import is_measured
from spectro_mpi.settings.instrument_table import InstrumentTable

_NUMBER = r"(?<![\w.])\d+(?:\.(?: ?\d+)?)?(?:[eE][-+]?\d+)?"
"""Also "33. 4", as in labels of STEREO HET."""
_RANGE = re.compile(
    rf"(?P<low>{_NUMBER})\s*(?P<first>[A-Za-z][\w/]*)?\s*(?:-|–|—|~|to\b)\s*"
    rf"(?P<high>{_NUMBER})\s*(?P<unit>[A-Za-z][\w/]*)?"
)
_CENTRE = re.compile(rf"(?<![<>≤≥] )(?<![<>≤≥])(?P<low>{_NUMBER})\s*(?P<unit>[A-Za-z][\w/]*)")


@dataclass(frozen=True, eq=False)
class Bands:
    """The channels of an axis, as its labels, its edges or the settings name them."""

    channels: NDArray[np.float64]
    """(channel, 3) centre, lower and upper edge, in eV or Hz (`unit.units`); all equal: only a
    centre is known."""
    unit: AxisUnit
    """Its factor is already applied."""


def bands_as_set(table: InstrumentTable) -> Bands | None:
    """The channels that a table gives as numbers, of which those without a unit are eV."""
    channels = np.array(table.channels, np.float64)
    if not len(channels):
        return None
    unit = axis_unit(table.energy_units or "eV")
    return Bands(channels * unit.factor, AxisUnit(unit.kind, 1.0, unit.units))


def bands_of(reader: CdfReader, name: str, units: str = "") -> Bands | None:
    """The channels in the labels of a text variable; None if not all labels name energies.

    A label names a range ("13.6 - 15.1 MeV", "900 keV to 1.2 MeV") or, if none does, a centre ("55
    keV"), in a unit of energy or frequency. `units` are those of labels without any; they may also
    be in the UNITS of the variable. The centre of a range is the geometric mean; of one that begins
    at 0, the middle.
    """
    if (
        name not in reader.names
        or "CHAR" not in reader.kind(name)
        or len(reader.shape(name)) != 1
        or reader.records(name) != 1
    ):
        return None
    units = units or str(reader.attributes(name).get("UNITS", ""))
    labels = [
        label.decode("utf-8", "replace") if isinstance(label, bytes) else str(label)
        for label in reader.static(name)
    ]
    pattern = _RANGE if any(map(_RANGE.search, labels)) else _CENTRE
    matches = filter(None, map(pattern.search, labels))
    read = [ends for match in matches if (ends := _ends(match, units)) is not None]
    if len(read) != len(labels) or len({unit.units for _, unit in read}) != 1:
        return None
    unit = read[0][1]
    return _between(np.array([ends for ends, _ in read]), AxisUnit(unit.kind, 1.0, unit.units))


def bands_of_edges(reader: CdfReader, name: str, channels: int, unit: AxisUnit) -> Bands | None:
    """The channels of a variable of shape (2, `channels`) or (`channels`, 2) with their edges.

    None if it is not one, or varies by record. `unit` is that of its numbers. Of shape (2, 2), the
    order is the one in which channels do not overlap. Centres are as in `bands_of`.
    """
    shape = reader.shape(name)
    if shape not in ((2, channels), (channels, 2)) or reader.records(name) != 1:
        return None
    ends = reader.static(name).astype(np.float64)
    fill = reader.attributes(name).get("FILLVAL")
    ends[~is_measured(ends) | (ends == fill)] = np.nan
    if shape != (channels, 2) or (channels == 2 and _overlap(ends) and not _overlap(ends.T)):
        ends = ends.T
    return _between(np.sort(ends, axis=1) * unit.factor, AxisUnit(unit.kind, 1.0, unit.units))


def _overlap(ends: NDArray[np.float64]) -> bool:
    """Whether two channels, each with its ends in a row, overlap."""
    (low, high), (other_low, other_high) = np.sort(ends, axis=1)
    return bool(low < other_high and other_low < high)


def _between(ends: NDArray[np.float64], unit: AxisUnit) -> Bands:
    """Channels by their lower and upper edges, (channel, 2)."""
    low, high = ends.T
    with np.errstate(invalid="ignore"):
        centre = np.where(low > 0, np.sqrt(low * high), (low + high) / 2)
    return Bands(np.stack([centre, low, high], axis=-1), unit)


def _ends(match: re.Match[str], units: str) -> tuple[tuple[float, float], AxisUnit] | None:
    """Lower and upper end in eV or Hz, and the unit; None: not energies or frequencies."""
    part = match.groupdict()
    upper = axis_unit(part["unit"] or "")
    if upper.kind == "y":
        upper = axis_unit(units)
    lower = axis_unit(part.get("first") or "")
    if lower.kind != upper.kind:
        lower = upper
    low = _number(part["low"])
    ends = low * lower.factor, (_number(part["high"]) if part.get("high") else low) * upper.factor
    return (ends, upper) if upper.kind != "y" and ends[0] <= ends[1] else None


def _number(text: str) -> float:
    return float(text.replace(" ", ""))
