"""Which values are a differential flux, by their units, and what makes an energy flux of them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.instruments.units import AxisUnit, axis_unit, readable, without_slashes
from spectro_mpi.model.atlas_values import Measure
from spectro_mpi.model.spectrogram import Spectrogram

log = logging.getLogger(__name__)

ENERGY_FLUX_UNITS = "eV/(cm^2 s sr)"
_WORD = re.compile(r"(#|[A-Za-z]+)((?:[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)")
_BETWEEN = re.compile(r"[\s·*]+|(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹])-")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_OTHER_NAMES = {"sec": "s", "second": "s", "ster": "sr", "str": "sr", "steradian": "sr"}
_NUMBERS = ("#", "particles", "counts", "ions", "electrons", "protons", "number")
_AREAS = {"cm": 1.0, "m": 1e-4}


@dataclass(frozen=True)
class FluxUnits:
    """Units of a differential energy or number flux."""

    by_energy: bool
    """Whether values times the energy in eV are an energy flux: they are a number flux."""
    factor: float
    """Factor that makes eV/(cm² s sr eV) of them."""

    @classmethod
    def of(cls, units: str) -> FluxUnits:
        """The flux that a UNITS attribute names. Raises `ValueError` if it names none."""
        others = Counter[str]()
        energies: dict[int, list[float]] = {1: [], -1: []}
        """Power → factors to eV of the units of energy with it."""
        for name, power in _words(units):
            unit = axis_unit(name)
            if unit.units == "eV" and power in energies:
                energies[power].append(unit.factor)
            else:
                others[name] += power
        for area, factor in _AREAS.items():
            if others == {area: -2, "s": -1, "sr": -1}:
                match energies[1], energies[-1]:
                    case [], [below]:
                        return cls(True, factor / below)
                    case [above], [below]:
                        return cls(False, factor * above / below)
        raise ValueError(
            f'its units, "{units}", are not those of a differential flux such as '
            "1/(cm^2 s sr eV) or eV/(cm^2 s sr eV)"
        )

    def eflux(self, values: NDArray[Any], energy: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Energy flux (record, bin, channel) of values; `energy` (record or 1, channel) in eV."""
        factor = self.factor * (energy if self.by_energy else np.ones_like(energy))
        return np.asarray(values * factor[:, None, :], np.float32)


def for_moments(
    units: str, axis: AxisUnit, has_rings: bool, path: object, variable: str
) -> FluxUnits | None:
    """The units of a variable with moments; None: a sentence in the log says why it has none."""
    if axis.units != "eV":
        problem = f"its channels are in {axis.units or 'no unit'}, not in a unit of energy"
    elif not has_rings:
        problem = "it has no axis of pitch angles from 0 to 180 degrees"
    else:
        try:
            return FluxUnits.of(units)
        except ValueError as error:
            problem = str(error)
    log.warning("%s: no moments of %s: %s", path, variable, problem)
    return None


def measure_of(spectrogram: Spectrogram) -> Measure:
    """What the bands of a spectrogram are mapped as.

    A differential energy or number flux over energy is integrated to the energy flux, in
    eV/(cm^2 s sr); of anything else the mean over the band is taken, in its own units.
    """
    legend = spectrogram.legend
    if (legend.axis, legend.axis_units) == ("energy", "eV"):
        with suppress(ValueError):
            flux = FluxUnits.of(legend.units)
            return Measure(
                "energy_flux",
                ENERGY_FLUX_UNITS,
                "Energy flux, integral of the differential energy flux over the band",
                int(flux.by_energy),
                flux.factor,
                True,
            )
    what = legend.long_name or legend.label or spectrogram.quantity
    units = legend.units or "1"
    return Measure(spectrogram.quantity, units, f"{what}, mean of the channels of the band")


def _words(units: str) -> list[tuple[str, int]]:
    """Units and their powers, as in cm⁻² s⁻¹ sr⁻¹ eV⁻¹, without names of particles."""
    plain = units.strip()
    if plain.startswith("(") and plain.endswith(")") and "(" not in plain[1:]:
        plain = plain[1:-1]
    words = []
    for word in _BETWEEN.split(without_slashes(readable(plain))):
        match = _WORD.fullmatch(word)
        if match is None:
            return []
        if match[1] not in _NUMBERS:
            name = _OTHER_NAMES.get(match[1].lower(), match[1])
            words.append((name, int(match[2].translate(_DIGITS) or 1)))
    return words
