"""An image of palette indices to draw text and lines on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.text import Stamp


class Canvas:
    """Draws into an image, (row, column) uint8 palette indices, and clips at its edges."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.stamped: list[Box] = []
        """The box of each text, in the order drawn."""

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


def _around(at: NDArray[np.float64], width: int, size: int) -> NDArray[np.intp]:
    """Return the pixels of lines that are `width` wide, as far as they are within `size`."""
    pixels: NDArray[np.intp] = np.round(at - width / 2).astype(np.intp)[:, None] + np.arange(width)
    return pixels[(pixels >= 0) & (pixels < size)]
