"""Where a spacecraft was: its ephemeris, at any times, and what follows from it.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
_Times = NDArray[np.float64]
_Point = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times, s since 1970 UTC, and values."""

HEMISPHERE, LOSS_CONE = "hemisphere", "loss_cone"
"""Names of what is derived: 1 north, −1 south; and the half angle of the loss cone, degrees."""
FIELD_MODEL = "dipole"
"""Model of the magnetic field by which `loss_cone` is computed."""

_EARTH_RADIUS = 6371.2  # km
_LOSS_ALTITUDE = 100.0  # km: a particle that mirrors below it is lost to the atmosphere
_LONGEST = 600.0  # s: nothing is interpolated between points farther apart
_BEYOND = 60.0  # s: how far values are extended beyond the first and last point
_SOUTHERN = -50.0  # degrees: a footprint there is southern, whatever an unsigned latitude says


@dataclass(frozen=True)
class Variable:
    """One variable of an ephemeris."""

    name: str
    values: Floats
    """(point,) in `units`; NaN: not known."""
    units: str = ""
    long_name: str = ""
    period: float = 0.0
    """What the values wrap at, as 24 h or 360°; 0: they do not."""

    @property
    def lowest(self) -> float:
        """Where the circle begins: at minus half the `period` if any value is negative, else 0."""
        return -self.period / 2 if bool((self.values < 0).any()) else 0.0

    def between(self, at: _Times, first: _Point, last: _Point) -> NDArray[np.float64]:
        """Its values at times `at` on the lines through two points each (as `on_lines`).

        The invariant latitude jumps from north to south: it has no values around 0, so its
        magnitude is interpolated, and its sign changes half way.
        """
        if self.name == "ilat":
            sizes = (first[0], np.abs(first[1])), (last[0], np.abs(last[1]))
            signs = (first[0], np.sign(first[1])), (last[0], np.sign(last[1]))
            return np.copysign(on_lines(at, *sizes), on_lines(at, *signs))
        return on_lines(at, first, last, self.period, self.lowest)


@dataclass(frozen=True)
class Ephemeris:
    """Variables at the same times."""

    time: NDArray[np.float64]
    """(point,) s since 1970 UTC, ascending."""
    variables: tuple[Variable, ...]
    source: str = ""
    """Names of the files, joined by ", "."""
    sha256: str = ""
    """SHA-256 of each of them, joined by ", "; empty: not known."""

    def at(self, times: NDArray[np.float64]) -> tuple[Variable, ...]:
        """The variables at `times` (record,), s since 1970 UTC, in any order; float32.

        They are interpolated linearly, circular ones (hours, longitudes) the shorter way round the
        circle. Points that are not known are bridged up to 10 minutes; beyond the first and last
        point values are extended by at most a minute. NaN elsewhere.

        With them are `hemisphere` (`north`) and, if altitude and invariant latitude are known,
        `loss_cone`.
        """
        at = [self._at(variable, times) for variable in self.variables]
        north = self._at(Variable(HEMISPHERE, self.north), times).values
        with np.errstate(invalid="ignore"):
            north = np.where(north == 0, np.float32(1), np.sign(north))
        at.append(Variable(HEMISPHERE, north, "1", "Hemisphere, 1 north, -1 south"))
        known = {variable.name: variable.values for variable in at}
        if "alt" in known and "ilat" in known:
            cone = loss_cone(known["alt"], known["ilat"]).astype(np.float32)
            long_name = f"Half angle of the loss cone to 100 km ({FIELD_MODEL})"
            at.append(Variable(LOSS_CONE, cone, "degrees", long_name))
        return tuple(at)

    @property
    def north(self) -> NDArray[np.float64]:
        """(point,) 1 in the northern hemisphere, −1 in the southern; NaN: not known.

        It is the sign of the invariant latitude `ilat`. Where that is missing, or if it has no sign
        (never below 0, although the footprint goes below −50°), it is the sign of `flat`, the
        latitude of the footprint.
        """
        known = {variable.name: variable.values for variable in self.variables}
        missing = np.full(self.time.shape, np.nan)
        ilat, flat = known.get("ilat", missing), known.get("flat", missing)
        with np.errstate(invalid="ignore"):
            is_signed = bool((ilat < 0).any()) or not (flat < _SOUTHERN).any()
            north = np.sign(np.where(np.isfinite(ilat) & is_signed, ilat, flat))
        return np.where(north == 0, np.nan, north)

    def _at(self, variable: Variable, times: NDArray[np.float64]) -> Variable:
        known = np.isfinite(variable.values) & np.isfinite(self.time)
        at = np.full(times.shape, np.nan)
        usable = np.isfinite(times)
        if known.any():
            place = usable.nonzero()[0]
            time, values = self.time[known], variable.values[known].astype(np.float64)
            at[place] = variable.between(times[place], *neighbours(times[place], time, values))
        return replace(variable, values=at.astype(np.float32))


