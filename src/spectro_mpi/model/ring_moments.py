"""What a gyrotropic distribution's moments weigh a bin with: integrals over its ring.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.scratch import Scratch

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
    net: Floats
    """∫cos α dΩ, their sum."""
    square: Floats
    """∫cos² α dΩ."""


def ring_weights(
    pitch_angle: NDArray[np.float32],
    width: Floats,
    times: float = 1,
    scratch: Scratch | None = None,
) -> RingWeights:
    """Integrate over the rings of bins from `pitch_angle` − `width`/2 to `pitch_angle` + `width`/2.

    Angles of 0 to 360 pass each direction to B twice, so a bin has half of its ring (`model.rings`)
    and ∫ g dΩ = π ∫ g |sin t| dt. Bins that are cut by 0, 90, 180 or 270 are integrated part by
    part. Around the circle the integrals add up to 4π, π, −π, 0 and 4π/3.

    Parameters
    ----------
    pitch_angle : ndarray of float32, (record, bin, channel)
        Degrees, finite.
    width : ndarray, of that shape, or of length 1 along any axis
        Degrees, 0 to 360.
    times : float
        How often bins count: 2 for an axis of 0 to 180, which passes each direction once.
    scratch
        Where the results are, until those of the next call.

    Notes
    -----
    With s = |sin p|, h half of the width: a bin that is not cut has 2π s sin h, 2π s cos p sin h
    cos h (J of SPEDAS, j_2d_new), and (2π/3) s (sin³ h + cos² p sin 3h). What a cut adds depends
    only on how far the bin reaches beyond it. Single precision; errors are below 1e-6 sr.
    """
    half = np.asarray(width, np.float64) / 2
    if half.max(initial=0) >= _WIDEST:
        return _by_parts(pitch_angle, width, times)
    half = np.radians(half if half.size > 1 else half.reshape(()))
    unit = np.pi * times
    of = scratch or Scratch()
    shape = pitch_angle.shape
    angle = np.multiply(pitch_angle, np.float32(np.pi / 180), out=of.take("sine", shape))
    cosine = np.cos(angle, out=of.take("cosine", shape))
    sine = np.abs(np.sin(angle, out=angle), out=angle)
    whole = np.multiply(sine, _single(2 * unit * np.sin(half)), out=of.take("whole", shape))
    net = np.multiply(sine, cosine, out=of.take("net", shape))
    net *= _single(unit * np.sin(2 * half))
    square = np.multiply(cosine, cosine, out=of.take("square", shape))
    square *= _single(unit / 1.5 * np.sin(3 * half))
    square += _single(unit / 1.5 * np.sin(half) ** 3)
    square *= sine
    from_plane = np.abs(cosine, out=of.take("from plane", shape))
    cut, beyond = _cut(sine, from_plane, half)
    added = _beyond_axis(beyond, cosine.reshape(-1)[cut], unit)
    for weight, part in zip((whole, net, square), added, strict=True):
        weight.reshape(-1)[cut] += part
    along = np.maximum(net, 0, out=of.take("along", shape))
    cut, beyond = _cut(from_plane, sine, half)
    along.reshape(-1)[cut] += np.float32(unit / 2) * np.square(beyond)
    against = np.subtract(net, along, out=sine)
    return RingWeights(whole, along, against, net, square)


def _single(factor: Any) -> NDArray[np.float32]:
    return np.asarray(factor, np.float32)


def _cut(
    near: NDArray[np.float32], far: NDArray[np.float32], half: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The cells that are cut, and the sine of the angle by which they reach beyond the cut.

    `near` and `far` are sine and cosine of their distance from it, at most 90°. Returns the places
    of the cells in the flattened arrays, (cell,), and their sines, (cell,).
    """
    cut = np.flatnonzero(near < _single(np.sin(half)))
    if half.ndim:
        half = np.broadcast_to(half, near.shape).reshape(-1)[cut]
    beyond = far.reshape(-1)[cut] * _single(np.sin(half))
    beyond -= near.reshape(-1)[cut] * _single(np.cos(half))
    return cut, beyond


def _beyond_axis(
    beyond: NDArray[np.float32], cosine: NDArray[np.float32], unit: float
) -> tuple[Floats, Floats, Floats]:
    """What 0 or 180 adds to ∫dΩ, ∫cos α dΩ and ∫cos² α dΩ of cells that it cuts.

    Of x beyond the axis, whose sine is `beyond`, these are (× π) 2 (1 − cos x), sin² x with the
    sign of the axis, and ⅔ (1 − cos³ x): there the sign of sin p is the other one. All (cell,).
    """
    squared = np.square(beyond)
    near = np.sqrt(1 - squared)
    less = squared / (1 + near)  # 1 − cos x
    return (
        np.float32(2 * unit) * less,
        np.copysign(np.float32(unit) * squared, cosine),
        np.float32(unit / 1.5) * less * (1 + near + np.square(near)),
    )


def _by_parts(angle: Floats, width: Floats, times: float) -> RingWeights:
    """The weights of bins of any width, by differences of antiderivatives in double precision."""
    middle, half = angle.astype(np.float64), np.asarray(width, np.float64) / 2
    low, high = middle - half, middle + half

    def difference(of: Any) -> NDArray[np.float32]:
        return np.asarray(np.pi * times * (of(high) - of(low)), np.float32)

    return RingWeights(
        difference(_of_sine),
        difference(_of_along),
        difference(_of_against),
        difference(lambda t: _of_along(t) + _of_against(t)),
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


def _of_against(t: Floats) -> NDArray[np.float64]:
    """∫|sin t| min(cos t, 0) dt."""
    return np.asarray(_of_along(-180.0) - _of_along(t - 180.0))


def _of_along(t: Any) -> NDArray[np.float64]:
    """∫|sin t| max(cos t, 0) dt."""
    turns, rest = np.divmod(t, 360.0)
    half = np.square(np.sin(np.radians(rest))) / 2
    within = np.where(rest < 90, half, np.where(rest < 270, 0.5, 1 - half))
    return np.asarray(turns + within)
