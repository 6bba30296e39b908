"""Colour bars, pointed at an end beyond which there are values, as matplotlib's `extend` does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.palette import BLACK, UNDER

_POINT_WIDTHS = 0.7
"""Height of a triangle, in widths of the bar."""
_POINT_SHARE = 0.15
"""Largest part of the bar's height that a triangle takes."""


class Ends(NamedTuple):
    """Which ends of a colour bar are pointed: values below, above the scale are shown there."""

    low: bool
    high: bool

    @property
    def extend(self) -> str:
        """The word that matplotlib has for it: "neither", "min", "max", "both"."""
        return ("neither", "min", "max", "both")[self.low + 2 * self.high]


def point_height(bar: Box) -> int:
    """What a pointed end takes of the height of a bar, in pixels."""
    return max(1, min(round(_POINT_WIDTHS * bar.width), round(_POINT_SHARE * bar.height)))


def draw_bar(
    canvas: Canvas, bar: Box, line: int, steps: NDArray[np.uint8], ends: Ends, is_log: bool
) -> Box:
    """Draw a colour bar with an outline of `line` pixels; return the part that is the scale.

    `steps` (step,) are the palette indices of the colour map. Triangles lie within `bar`, so that
    the scale is shorter with them.
    """
    point = point_height(bar)
    top, bottom = bar.top + point * ends.high, bar.bottom - point * ends.low
    scale = Box(bar.left, top, bar.right, max(bottom, top + 1))
    canvas.outline(scale, line, BLACK)
    canvas.paste(scale, _steps(scale.height, steps))
    if ends.high:
        canvas.triangle(
            scale._replace(top=scale.top - point, bottom=scale.top), True, line, steps[-1]
        )
    if ends.low:
        lowest = UNDER if is_log else steps[0]
        below = scale._replace(top=scale.bottom, bottom=scale.bottom + point)
        canvas.triangle(below, False, line, lowest)
    return scale


def _steps(rows: int, steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the steps of a colour map as a bar (row, 1), the highest step on top."""
    step = (rows - 1 - np.arange(rows)) * len(steps) // rows
    bar: NDArray[np.uint8] = steps[step][:, None]
    return bar
