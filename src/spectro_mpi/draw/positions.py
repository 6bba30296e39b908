"""Where the spacecraft was: lines of labels below the times, as ALT, ILAT and MLT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.columns import Records
from spectro_mpi.draw.layout import Layout
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.ticks import time_ticks
from spectro_mpi.draw.times import Window
from spectro_mpi.model.ephemeris import Variable, neighbours
from spectro_mpi.model.spectrogram import Spectrogram

_UNITS = {"degrees": "°", "deg": "°", "hours": "h", "1": ""}
_DIGITS = {"alt": 0, "ilat": 1, "mlt": 1, "flat": 1, "flng": 1}
"""Decimals of variables that have a meaning to the program."""
MARGIN = 4.0
"""Distance of the names from the left edge of their column, in points."""

_Shown = Sequence[tuple[Spectrogram, Records]]
"""Spectrograms with their records sorted by time."""


class Line(NamedTuple):
    """A line of labels of one variable."""

    title: str
    """As "ALT (km)"."""
    labels: tuple[str, ...]
    """A label per tick; empty: not known."""


def names_shown(spectrograms: Iterable[Spectrogram], names: Sequence[str]) -> tuple[str, ...]:
    """Those of the variables `names` that any of the spectrograms has a value of, in order."""
    known = {
        variable.name
        for spectrogram in spectrograms
        for variable in spectrogram.ephemeris
        if np.isfinite(variable.values).any()
    }
    return tuple(name for name in names if name in known)


def lines_at(shown: _Shown, names: Sequence[str], times: NDArray[np.float64]) -> list[Line]:
    """The lines of labels at `times` (tick,), s since 1970 UTC.

    Values are interpolated between the records of the spectrogram that has a record closest to the
    tick; there is no label in a gap of more than ten minutes.
    """
    nearest = np.full(times.shape, np.inf)
    values = {name: np.full(times.shape, np.nan) for name in names}
    kinds: dict[str, Variable] = {}
    for spectrogram, records in shown:
        if not len(records.centre) or not spectrogram.ephemeris:
            continue
        distance = _distance(times, records.centre)
        closer = distance < nearest
        nearest = np.minimum(nearest, distance)
        for variable in spectrogram.ephemeris:
            if variable.name in values:
                kinds.setdefault(variable.name, variable)
                values[variable.name][closer] = _values_at(times[closer], variable, records)
    return [_line(kinds[name], values[name]) for name in names if name in kinds]


def draw_positions(
    canvas: Canvas,
    layout: Layout,
    lettering: Lettering,
    column: int,
    window: Window,
    shown: _Shown,
    names: Sequence[str],
) -> None:
    """Draw the lines of labels of a column, with their names at its left."""
    box, unit = layout.boxes[column][-1], layout.unit
    size = points.TICK_LABEL * unit
    ticks = np.array(time_ticks(window.begin, window.end, box.width / size).major)
    places = window.place(ticks, box)
    base = box.bottom + (points.BELOW + points.TIME_LINE + points.DATE_LINE - 3.5) * unit
    for line in lines_at(shown, names, ticks):
        base += points.POSITION_LINE * unit
        left = column * layout.column_width + MARGIN * unit
        room = box.left - left - points.MAJOR * unit
        end = canvas.write(lettering.fit(line.title, size, room), left, base).right
        for place, label in zip(places.tolist(), line.labels, strict=True):
            stamp = lettering.stamp(label, size)
            if label and place - stamp.width / 2 > end + points.PAD * unit:
                canvas.write(stamp, place, base, align=0.5)


def _distance(times: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance of each time from the nearest of `centre` (record,), ascending."""
    after = np.clip(np.searchsorted(centre, times), 1, max(len(centre) - 1, 1))
    before = np.abs(times - centre[after - 1])
    return np.minimum(before, np.abs(times - centre[np.minimum(after, len(centre) - 1)]))


def _values_at(
    times: NDArray[np.float64], variable: Variable, records: Records
) -> NDArray[np.float64]:
    """A variable at `times` (tick,), between the two records at either side of each."""
    values = variable.values[records.order].astype(np.float64)
    return variable.between(times, *neighbours(times, records.centre, values))


def _line(variable: Variable, values: NDArray[np.float64]) -> Line:
    unit = _UNITS.get(variable.units, variable.units)
    title = variable.name.upper() + (f" ({unit})" if unit else "")
    known = values[np.isfinite(values)]
    largest = float(np.abs(known).max(initial=0.0))
    digits = _DIGITS.get(variable.name, 2 if largest < 10 else 1 if largest < 1000 else 0)
    texts = [_text(value, digits, variable) if np.isfinite(value) else "" for value in values]
    return Line(title, tuple(texts))


def _text(value: float, digits: int, variable: Variable) -> str:
    """A number with a true minus sign; rounded up to its period, it is 0: no 24.0 h."""
    rounded = round(float(value), digits)
    if variable.period and rounded >= variable.lowest + variable.period:
        rounded -= variable.period
    text = f"{rounded:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")
