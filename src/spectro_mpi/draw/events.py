"""Marked events: dashed lines in the panels; below the time axis brackets, labels and times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.palette import marker_of
from spectro_mpi.draw.text import DIGIT_HEIGHT, Lettering, Stamp, printable
from spectro_mpi.draw.ticks import time_text
from spectro_mpi.draw.times import Window
from spectro_mpi.model.marks import Event

_MOST_LINES = 3
"""Of text below the brackets."""
_DASHES = ((6.0, 4.0), (2.0, 3.0), (12.0, 4.0))
"""Dash and gap of the lines of each colour, in points: they differ in more than the colour."""
_MARKER = 1.4  # width of marker lines and brackets, in points
_BRACKET = 4.0  # height of a bracket, in points
_DEEPER = 2.4  # what a bracket is higher than one that it overlaps, in points
_BASE = 1.1  # base line of the first line of text below the lowest bracket, in font sizes
_SWATCH, _SWATCH_GAP = 0.55, 0.35  # of the event's colour, before its text, in font sizes
_FARTHEST = 1.0
"""Largest distance of a text from the middle of its bracket, in font sizes; farther away it would
be read as that of another event."""
_LETTERS = 24  # Longer labels are cut.


class _Caption(NamedTuple):
    """The text of an event, with a square of its colour before it."""

    stamp: Stamp
    color: int
    """Palette index."""
    left: float
    """Of the square."""
    line: int


def events_in(window: Window | None, events: Iterable[Event]) -> tuple[Event, ...]:
    """The events that overlap a window, sorted by time, with `start` before `end`."""
    if window is None:
        return ()
    known = [event for event in events if math.isfinite(event.start + event.end)]
    turned = [
        replace(event, start=min(event.start, event.end), end=max(event.start, event.end))
        for event in known
    ]
    return _overlapping(window, turned)


def within(window: Window, event: Event) -> tuple[float, float]:
    """The part of an event inside a window that it overlaps."""
    return max(event.start, window.begin), min(event.end, window.end)


def open_ended(whole: Window | None, events: Iterable[Event]) -> tuple[Event, ...]:
    """Events as they are drawn: an end beyond the figure is infinite, and its time not written.

    It may be thousands of years away, as in tables that use such a date for "still going on".
    """
    if whole is None:
        return ()
    return tuple(
        replace(
            event,
            start=event.start if event.start >= whole.begin else -math.inf,
            end=event.end if event.end <= whole.end else math.inf,
        )
        for event in events
    )


def lines_needed(
    layout: Layout, lettering: Lettering, windows: Sequence[Window], events: tuple[Event, ...]
) -> int:
    """The number of lines of text below the brackets of events (`open_ended`); 0 without events.

    It is the one with which most columns have room for the times of their events, then for most
    labels; of several such numbers the least.
    """
    if not events:
        return 0
    columns = [
        (boxes[-1], window, _overlapping(window, events))
        for boxes, window in zip(layout.boxes, windows, strict=True)
    ]

    def fitting(lines: int) -> tuple[int, int]:
        placed = [_captions(layout, lettering, *column, lines) for column in columns]
        return sum(with_times for _, with_times in placed), sum(len(some) for some, _ in placed)

    is_readable = points.TICK_LABEL * layout.unit >= points.LEAST_LETTER
    best, most = 1, (-1, -1)
    for lines in range(1, (_MOST_LINES if is_readable else 1) + 1):
        fit = fitting(lines)
        if fit > most:
            best, most = lines, fit
        if fit[0] == len(columns):
            break  # more lines cannot hold more
    return best


def draw_events(
    canvas: Canvas,
    layout: Layout,
    lettering: Lettering,
    column: int,
    window: Window,
    events: tuple[Event, ...],
    lines: int,
) -> None:
    """Draw the events (`open_ended`) of a column; `lines` of text have room below the brackets.

    All of a column have their label and times, or, where those have no room, their label.
    """
    box = layout.boxes[column][-1]
    top = box.bottom + round((points.BELOW + layout.times) * layout.unit)
    shown = _overlapping(window, events)
    for event, depth in zip(shown, _depths(shown), strict=True):
        _draw_bracket(canvas, layout, box, top, window, event, depth)
        for time in (event.start, event.end):
            if window.begin <= time <= window.end:
                _draw_line(canvas, layout, column, window.place(time, box), event.number)
    captions, _ = _captions(layout, lettering, box, window, shown, lines)
    size = points.TICK_LABEL * layout.unit
    swatch = max(1, round(_SWATCH * size))
    for stamp, color, left, line in captions:
        base = top + layout.pixels(_BRACKET) + _BASE * size + line * points.EVENT_LINE * layout.unit
        x, bottom = round(left), round(base - (DIGIT_HEIGHT - _SWATCH) / 2 * size)
        canvas.fill(Box(x, bottom - swatch, x + swatch, bottom), color)
        canvas.write(stamp, left + (_SWATCH + _SWATCH_GAP) * size, base)


def _captions(
    layout: Layout,
    lettering: Lettering,
    box: Box,
    window: Window,
    events: tuple[Event, ...],
    lines: int,
) -> tuple[list[_Caption], bool]:
    """Place the texts of a column's events; whether they have times, which all have or none."""
    captions = _placed(layout, lettering, box, window, events, lines, with_times=True)
    if len(captions) == len(events):
        return captions, True
    return _placed(layout, lettering, box, window, events, lines, with_times=False), False


