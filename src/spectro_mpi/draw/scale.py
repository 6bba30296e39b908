"""A linear, logarithmic or symmetric-log axis between two limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LEAST_SPAN = 1e-9
"""Limits that differ by less than this, relative to their size, count as equal."""
_LARGEST = (
    1e60  # Beyond the float32 of the values; larger limits overflow in matplotlib's locators.
)
_LOG_DECADES = 4
"""Decades shown below the upper limit of a log axis whose lower limit is not positive."""
_SIGNED_DECADES = 3
"""Decades of a symmetric-log axis between its linear part and the larger of its limits."""


@dataclass(frozen=True)
class Scale:
    """An axis from `low` (bottom) to `high` (top), `low` < `high`, both positive if "log"."""

    kind: str
    """"linear", "log" or "symlog"."""
    low: float
    high: float
    threshold: float = 0.0
    """A "symlog" axis is linear from minus to plus this value, and logarithmic beyond; from 0 to it
    is as long as a decade."""

    def fraction(self, value: ArrayLike) -> NDArray[np.float64]:
        """Return the positions of values: 0 at `low`, 1 at `high`.

        On a log axis, values that are not positive give NaN.
        """
        at: NDArray[np.float64] = np.asarray(value, np.float64)
        low, high = self.low, self.high
        if self.kind == "log":
            low, high = math.log10(low), math.log10(high)
            at = np.log10(np.where(at > 0, at, np.nan))
        elif self.kind == "symlog":
            at, (low, high) = self._decades(at), self._decades(np.array([low, high])).tolist()
        return (at - low) / (high - low)

    def value(self, fraction: ArrayLike) -> NDArray[np.float64]:
        """Return the values at positions along the axis: the inverse of `fraction`."""
        fraction = np.asarray(fraction, np.float64)
        if self.kind == "log":
            low, high = math.log10(self.low), math.log10(self.high)
            return np.asarray(10.0 ** (low + fraction * (high - low)))
        if self.kind == "symlog":
            low, high = self._decades(np.array([self.low, self.high])).tolist()
            at = low + fraction * (high - low)
            size = np.where(np.abs(at) > 1, 10.0 ** (np.abs(at) - 1), np.abs(at))
            return np.asarray(np.copysign(self.threshold * size, at))
        return self.low + fraction * (self.high - self.low)

    def _decades(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Places on a symmetric-log axis in decades from 0; the linear part counts as one each."""
        size = np.abs(value) / self.threshold
        with np.errstate(divide="ignore"):
            return np.copysign(np.where(size > 1, 1 + np.log10(size), size), value)


def signed_scale(low: float, high: float) -> Scale:
    """Return a symmetric-log axis between two limits that shows both signs, and 0.

    Its linear part ends three decades below the power of ten that the larger limit reaches. Limits
    that give no usable axis, as two zeros or NaN, are −1 and 1.
    """
    if not math.isfinite(low + high) or low == high == 0:
        low, high = -1.0, 1.0
    low, high = (min(max(limit, -_LARGEST), _LARGEST) for limit in (min(low, 0), max(high, 0)))
    decade = math.ceil(math.log10(max(-low, high)) - 1e-9)
    return Scale("symlog", low, high, 10.0 ** (decade - _SIGNED_DECADES))


def usable_scale(kind: str, low: float, high: float) -> Scale:
    """Return a scale between two limits, after correcting limits that give no usable axis.

    Limits in the wrong order are swapped. Equal limits are spread: by a factor of 2 to either
    side on a log axis, by half their value on a linear axis. A lower limit of a log axis that is
    not positive becomes four decades below the upper limit. NaN, two zeros, and on a log axis an
    upper limit that is not positive give 0 to 1 (log: 1 to 10).
    """
    low, high = (min(max(float(limit), -_LARGEST), _LARGEST) for limit in (low, high))
    if math.isnan(low) or math.isnan(high):
        low = high = math.nan
    low, high = min(low, high), max(low, high)
    if math.isnan(low) or (kind == "log" and high <= 0) or low == high == 0:
        return Scale(kind, 1.0, 10.0) if kind == "log" else Scale(kind, 0.0, 1.0)
    if kind == "log":
        high = max(high, 1 / _LARGEST)
        low = max(low if low > 0 else high / 10**_LOG_DECADES, 0.1 / _LARGEST)
    if high - low > _LEAST_SPAN * max(abs(low), abs(high)):
        return Scale(kind, low, high)
    if kind == "log":
        return Scale(kind, low / 2, high * 2)
    half = abs(high) / 2
    return Scale(kind, low - half, high + half)
