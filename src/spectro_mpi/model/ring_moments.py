"""What a gyrotropic distribution's moments weigh a bin with: integrals over its ring.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_WIDEST = 45.0
"""Degrees; a bin whose half is below this is cut at one place at most."""


class RingWeights(NamedTuple):
    """Integrals over the rings of bins, sr; each of the shape of the pitch angles, float32."""

    whole: Floats
    """∫dΩ."""
    along: Floats
    """∫cos α dΩ over the part along B, α below 90°; not negative."""
    against: Floats
    """∫cos α dΩ over the part against B; not positive."""
    square: Floats
    """∫cos² α dΩ."""


def ring_weights(pitch_angle: NDArray[np.float32], width: Floats, times: float = 1) -> RingWeights:
    """Integrate over the rings of bins from `pitch_angle` − `width`/2 to `pitch_angle` + `width`/2.

    Angles of 0 to 360 pass each direction to B twice, so a bin has half of its ring (`model.rings`)
    and ∫ g dΩ = π ∫ g |sin t| dt. Bins that are cut by 0, 90, 180 or 270 are integrated part by
    part. Around the circle the integrals add up to 4π, π, −π and 4π/3.

    Parameters
    ----------
    pitch_angle : ndarray of float32, (record, bin, channel)
        Degrees, finite.
    width : ndarray, of that shape, or of length 1 along any axis
        Degrees, 0 to 360.
    times : float
        How often bins count: 2 for an axis of 0 to 180, which passes each direction once.

    Notes
    -----
    With s = |sin p|, h half of the width: a bin that is not cut has 2π s sin h, 2π s cos p sin h
    cos h (J of SPEDAS, j_2d_new), and (π/6) s (3 sin h + (3 − 4 s²) sin 3h). Single precision;
    errors are below 1e-6 sr.
    """
    half = np.asarray(width, np.float64) / 2
    if half.max(initial=0) >= _WIDEST:
        return _by_parts(pitch_angle, width, times)
    half = np.radians(half if half.size > 1 else half.reshape(()))
    unit = np.pi * times
    angle = pitch_angle * np.float32(np.pi / 180)
    cosine = np.cos(angle)
    sine = np.sin(angle, out=angle)
    np.abs(sine, out=sine)
    whole = sine * _single(2 * unit * np.sin(half))
    both = sine * cosine
    both *= _single(unit * np.sin(2 * half))
    square = sine * sine
    square *= _single(unit / -1.5 * np.sin(3 * half))
    square += _single(unit / 2 * (np.sin(half) + np.sin(3 * half)))
    square *= sine
    reach = float(np.sin(half.max()))
    for bins in _bins_within(sine, reach):
        _cut_by_axis(whole, both, square, bins, sine[:, bins], cosine[:, bins], half, unit)
    along = np.abs(both)
    along += both
    along *= np.float32(0.5)
    for bins in _bins_within(cosine, reach):
        _cut_by_plane(along, bins, sine[:, bins], cosine[:, bins], half, unit)
    return RingWeights(whole, along, np.subtract(both, along, out=both), square)


def _single(factor: Any) -> NDArray[np.float32]:
    return np.asarray(factor, np.float32)


def _bins_within(values: Floats, reach: float) -> Iterator[NDArray[np.intp]]:
    """The bins of which any cell (record, bin, channel) is nearer to 0, if there are any."""
    low, high = values.min(axis=0).min(axis=1), values.max(axis=0).max(axis=1)
    near = np.flatnonzero((low < reach) & (high > -reach))
    if len(near):
        yield near


def _of_bins(array: NDArray[Any], bins: NDArray[np.intp]) -> NDArray[Any]:
    return array if array.ndim < 3 or array.shape[1] == 1 else array[:, bins]


def _cut_by_axis(
    whole: Floats,
    both: Floats,
    square: Floats,
    bins: NDArray[np.intp],
    sine: Floats,
    cosine: Floats,
    half: NDArray[np.float64],
    unit: float,
) -> None:
    """Replace, in place, the weights of those cells of some bins that 0 or 180 cuts.

    With the distance d from it, these are (× π) 2 (1 − cos h cos d), (1 − cos 2h cos 2d)/2, and a
    third of 2 − cos³(h + d) − cos³(h − d).
    """
    half = _of_bins(half, bins)
    cut = sine < _single(np.sin(half))
    squared = sine * sine
    near = squared / (1 + np.abs(cosine))  # 1 − cos d
    threefold = near * np.square(3 - 2 * near)  # 1 − cos 3d
    single = _single(1 - np.cos(half)) + _single(np.cos(half)) * near
    triple = _single(1 - np.cos(3 * half)) + _single(np.cos(3 * half)) * threefold
    double = _single(1 - np.cos(2 * half)) + _single(2 * np.cos(2 * half)) * squared
    factor = np.float32(unit)
    whole[:, bins] = np.where(cut, 2 * factor * single, whole[:, bins])
    both[:, bins] = np.where(cut, np.copysign(factor / 2 * double, cosine), both[:, bins])
    square[:, bins] = np.where(cut, factor / 6 * (3 * single + triple), square[:, bins])


def _cut_by_plane(
    along: Floats,
    bins: NDArray[np.intp],
    sine: Floats,
    cosine: Floats,
    half: NDArray[np.float64],
    unit: float,
) -> None:
    """Replace, in place, what the cells of some bins that 90 or 270 cuts have along B.

    With the distance e of the centre from the plane, positive along B, it is (π/2) sin²(h + e).
    """
    half = _of_bins(half, bins)
    cut = np.abs(cosine) < _single(np.sin(half))
    part = _single(1 - np.cos(2 * half)) + _single(2 * np.cos(2 * half)) * np.square(cosine)
    part += _single(2 * np.sin(2 * half)) * (cosine * sine)
    along[:, bins] = np.where(cut, np.float32(unit / 4) * part, along[:, bins])


def _by_parts(angle: Floats, width: Floats, times: float) -> RingWeights:
    """The weights of bins of any width, by differences of antiderivatives in double precision."""
    middle, half = angle.astype(np.float64), np.asarray(width, np.float64) / 2
    low, high = middle - half, middle + half

    def difference(of: Any) -> NDArray[np.float32]:
        return np.asarray(np.pi * times * (of(high) - of(low)), np.float32)

    return RingWeights(
        difference(_of_sine),
        difference(_of_along),
        difference(lambda t: _of_along(-180.0) - _of_along(t - 180.0)),
        difference(_of_square),
    )


def _of_sine(t: Floats) -> NDArray[np.float64]:
    """∫|sin t| dt from 0, t in degrees."""
    turns, rest = np.divmod(t, 180.0)
    return np.asarray(2 * turns + 1 - np.cos(np.radians(rest)))


def _of_square(t: Floats) -> NDArray[np.float64]:
    """∫|sin t| cos² t dt."""
    turns, rest = np.divmod(t, 180.0)
    return np.asarray((2 * turns + 1 - np.cos(np.radians(rest)) ** 3) / 3)


def _of_along(t: Any) -> NDArray[np.float64]:
    """∫|sin t| max(cos t, 0) dt."""
    turns, rest = np.divmod(t, 360.0)
    half = np.square(np.sin(np.radians(rest))) / 2
    within = np.where(rest < 90, half, np.where(rest < 270, 0.5, 1 - half))
    return np.asarray(turns + within)
