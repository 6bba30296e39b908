"""Room for labels: wider margins and more lines where labels would be cut, or too small to read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.bars import point_height
from spectro_mpi.draw.labels import depth_needed, value_labels, wrapped
from spectro_mpi.draw.layout import UTMOST_OF_WIDTH, Grid, Layout, layout_of
from spectro_mpi.draw.scale import Scale
from spectro_mpi.draw.text import ELLIPSIS, Lettering, Stamp, printable
from spectro_mpi.draw.ticks import value_ticks

ZOOM = " (zoom)"
_LABEL_LINES = 4
"""Most lines of the label of a row."""
LABEL_BREAK = ": "
"""Where the label of a row at the left of its axis is broken into two lines."""
LABEL_LINES = 2
"""Lines of the label of a row at the left of its axis."""
_GROWTH, _GROWTHS = 1.15, 7
"""Factor by which rows become higher, so many times at most, for labels that are too long."""
_SURE_TO_SHRINK = 0.65
"""Tick labels fit into their usual room if they may shrink to this part of their font size."""
_TICK_ROOM = 1.6
"""Smallest distance between tick labels on a vertical axis, in letter heights."""


@dataclass(frozen=True)
class Row:
    """Label and axes of one row of panels."""

    label: str
    y_scale: Scale
    z_scale: Scale
    z_label: str
    y_label: str
    is_line: bool = False
    """Whether it shows lines: it has no colour bar."""
    names: tuple[str, ...] = ()
    """Names of its lines, for the place of the colour bar; empty: there is a single one."""


def with_room(grid: Grid, rows: Sequence[Row], lettering: Lettering) -> Grid:
    """Return a grid in which labels of rows and axes are whole, as far as the data stay readable.

    Its margins and lines do not depend on those of `grid`. Its rows are higher only if the margins
    have no room.
    """
    grid = replace(grid, label_lines=1, more_left=0.0, more_right=0.0)
    if not rows:
        return grid
    width = grid.panel_size[0]
    for _ in range(1 if grid.keeps_height else _GROWTHS):
        grid, is_enough = _with_lines(grid, rows, lettering)
        if is_enough:
            break
        grid = replace(grid, label_lines=1, panel_size=(width, _GROWTH * grid.panel_size[1]))
    return grid


def row_label(
    lettering: Lettering, label: str, size: float, room: float, most: int
) -> tuple[str, ...]:
    """Wrap the label of a row into at most `most` lines if it would be cut in one."""
    if most == 1 or lettering.fit(label, size, room).text == printable(label):
        return (label,)
    return wrapped(lettering, label, size, room, most)


def lines_at_left(
    layout: Layout, rows: Sequence[Row], lettering: Lettering, more: str = ""
) -> list[list[Stamp]]:
    """What stands at the left of each axis: the lines of the row's label, and the axis's own.

    A label, followed by `more`, is broken at ": ", else where it is long. All are as small as the
    longest.
    """
    size, room = points.LABEL * layout.unit, layout.boxes[0][0].height + 2 * layout.label_reach
    texts = (
        (*_label_lines_at_left(lettering, row.label + more, size, room), row.y_label)
        for row in rows
    )
    stamps = [[lettering.fit(text, size, room) for text in row] for row in texts]
    least = min((stamp.size for row in stamps for stamp in row), default=size)
    return [[lettering.stamp(stamp.text, least) for stamp in row] for row in stamps]


def label_groups(grid: Grid, rows: Sequence[Row]) -> list[range]:
    """The rows that share a label of their colour bars; lines have none.

    These are single rows, or with labels at the left the neighbours of one instrument.
    """

    def key(place: int) -> object:
        row = rows[place]
        name = row.label.partition(LABEL_BREAK)[0] if grid.labels_at_left else place
        return row.is_line, name, row.z_label

    groups = (list(places) for _, places in groupby(range(min(grid.rows, len(rows))), key))
    return [range(each[0], each[-1] + 1) for each in groups if not rows[each[0]].is_line]


def tick_room(size: float, height: int) -> float:
    """Smallest distance between tick labels of a font size, as a part of an axis; both pixels."""
    return min(1.0, _TICK_ROOM * size / height)


def _with_lines(grid: Grid, rows: Sequence[Row], lettering: Lettering) -> tuple[Grid, bool]:
    """Return a grid with lines and margins for labels, and whether they have room."""
    while True:
        layout = layout_of(replace(grid, more_left=0.0, more_right=0.0))
        spare = UTMOST_OF_WIDTH * layout.column_width / layout.unit - points.LEFT - points.RIGHT
        right, left = (
            _lacking(grid, layout, rows, lettering, at_left) for at_left in (False, True)
        )
        if grid.labels_at_left:
            left += LABEL_LINES * points.NOTE_LINE
        is_enough = right + left <= max(0.0, spare)
        right = min(right, max(0.0, spare))
        grid = replace(grid, more_right=right, more_left=min(left, max(0.0, spare - right)))
        lines = _label_lines(grid, rows, lettering)
        if lines <= grid.label_lines:
            return grid, is_enough and _are_whole_at_left(grid, rows, lettering)
        grid = replace(grid, label_lines=lines)  # which makes rows, and labels of axes, shorter


def _are_whole_at_left(grid: Grid, rows: Sequence[Row], lettering: Lettering) -> bool:
    """Whether labels at the left, if there are any, are not shortened."""
    if not grid.labels_at_left:
        return True
    longest = ZOOM * (grid.columns > 1)
    lines = lines_at_left(layout_of(grid), rows, lettering, longest)
    return not any(stamp.text.endswith(ELLIPSIS) for row in lines for stamp in row)


def _label_lines_at_left(
    lettering: Lettering, label: str, size: float, room: float
) -> tuple[str, ...]:
    name, _, rest = label.partition(LABEL_BREAK)
    return (name, rest) if rest else wrapped(lettering, label, size, room, LABEL_LINES)


def _label_lines(grid: Grid, rows: Iterable[Row], lettering: Lettering) -> int:
    layout = layout_of(grid)
    if grid.labels_at_left:
        return 1
    size, room = points.LABEL * layout.unit, layout.bars[0][0].right - layout.boxes[0][0].left
    zooms = ("", ZOOM)[: grid.columns]
    return max(
        _lines_needed(lettering, row.label + zoom, size, room) for row, zoom in product(rows, zooms)
    )


def _lines_needed(lettering: Lettering, label: str, size: float, room: float) -> int:
    for count in range(1, _LABEL_LINES):
        lines = row_label(lettering, label, size, room, count)
        if all(lettering.fit(line, size, room).text == printable(line) for line in lines):
            return count
    return _LABEL_LINES


def _lacking(
    grid: Grid, layout: Layout, rows: Sequence[Row], lettering: Lettering, at_left: bool
) -> float:
    """Points by which a margin is too narrow for the labels of its axes."""
    unit = layout.unit
    size = points.TICK_LABEL * unit
    box = layout.boxes[0][0]
    length = box.height + 2 * layout.label_reach
    pitch = box.height + round(layout.row_gap * unit)
    needs = {(row.y_label, length) for row in rows}
    if not at_left:
        needs = {
            (rows[each[0]].z_label, length + (len(each) - 1) * pitch)
            for each in label_groups(grid, rows)
        }
        rows = [row for row in rows if not row.is_line]
    depths = (depth_needed(lettering, label, points.LABEL * unit, long) for label, long in needs)
    depth = max(depths, default=0.0)
    bar = 0 if at_left else layout.bars[0][0].right - box.right
    room = (layout.left if at_left else layout.right - bar) - depth - 1
    room -= layout.tick_reach + points.LABEL_GAP * unit + layout.pixels(points.LABEL_MARGIN)
    usual = points.VALUE_ROOM * unit
    if room >= usual and layout.least < _SURE_TO_SHRINK * size:
        return 0.0
    scales = [row.y_scale if at_left else row.z_scale for row in rows]
    heights = [box.height]
    if not at_left:  # colour bars may be pointed at both ends
        heights += [box.height - ends * point_height(layout.bars[0][0]) for ends in (1, 2)]
    widest = 0
    for scale, height in product(scales, heights):
        ticks = value_ticks(scale, tick_room(size, max(1, height)))
        stamps, _ = value_labels(lettering, ticks, size, usual)
        widest = max(widest, *(stamp.width for stamp in stamps), 0)
    return float(max(0, math.ceil((widest - room) / unit)))
