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


def draw_bar(
    canvas: Canvas, bar: Box, line: int, steps: NDArray[np.uint8], ends: Ends, is_log: bool
) -> Box:
    """Draw a colour bar with an outline of `line` pixels; return the part that is the scale.

    `steps` (step,) are the palette indices of the colour map. Triangles lie within `bar`, so that
    the scale is shorter with them.
    """
    point = max(1, min(round(_POINT_WIDTHS * bar.width), round(_POINT_SHARE * bar.height)))
    top, bottom = bar.top + point * ends.high, bar.bottom - point * ends.low
    scale = Box(bar.left, top, bar.right, max(bottom, top + 1))
    canvas.outline(scale, line, BLACK)
    canvas.image[scale.top : scale.bottom, scale.left : scale.right] = _steps(scale.height, steps)
    if ends.high:
        image = _triangle(bar.width, point, line, int(steps[-1]))
        _put(canvas, image, bar.left - line, scale.top - len(image))
    if ends.low:
        image = _triangle(bar.width, point, line, UNDER if is_log else int(steps[0]))
        _put(canvas, image[::-1], bar.left - line, scale.bottom)
    return scale


def _steps(rows: int, steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the steps of a colour map as a bar (row, 1), the highest step on top."""
    step = (rows - 1 - np.arange(rows)) * len(steps) // rows
    bar: NDArray[np.uint8] = steps[step][:, None]
    return bar


def _triangle(width: int, height: int, line: int, index: int) -> NDArray[np.uint8]:
    """Return a triangle that points upward, (row, column); its outline is outside and smooth.

    The image is wider than the triangle by a line on either side, and higher by two.
    """
    above = 2 * line
    y = np.arange(height + above)[:, None] + 0.5 - above
    x = np.arange(width + 2 * line) + 0.5 - line
    x = np.minimum(x, width - x)
    # Pixels to the nearer of the two sides from (0, height) and (width, height) to (width / 2, 0).
    inward = (x * height + (y - height) * width / 2) / np.hypot(height, width / 2)
    ink = np.round(BLACK * np.clip(inward + line + 0.5, 0, 1))
    image: NDArray[np.uint8] = np.where(inward > 0, index, ink).astype(np.uint8)
    return image


def _put(canvas: Canvas, image: NDArray[np.uint8], left: int, top: int) -> None:
    """Copy the part of an image that lies on the canvas."""
    rows, columns = canvas.image.shape
    skip_top, skip_left = max(0, -top), max(0, -left)
    part = image[skip_top : max(0, rows - top), skip_left : max(0, columns - left)]
    top, left = top + skip_top, left + skip_left
    canvas.image[top : top + part.shape[0], left : left + part.shape[1]] = part
