"""The resolution of panels in vector files: the data's own where it is coarser than the limit.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_THICK = 4.0  # pixels; a cell of this size looks the same at half the resolution


def even_grid(
    edges: NDArray[np.float64], low: float, high: float, most: int
) -> tuple[float, float, int]:
    """Return (low, high, cells) of the even grid of the data along an axis from `low` to `high`.

    `edges` is (cell, 2), the lower and upper edges of records or channels. If all that are inside
    the axis lie on an even grid, to within half a pixel of `most` along the axis, the grid has a
    cell for each, and may reach beyond the ends of the axis. Else, and where that would be more
    than `most` cells, the axis is divided into `most` pixels; into half as many if no cell is
    thinner than four of them.
    """
    pixel = (high - low) / most
    whole = (low, high, most)
    with np.errstate(invalid="ignore"):
        inside = edges[(edges[:, 1] > low) & (edges[:, 0] < high)]
    if not 1 <= len(inside) < most:
        return whole
    used = np.unique(inside)
    step = float(np.median(inside[:, 1] - inside[:, 0]))
    if step <= pixel:
        return whole
    if (inside[:, 1] - inside[:, 0]).min() >= _THICK * pixel:
        whole = (low, high, most // 2)
    number = np.append(0, np.cumsum(np.round(np.diff(used) / step)))
    first = float(used[0])
    if number[-1] > 0:
        step, first = map(float, np.polyfit(number, used, 1))
    if np.abs(first + number * step - used).max() > pixel / 2:
        return whole
    below = np.floor((low - first) / step + 1e-6)
    above = np.ceil((high - first) / step - 1e-6)
    cells = int(above - below)
    if not 0 < cells < most:
        return whole
    return first + float(below) * step, first + float(above) * step, cells
