"""The energy flux of an ISTP CDF, for moments: where units, energies and pitch angles allow it."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.instruments.istp_rings import Rings
from spectro_mpi.instruments.units import AxisUnit, axis_unit, readable, without_slashes
from spectro_mpi.model.distribution import EnergyFlux

log = logging.getLogger(__name__)

_FACTOR = re.compile(r"(#|[A-Za-z]+)([⁺⁻]?)([¹²³⁴]?)")
_POWERS = {"": 1, "¹": 1, "²": 2, "³": 3, "⁴": 4}
_OF_FLUX = {"cm": -2, "s": -1, "sr": -1}
_OTHER_NAMES = {"sec": "s", "second": "s", "ster": "sr", "str": "sr", "steradian": "sr"}
_NO_UNITS = ("#", "particles", "counts", "ions", "electrons", "number")


class FluxUnits:
    """What values of some units are multiplied with to be eV/(cm² s sr eV).

    Raises `ValueError` if they are neither a differential energy flux nor a number flux.
    """

    def __init__(self, units: str) -> None:
        powers: dict[str, int] = {}
        energies: dict[int, float] = {}
        """Power, 1 or −1 → factor to eV of the unit with it."""
        for name, power in _factors_of(units):
            unit = axis_unit(name)
            if unit.units == "eV" and power in (1, -1) and power not in energies:
                energies[power] = unit.factor
            elif name not in _NO_UNITS:
                powers[name] = powers.get(name, 0) + power
        if powers.get("m") == -2:
            powers["cm"], area = powers.pop("m"), 1e-4
        else:
            area = 1.0
        if powers != _OF_FLUX or -1 not in energies:
            raise ValueError(
                f'its units, "{units}", are not those of a differential flux such as '
                "1/(cm^2 s sr eV) or eV/(cm^2 s sr eV)"
            )
        self._by_energy = 1 not in energies
        self._factor = area * energies.get(1, 1.0) / energies[-1]

    def eflux(self, values: NDArray[Any], energy: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Energy flux (record, bin, channel) of values; `energy` (record or 1, channel) in eV."""
        factor = self._factor * (energy if self._by_energy else np.ones_like(energy))
        return np.asarray(values * factor[:, None, :], np.float32)


def flux_units(
    units: str, axis: AxisUnit, has_rings: bool, path: object, variable: str
) -> FluxUnits | None:
    """The units for moments of a variable; None: a sentence in the log says why there are none."""
    problem = ""
    if axis.units != "eV":
        problem = f"its channels are in {axis.units or 'no unit'}, not in a unit of energy"
    elif not has_rings:
        problem = "it has no axis of pitch angles from 0 to 180 degrees"
    else:
        try:
            return FluxUnits(units)
        except ValueError as error:
            problem = str(error)
    log.warning("%s: no moments of %s: %s", path, variable, problem)
    return None


def of_rings(eflux: NDArray[np.float32], rings: Rings) -> EnergyFlux:
    """The energy flux in rings of pitch angle from 0 to 180, which pass each direction once."""
    middle = np.broadcast_to(rings.middle.astype(np.float32), eflux.shape)
    return EnergyFlux(eflux, middle, rings.width, passes=1)


def _factors_of(units: str) -> list[tuple[str, int]]:
    """Units and their powers, as in cm⁻² s⁻¹ sr⁻¹ eV⁻¹. Raises `ValueError` for anything else."""
    plain = units.strip()
    while plain.startswith("(") and plain.endswith(")") and "(" not in plain[1:]:
        plain = plain[1:-1].strip()
    factors = []
    for word in re.split(r"[\s·*]+", without_slashes(readable(plain))):
        match = _FACTOR.fullmatch(word)
        if match is None:
            raise ValueError(f'its units, "{units}", cannot be read')
        name = _OTHER_NAMES.get(match[1].lower(), match[1])
        factors.append((name, -_POWERS[match[3]] if match[2] == "⁻" else _POWERS[match[3]]))
    return factors
