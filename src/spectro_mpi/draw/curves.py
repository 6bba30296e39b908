"""Draw lines over the data of a panel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.columns import Columns, Records
from spectro_mpi.draw.content import Curve
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.palette import BLACK, BLANK
from spectro_mpi.draw.scale import Scale

_INNER, _BORDER = 1.3, 0.8
"""Width of the white line and of its black borders, in points."""
_DASH, _GAP = 7.0, 4.0
"""Of dashed lines, in points."""
_STEEPEST = 0.1
"""Parts of the height of a panel: lines are not joined across a larger step."""


def draw_curve(
    canvas: Canvas,
    layout: Layout,
    box: Box,
    curve: Curve,
    scale: Scale,
    records: Records,
    columns: Columns,
) -> None:
    """Draw a line over a panel, white with black borders, column by column."""
    middle = (columns.first + columns.stop - 1) // 2
    of_group = np.append(curve.values[records.order[middle]].astype(np.float64), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        height = (1 - scale.fraction(of_group[columns.group])) * box.height
    if curve.is_dashed:
        period, dash = layout.pixels(_DASH + _GAP), layout.pixels(_DASH)
        height[np.arange(len(height)) % period >= dash] = np.nan
    low, high = _joined(height, box.height * _STEEPEST)
    for width, index in ((_INNER + 2 * _BORDER, BLACK), (_INNER, BLANK)):
        half = max(1.0, width * layout.unit) / 2
        canvas.spans(box, low - half, high + half, index)


def _joined(
    height: NDArray[np.float64], steepest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and highest place of a line in each column, (column,): half way to the next."""
    low, high = height.copy(), height.copy()
    for step in (-1, 1):
        beside = np.roll(height, step)
        beside[0 if step == 1 else -1] = np.nan
        half = np.where(np.abs(beside - height) <= steepest, (beside + height) / 2, height)
        low, high = np.fmin(low, half), np.fmax(high, half)
    return low, high
