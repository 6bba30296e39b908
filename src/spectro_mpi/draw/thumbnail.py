"""A figure made small: its data areas alone, as pictures to browse by.

Pure functions, arrays in and out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.palette import BLANK, FIRST_COLOR, MARKER

WIDTH, HEIGHT = 240, 128
"""Pixels of a thumbnail."""
_GAP = 2
"""Blank rows between data areas."""
_SAMPLES = 2
"""Pixels of the figure that a pixel of the thumbnail is made from, along each axis."""


def thumbnail(image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH) palette indices: the data areas of a figure, one below the other.

    `image` is (row, column) of palette indices, `boxes` its data areas from the top. The indices
    of a colour map rise with the value, so that their mean is the colour of a value in between.
    """
    small = np.full((HEIGHT, WIDTH), BLANK, np.uint8)
    rows = (HEIGHT + _GAP) // max(1, len(boxes)) - _GAP
    if rows < 1:
        return small  # more data areas than there is room to tell apart
    for number, box in enumerate(boxes):
        top = number * (rows + _GAP)
        small[top : top + rows] = _shrunk(image, box, rows)
    return small


def _shrunk(image: NDArray[np.uint8], box: Box, rows: int) -> NDArray[np.uint8]:
    """(rows, WIDTH) one data area; a pixel is blank if most of what it stands for is."""
    x = _places(box.left, box.width, WIDTH)
    total = np.zeros((rows, WIDTH), np.uint16)
    count = np.zeros((rows, WIDTH), np.uint16)
    marked = np.zeros((rows, WIDTH), bool)
    for y in _places(box.top, box.height, rows).reshape(rows, _SAMPLES).T:
        lines = image[y]
        for sample in range(_SAMPLES):
            seen = lines[:, x[sample::_SAMPLES]]
            colored = (seen >= FIRST_COLOR) & (seen < MARKER)
            count += colored
            total += seen * colored
            marked |= seen == MARKER
    mean = (total // np.maximum(count, 1)).astype(np.uint8)
    mean[2 * count < _SAMPLES**2] = BLANK
    mean[marked] = MARKER
    return mean


def _places(first: int, size: int, pixels: int) -> NDArray[np.intp]:
    """Evenly spaced places of an axis of `size`, `_SAMPLES` for each of `pixels`."""
    count = pixels * _SAMPLES
    return first + (2 * np.arange(count) + 1) * size // (2 * count)
