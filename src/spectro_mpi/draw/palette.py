"""The 256 colours of a figure: blank, greys for letters, the colour map, a marker.

Index 0 is blank (white); then greys up to black, so that blending letters into a white picture
is taking the maximum of two indices; then the colour map; last the marker of events.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

BLANK = 0
BLACK = 8
"""Index of black: eight steps of grey are enough for antialiased letters, and leave every
matplotlib map but gist_rainbow (3/255) within 2/255 per channel of itself."""
FIRST_COLOR = BLACK + 1
MARKER = 255
_COLORS = MARKER - FIRST_COLOR

_MARKERS = ((255, 0, 255), (255, 0, 0), (0, 200, 0), (0, 80, 255), (255, 140, 0), (0, 190, 210))


@dataclass(frozen=True)
class Palette:
    """Colours of a picture that uses one colour map."""

    rgb: NDArray[np.uint8]
    """(index, rgb)"""
    index: NDArray[np.uint8]
    """(step,) palette index of each step of the colour map, from the lowest value; at most 256."""


@lru_cache(maxsize=16)
def palette_of(colormap: str) -> Palette:
    """The palette of a matplotlib colour map; neighbouring steps share a colour where too many."""
    table = mpl.colormaps[colormap]
    steps = min(table.N, 256)
    places = np.arange(steps) if table.N <= 256 else np.linspace(0.0, 1.0, steps)
    exact = np.round(np.asarray(table(places))[:, :3] * 255).astype(np.int16)
    group = _grouped(exact)
    rgb = np.zeros((256, 3), np.uint8)
    rgb[: BLACK + 1] = np.round(np.linspace(255, 0, BLACK + 1))[:, None]
    for one in range(int(group.max()) + 1):
        members = exact[group == one]
        rgb[FIRST_COLOR + one] = (members.min(axis=0) + members.max(axis=0)) // 2
    rgb[MARKER] = _marker(exact)
    return Palette(rgb, (FIRST_COLOR + group).astype(np.uint8))


def _grouped(exact: NDArray[np.int16]) -> NDArray[np.intp]:
    """(step,) number of the colour that each step gets; the errors as small as may be."""
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


def _marker(exact: NDArray[np.int16]) -> tuple[int, int, int]:
    """The candidate farthest from all colours of the map and from white."""
    others = np.vstack([exact, [[255, 255, 255]]]).astype(np.float64)
    return max(
        _MARKERS, key=lambda color: float(((others - np.array(color)) ** 2).sum(axis=1).min())
    )
