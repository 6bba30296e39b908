"""Thumbnails: only the data areas of a figure, for browsing.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.palette import BLANK, FIRST_COLOR, FIRST_MARKER, UNDER

WIDTH, HEIGHT = 240, 128
"""Size of a thumbnail in pixels."""
_GAP = 2
"""Blank rows between data areas."""
_SAMPLES = 2
"""Pixels of the figure that are sampled per thumbnail pixel, along each axis."""


def thumbnail(image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """Reduce the data areas of a figure; returns palette indices (HEIGHT, WIDTH), uint8.

    `image` holds palette indices (row, column); `boxes` are its data areas from top to bottom.
    The indices of a colour map increase with the value, so that the mean of indices is the
    colour of a value in between.
    """
    small = np.full((HEIGHT, WIDTH), BLANK, np.uint8)
    rows = (HEIGHT + _GAP) // max(1, len(boxes)) - _GAP
    if rows < 1:
        return small  # too many data areas to tell apart
    for number, box in enumerate(boxes):
        top = number * (rows + _GAP)
        small[top : top + rows] = _shrunk(image, box, rows)
    return small


def _shrunk(image: NDArray[np.uint8], box: Box, rows: int) -> NDArray[np.uint8]:
    """Reduce one data area to (rows, WIDTH); a pixel is blank if most of its samples are.

    Of the others, it is below the scale if more samples are than have a colour of the map.
    """
    x = _places(box.left, box.width, WIDTH)
    total = np.zeros((rows, WIDTH), np.uint16)
    count = np.zeros((rows, WIDTH), np.uint16)
    under = np.zeros((rows, WIDTH), np.uint16)
    marker = np.full((rows, WIDTH), BLANK, np.uint8)
    for y in _places(box.top, box.height, rows).reshape(rows, _SAMPLES).T:
        lines = image[y]
        for sample in range(_SAMPLES):
            seen = lines[:, x[sample::_SAMPLES]]
            colored = (seen >= FIRST_COLOR) & (seen < FIRST_MARKER)
            count += colored
            total += seen * colored
            under += seen == UNDER
            if seen.max(initial=BLANK) >= FIRST_MARKER:
                np.maximum(marker, seen, out=marker, where=seen >= FIRST_MARKER)
    mean = (total // np.maximum(count, 1)).astype(np.uint8)
    mean[under > count] = UNDER
    mean[2 * (count + under) < _SAMPLES**2] = BLANK
    return np.where(marker > BLANK, marker, mean)


def _places(first: int, size: int, pixels: int) -> NDArray[np.intp]:
    """Return evenly spaced positions along an axis of `size`, `_SAMPLES` per pixel."""
    count = pixels * _SAMPLES
    return first + (2 * np.arange(count) + 1) * size // (2 * count)
