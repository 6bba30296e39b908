"""The layout of a figure; all lengths are in points, so that they hold at any dpi."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

# Font sizes and lengths, in points (1/72 inch).
TITLE, LABEL, TICK_LABEL, NOTE = 12.0, 10.0, 9.0, 9.0
LEAST_LETTER = 3.0  # pixels; lines of smaller text cannot be read and are left out.
LINE, MAJOR, MINOR, PAD = 0.8, 3.5, 2.0, 2.5
LEFT, RIGHT = 64.0, 89.0
"""Margins of a data area: left for the energy axis; right for the colour bar and its axis."""
BAR_GAP, BAR_WIDTH = 10.0, 14.0
VALUE_ROOM = 38.0
"""Width of tick labels beside a data area or colour bar."""
LABEL_GAP = 4.0
"""Distance between tick labels and the label of their axis."""
LABEL_MARGIN = 1.0
"""Distance of the label of an axis from the edge of its column."""
BETWEEN_LABELS = 4.0
"""Least distance between the labels of the axes of two rows."""
HEADER, NOTE_LINE = 26.0, 12.0
ABOVE, BELOW = 15.0, 6.0
"""Space of each row: above for its label, below for its ticks."""
ABOVE_TIGHT = 7.0
"""Space above a row whose label is at its left: for the strip of flagged records."""
STRIP = 2.16
"""Height of the strip right above a data area that marks flagged records: 6 pixels at 200 dpi."""
ROW_LABEL = LINE + STRIP + 3.2
"""Distance of the base line of a row's label from the data area."""
TIME_LINE, DATE_LINE, POSITION_LINE, EVENT_LINE = 11.5, 13.0, 11.5, 11.5
"""Heights of the lines below the last row."""
BRACKETS = 7.5
"""Height of the brackets of events, above their lines."""

_READABLE = 0.7
"""Minimum of pixels per point, where there is room: smaller text cannot be read."""
_MOST_OF_HEIGHT, _MOST_OF_WIDTH = 0.6, 0.45
"""Largest share of a figure's height and width outside the data; beyond it, text shrinks."""
LEAST_POINTS = 5.5
"""Font size to which text shrinks, even if the data are left less than that: …"""
_UTMOST_OF_HEIGHT, UTMOST_OF_WIDTH = 0.75, 0.6
"""… with these shares outside the data, figures become higher or, where their height is set, and
for the width, text shrinks further."""


