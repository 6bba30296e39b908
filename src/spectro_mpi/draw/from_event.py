"""Time axes in seconds, minutes, hours or days from an event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.layout import Layout
from spectro_mpi.draw.palette import FIRST_MARKER
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.ticks import TimeTicks, time_ticks
from spectro_mpi.draw.times import Window, draw_ticks, write_tick_labels

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_ENOUGH = 3.0
"""A unit is taken if the axis is at least so many long."""
_LINE, _DASH, _GAP = 1.4, 6.0, 4.0
"""Width, dashes and gaps of the line at the event, in points."""


def unit_of(window: Window) -> tuple[float, str]:
    """The unit of an axis: its seconds and its name."""
    span = window.end - window.begin
    return next((unit for unit in _UNITS if span >= _ENOUGH * unit[0]), _UNITS[-1])


def span_text(window: Window | None) -> str:
    """What the axis shows, as in "−5 to 5 min"."""
    if window is None:
        return "no times"
    seconds, name = unit_of(window)
    return f"{_number(window.begin / seconds)} to {_number(window.end / seconds)} {name}"


def ticks_from_event(window: Window, width_ems: float) -> TimeTicks:
    """Ticks at round times from the event, for an axis `width_ems` font sizes wide."""
    ticks = time_ticks(window.begin, window.end, width_ems)
    seconds, _ = unit_of(window)
    return replace(
        ticks,
        labels=tuple(_number(tick / seconds) for tick in ticks.major),
        dates=("",) * len(ticks.major),
    )


def draw_axis_from_event(
    canvas: Canvas, layout: Layout, lettering: Lettering, column: int, window: Window, label: str
) -> None:
    """Draw ticks below every row of a column, times and `label` below the last row, and a line at
    the event in every row."""
    boxes, unit = layout.boxes[column], layout.unit
    box, size = boxes[-1], points.TICK_LABEL * unit
    ticks = ticks_from_event(window, box.width / size)
    draw_ticks(canvas, layout, column, window, ticks)
    base = write_tick_labels(canvas, layout, lettering, column, window, ticks)
    _, name = unit_of(window)
    stamp = lettering.fit(f"{label} ({name})", points.LABEL * unit, box.width)
    canvas.write(stamp, (box.left + box.right) / 2, base, align=0.5)
    if window.begin < 0 < window.end:
        width = layout.pixels(_LINE)
        left = round(float(window.place(np.array([0.0]), box)[0]) - width / 2)
        for of_row in boxes:
            line = of_row._replace(left=left, right=left + width)
            canvas.dashes(line, layout.pixels(_DASH), layout.pixels(_GAP), FIRST_MARKER)


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")
