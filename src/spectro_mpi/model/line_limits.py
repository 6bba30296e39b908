"""Limits of the axes of lines: common to all items, from their merged tallies, or of one item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.tally import Tally

PERCENTS = (0.1, 99.9)
"""Percentiles of all values at the ends of an axis: a few wild records do not flatten all lines. On
a log axis they are those of the positive values."""


def line_limits(counts: Tally) -> tuple[float, float] | None:
    """The ends of the axis of a series by its tally, unrounded; None: it has no value to show."""
    positive = counts.y_scale == "log"
    if counts.smallest == np.inf or (positive and not counts.has_positive):
        return None
    low, high = counts.percentiles(PERCENTS, positive=positive)
    return low, high


def own_line_limits(values: NDArray[np.float32], scale: str) -> tuple[float, float]:
    """The ends of an axis by the values of one item, of any shape, unrounded."""
    finite = values[np.isfinite(values)].astype(np.float64)
    shown = finite[finite > 0] if scale == "log" else finite
    if not len(shown):
        return (1.0, 10.0) if scale == "log" else (-1.0, 1.0)
    low, high = np.percentile(shown, PERCENTS)
    return float(low), float(high)
