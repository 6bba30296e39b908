"""Counts of the FAST ESA: what a telemetry code stands for, dead time, energy flux.

FAST sends 16-bit (survey) or 14-bit (burst) counts as one byte, a small floating-point format.
Level-2 files keep these bytes in `data`. Pure array science: no files, no MPI.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.uint8]

DEAD_TIME = 1.1e-7
"""Dead time τ of a count, s (`dead` of the level-2 files)."""
LEAST_LIVE = 0.1
"""The live fraction is never taken to be smaller."""
OVERFLOW = 255
"""The greatest code: this many counts or more."""

# (first code, its count, step of counts per code); each range ends at the next first code.
_LOW_CODES = (
    (0, 0, 1),
    (16, 16, 2),
    (24, 32, 4),
    (32, 64, 4),
    (48, 128, 8),
    (64, 256, 16),
    (80, 512, 32),
)
_SURVEY_CODES = (
    *_LOW_CODES,
    (96, 1024, 64),
    (112, 2048, 128),
    (128, 4096, 128),
    (160, 8192, 256),
    (192, 16384, 512),
    (224, 32768, 1024),
)
_BURST_CODES = (
    *_LOW_CODES,
    (96, 1024, 32),
    (128, 2048, 64),
    (160, 4096, 128),
    (192, 8192, 128),
)


def decode_counts(codes: Codes, burst: bool) -> NDArray[np.uint16]:
    """Decode telemetry codes: the least count that each code stands for.

    Parameters
    ----------
    codes : ndarray, any shape, uint8
        Values of the variable `data`.
    burst : bool
        Whether they are of a burst file (14-bit counts), not of a survey file (16-bit counts).

    Returns
    -------
    ndarray, same shape, uint16
        Counts, 0 to 64,512 (survey) or 16,256 (burst). Code 255, the overflow, stands for these
        or more.

    The table is that of SPEDAS (`ccvt` in fa_esa_l2_tplot).
    """
    return count_of_code(burst)[codes]


def code_steps(codes: Codes, burst: bool) -> NDArray[np.uint16]:
    """Number of counts that each code stands for: from `decode_counts` on, so many.

    Arguments as of `decode_counts`; same shape, uint16, 1 to 1024. The mean of the counts of a code
    is (step − 1)/2 above the least.
    """
    return step_of_code(burst)[codes]


@lru_cache
def count_of_code(burst: bool) -> NDArray[np.uint16]:
    """The least count of each code, ascending: (256,), uint16."""
    counts = [
        count
        for first, count, step, end in _ranges(burst)
        for count in range(count, count + step * (end - first), step)
    ]
    return np.array(counts, np.uint16)


@lru_cache
def step_of_code(burst: bool) -> NDArray[np.uint16]:
    """Number of counts that each code stands for: (256,), uint16."""
    return np.array(
        [step for first, _, step, end in _ranges(burst) for _ in range(first, end)], np.uint16
    )


def live_fraction(counts: ArrayLike, time_integ: ArrayLike) -> NDArray[np.float64]:
    """The part of the time in which a counter counts: max(1 − τC/Δt, 0.1), τ = 1.1e-7 s.

    Parameters
    ----------
    counts : array_like
        Decoded counts C of one bin and channel.
    time_integ : array_like, broadcast against `counts`
        Integration time Δt of one channel, s: the variable `time_integ`.

    Returns
    -------
    ndarray, float64
        0.1 to 1. Source: fa_convert_esa_units of SPEDAS.
    """
    return np.maximum(live_time(counts, time_integ), LEAST_LIVE)


def live_time(counts: ArrayLike, time_integ: ArrayLike) -> NDArray[np.float64]:
    """1 − τC/Δt: the live fraction without its lower limit. Arguments as of `live_fraction`."""
    counts, time_integ = np.asarray(counts, np.float64), np.asarray(time_integ, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - DEAD_TIME * counts / time_integ)


def one_count_level(
    geom_factor: ArrayLike, gf: ArrayLike, eff: ArrayLike, time_integ: ArrayLike
) -> NDArray[np.float64]:
    """The energy flux of one count: 1/(GF·gf·eff·Δt), eV/(cm² s sr eV).

    Parameters
    ----------
    geom_factor : array_like
        Geometric factor of one bin, cm² sr eV/eV: the variable `geom_factor`.
    gf, eff : array_like
        Relative response of a bin, and detection efficiency of a channel: the variables `gf` and
        `eff`.
    time_integ : array_like
        Integration time of one channel, s.

    Returns
    -------
    ndarray, float64
        Of the shape to which the arguments broadcast; infinite where the response is 0. Source:
        fa_esa_l2create, fa_convert_esa_units of SPEDAS.
    """
    response = np.asarray(geom_factor, np.float64)
    for factor in (gf, eff, time_integ):
        response = response * np.asarray(factor, np.float64)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / response)


def eflux_of_counts(
    counts: ArrayLike,
    geom_factor: ArrayLike,
    gf: ArrayLike,
    eff: ArrayLike,
    time_integ: ArrayLike,
) -> NDArray[np.float64]:
    """Differential energy flux of decoded counts: C/live/(GF·gf·eff·Δt), eV/(cm² s sr eV).

    `counts` are of one bin and channel; the other arguments, and the source, are those of
    `one_count_level` and `live_fraction`. float64, of the shape to which the arguments broadcast.
    """
    level = one_count_level(geom_factor, gf, eff, time_integ)
    return np.asarray(np.asarray(counts) / live_fraction(counts, time_integ) * level)


def count_variance(counts: ArrayLike, steps: ArrayLike) -> NDArray[np.float64]:
    """Square of the uncertainty of decoded counts: C + (step² − 1)/12.

    The first term is that of counting (Poisson), the second that of not knowing which of the
    `steps` counts of a code it was. Any shapes that broadcast; float64.
    """
    counts, steps = np.asarray(counts, np.float64), np.asarray(steps, np.float64)
    return np.asarray(counts + (steps**2 - 1) / 12)


def eflux_relative_error(
    counts: ArrayLike, steps: ArrayLike, time_integ: ArrayLike
) -> NDArray[np.float64]:
    """σ/(C·live): relative uncertainty of the energy flux of decoded counts.

    The flux is C/live, so that its derivative has 1/live². Where live is at its lower limit, 0.1,
    it does not depend on C: σ/C. NaN where C is 0; there the uncertainty is `one_count_level`.
    Arguments as of `count_variance` and `live_fraction`; float64.
    """
    live = live_time(counts, time_integ)
    live = np.where(live > LEAST_LIVE, live, np.where(np.isnan(live), np.nan, 1.0))
    counts = np.asarray(counts, np.float64)
    sigma = np.sqrt(count_variance(counts, steps))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, sigma / (counts * live), np.nan)


def _ranges(burst: bool) -> list[tuple[int, int, int, int]]:
    """(first code, its count, step, code after the last) of the ranges of codes."""
    ranges = (*(_BURST_CODES if burst else _SURVEY_CODES), (256, 0, 0))
    return [(*here, end) for here, (end, _, _) in pairwise(ranges)]
