"""Which differential fluxes can be integrated to an energy flux, by their units."""

from __future__ import annotations

import re
from collections import Counter

from spectro_mpi.instruments.units import readable, without_slashes
from spectro_mpi.model.atlas_values import Measure
from spectro_mpi.model.spectrogram import Spectrogram

ENERGY_FLUX_UNITS = "eV/(cm^2 s sr)"
_POWER = re.compile(r"([A-Za-z#]+)((?:⁻)?[⁰¹²³⁴⁵⁶⁷⁸⁹]*)")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_ENERGIES = {"eV": 1.0, "keV": 1e3, "MeV": 1e6, "GeV": 1e9}
_SECONDS, _ANGLES = ("s", "sec", "second"), ("sr", "ster", "str")
_AREAS = {"cm": 1.0, "m": 1e-4}
_NUMBERS = ("#", "particles", "electrons", "ions", "protons")


def measure_of(spectrogram: Spectrogram) -> Measure:
    """What the bands of a spectrogram are mapped as.

    A differential energy or number flux over energy is integrated to the energy flux, in
    eV/(cm^2 s sr); of anything else the mean over the band is taken, in its own units.
    """
    legend = spectrogram.legend
    known = _flux(legend.units) if (legend.axis, legend.axis_units) == ("energy", "eV") else None
    if known is None:
        what = legend.long_name or legend.label or spectrogram.quantity
        units = legend.units or "1"
        return Measure(spectrogram.quantity, units, f"{what}, mean of the channels of the band")
    power, factor = known
    return Measure(
        "energy_flux",
        ENERGY_FLUX_UNITS,
        "Energy flux, integral of the differential energy flux over the band",
        power,
        factor,
        True,
    )


def _flux(units: str) -> tuple[int, float] | None:
    """Power of the energy and factor that make eV/(cm² s sr eV) of values; None: no flux."""
    powers: Counter[str] = Counter()
    for word in re.split(r"[\s·*]+|(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹])-", without_slashes(readable(units))):
        match = _POWER.fullmatch(word)
        if match is None:
            return None
        if match[1] not in _NUMBERS:
            powers[match[1]] += int(match[2].translate(_DIGITS) or 1)
    factor = _factor(powers, _AREAS, -2)
    for names in (_SECONDS, _ANGLES):
        if factor is None or _factor(powers, dict.fromkeys(names, 1.0), -1) is None:
            return None
    if factor is None:
        return None
    energies = [name for name in powers if name in _ENERGIES and powers[name]]
    if any(powers[name] for name in powers if name not in _ENERGIES):
        return None
    match sorted(powers[name] for name in energies):
        case []:  # the energies of value and channel cancel
            is_eflux = any(name in _ENERGIES for name in powers)
            return (0, factor) if is_eflux else None
        case [-1]:
            return 1, factor / _ENERGIES[energies[0]]
        case [-1, 1]:
            above, below = sorted(energies, key=lambda name: -powers[name])
            return 0, factor * _ENERGIES[above] / _ENERGIES[below]
    return None


def _factor(powers: Counter[str], names: dict[str, float], power: int) -> float | None:
    """Take the one of `names` that has `power` out of `powers`; its factor, or None."""
    for name, factor in names.items():
        if powers[name] == power:
            del powers[name]
            return factor
    return None