def loss_cone(altitude: Floats, invariant_latitude: Floats) -> NDArray[np.float64]:
    """Half angle of the loss cone to 100 km, in a dipole field; degrees, 90 at or below 100 km.

    It is asin √(B/B₁₀₀) with the fields at the spacecraft and on its field line at 100 km.
    `altitude` in km, `invariant_latitude` in degrees, of either sign; any equal shapes.
    """
    ratio = mirror_ratio(altitude, invariant_latitude)
    with np.errstate(invalid="ignore"):
        return np.degrees(np.arcsin(np.sqrt(np.minimum(1 / ratio, 1.0))))


def mirror_ratio(altitude: Floats, invariant_latitude: Floats) -> NDArray[np.float64]:
    """B₁₀₀/B: the field at 100 km over that at the spacecraft, on a dipole's field line.

    `altitude` in km, `invariant_latitude` Λ in degrees: cos²λ = r cos²Λ (r in Earth radii of
    6371.2 km) is the magnetic latitude at r, and B ∝ √(4 − 3 cos²λ)/r³.
    """
    per_radius = np.cos(np.radians(invariant_latitude.astype(np.float64))) ** 2

    def field(radius: Floats) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(4 - 3 * np.minimum(radius * per_radius, 1.0)) / radius**3)

    radius = (_EARTH_RADIUS + altitude.astype(np.float64)) / _EARTH_RADIUS
    lowest = np.asarray((_EARTH_RADIUS + _LOSS_ALTITUDE) / _EARTH_RADIUS)
    return np.asarray(field(lowest) / field(radius))


def neighbours(at: _Times, time: _Times, values: NDArray[np.float64]) -> tuple[_Point, _Point]:
    """The points (point,) before and after times `at` (any shape); `time` is not empty, ascending.

    At the ends they are the first or last two; of a single point, both are that.
    """
    after = np.clip(np.searchsorted(time, at), min(1, len(time) - 1), len(time) - 1)
    before = np.maximum(after - 1, 0)
    return (time[before], values[before]), (time[after], values[after])


def on_lines(
    at: _Times, first: _Point, last: _Point, period: float = 0.0, lowest: float = 0.0
) -> NDArray[np.float64]:
    """Values at times `at`, each on the line through its own two points; all of the same shape.

    With a `period` the shorter way round the circle is taken, and the result lies from `lowest` to
    `lowest` + `period`. NaN between points more than 10 minutes apart (at their times there are
    values), more than a minute before the first and after the last, and where a point is NaN.
    """
    (before, low), (after, high) = first, last
    step = high - low
    if period:
        step = (step + period / 2) % period - period / 2
    span = after - before
    result = low + np.where(span > 0, (at - before) / np.where(span > 0, span, 1.0), 0.0) * step
    if period:
        result = (result - lowest) % period + lowest
    is_near = (at >= before - _BEYOND) & (at <= after + _BEYOND)
    is_known = (span <= _LONGEST) | (at == before) | (at == after)
    return np.where(is_near & is_known, result, np.nan)
