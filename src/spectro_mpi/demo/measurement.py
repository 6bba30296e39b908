"""Simulated measurements: the records of a file, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spectro_mpi.demo.cdf import cdf_epoch
from spectro_mpi.demo.orbits import FilePlan, OrbitPlan, Segment
from spectro_mpi.demo.plasma import (
    downgoing_angle,
    electron_flux,
    ion_flux,
    penetrating_rate,
    spacecraft_potential,
)
from spectro_mpi.demo.records import BLOCK_RECORDS
from spectro_mpi.demo.tables import BINS, CHANNELS, FILL, Instrument, Mode, master, mode_tables
from spectro_mpi.demo.telemetry import encode
from spectro_mpi.demo.track import ORBIT_SECONDS
from spectro_mpi.instruments.fast_esa_counts import decode_counts

Columns = dict[str, npt.NDArray[np.generic]]
Floats = npt.NDArray[np.float64]

_OVERFLOW, _DEAD_TIME = 2, 4  # bits of data_quality
_LOST_RECORDS = 3  # records lost in one telemetry error


def measure(orbit: OrbitPlan, file: FilePlan) -> Iterator[Columns]:
    """Yield the record-varying variables of a file, in blocks of up to BLOCK_RECORDS records.

    All records of a block have the same mode; the tables of the mode have a single record that
    applies to the whole block.
    """
    key = (orbit.orbit, *file.instrument.name.encode(), file.version)
    rng = np.random.default_rng(np.random.SeedSequence(orbit.seed, spawn_key=key))
    for segment in file.segments:
        for first in range(0, segment.count, BLOCK_RECORDS):
            count = min(BLOCK_RECORDS, segment.count - first)
            block = Segment(
                segment.mode, segment.start + first * segment.cadence, segment.cadence, count
            )
            yield _measure_block(rng, orbit, file, block)


def eflux_of_codes(
    codes: npt.NDArray[np.uint8], mode: Mode, integration: float, burst: bool
) -> npt.NDArray[np.float32]:
    """Convert telemetry codes to differential energy flux.

    `codes` is (record, nbins, nenergy), uint8; the flux is float32 of the same shape, in
    eV/(cm² s sr eV). `integration` is the integration time in s. The formula is that of level 2:
    counts, corrected for dead time, over response and integration time.
    """
    counts = decode_counts(codes, burst).astype(np.float64)
    live = np.maximum(1.0 - master()["tables"]["dead"] * counts / integration, 0.1)
    return np.asarray(counts / live / (mode.response * integration), dtype=np.float32)


def _measure_block(
    rng: np.random.Generator, orbit: OrbitPlan, file: FilePlan, block: Segment
) -> Columns:
    mode, instrument = mode_tables(block.mode), file.instrument
    start = block.record_starts()
    end = start + block.cadence
    centre = (start + end) / 2
    integration = block.cadence / mode.nenergy
    shift = _theta_shift(orbit, centre)
    pitch_angle = np.full((block.count, BINS, CHANNELS), FILL, dtype="<f4")
    used = np.s_[:, : mode.nbins, : mode.nenergy]
    theta = mode.theta[used[1:]]
    pitch_angle[used] = (theta + shift[:, None, None]) % np.float32(360)

    where = orbit.track.conditions(centre)
    flux_of = electron_flux if instrument.electrons else ion_flux
    angle = downgoing_angle(pitch_angle[used], where.north)
    flux = flux_of(where, orbit.structures, mode.energy[0, : mode.nenergy], angle)
    noise = (penetrating_rate(where) + file.noise) * integration
    expected = flux * (mode.response * np.float32(integration)) + noise[:, None, None]
    codes = encode(rng.poisson(expected), instrument.burst)
    valid = _spoil(rng, codes)
    quality = _quality(codes, instrument, integration)

    data = np.zeros((block.count, BINS, CHANNELS), dtype="u1")
    data[used] = codes
    eflux = np.full_like(pitch_angle, FILL)
    eflux[used] = eflux_of_codes(codes, mode, integration, instrument.burst)

    def every(value: float, dtype: str) -> npt.NDArray[np.generic]:
        return np.full(block.count, value, dtype=dtype)

    return {
        "epoch": cdf_epoch(centre),
        "time_unix": centre,
        "time_start": start,
        "time_end": end,
        "time_delta": every(block.cadence, "<f8"),
        "time_integ": every(integration, "<f8"),
        "header_bytes": _headers(start, mode),
        "valid": valid,
        "data_quality": quality,
        "nbins": every(mode.nbins, "u1"),
        "nenergy": every(mode.nenergy, "u1"),
        "geom_factor": every(float(mode.geom_factor), "<f4"),
        "gf_ind": every(sorted(file.modes).index(mode.index), "<i2"),
        "bins_ind": every(sorted(file.modes).index(mode.index), "<i2"),
        "mode_ind": every(mode.index, "u1"),
        "theta_shift": shift,
        "theta_max": shift + theta.max(),
        "theta_min": shift + theta.min(),
        "bkg": every(0.0, "<f4"),
        "sc_pot": spacecraft_potential(where, orbit.structures).astype("<f4"),
        "data": data,
        "eflux": eflux,
        "energy_full": mode.energy[None],
        "denergy_full": mode.denergy[None],
        "pitch_angle": pitch_angle,
        "domega": mode.domega[None],
    }


def _theta_shift(orbit: OrbitPlan, time: Floats) -> npt.NDArray[np.float32]:
    """Return the angle of the field in the frame of the instrument, (record,), in degrees.

    It drifts with the direction of the field, and is rounded to the 0.1° of the magnetometer.
    """
    along = 2 * np.pi * (time - orbit.track.start) / ORBIT_SECONDS
    drift = 25.0 * np.sin(along + orbit.orbit) + 4.0 * np.sin(time / 40.0)
    return np.asarray(np.round(drift, 1), dtype="<f4")


def _spoil(rng: np.random.Generator, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
    """Occasionally overwrite records with telemetry noise, in place; return `valid`."""
    valid = np.ones(len(codes), dtype="<i2")
    if rng.random() < 0.15 * len(codes) / BLOCK_RECORDS:
        first = int(rng.integers(len(codes)))
        lost = np.s_[first : first + _LOST_RECORDS]
        codes[lost] = rng.integers(0, 256, codes[lost].shape, dtype=np.uint8)
        valid[lost] = 0
    return valid


def _quality(
    codes: npt.NDArray[np.uint8], instrument: Instrument, integration: float
) -> npt.NDArray[np.uint8]:
    greatest = codes.max(axis=(1, 2))
    dead = master()["tables"]["dead"] * decode_counts(greatest, instrument.burst) / integration
    quality = _OVERFLOW * (greatest == 255) + _DEAD_TIME * (dead > 0.9)
    return np.asarray(quality, dtype=np.uint8)


def _headers(start: Floats, mode: Mode) -> npt.NDArray[np.uint8]:
    """Return packet headers; only time, sequence counter and mode are simulated."""
    headers = np.zeros((len(start), 44), dtype="u1")
    headers[:, :4] = start.astype(">u4").view("u1").reshape(-1, 4)
    headers[:, 4] = mode.index << 4
    headers[:, 5] = np.arange(len(start)) % 256
    return headers
