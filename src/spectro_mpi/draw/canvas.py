"""A picture of palette indices that letters and lines are put on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.text import Stamp


class Canvas:
    """Draws into an image (row, column) of palette indices; stays within it."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self.stamped: list[Box] = []
        """Where letters stand, as drawn."""

    def fill(self, box: Box, index: int) -> None:
        """Fill a box, as far as it lies on the canvas."""
        self.image[max(0, box.top) : max(0, box.bottom), max(0, box.left) : max(0, box.right)] = (
            index
        )

    def outline(self, box: Box, width: int, index: int) -> None:
        """Lines round the outside of a box."""
        left, top, right, bottom = box
        self.fill(Box(left - width, top - width, right + width, top), index)
        self.fill(Box(left - width, bottom, right + width, bottom + width), index)
        self.fill(Box(left - width, top, left, bottom), index)
        self.fill(Box(right, top, right + width, bottom), index)

    def write(self, stamp: Stamp, x: float, base: float, align: float = 0.0) -> Box:
        """Put letters on a base line; `align` 0: they begin at x, 0.5: centred, 1: they end."""
        rows, columns = self.image.shape
        width, height = min(stamp.width, columns), min(stamp.height, rows)
        left = min(max(0, round(x - align * stamp.width)), columns - width)
        top = min(max(0, round(base) - stamp.rise), rows - height)
        box = Box(left, top, left + width, top + height)
        target = self.image[top : box.bottom, left : box.right]
        np.maximum(target, stamp.ink[:height, :width], out=target)
        self.stamped.append(box)
        return box
