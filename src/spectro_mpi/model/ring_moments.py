"""What a gyrotropic distribution's moments weigh a bin with: integrals over its ring.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.scratch import Scratch

Floats = NDArray[np.floating[Any]]
Span = tuple[Floats, Floats]
"""Smallest and largest angle of each bin, (bin,) each, degrees."""

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
    span: Span | None = None,
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
    span, scratch
        `span_of(pitch_angle)` if it is known; where the results are, until those of the next call.

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
    low, high = span or span_of(pitch_angle)
    reach = float(np.degrees(half.max()))
    of = scratch or Scratch()
    shape = pitch_angle.shape
    angle = np.multiply(pitch_angle, np.float32(np.pi / 180), out=of.take("sine", shape))
    cosine = np.cos(angle, out=of.take("cosine", shape))
    sine = np.abs(np.sin(angle, out=angle), out=angle)
    whole = np.multiply(sine, _single(2 * unit * np.sin(half)), out=of.take("whole", shape))
    net = np.multiply(sine, cosine, out=of.take("net", shape))
    net *= _single(unit * np.sin(2 * half))
    square = np.multiply(sine, sine, out=of.take("square", shape))
    square *= _single(unit / -1.5 * np.sin(3 * half))
    square += _single(unit / 2 * (np.sin(half) + np.sin(3 * half)))
    square *= sine
    for bins in _bins_across(low - reach, high + reach, 0.0):
        first, second, third = (array[:, bins] for array in (whole, net, square))
        near = sine[:, bins], cosine[:, bins], _of_bins(half, bins)
        _cut_by_axis(first, second, third, *near, unit)
    along = np.abs(net, out=of.take("along", shape))
    along += net
    along *= np.float32(0.5)
    for bins in _bins_across(low - reach, high + reach, 90.0):
        _cut_by_plane(along[:, bins], sine[:, bins], cosine[:, bins], _of_bins(half, bins), unit)
    against = np.subtract(net, along, out=sine)
    return RingWeights(whole, along, against, net, square)


def span_of(pitch_angle: NDArray[Any]) -> Span:
    """The smallest and the largest angle of each bin, (bin,) each; `pitch_angle` as above."""
    return pitch_angle.min(axis=0).min(axis=1), pitch_angle.max(axis=0).max(axis=1)


def _single(factor: Any) -> NDArray[np.float32]:
    return np.asarray(factor, np.float32)


def _bins_across(low: Floats, high: Floats, angle: float) -> Iterator[slice]:
    """Runs of bins that may reach across `angle` or 180° from it."""
    first, last = np.ceil((low - angle) / 180), np.floor((high - angle) / 180)
    begin = None
    for place, reaches in enumerate([*(first <= last).tolist(), False]):
        if reaches and begin is None:
            begin = place
        elif begin is not None and not reaches:
            yield slice(begin, place)
            begin = None


def _of_bins(array: NDArray[Any], bins: slice) -> NDArray[Any]:
    return array if array.ndim < 3 or array.shape[1] == 1 else array[:, bins]


def _cut_by_axis(
    whole: Floats,
    net: Floats,
    square: Floats,
    sine: Floats,
    cosine: Floats,
    half: NDArray[np.float64],
    unit: float,
) -> None:
    """Replace, in place, the weights of those cells of some bins that 0 or 180 cuts.

    With the distance d from it, these are (× π) 2 (1 − cos h cos d), (1 − cos 2h cos 2d)/2, and a
    third of 2 − cos³(h + d) − cos³(h − d).
    """
    cut = sine < _single(np.sin(half))
    squared = sine * sine
    near = squared / (1 + np.abs(cosine))  # 1 − cos d
    threefold = near * np.square(3 - 2 * near)  # 1 − cos 3d
    single = _single(unit * np.cos(half)) * near + _single(unit * (1 - np.cos(half)))
    triple = _single(np.cos(3 * half) / 6 * unit) * threefold
    triple += _single((1 - np.cos(3 * half)) / 6 * unit) + single / 2
    double = _single(unit * np.cos(2 * half)) * squared + _single(unit / 2 * (1 - np.cos(2 * half)))
    np.copyto(whole, 2 * single, where=cut)
    np.copyto(net, np.copysign(double, cosine), where=cut)
    np.copyto(square, triple, where=cut)


def _cut_by_plane(
    along: Floats, sine: Floats, cosine: Floats, half: NDArray[np.float64], unit: float
) -> None:
    """Replace, in place, what the cells of some bins that 90 or 270 cuts have along B.

    With the distance e of the centre from the plane, positive along B, it is (π/2) sin²(h + e).
    """
    cut = np.abs(cosine) < _single(np.sin(half))
    part = _single(unit / 2 * np.cos(2 * half)) * cosine
    part += _single(unit / 2 * np.sin(2 * half)) * sine
    part *= cosine
    part += _single(unit / 4 * (1 - np.cos(2 * half)))
    np.copyto(along, part, where=cut)


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
