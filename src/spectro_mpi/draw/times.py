"""The parts of a figure that depend on time: header and time axes."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.labels import wrapped
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.text import Lettering, printable
from spectro_mpi.draw.ticks import TimeTicks, time_text, time_ticks
from spectro_mpi.system.words import count

Times = TypeVar("Times", float, NDArray[np.float64])

_NOTE_LINES, _NARROW_NOTE_LINES = 3, 8
_NOTE_LETTERS = 450
"""As many letters of notes are shown in narrow figures, too, in more lines."""
_TITLE_LINES = 4
_NARROW_MARGIN = 4.0  # points at either side of the header of a narrow figure
_FEWEST_LETTERS = 20  # Notes are not wrapped into shorter lines; they are shrunk and cut instead.
_LETTER_EMS = 0.6  # Mean width of a letter in font sizes, rounded up.
_DAY = 86400.0


@dataclass(frozen=True)
class Window:
    """The time span of a column of panels, s since 1970 UTC; `begin` < `end`."""

    begin: float
    end: float

    def place(self, time: Times, box: Box) -> Times:
        """Return the position of a time, or of several, in pixels from the left of the image."""
        return box.left + (time - self.begin) / (self.end - self.begin) * box.width


@dataclass(frozen=True)
class Header:
    """The text above the panels."""

    title: tuple[str, ...]
    """Its lines: several only in narrow figures."""
    span: str
    """Time span of the data, right of the title; empty if it is in `lines` instead."""
    lines: tuple[str, ...]

    @property
    def line_count(self) -> int:
        """Number of lines below the first line of the title."""
        return len(self.title) - 1 + len(self.lines)


def header_of(
    lettering: Lettering,
    title: str,
    span: str,
    notes: tuple[str, ...],
    layout: Layout,
) -> Header:
    """Fit a header into a layout: wrap the notes, place the time span where it fits."""
    unit = layout.unit
    left, right = _header_ends(layout)
    room = right - left
    titles = _title_lines(lettering, title, layout, room)
    widths = (
        lettering.stamp(printable(titles[0]), layout.title).width,
        lettering.stamp(span, points.LABEL * unit).width,
    )
    text = " · ".join(filter(None, map(printable, notes)))
    letters = max(_FEWEST_LETTERS, int(room / (points.NOTE * unit * _LETTER_EMS)))
    most = max(_NOTE_LINES, min(_NARROW_NOTE_LINES, math.ceil(_NOTE_LETTERS / letters)))
    lines = tuple(textwrap.wrap(text, letters, max_lines=most, placeholder=" …"))
    if len(titles) > 1 or sum(widths) + layout.title > room:
        span, lines = "", (span, *lines)
    return Header(titles, span, lines if points.NOTE * unit >= points.LEAST_LETTER else ())


def draw_header(canvas: Canvas, layout: Layout, lettering: Lettering, header: Header) -> None:
    """Draw the title at the left, the time span at the right and the other lines below."""
    left, right = _header_ends(layout)
    unit = layout.unit
    base = 17.0 * unit
    span = lettering.stamp(header.span, points.LABEL * unit)
    canvas.write(span, right, base, align=1.0)
    room = right - left - span.width - layout.title * bool(span.width)
    for line in header.title:
        canvas.write(lettering.fit(line, layout.title, room), left, base)
        base += points.NOTE_LINE * unit
    for line in header.lines:
        stamp = lettering.fit(line, points.NOTE * unit, right - left)
        canvas.write(stamp, left, base)
        base += points.NOTE_LINE * unit


def left_out_text(times: NDArray[np.float64]) -> str:
    """Return the note on records that are left out, whose times are `times`, in order."""
    first, last = (time_text(float(time), _DAY)[0] for time in (times[0], times[-1]))
    dates = first if first == last else f"{first} to {last}"
    return f"{count(len(times), 'record')} at {dates} left out"


def ticks_of(layout: Layout, column: int, window: Window) -> TimeTicks:
    """The ticks of the times of a column."""
    size = points.TICK_LABEL * layout.unit
    return time_ticks(window.begin, window.end, layout.boxes[column][0].width / size)


def draw_ticks(
    canvas: Canvas, layout: Layout, column: int, window: Window, ticks: TimeTicks
) -> None:
    """Draw ticks below every row of a column."""
    boxes = layout.boxes[column]
    line, reach = layout.pixels(points.LINE), layout.pixels(points.MAJOR)
    short = layout.pixels(points.MINOR)
    places, fine = (window.place(np.array(at), boxes[0]) for at in (ticks.major, ticks.minor))
    for of_row in boxes:
        canvas.column_ticks(places, of_row.bottom, of_row.bottom + line + reach, line, BLACK)
        canvas.column_ticks(fine, of_row.bottom, of_row.bottom + line + short, line, BLACK)


def write_tick_labels(
    canvas: Canvas,
    layout: Layout,
    lettering: Lettering,
    column: int,
    window: Window,
    ticks: TimeTicks,
) -> float:
    """Write labels of ticks below the last row; returns the base line of what stands below."""
    box, unit = layout.boxes[column][-1], layout.unit
    size = points.TICK_LABEL * unit
    places = window.place(np.array(ticks.major), box)
    base = box.bottom + (points.BELOW + points.TIME_LINE - 3.5) * unit
    for place, label in zip(places.tolist(), ticks.labels, strict=True):
        canvas.write(lettering.stamp(label, size), place, base, align=0.5)
    return base + points.DATE_LINE * unit


def write_times(
    canvas: Canvas, layout: Layout, lettering: Lettering, column: int, window: Window
) -> None:
    """Write times and dates below the last row of a column."""
    box, size = layout.boxes[column][-1], points.TICK_LABEL * layout.unit
    ticks = ticks_of(layout, column, window)
    base = write_tick_labels(canvas, layout, lettering, column, window, ticks)
    places = window.place(np.array(ticks.major), box)
    taken = box.left - layout.left
    first = box.right + layout.right
    for place, date in zip(places.tolist(), ticks.dates, strict=True):
        stamp = lettering.stamp(f"{date} UTC" if date else "", size)
        if date and place - stamp.width / 2 > taken + size / 2:
            at = canvas.write(stamp, place, base, align=0.5)
            first = min(first, at.left)
            taken = at.right
    stamp = lettering.stamp(f"{time_text(window.begin, 60.0)[0]} UTC", size)
    start = min(box.left, first - size - stamp.width)
    if start > box.left - layout.left:
        canvas.write(stamp, start, base)


def _header_ends(layout: Layout) -> tuple[float, float]:
    """Left and right end of the header: those of the panels or, if narrow, of the figure."""
    if layout.is_narrow:
        margin = _NARROW_MARGIN * layout.unit
        return margin, layout.width - margin
    return layout.boxes[0][0].left, layout.bars[-1][0].right


def _title_lines(lettering: Lettering, title: str, layout: Layout, room: float) -> tuple[str, ...]:
    """Wrap a title: in narrow figures, and where it would be cut, into more lines then."""
    size = layout.title
    for most in range(2 if layout.is_narrow else 1, _TITLE_LINES + 1):
        lines = (title,) if most == 1 else wrapped(lettering, title, size, room, most)
        if all(lettering.fit(line, size, room).text == printable(line) for line in lines):
            break
    return lines


def span_text(window: Window | None) -> str:
    """The time span of a figure, as in "2000-01-01 10:00:00 – 10:20:00 UTC"."""
    if window is None:
        return "no times"
    span = window.end - window.begin
    (date, begin), (last_date, end) = (time_text(t, span) for t in (window.begin, window.end))
    return f"{date} {begin} – {end if last_date == date else f'{last_date} {end}'} UTC"