class Box(NamedTuple):
    """A rectangle in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


@dataclass(frozen=True)
class Grid:
    """Everything that a layout depends on."""

    dpi: int
    panel_size: tuple[float, float]
    rows: int
    columns: int
    """Columns of panels: one for the whole time span, and one per zoomed event."""
    header_lines: int
    event_lines: int
    """Lines of text below the brackets of events; 0: no events."""
    text_scale: float = 1.0
    """Size of text and margins, relative to the points above."""
    label_lines: int = 1
    """Lines of the label of each row."""
    more_left: float = 0.0
    """What the left margin is wider than `LEFT`, for the labels of energy axes, points."""
    more_right: float = 0.0
    """What the right margin is wider than `RIGHT`, for those of colour bars, points."""
    keeps_height: bool = False
    """Whether the figure is as high as its panels, even if its text does not fit."""
    position_lines: int = 0
    """Lines of labels of the ephemeris, below the times."""
    labels_at_left: bool = False
    """Whether the label of a row is beside its axis, in one more line than `label_lines`, rather
    than above it."""


@dataclass(frozen=True)
class Layout:
    """Size of a figure, and the position of its data areas and colour bars, in pixels."""

    width: int
    height: int
    unit: float
    """Pixels per point; in small figures less than dpi / 72."""
    title: float
    """Font size of the title in pixels."""
    least: float
    """Font size in pixels below which text is cut rather than shrunk."""
    is_narrow: bool
    """Whether text is smaller because columns are narrow; then the title may be several lines."""
    left: float
    """Margin of a column left of its data areas, in pixels."""
    right: float
    """Margin of a column right of its data areas, in pixels."""
    boxes: tuple[tuple[Box, ...], ...]
    """[column][row] data areas."""
    bars: tuple[tuple[Box, ...], ...]
    """[column][row] colour bars."""
    times: float
    """Height of the times and positions below the last row, in points."""
    row_gap: float = ABOVE + BELOW
    """Distance of rows whose labels have one line, in points."""

    @property
    def column_width(self) -> int:
        """Width of a column with its labels and colour bars, in pixels."""
        return self.width // len(self.boxes)

    @property
    def tick_reach(self) -> int:
        """Distance of tick labels beside an axis from its data area or colour bar, in pixels."""
        return self.pixels(LINE) + self.pixels(MAJOR) + self.pixels(PAD)

    @property
    def label_reach(self) -> int:
        """What labels of axes may reach beyond their row, above and below it, in pixels."""
        return round((self.row_gap - BETWEEN_LABELS) / 2 * self.unit)

    def pixels(self, points: float) -> int:
        """Convert a length in points to whole pixels, at least 1."""
        return max(1, round(points * self.unit))


@lru_cache(maxsize=64)
def layout_of(grid: Grid) -> Layout:
    """Compute the layout of a figure."""
    column_width = max(1, round(grid.panel_size[0] * grid.dpi))
    row_height = max(1, round(grid.panel_size[1] * grid.dpi))
    header = HEADER + NOTE_LINE * grid.header_lines
    times = TIME_LINE + DATE_LINE + POSITION_LINE * grid.position_lines
    footer = times
    if grid.event_lines:
        footer += BRACKETS + EVENT_LINE * grid.event_lines
    above = ABOVE + NOTE_LINE * (grid.label_lines - 1)
    if grid.labels_at_left:
        above = ABOVE_TIGHT
    high = header + (above + BELOW) * grid.rows + footer
    point = max(grid.dpi / 72, _READABLE)
    full = point * grid.text_scale
    narrow = _MOST_OF_WIDTH * column_width / (LEFT + RIGHT)
    least = math.ceil(100 * LEAST_POINTS * point) / 100  # sizes of text are rounded to so much
    legible = min(full, least / TICK_LABEL)
    height = row_height * grid.rows
    if not grid.keeps_height:
        height = max(height, math.ceil(legible * high / _UTMOST_OF_HEIGHT))
    utmost = min(_UTMOST_OF_HEIGHT * height / high, UTMOST_OF_WIDTH * column_width / (LEFT + RIGHT))
    unit = min(full, _MOST_OF_HEIGHT * height / high, narrow)
    unit = max(unit, min(legible, utmost))
    margins = (LEFT + grid.more_left) * unit, (RIGHT + grid.more_right) * unit
    first = round((header + above) * unit)
    between = round((above + BELOW) * unit)
    last = height - round((BELOW + footer) * unit)
    box_height = max(1, (last - first - between * (grid.rows - 1)) // grid.rows)
    boxes, bars = [], []
    for column in range(grid.columns):
        left = column * column_width + round(margins[0])
        right = max(left + 1, (column + 1) * column_width - round(margins[1]))
        tops = [first + row * (box_height + between) for row in range(grid.rows)]
        boxes.append(tuple(Box(left, top, right, top + box_height) for top in tops))
        bar = right + round(BAR_GAP * unit)
        bar_end = bar + max(1, round(BAR_WIDTH * unit))
        bars.append(tuple(Box(bar, top, bar_end, top + box_height) for top in tops))
    is_narrow = narrow < full
    return Layout(
        column_width * grid.columns,
        height,
        unit,
        (LABEL if is_narrow else TITLE) * unit,
        least if is_narrow or TICK_LABEL * unit > 0.999 * least else 0.0,
        is_narrow,
        *margins,
        tuple(boxes),
        tuple(bars),
        times,
        (ABOVE_TIGHT if grid.labels_at_left else ABOVE) + BELOW,
    )
