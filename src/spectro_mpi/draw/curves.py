"""Draw lines over the data of a panel."""

from __future__ import annotations

from collections.abc import Sequence

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


def draw_curves(
    canvas: Canvas,
    layout: Layout,
    box: Box,
    curves: Sequence[Curve],
    scale: Scale,
    records: Records,
    columns: Columns,
) -> None:
    """Draw lines over a panel, white with black borders, column by column."""
    shown = records.order[(columns.first + columns.stop - 1) // 2]
    period, dash = layout.pixels(_DASH + _GAP), layout.pixels(_DASH)
    is_gap = np.arange(len(columns.group)) % period >= dash
    places = []
    for curve in curves:
        of_group = np.append(curve.values[shown].astype(np.float64), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            place = (1 - scale.fraction(of_group[columns.group])) * box.height
        places.append(np.where(is_gap, np.nan, place) if curve.is_dashed else place)
    low, high = _joined(np.stack(places), box.height * _STEEPEST)
    for width, index in ((_INNER + 2 * _BORDER, BLACK), (_INNER, BLANK)):
        half = max(1.0, width * layout.unit) / 2
        canvas.spans(box, low - half, high + half, index)


def _joined(
    places: NDArray[np.float64], steepest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lowest and highest place of each line in each column, (line, column): half way to the
    next."""
    low, high = places.copy(), places.copy()
    half = (places[:, 1:] + places[:, :-1]) / 2
    with np.errstate(invalid="ignore"):
        half[np.abs(np.diff(places, axis=1)) > steepest] = np.nan
    for beside in (slice(1, None), slice(None, -1)):
        low[:, beside] = np.fmin(low[:, beside], half)
        high[:, beside] = np.fmax(high[:, beside], half)
    return low, high
