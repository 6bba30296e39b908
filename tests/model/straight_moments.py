"""Moments written down a second time: one cell after the other, in double precision."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi, radians, sin, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ERG = 1.602177e-12


class Particle(NamedTuple):
    mass: float
    """eV/(km/s)²."""
    charge: int


ELECTRON, PROTON = Particle(5.68566e-6, -1), Particle(1.04389e-2, 1)


def ring(angle: float, width: float) -> tuple[float, float, float, float]:
    """π ∫|sin t| g(cos t) dt for g = 1, max(cos, 0), min(cos, 0), cos², cut at multiples of 90."""
    low, high = angle - width / 2, angle + width / 2
    ends = sorted({low, high} | {90.0 * n for n in range(-8, 13) if low < 90.0 * n < high})
    whole = along = against = square = 0.0
    for a, b in pairwise(ends):
        first, last = radians(a), radians(b)
        whole += abs(cos(first) - cos(last))
        part = abs(sin(last) ** 2 - sin(first) ** 2) / 2
        if cos(radians((a + b) / 2)) > 0:
            along += part
        else:
            against -= part
        square += abs(cos(first) ** 3 - cos(last) ** 3) / 3
    return pi * whole, pi * along, pi * against, pi * square


def moments(
    eflux: NDArray[Any],
    angle: NDArray[Any],
    width: float,
    energy: NDArray[Any],
    denergy: NDArray[Any],
    particle: Particle,
    *,
    energies: tuple[float, float] = (0.0, 1e9),
    shift: float = 0.0,
    sigma: NDArray[Any] | None = None,
) -> dict[str, float]:
    """Moments of one record, (bin, channel) along B, and their uncertainties `NAME_error`.

    `shift` is what is added to energies, V; cells that are NaN do not count. Uncertainties are
    found by moving the cells, one by one.
    """
    names = ("n", "along", "against", "e_along", "e_against", "omni", "parallel", "across")
    bins, channels = eflux.shape
    cells = np.zeros((len(names), bins, channels))
    mass = particle.mass
    for channel in range(channels):
        middle, reach = float(energy[channel]), float(denergy[channel]) / 2
        if reach <= 0 or not energies[0] <= middle <= energies[1]:
            continue
        low, high = max(middle - reach + shift, 0.0), max(middle + reach + shift, 0.0)
        e, de = (low + high) / 2, high - low
        for number in range(bins):
            if not np.isfinite(angle[number, channel]):
                continue
            f = 1 / (middle**2 * 2 / mass**2 * 1e5)  # of eflux 1
            whole, along, against, square = ring(float(angle[number, channel]), width)
            of_density = sqrt(2) * mass**-1.5 * de * sqrt(e) * f
            of_flux = 2e5 / mass**2 * de * e * f
            of_second = sqrt(2) * mass**-1.5 * de * e**1.5 * f
            cells[:, number, channel] = (
                of_density * whole,
                of_flux * along,
                of_flux * against,
                of_flux * e * ERG * along,
                of_flux * e * ERG * against,
                of_flux * whole,
                2 * of_second * square,
                of_second * (whole - square),
            )
    known = np.isfinite(eflux)
    flux = np.where(known, eflux, 0.0).astype(np.float64)
    sums = (np.where(known, cells, 0) * flux).sum(axis=(1, 2))
    values = _derived(sums, mass)
    if sigma is None:
        return values
    squares = dict.fromkeys(values, 0.0)
    for number, channel in np.ndindex(bins, channels):
        if not known[number, channel] or not cells[0, number, channel]:
            continue
        step = 1e-3 * float(sigma[number, channel])
        ends = [_derived(sums + sign * step * cells[:, number, channel], mass) for sign in (1, -1)]
        for name in squares:
            squares[name] += ((ends[0][name] - ends[1][name]) / 2e-3) ** 2
    return values | {f"{name}_error": sqrt(square) for name, square in squares.items()}


def _derived(sums: NDArray[np.float64], mass: float) -> dict[str, float]:
    n, along, against, e_along, e_against, omni, parallel, across = sums.tolist()
    net = along + against
    p_parallel = parallel - mass * n * (net / n * 1e-5) ** 2
    return {
        "density": n,
        "number_flux 0": along,
        "number_flux 1": against,
        "number_flux 2": net,
        "energy_flux 0": e_along,
        "energy_flux 1": e_against,
        "energy_flux 2": e_along + e_against,
        "omnidirectional_flux": omni,
        "velocity": net / n * 1e-5,
        "pressure_parallel": p_parallel,
        "pressure_perpendicular": across,
        "temperature_parallel": p_parallel / n,
        "temperature_perpendicular": across / n,
        "temperature": (p_parallel + 2 * across) / (3 * n),
    }


def maxwellian(
    energy: NDArray[Any],
    angle: NDArray[Any],
    particle: Particle,
    density: float,
    temperature: float,
    drift: float = 0.0,
    potential: float = 0.0,
) -> NDArray[np.float64]:
    """Energy flux of a drifting Maxwellian: (channel,), (bin, channel) → (bin, channel).

    With a potential of the spacecraft, f of the energy E + sign(q) Φ far away is measured at E.
    """
    mass = particle.mass
    far = np.maximum(energy + particle.charge * potential, 0.0)
    speed, pitch = np.sqrt(2 * far / mass), np.radians(angle)
    away = (speed * np.cos(pitch) - drift) ** 2 + (speed * np.sin(pitch)) ** 2
    f = density * (mass / (2 * np.pi * temperature)) ** 1.5 * np.exp(-mass * away / 2 / temperature)
    f = np.where(energy + particle.charge * potential > 0, f, 0.0)
    return np.asarray(f * energy**2 * 2 / mass**2 * 1e5)