def _placed(
    layout: Layout,
    lettering: Lettering,
    box: Box,
    window: Window,
    events: tuple[Event, ...],
    lines: int,
    with_times: bool,
) -> list[_Caption]:
    """Place the texts of events, each in the first line that has room near its bracket."""
    size = points.TICK_LABEL * layout.unit
    start = box.left - layout.left + size / 2
    limit = box.right + layout.right - size / 2
    taken = [start] * lines
    captions = []
    for event in events:
        before = (_SWATCH + _SWATCH_GAP) * size
        stamp = _text(lettering, event, size, limit - start - before, with_times)
        width = before + stamp.width
        middle = sum(window.place(time, box) for time in within(window, event)) / 2
        for line in range(lines):
            left = max(taken[line], min(middle - width / 2, limit - width))
            is_near = abs(left + width / 2 - middle) < width / 2 + _FARTHEST * size
            if is_near and left + width <= limit + 0.5:
                captions.append(_Caption(stamp, marker_of(event.number), left, line))
                taken[line] = left + width + size
                break
    return captions


def _text(lettering: Lettering, event: Event, size: float, room: float, with_times: bool) -> Stamp:
    label = printable(event.label)
    if len(label) > _LETTERS:
        label = f"{label[: _LETTERS - 1].rstrip()}…"
    if not with_times:
        return lettering.fit(label, size, room)
    times = dict.fromkeys(
        time_text(time, 60.0)[1] if math.isfinite(time) else "…"
        for time in (event.start, event.end)
    )
    words = "–".join(times)
    return lettering.stamp(f"{label} {words}".strip() if words != "…" else label, size)


def _overlapping(window: Window, events: Iterable[Event]) -> tuple[Event, ...]:
    """The events that overlap a window, sorted by time."""
    inside = [e for e in events if e.end >= window.begin and e.start <= window.end]
    return tuple(sorted(inside, key=lambda event: (event.start, event.end, event.label)))


def _depths(events: tuple[Event, ...]) -> list[int]:
    """0 or 1 for each event, so that the brackets of two that overlap can be told apart."""
    depths: list[int] = []
    end = -math.inf  # of the last event with depth 0
    for event in events:
        depths.append(int(event.start <= end))
        if not depths[-1]:
            end = event.end
    return depths


def _draw_bracket(
    canvas: Canvas, layout: Layout, box: Box, top: int, window: Window, event: Event, depth: int
) -> None:
    line = layout.pixels(_MARKER)
    bottom = top + layout.pixels(_BRACKET + _DEEPER * depth)
    ends = [_edge(window.place(time, box), box, line) for time in within(window, event)]
    index = marker_of(event.number)
    canvas.fill(Box(ends[0], bottom - line, ends[1] + line, bottom), index)
    for time, left in zip((event.start, event.end), ends, strict=True):
        if window.begin <= time <= window.end:
            canvas.fill(Box(left, top, left + line, bottom), index)


def _draw_line(canvas: Canvas, layout: Layout, column: int, x: float, number: int) -> None:
    width = layout.pixels(_MARKER)
    dash, gap = (layout.pixels(length) for length in _DASHES[number % len(_DASHES)])
    for box in layout.boxes[column]:
        left = _edge(x, box, width)
        line = box._replace(left=left, right=left + width)
        canvas.dashes(line, dash, gap, marker_of(number))


def _edge(x: float, box: Box, width: int) -> int:
    """The left edge of a vertical line of `width` pixels at `x`, inside a box."""
    return max(box.left, min(round(x - width / 2), box.right - width))
