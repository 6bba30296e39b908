"""The 256 colours of a figure: blank, greys for text, "under", flags, the colour map, markers.

Index 0 is blank (white), as is what is missing. Greys up to black follow, so that blending text
into a white image is the maximum of two indices; then the colour of values below a log colour scale
and that of flagged records; then the colour map; the last indices are the markers of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.markers import marker_colors

BLANK = 0
BLACK = 7
"""Index of black. Seven steps of grey are enough for antialiased text; the colours that remain
reproduce every matplotlib map to 2/255 per channel (gist_rainbow and hsv: 3/255)."""
UNDER = BLACK + 1
"""Index of values below a log colour scale, zero and negative ones included."""
FLAGGED = UNDER + 1
"""Index of the strip above a panel that marks flagged records."""
FIRST_COLOR = FLAGGED + 1
MARKERS = 3
"""Colours of events. Those that remain must be 243 at least: fewer spoil the map flag."""
FIRST_MARKER = 256 - MARKERS
_COLORS = FIRST_MARKER - FIRST_COLOR

UNDER_COLOR = "#d0d0d0"
_FLAGGED_RGB = (140, 81, 10)
"""Brown: unlike every marker, and dark on white."""


@dataclass(frozen=True)
class Palette:
    """The colours of an image that uses one colour map."""

    rgb: NDArray[np.uint8]
    """(index, rgb) colour of each palette index."""
    index: NDArray[np.uint8]
    """(step,) palette index of each step of the colour map, at most 256, lowest value first."""


def marker_of(number: int) -> int:
    """The palette index of the events of one label; labels beyond `MARKERS` repeat the colours."""
    return FIRST_MARKER + number % MARKERS


@lru_cache(maxsize=16)
def palette_of(colormap: str) -> Palette:
    """Return the palette of a matplotlib colour map.

    A map with more colours than fit in the palette has neighbouring steps share a colour.
    """
    table = mpl.colormaps[colormap]
    steps = min(table.N, 256)
    places = np.arange(steps) if table.N <= 256 else np.linspace(0.0, 1.0, steps)
    exact = np.round(np.asarray(table(places))[:, :3] * 255).astype(np.int16)
    group = _grouped(exact)
    rgb = np.zeros((256, 3), np.uint8)
    rgb[: BLACK + 1] = np.round(np.linspace(255, 0, BLACK + 1))[:, None]
    for number in range(int(group.max()) + 1):
        members = exact[group == number]
        rgb[FIRST_COLOR + number] = (members.min(axis=0) + members.max(axis=0)) // 2
    rgb[UNDER], rgb[FLAGGED] = tuple(bytes.fromhex(UNDER_COLOR[1:])), _FLAGGED_RGB
    rgb[FIRST_MARKER:] = marker_colors(exact, MARKERS)
    return Palette(rgb, (FIRST_COLOR + group).astype(np.uint8))


def _grouped(exact: NDArray[np.int16]) -> NDArray[np.intp]:
    """Return the number of the colour of each step, (step,), with the smallest possible errors."""
    unique, group = np.unique(exact, axis=0, return_inverse=True)
    if len(unique) <= _COLORS:
        return group.reshape(-1)
    for spread in range(256):
        group = np.zeros(len(exact), np.intp)
        first = 0
        for step in range(1, len(exact)):
            run = exact[first : step + 1]
            if (run.max(axis=0) - run.min(axis=0)).max() > spread:
                first = step
            group[step] = group[step - 1] + (first == step)
        if group[-1] < _COLORS:
            break
    return group
