"""Thumbnails: only the data areas of a figure, for browsing.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
_SUMMANDS = np.zeros(256, np.uint32)
"""By palette index: what a sample adds to the sum of the colours of the map, to their number (from
bit 16) and to that of samples below the scale (from bit 24)."""
_SUMMANDS[FIRST_COLOR:FIRST_MARKER] = np.arange(FIRST_COLOR, FIRST_MARKER) + (1 << 16)
_SUMMANDS[UNDER] = 1 << 24


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
    x, y = _places(box.left, box.width, WIDTH), _places(box.top, box.height, rows)
    seen = np.take(image[y], x, axis=1)
    summed = _sampled(np.add, np.take(_SUMMANDS, seen))
    total, count, under = summed & 0xFFFF, (summed >> 16) & 0xFF, summed >> 24
    mean = (total // np.maximum(count, 1)).astype(np.uint8)
    mean[under > count] = UNDER
    mean[2 * (count + under) < _SAMPLES**2] = BLANK
    largest = _sampled(np.maximum, seen)
    return np.where(largest >= FIRST_MARKER, largest, mean)


def _sampled(combine: np.ufunc, samples: NDArray[Any]) -> NDArray[Any]:
    """Combine the samples of each thumbnail pixel; (row, column)."""
    of_rows: NDArray[Any] = combine(samples[::2], samples[1::2])
    combined: NDArray[Any] = combine(of_rows[:, ::2], of_rows[:, 1::2])
    return combined


def _places(first: int, size: int, pixels: int) -> NDArray[np.intp]:
    """Return evenly spaced positions along an axis of `size`, `_SAMPLES` per pixel."""
    count = pixels * _SAMPLES
    return first + (2 * np.arange(count) + 1) * size // (2 * count)
