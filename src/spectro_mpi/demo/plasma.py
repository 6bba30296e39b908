"""A model of the differential energy flux at FAST, for electrons and ions.

`electron_flux` and `ion_flux` return float32 arrays of shape (record, bin, channel), in
eV/(cm² s sr eV). A population is a spectrum (record, channel) times a distribution in pitch angle
(record, bin, channel). Angles are measured from the direction into the atmosphere: 0 is
downgoing and 180 upgoing in both hemispheres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from spectro_mpi.demo.orbits import Structure
from spectro_mpi.demo.track import Conditions

Flux = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def downgoing_angle(pitch_angle: npt.NDArray[np.float32], north: npt.NDArray[np.bool_]) -> Flux:
    """Convert pitch angles, 0 to 360 degrees, to angles from the downward field line, 0 to 180.

    `pitch_angle` is (record, bin, channel), float32; `north` (record,) is true in the northern
    hemisphere, where the field points down and pitch angle 0 is downgoing.
    """
    folded = np.minimum(pitch_angle, np.float32(360) - pitch_angle)
    downgoing: Flux = np.where(north[:, None, None], folded, np.float32(180) - folded)
    return downgoing


def electron_flux(
    where: Conditions, structures: Sequence[Structure], energy: Flux, angle: Flux
) -> Flux:
    """Return the flux of electrons, (record, bin, channel), float32, in eV/(cm² s sr eV).

    `energy` is (channel,), float32, in eV; `angle` is (record, bin, channel), in degrees, from
    `downgoing_angle`.
    """
    spectrum = _plasma_sheet(where, energy, temperature=900.0, peak=3e7)
    spectrum += _polar_rain(where, energy)
    arcs, aligned, broadband = (np.zeros_like(spectrum) for _ in range(3))
    for structure in structures:
        inside = _inside(structure, where)
        if not inside.any():
            continue
        if structure.kind == "inverted-v":
            peak, beside = _inverted_v(structure, where, energy)
            arcs += peak
            aligned += beside
        elif structure.kind == "alfvenic":
            broadband += _broadband(structure, where, energy)
        else:
            sheath = 3e8 * structure.strength * inside * _ripple(structure, where, 11.0)
            spectrum += sheath[:, None] * _maxwellian(energy, 55.0)
    lost = _loss_cone(where, angle)
    flux = (spectrum + arcs)[:, None, :] * lost
    # Backscatter from the atmosphere at lower energies, and photoelectrons.
    backscatter = 0.06 * arcs.max(axis=1, keepdims=True) * (energy / 30.0) ** -0.7
    photo = _photoelectrons(where, energy)
    flux += (np.minimum(backscatter, 4e8) + photo)[:, None, :] * (1.0 - 0.6 * lost)
    if aligned.any():
        flux += aligned[:, None, :] * _cone(angle, 0.0, 14.0)
    if broadband.any():
        both_ways = _cone(angle, 0.0, 20.0) + np.float32(0.5) * _cone(angle, 180.0, 16.0)
        flux += broadband[:, None, :] * both_ways
    return flux.astype(np.float32, copy=False)


def ion_flux(where: Conditions, structures: Sequence[Structure], energy: Flux, angle: Flux) -> Flux:
    """Return the flux of ions, (record, bin, channel), float32, in eV/(cm² s sr eV).

    `energy` is (channel,), float32, in eV; `angle` is (record, bin, channel), in degrees, from
    `downgoing_angle`.
    """
    spectrum = _plasma_sheet(where, energy, temperature=5000.0, peak=1.2e7)
    beams, conics = np.zeros_like(spectrum), np.zeros_like(spectrum)
    for structure in structures:
        inside = _inside(structure, where)
        if not inside.any():
            continue
        if structure.kind == "inverted-v" and structure.ion_beam:
            beams += _ion_beam(structure, where, energy)
        elif structure.kind == "alfvenic":
            conics += 1.5 * _conic_spectrum(structure, where, energy)
        elif structure.kind == "cusp":
            spectrum += _cusp_dispersion(structure, where, energy)
            conics += 0.7 * _conic_spectrum(structure, where, energy)
    flux = spectrum[:, None, :] * _loss_cone(where, angle)
    # Cold ionospheric ions; the ram speed of the spacecraft brings them in from the side.
    ram = (2e7 * np.exp(-where.altitude / 2500.0))[:, None] * np.exp(-energy / 5.0)
    flux += ram.astype(np.float32)[:, None, :] * _cone(angle, 95.0, 40.0)
    if beams.any():
        flux += beams[:, None, :] * _cone(angle, 180.0, 13.0)
    if conics.any():
        flux += conics[:, None, :] * _cone(angle, 135.0, 11.0)
    return flux.astype(np.float32, copy=False)


def spacecraft_potential(where: Conditions, structures: Sequence[Structure]) -> Floats:
    """Return the potential of FAST, (record,), V; all fluxes are at energies as measured behind it.

    Sunlight charges FAST the more, the thinner the plasma is: high up, and in auroral cavities.
    """

    def within(*kinds: str) -> Floats:
        """How far FAST is inside structures of these kinds, 0 to 1."""
        inside = [_inside(each, where) for each in structures if each.kind in kinds]
        return np.asarray(np.max(inside, axis=0, initial=0.0))

    thinner = 1.0 + 0.5 * within("inverted-v") - 0.3 * within("alfvenic", "cusp")
    return np.asarray((1.5 + where.altitude / 900.0) * thinner)


def penetrating_rate(where: Conditions) -> Floats:
    """Return the counts/s in every cell from penetrating particles, (record,)."""
    outer_belt = np.exp(-(((where.invariant_latitude - 58.0) / 4.0) ** 2))
    return 0.8 + 40.0 * outer_belt


def _plasma_sheet(where: Conditions, energy: Flux, temperature: float, peak: float) -> Flux:
    """Return a hot Maxwellian with a power-law tail; the day side is cooler and thinner."""
    latitude = where.invariant_latitude
    night = _window(latitude, 62.5, 70.5, 1.0)
    day = 0.35 * _window(latitude, 66.0, 75.0, 1.0)
    # The two sides meet over the pole, where both densities vanish.
    density = np.where(where.day, day, night)
    # Hotter towards the equator, where field lines come closer to Earth.
    warmth = temperature * np.clip(1.0 + (68.0 - latitude) / 6.0, 0.4, 2.0)
    slow = 1.0 + 0.35 * np.sin(where.time / 47.0) * np.sin(where.time / 131.0)
    spectrum = _maxwellian(energy, warmth[:, None])
    spectrum += 0.05 * (1.0 + energy / (4.0 * warmth[:, None])) ** -1.5
    return np.asarray((peak * density * slow)[:, None] * spectrum, dtype=np.float32)


def _polar_rain(where: Conditions, energy: Flux) -> Flux:
    inside = _window(where.invariant_latitude, 74.0, 95.0, 1.5)
    patchy = 1.0 + 0.5 * np.sin(where.time / 83.0) + 0.4 * np.sin(where.time / 19.0)
    return np.asarray(2e6 * (inside * patchy)[:, None] * _maxwellian(energy, 90.0), np.float32)


def _photoelectrons(where: Conditions, energy: Flux) -> Flux:
    """Return photoelectrons: of the atmosphere, with a cutoff at 60 eV, and of FAST below 10 eV."""
    # Sunlight reaches beyond the pole, the farther the higher FAST is.
    sunlit = 0.01 + 0.99 / (1.0 + np.exp(-(where.sunward + where.altitude / 12e3) / 0.12))
    ionosphere = 5e7 * (energy / 10.0) ** -0.9 / (1.0 + (energy / 60.0) ** 6)
    spacecraft = 2e8 * np.exp(-energy / 3.0)
    uneven = 1.0 + 0.2 * np.sin(where.time / 61.0) * np.sin(where.time / 23.0)
    return np.asarray((sunlit * uneven)[:, None] * (ionosphere + spacecraft), dtype=np.float32)


def _inverted_v(structure: Structure, where: Conditions, energy: Flux) -> tuple[Flux, Flux]:
    """Return the accelerated peak with its scattered electrons, and the field-aligned part."""
    across = (where.time - structure.centre) / structure.half_width
    ripple = _ripple(structure, where, 9.0)
    inside = np.clip(1.0 - across**2, 0.0, None)
    peak_energy = np.maximum(structure.energy * inside * ripple, 30.0)[:, None]
    height = (6e8 * structure.strength * np.clip(4.0 * inside, 0.0, 1.0) * ripple)[:, None]
    ratio = energy / peak_energy
    # Widths in the logarithm of energy, above and below the peak.
    width = np.where(ratio > 1.0, 0.28, 0.16)
    accelerated = np.exp(-0.5 * (np.log(ratio) / width) ** 2)
    scattered = np.where(ratio < 1.0, 0.03 * ratio**-0.25, 0.0)
    edge = (inside > 0) * np.exp(-(((np.abs(across) - 0.9) / 0.12) ** 2))
    aligned = 1.2 * height.max(initial=0.0) * edge[:, None] * np.exp(-energy / 700.0)
    return (
        np.asarray(height * (accelerated + scattered), dtype=np.float32),
        np.asarray(aligned, dtype=np.float32),
    )


def _broadband(structure: Structure, where: Conditions, energy: Flux) -> Flux:
    """Return electrons of all energies up to about 1 keV, accelerated by Alfvén waves."""
    bursts = _inside(structure, where) * _ripple(structure, where, 5.0) ** 4
    spectrum = (energy / 100.0) ** 0.3 * np.exp(-energy / structure.energy)
    return np.asarray(4e8 * structure.strength * bursts[:, None] * spectrum, dtype=np.float32)


def _ion_beam(structure: Structure, where: Conditions, energy: Flux) -> Flux:
    across = (where.time - structure.centre) / structure.half_width
    inside = np.clip(1.0 - across**2, 0.0, None)
    beam_energy = np.maximum(0.5 * structure.energy * inside * _ripple(structure, where, 9.0), 20)
    spectrum = np.exp(-0.5 * (np.log(energy / beam_energy[:, None]) / 0.25) ** 2)
    height = 1.2e8 * structure.strength * (inside > 0)
    return np.asarray(height[:, None] * spectrum, dtype=np.float32)


def _conic_spectrum(structure: Structure, where: Conditions, energy: Flux) -> Flux:
    """Return the spectrum of ions heated across the field; the mirror force folds them upward."""
    heating = _inside(structure, where) * _ripple(structure, where, 13.0) ** 2
    hottest = np.maximum(0.3 * min(structure.energy, 1500.0) * heating, 5.0)[:, None]
    spectrum = (energy / 20.0) ** -0.3 * np.exp(-energy / hottest)
    return np.asarray(6e7 * structure.strength * heating[:, None] * spectrum, dtype=np.float32)


def _cusp_dispersion(structure: Structure, where: Conditions, energy: Flux) -> Flux:
    """Return magnetosheath ions: fast ions arrive first, slower ions farther poleward."""
    inside = _inside(structure, where)
    through = np.clip((where.time - structure.start) / (2 * structure.half_width), 0.0, 1.0)
    # On one flight path, energy falls as the inverse square of the time of flight.
    centre = structure.energy / (1.0 + 6.5 * through) ** 2
    spectrum = np.exp(-0.5 * (np.log(energy / centre[:, None]) / 0.55) ** 2)
    height = 9e7 * structure.strength * inside * _ripple(structure, where, 17.0)
    return np.asarray(height[:, None] * spectrum, dtype=np.float32)


def _maxwellian(energy: Flux, temperature: float | Floats) -> Floats:
    """Return the energy flux of a Maxwellian, normalised to 1 at its peak (2 × temperature)."""
    reduced = energy / temperature
    return np.asarray((reduced / 2.0) ** 2 * np.exp(2.0 - reduced))


def _loss_cone(where: Conditions, angle: Flux) -> Flux:
    """Return 1 where particles mirror, and nearly 0 in the upgoing loss cone."""
    edge = (180.0 - where.loss_cone).astype(np.float32)[:, None, None]
    filled: Flux = 1.0 / (1.0 + np.exp((angle - edge) / np.float32(3.0)))
    return np.asarray(np.float32(0.03) + np.float32(0.97) * filled)


def _cone(angle: Flux, centre: float, width: float) -> Flux:
    away: Flux = (angle - np.float32(centre)) / np.float32(width)
    return np.asarray(np.exp(np.float32(-0.5) * away**2))


def _inside(structure: Structure, where: Conditions) -> Floats:
    """Return 1 inside a structure and 0 outside, with an edge of a few percent of its width."""
    across = np.abs(where.time - structure.centre) / structure.half_width
    return np.clip((1.0 - across) / 0.08, 0.0, 1.0)


def _ripple(structure: Structure, where: Conditions, period: float) -> Floats:
    """Return a factor that varies from 0.6 to 1.4 within seconds, equal for all instruments."""
    since = where.time - structure.centre
    slow = np.sin(2 * np.pi * since / period + structure.phase)
    fast = np.sin(2 * np.pi * since / (period / 3.7) + 2 * structure.phase)
    return 1.0 + 0.25 * slow + 0.15 * fast


def _window(values: Floats, low: float, high: float, edge: float) -> Floats:
    rise = 1.0 / (1.0 + np.exp(-(values - low) / edge))
    fall = 1.0 / (1.0 + np.exp((values - high) / edge))
    return rise * fall
