"""Panels with lines against time: net fluxes, densities, the potential of the spacecraft."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.columns import Records
from spectro_mpi.draw.content import Panel
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.lines import Points, points_of
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.room import Row
from spectro_mpi.draw.scale import Scale, signed_scale, usable_scale
from spectro_mpi.draw.text import DIGIT_HEIGHT, Lettering
from spectro_mpi.draw.times import Window
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Spectrogram

SHADES = (BLACK, 4, 2)
"""Greys of the lines of a panel, the first line's first."""
ZERO, BAND = 3, 1
"""Greys of the line at 0, and of the band of uncertainties."""
WIDTH, _THIN = 0.9, 0.5
"""Widths of lines and of that at 0, in points."""
_SAMPLE = 10.0
"""Length of the sample of a line beside its name, in points."""


@dataclass(frozen=True)
class Stroke:
    """A line, or a band, of a panel."""

    points: Points
    """Its ends are in parts of the height of the panel, from the top."""
    shade: int
    """Palette index, a grey."""
    is_band: bool


def line_scale(kind: str, limits: Limits) -> Scale:
    """The vertical axis of a panel with lines: "linear", "log" or "symlog"."""
    if kind == "symlog":
        return signed_scale(limits.y_min, limits.y_max)
    return usable_scale(kind, limits.y_min, limits.y_max)


def strokes_of(
    panel: Panel, scale: Scale, window: Window, records_of: Callable[[Spectrogram], Records]
) -> Iterator[Stroke]:
    """What a panel shows: bands of uncertainty, where they are known, then lines, the first last.

    A value that a log axis cannot have breaks its line.
    """
    layers = list(zip(panel.layers, _shades(len(panel.layers)), strict=True))[::-1]
    for (spectrogram, category), _ in layers:
        if not spectrogram.errors.size:
            continue
        values = spectrogram.values[category, :, 0].astype(np.float64)
        error = spectrogram.errors[category, :, 0].astype(np.float64)
        low = values - error
        if scale.kind == "log":
            low = np.where(low < scale.low, np.where(values > 0, scale.low, np.nan), low)
        yield _stroke(low, values + error, scale, records_of(spectrogram), window, BAND, True)
    for (spectrogram, category), shade in layers:
        values = spectrogram.values[category, :, 0].astype(np.float64)
        yield _stroke(values, values, scale, records_of(spectrogram), window, shade, False)


def draw_lines(
    canvas: Canvas,
    layout: Layout,
    box: Box,
    panel: Panel,
    row: Row,
    window: Window,
    records_of: Callable[[Spectrogram], Records],
) -> bool:
    """Draw the lines of a panel, and one at 0 if that lies inside; return whether there is any."""
    scale, any_drawn = row.y_scale, False
    strokes = list(strokes_of(panel, scale, window, records_of))
    for stroke in strokes:
        width = 0.0 if stroke.is_band else max(1.0, WIDTH * layout.unit)
        canvas.stroke(box, stroke.points, width, stroke.shade)
        x = stroke.points.x
        any_drawn |= bool(((x >= 0) & (x <= 1)).any())
    if scale.low < 0 < scale.high:
        at = np.array([box.bottom - float(scale.fraction(0.0)) * box.height])
        canvas.zero_line(box, at, layout.pixels(_THIN), ZERO)
    return any_drawn


def draw_names(
    canvas: Canvas, layout: Layout, lettering: Lettering, row: Row, box: Box, right: int
) -> None:
    """Write the names of lines right of their panel, each beside a sample of its line."""
    size, unit = points.TICK_LABEL * layout.unit, layout.unit
    left = round(box.right + points.BAR_GAP * unit)
    end = round(left + _SAMPLE * unit)
    start = end + points.LABEL_GAP * unit
    width = max(1, round(WIDTH * unit))
    # All as small as the longest.
    size = min((lettering.fit(name, size, right - start).size for name in row.names), default=size)
    for number, (name, shade) in enumerate(zip(row.names, _shades(len(row.names)), strict=True)):
        base = box.top + (number + 1) * points.NOTE_LINE * unit
        middle = round(base - DIGIT_HEIGHT / 2 * size)
        canvas.fill(Box(left, middle - width // 2, end, middle - width // 2 + width), shade)
        canvas.write(lettering.fit(name, size, right - start), start, base)


def shade_of(index: int) -> tuple[float, float, float]:
    """The colour of a grey of the palette, as matplotlib takes it."""
    return (1 - index / BLACK,) * 3


def _shades(count: int) -> list[int]:
    return [SHADES[min(number, len(SHADES) - 1)] for number in range(count)]


def _stroke(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    scale: Scale,
    records: Records,
    window: Window,
    shade: int,
    is_band: bool,
) -> Stroke:
    bottom, top = (1 - scale.fraction(values) for values in (low, high))
    return Stroke(points_of(top, bottom, records, window.begin, window.end), shade, is_band)
