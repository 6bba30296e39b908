"""Ticks and their labels, from matplotlib's locators and formatters; labels never overlap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter
from numpy.typing import NDArray

from spectro_mpi.draw.scale import Scale

_STEPS = [1, 2, 2.5, 5, 10]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_TIME_STEPS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(_MINUTE * number for number in (1, 2, 5, 10, 15, 20, 30)),
    *(_HOUR * number for number in (1, 2, 3, 6, 12)),
)
_TIME_PARTS = {
    **{15.0: 3, 30.0: 6, _MINUTE: 6, _HOUR: 6, _DAY: 4},
    **{_MINUTE * number: parts for number, parts in ((15, 3), (20, 4), (30, 6))},
    **{_HOUR * number: parts for number, parts in ((3, 3), (6, 6), (12, 4))},
}
"""Step of time, s → its parts between minor ticks, so that these are round; others: as numbers."""
_MOST_TIMES = 12
_CIRCLE, _QUARTERS = (180.0, 360.0), (45.0, 90.0, 180.0)
"""Ends of axes of angles from 0, and the steps of their ticks."""
_LONGEST_END = 0.35  # Part of an axis that may be without ticks at either end.
_DIGIT_EMS = 0.64  # Width of a digit in DejaVu Sans, in font sizes.


@dataclass(frozen=True)
class Ticks:
    """Ticks of one axis, in the unit of the axis, all within its limits."""

    major: tuple[float, ...]
    labels: tuple[str, ...]
    """A label per major tick; mathtext if it begins with "$"."""
    minor: tuple[float, ...]


@dataclass(frozen=True)
class TimeTicks:
    """Ticks of a time axis, s since 1970 UTC."""

    major: tuple[float, ...]
    labels: tuple[str, ...]
    dates: tuple[str, ...]
    """A text per major tick: the date where a day begins, else empty."""
    minor: tuple[float, ...] = ()
    """Times of minor ticks, without the major ones."""


@lru_cache(maxsize=512)
def value_ticks(scale: Scale, room: float) -> Ticks:
    """Return the ticks of an energy or colour axis.

    `room` is the smallest distance between labels, as a fraction of the axis.
    """
    most = min(7, max(1, int(1 / room)))
    candidates = _CANDIDATES[scale.kind](scale, most)
    enough = min(3, most)
    best: list[float] = []
    for ticks in candidates:
        places = scale.fraction(ticks)
        if not _have_room(places, room):
            continue
        if len(ticks) >= enough and (most < 3 or _reach_both_ends(places)):
            best = ticks
            break
        if len(ticks) > len(best):
            best = ticks
    if scale.kind == "log":
        minor = sorted(set(_inside(scale, _decades(scale, tuple(range(2, 10))))) - set(best))
    elif scale.kind == "symlog":
        minor = sorted(set(_inside(scale, _signed(scale, range(1, 10)))) - set(best))
    else:
        minor = _between(best, scale.low, scale.high)
    return Ticks(tuple(best), _labels(scale, best), tuple(minor))


@lru_cache(maxsize=64)
def time_ticks(begin: float, end: float, width_ems: float) -> TimeTicks:
    """Return ticks at round times, for a time axis that is `width_ems` font sizes wide.

    UTC without leap seconds is plain arithmetic. Matplotlib's AutoDateLocator is not used: it
    gives one tick or none where four fit, and times that are off by a microsecond.
    """
    for most in range(_MOST_TIMES, 0, -1):
        step = _time_step((end - begin) / most)
        first = math.ceil(begin / step)
        ticks = [number * step for number in range(first, first + most + 1) if number * step <= end]
        labels = tuple(_time_label(tick, step) for tick in ticks)
        letters = max((len(label) for label in labels), default=1)
        places = (np.array(ticks) - begin) / (end - begin)
        if _have_room(places, (letters + 1.5) * _DIGIT_EMS / width_ems):
            break
    midnights = tuple(
        time_text(tick, _DAY)[0] if tick % _DAY == 0 and step < _DAY else "" for tick in ticks
    )
    unit = next(unit for unit in (_DAY, _HOUR, _MINUTE, 1.0) if step >= unit or unit == 1.0)
    parts = _TIME_PARTS.get(step, _parts_of(step / unit))
    return TimeTicks(tuple(ticks), labels, midnights, tuple(_parted(step, parts, begin, end)))


def time_text(time: float, span: float) -> tuple[str, str]:
    """Return date and time of day (UTC), as precise as a time span in seconds requires."""
    digits = max(0, min(6, 1 - math.floor(math.log10(span)))) if span < _MINUTE else 0
    # Rounded to the last digit shown, so that 59.9996 s become neither 59.999 nor 60.
    at = _EPOCH + timedelta(microseconds=round(round(time, digits) * 1e6))
    fraction = f"{at.microsecond:06d}"[:digits]
    return f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}" + (f".{fraction}" if digits else "")


def is_circle(scale: Scale) -> bool:
    """Whether an axis has angles of half a circle, or of all of it."""
    return scale.kind == "linear" and scale.low == 0 and scale.high in _CIRCLE


def _log_candidates(scale: Scale, most: int) -> Iterator[list[float]]:
    """Yield sets of ticks for a log axis, the most readable first."""
    for number in range(most, 0, -1):
        yield _inside(scale, LogLocator(numticks=number).tick_values(scale.low, scale.high))
    for multiples in ((1, 2, 5), tuple(range(1, 10)), (1, 3)):
        yield _inside(scale, _decades(scale, multiples))
    yield from _even(scale, most)


def _signed_candidates(scale: Scale, most: int) -> Iterator[list[float]]:
    """Yield sets of ticks for a symmetric-log axis: 0 and every n-th power of ten, of both signs.

    Those that are left out are the smallest, which lie next to 0.
    """
    powers = sorted({abs(tick) for tick in _inside(scale, _signed(scale, (1,))) if tick})[::-1]
    steps = [(first, step) for step in (1, 2, 3) for first in range(min(step, len(powers)))]
    rows = [powers[first::step] for first, step in steps]
    sizes = [row[:count] for row in rows for count in range(1, len(row) + 1)]
    sets = [_inside(scale, [*(-size for size in each), 0.0, *each[::-1]]) for each in sizes]
    yield from sorted(sets, key=len, reverse=True)
    yield _inside(scale, [0.0])


def _signed(scale: Scale, multiples: Iterable[int]) -> list[float]:
    """Multiples of the powers of ten beyond the linear part, of both signs; and 0."""
    last = math.ceil(math.log10(max(-scale.low, scale.high) / scale.threshold)) + 1
    sizes = [
        scale.threshold * 10.0**power * multiple for power in range(last) for multiple in multiples
    ]
    return [*(-size for size in reversed(sizes)), 0.0, *sizes]


def _even(scale: Scale, most: int) -> Iterator[list[float]]:
    if is_circle(scale):
        for step in _QUARTERS:
            if scale.high / step <= most:
                yield _inside(scale, np.arange(0, scale.high + step, step))
    for number in range(most, 0, -1):
        locator = MaxNLocator(number, steps=_STEPS, min_n_ticks=1)
        yield _inside(scale, locator.tick_values(scale.low, scale.high))


def _decades(scale: Scale, multiples: tuple[int, ...]) -> NDArray[np.float64]:
    """Return multiples of the powers of ten along an axis; none above 12 decades."""
    first, last = math.floor(math.log10(scale.low)), math.floor(math.log10(scale.high))
    if last - first > 12:
        return np.empty(0)
    locator = LogLocator(subs=multiples, numticks=99)
    return np.asarray(locator.tick_values(scale.low, scale.high))


def _between(major: Sequence[float], low: float, high: float) -> list[float]:
    """Minor ticks of a linear axis with these major ones."""
    if len(major) < 2:
        return []
    step = major[1] - major[0]
    return _parted(step, _parts_of(step), low, high, major[0])


def _parts_of(step: float) -> int:
    """Parts of a step between major ticks: 4 if its first digit is 2, as of 0.2 or 20, else 5."""
    leading = step / 10.0 ** math.floor(math.log10(step) + 1e-9)
    return 4 if math.isclose(leading, 2.0, rel_tol=1e-6) else 5


def _parted(step: float, parts: int, low: float, high: float, origin: float = 0.0) -> list[float]:
    """Multiples of `step` / `parts` from `low` to `high`, without those of `step`."""
    fine = step / parts
    first, last = math.ceil((low - origin) / fine), math.floor((high - origin) / fine)
    return [origin + number * fine for number in range(first, last + 1) if number % parts]


def _inside(scale: Scale, ticks: Iterable[float]) -> list[float]:
    at = np.array([float(tick) for tick in ticks])
    place = scale.fraction(at)
    return [float(tick) for tick in at[(place > -1e-9) & (place < 1 + 1e-9)]]


def _have_room(places: NDArray[np.float64], room: float) -> bool:
    return len(places) < 2 or float(np.diff(places).min()) >= room


def _reach_both_ends(places: NDArray[np.float64]) -> bool:
    """Whether no long part of the axis is left without ticks at its ends.

    Powers of ten leave at most a third. 0.7, 0.8, 0.9 and 1 on an axis to 1.9 leave 60 %.
    """
    return bool(places[0] <= _LONGEST_END and places[-1] >= 1 - _LONGEST_END)


def _labels(scale: Scale, ticks: list[float]) -> tuple[str, ...]:
    if not ticks:
        return ()
    if scale.kind == "symlog":
        return tuple(map(_signed_power, ticks))
    powers = [round(math.log10(tick)) if tick > 0 else 0 for tick in ticks]
    are_powers = all(math.isclose(10.0**p, t) for p, t in zip(powers, ticks, strict=True))
    if scale.kind == "log" and are_powers:
        return tuple(f"$\\mathdefault{{10^{{{power}}}}}$" for power in powers)
    largest = max(abs(tick) for tick in ticks)
    if scale.kind == "log" and (largest >= 1e5 or ticks[0] < 1e-2):
        products = [_digit_times_power(tick) for tick in ticks]
        if all(label for label in products):
            return tuple(products)
    if largest and not 1e-2 <= largest < 1e5:
        return tuple(map(_number_times_power, ticks))
    formatter = ScalarFormatter(useOffset=False)
    formatter.set_scientific(False)
    formatter.create_dummy_axis()
    axis: Any = formatter.axis
    axis.set_view_interval(ticks[0], ticks[-1])
    formatter.set_locs(ticks)
    return tuple(formatter(tick) for tick in ticks)


def _signed_power(tick: float) -> str:
    """Return `−10²` as mathtext; 0 as it is."""
    if tick == 0:
        return "0"
    sign = "−" if tick < 0 else ""
    return f"$\\mathdefault{{{sign}10^{{{round(math.log10(abs(tick)))}}}}}$"


def _number_times_power(tick: float) -> str:
    """Return `2.5 × 10⁷` as mathtext, with as few digits as the tick needs."""
    if tick == 0:
        return "0"
    # Every label has its power of ten: not all axes have a separate place for a common one.
    number, _, power = f"{tick:.9e}".partition("e")
    number = number.rstrip("0").rstrip(".")
    leading = "" if number == "1" else f"{number} \\times "
    return f"$\\mathdefault{{{leading}10^{{{int(power)}}}}}$"


def _digit_times_power(tick: float) -> str:
    """Return `2 × 10⁵` as mathtext; empty if the factor is not a single digit."""
    power = math.floor(math.log10(tick) + 1e-9)
    factor = tick / 10.0**power
    if not math.isclose(factor, round(factor), rel_tol=1e-6):
        return ""
    leading = "" if round(factor) == 1 else f"{round(factor)} \\times "
    return f"$\\mathdefault{{{leading}10^{{{power}}}}}$"


def _time_step(least: float) -> float:
    """Return the smallest round time step, in seconds, that is at least `least`."""
    for step in _TIME_STEPS:
        if step >= least > 0.5:
            return step
    unit = 1.0 if least <= 0.5 else _DAY
    magnitude = 10.0 ** math.floor(math.log10(least / unit))
    return unit * next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= least / unit)


def _time_label(time: float, step: float) -> str:
    date, clock = time_text(time, 10 * step)
    if step >= _DAY:
        return date
    return clock[:5] if step >= _MINUTE else clock


_CANDIDATES = {"linear": _even, "log": _log_candidates, "symlog": _signed_candidates}
"""Kind of scale → sets of ticks to choose from, the most readable first."""
