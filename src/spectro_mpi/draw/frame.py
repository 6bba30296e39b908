"""The part of a figure that is the same for all items with the same limits.

The colour bars are apart: which of their ends are pointed depends on the values of an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.bars import Ends, draw_bar
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.labels import LINE_SPACING, fit_label, value_labels
from spectro_mpi.draw.layout import Box, Grid, Layout, layout_of
from spectro_mpi.draw.line_panels import draw_names
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.room import ZOOM, Row, label_groups, lines_at_left, row_label, tick_room
from spectro_mpi.draw.scale import Scale
from spectro_mpi.draw.text import DIGIT_HEIGHT, Lettering, Stamp, upward
from spectro_mpi.draw.ticks import value_ticks

_DESCENT = 0.24
"""What letters of DejaVu Sans reach below their base line, in font sizes."""


@dataclass(frozen=True)
class FrameSpec:
    """Everything that a frame depends on: equal specs give equal frames."""

    grid: Grid
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Frame:
    """An image with vertical axes and labels, but without data, colour bars, times and title."""

    image: NDArray[np.uint8]
    """(row, column) palette indices"""
    boxes: tuple[tuple[Box, ...], ...]
    """[column][row] data areas."""


def draw_frame(spec: FrameSpec, canvas: Canvas, lettering: Lettering) -> Frame:
    """Draw a frame on a blank canvas."""
    layout = layout_of(spec.grid)
    line, size = layout.pixels(points.LINE), points.LABEL * layout.unit
    begin = layout.pixels(points.LABEL_MARGIN)
    for column, (boxes, bars) in enumerate(zip(layout.boxes, layout.bars, strict=True)):
        left = boxes[0].left
        for row, box, bar in zip(spec.rows, boxes, bars, strict=False):
            canvas.outline(box, line, BLACK)
            if row.is_line:
                draw_names(canvas, layout, lettering, row, box, (column + 1) * layout.column_width)
            if spec.grid.labels_at_left:
                axis = _value_axis(canvas, layout, lettering, row.y_scale, box, True)
                left = min(left, axis)
                continue
            label, width = row.label + ZOOM * (column > 0), bar.right - box.left
            lines = row_label(lettering, label, size, width, spec.grid.label_lines)
            for number, text in enumerate(lines, 1):
                above = points.ROW_LABEL + points.NOTE_LINE * (len(lines) - number)
                base = box.top - above * layout.unit
                canvas.write(lettering.fit(text, size, width), box.left, base)
            left = min(left, _value_axis(canvas, layout, lettering, row.y_scale, box, True))
        # Beside the widest tick label of all rows, so that the axis labels line up.
        end = round(left - points.LABEL_GAP * layout.unit)
        rooms = [
            _label_room(layout, box, column * layout.column_width + begin, end) for box in boxes
        ]
        if spec.grid.labels_at_left:
            beside = lines_at_left(layout, spec.rows, lettering, ZOOM * (column > 0))
            for stamps, room in zip(beside, rooms, strict=False):
                _at_left(canvas, stamps, room)
            continue
        for row, room in zip(spec.rows, rooms, strict=False):
            _beside(canvas, lettering, row.y_label, size, room, True)
    return Frame(canvas.image, layout.boxes)


def draw_bars(
    spec: FrameSpec,
    column: int,
    ends: Sequence[Ends],
    steps: NDArray[np.uint8],
    canvas: Canvas,
    lettering: Lettering,
) -> None:
    """Draw the colour bars of a column, their axes and labels, on a canvas with the frame.

    `ends` has an element per row; `steps` (step,) are the palette indices of the colour map.
    """
    layout = layout_of(spec.grid)
    line, size = layout.pixels(points.LINE), points.LABEL * layout.unit
    boxes, bars = layout.boxes[column], layout.bars[column]
    right = bars[0].right
    for row, bar, of_bar in zip(spec.rows, bars, ends, strict=False):
        if row.is_line:
            continue
        scale = draw_bar(canvas, bar, line, steps, of_bar, row.z_scale.kind == "log")
        right = max(right, _value_axis(canvas, layout, lettering, row.z_scale, scale, False))
    begin = round(right + points.LABEL_GAP * layout.unit)
    end = (column + 1) * layout.column_width - layout.pixels(points.LABEL_MARGIN)
    for group in label_groups(spec.grid, spec.rows):
        box = boxes[group.start]._replace(bottom=boxes[group.stop - 1].bottom)
        room = _label_room(layout, box, begin, end)
        _beside(canvas, lettering, spec.rows[group.start].z_label, size, room, False)


def _value_axis(
    canvas: Canvas, layout: Layout, lettering: Lettering, scale: Scale, box: Box, at_left: bool
) -> int:
    """Draw ticks and labels left or right of a box; return the x of their outer edge."""
    size = points.TICK_LABEL * layout.unit
    ticks = value_ticks(scale, tick_room(size, box.height))
    edge = layout.pixels(points.LINE)
    minor, major = (_rows_of(values, scale, box) for values in (ticks.minor, ticks.major))
    for rows, length in ((minor, points.MINOR), (major, points.MAJOR)):
        reach = edge + layout.pixels(length)
        sides = (box.left - reach, box.left) if at_left else (box.right, box.right + reach)
        canvas.row_ticks(rows, *sides, edge, BLACK)
    pad = layout.tick_reach
    stamps, size = value_labels(lettering, ticks, size, points.VALUE_ROOM * layout.unit)
    reach = box.left - pad if at_left else box.right + pad
    for y, stamp in zip(major.tolist(), stamps, strict=True):
        x = box.left - pad if at_left else box.right + pad
        at = canvas.write(stamp, x, y + DIGIT_HEIGHT / 2 * size, align=float(at_left))
        reach = min(reach, at.left) if at_left else max(reach, at.right)
    return reach


def _rows_of(values: tuple[float, ...], scale: Scale, box: Box) -> NDArray[np.float64]:
    """Return the positions of values, in pixels from the top of the image."""
    rows: NDArray[np.float64] = box.bottom - scale.fraction(values) * box.height
    return rows


def _label_room(layout: Layout, box: Box, left: int, right: int) -> Box:
    """Return the room for the label of an axis of a row, between two columns of pixels.

    It reaches above and below the row, as far as the labels of two rows stay apart.
    """
    more = layout.label_reach
    return Box(left, box.top - more, right, box.bottom + more)


def _at_left(canvas: Canvas, stamps: Sequence[Stamp], room: Box) -> None:
    """Write lines, turned upward, from the right end of a room on."""
    base = room.right - _DESCENT * stamps[-1].size
    for stamp in reversed(stamps):
        turned = upward(stamp)
        middle = (room.top + room.bottom + turned.height) / 2
        canvas.write(turned, base - stamp.rise, middle)
        base -= LINE_SPACING * stamp.size


def _beside(
    canvas: Canvas, lettering: Lettering, label: str, size: float, room: Box, to_right: bool
) -> None:
    """Write a label, turned upward, in the middle of a room's height, at one side of it."""
    stamps, size = fit_label(lettering, label, size, room.height, room.width)
    step, last = LINE_SPACING * size, stamps[-1]
    # Upward, base lines are columns, and that of the first line is the leftmost.
    base = float(room.left + stamps[0].rise)
    if to_right:
        base = room.right - (last.height - last.rise) - (len(stamps) - 1) * step
    for number, stamp in enumerate(stamps):
        turned = upward(stamp)
        middle = (room.top + room.bottom + turned.height) / 2
        canvas.write(turned, base + number * step - stamp.rise, middle)
