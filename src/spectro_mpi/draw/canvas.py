"""An image of palette indices to draw text and lines on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.lines import FINE, Points, coverage_of, extent_of, widened
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.raster import Painted
from spectro_mpi.draw.text import Stamp


class Canvas:
    """Draws into an image, (row, column) uint8 palette indices, and clips at its edges."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.stamped: list[Box] = []
        """The box of each text, in the order drawn."""

    def panel(self, box: Box, painted: Painted) -> None:
        """Put the pixels of a panel, of the size of its box, on the canvas."""
        self.paste(box, painted.pixels)

    def fill(self, box: Box, index: int) -> None:
        """Fill the part of a box that lies on the canvas."""
        self.image[max(0, box.top) : max(0, box.bottom), max(0, box.left) : max(0, box.right)] = (
            index
        )

    def row_ticks(
        self, at: NDArray[np.float64], left: int, right: int, width: int, index: int
    ) -> None:
        """Draw horizontal lines of `width` pixels from `left` to `right`, around the rows `at`."""
        rows = _around(at, width, self.image.shape[0])
        self.image[rows, max(0, left) : max(0, right)] = index

    def column_ticks(
        self, at: NDArray[np.float64], top: int, bottom: int, width: int, index: int
    ) -> None:
        """Draw vertical lines of `width` pixels from `top` to `bottom`, around the columns `at`."""
        columns = _around(at, width, self.image.shape[1])
        self.image[max(0, top) : max(0, bottom), columns] = index

    def outline(self, box: Box, width: int, index: int) -> None:
        """Draw lines of `width` pixels around the outside of a box."""
        left, top, right, bottom = box
        self.fill(Box(left - width, top - width, right + width, top), index)
        self.fill(Box(left - width, bottom, right + width, bottom + width), index)
        self.fill(Box(left - width, top, left, bottom), index)
        self.fill(Box(right, top, right + width, bottom), index)

    def paste(self, box: Box, image: NDArray[np.uint8]) -> None:
        """Put an image, (row, column) or (row, 1), into a box of its size, as far as it is on the
        canvas."""
        rows, columns = self.image.shape
        image = np.broadcast_to(image, (box.height, box.width))
        skip_top, skip_left = max(0, -box.top), max(0, -box.left)
        part = image[skip_top : max(0, rows - box.top), skip_left : max(0, columns - box.left)]
        top, left = box.top + skip_top, box.left + skip_left
        self.image[top : top + part.shape[0], left : left + part.shape[1]] = part

    def triangle(self, box: Box, is_upward: bool, width: int, index: int) -> None:
        """Fill a triangle that points upward or downward in a box; lines of `width` outside it."""
        image = _triangle(box.width, box.height, width, index)
        above = image.shape[0] - box.height
        left, right = box.left - width, box.right + width
        if is_upward:
            self.paste(Box(left, box.top - above, right, box.bottom), image)
        else:
            self.paste(Box(left, box.top, right, box.bottom + above), image[::-1])

    def columns(self, box: Box, columns: NDArray[np.intp], index: int) -> None:
        """Fill columns of a box, counted from its left."""
        self.image[box.top : box.bottom, box.left + columns] = index

    def spans(
        self,
        box: Box,
        top: NDArray[np.float64],
        bottom: NDArray[np.float64],
        index: int,
    ) -> None:
        """Fill each column of a box from `top` to `bottom`, (line, column), pixels from its top;
        NaN: nothing."""
        columns, first, stop = span_rows(box, top, bottom)
        lengths = stop - first
        starts = np.repeat(first - np.append(0, np.cumsum(lengths)[:-1]), lengths)
        rows = starts + np.arange(int(lengths.sum()))
        self.image[box.top + rows, box.left + np.repeat(columns, lengths)] = index

    def stroke(self, box: Box, points: Points, width: float, index: int) -> None:
        """Draw a line `width` pixels wide or, if that is 0, a band, smoothly; `index` is a grey.

        The ends of `points` are in parts of the height of the box, from its top.
        """
        points = points.scaled(1, box.height)
        extent = extent_of(points, box.width * FINE)
        if width:
            extent = widened(extent, width)
        rows, columns, part = coverage_of(extent, box.height)
        ink = np.round(part * np.float32(index)).astype(np.uint8)
        target = self.image[box.top : box.bottom, box.left : box.right]
        target[rows, columns] = np.maximum(target[rows, columns], ink)

    def zero_line(self, box: Box, at: NDArray[np.float64], width: int, index: int) -> None:
        """Draw a horizontal line of `width` pixels under what is darker in a box."""
        rows = _around(at, width, self.image.shape[0])
        target = self.image[rows, box.left : box.right]
        self.image[rows, box.left : box.right] = np.maximum(target, index)

    def dashes(self, box: Box, dash: int, gap: int, index: int) -> None:
        """Draw a vertical line as wide as a box, with dashes and gaps of so many pixels."""
        rows = box.top + np.flatnonzero(np.arange(box.height) % (dash + gap) < dash)
        self.image[rows, box.left : box.right] = index

    def write(self, stamp: Stamp, x: float, base: float, align: float = 0.0) -> Box:
        """Put text on a base line and return its box.

        `align` says which part of the text is at `x`: 0 its start, 0.5 its middle, 1 its end.
        Text that would leave the canvas is moved inside.
        """
        rows, columns = self.image.shape
        width, height = min(stamp.width, columns), min(stamp.height, rows)
        left = min(max(0, round(x - align * stamp.width)), columns - width)
        top = min(max(0, round(base) - stamp.rise), rows - height)
        box = Box(left, top, left + width, top + height)
        target = self.image[top : box.bottom, left : box.right]
        np.maximum(target, stamp.ink[:height, :width], out=target)
        self.stamped.append(box)
        return box


def span_rows(
    box: Box, top: NDArray[np.float64], bottom: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The columns that have a span inside a box, and its first row and one past its last; of each
    line (line, column), one after the other."""
    known = np.isfinite(top) & np.isfinite(bottom)
    columns = known.nonzero()[1]
    first = np.clip(np.round(top[known]), 0, box.height).astype(np.intp)
    stop = np.clip(np.round(bottom[known]), 0, box.height).astype(np.intp)
    there = stop > first
    return columns[there], first[there], stop[there]


def _around(at: NDArray[np.float64], width: int, size: int) -> NDArray[np.intp]:
    """Return the pixels of lines that are `width` wide, as far as they are within `size`."""
    pixels: NDArray[np.intp] = np.round(at - width / 2).astype(np.intp)[:, None] + np.arange(width)
    return pixels[(pixels >= 0) & (pixels < size)]


@lru_cache(maxsize=64)
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
