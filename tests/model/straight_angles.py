"""An independent reduction over pitch angles: plain loops, none of the program's code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Intervals = Sequence[tuple[float, float]]


def share(angle: float, width: float, intervals: Intervals) -> float:
    """Overlap of [angle − width/2, angle + width/2] with the union of intervals, over the width.

    With a width that is not above 0: 1 or 0 by whether the centre, mod 360, lies inside.
    """
    angle, width = float(angle), float(width)
    if not (math.isfinite(width) and width > 0):
        centre = math.fmod(angle, 360.0)
        centre = centre + 360 if centre < 0 else centre
        return float(any(low <= centre < high for low, high in intervals))
    ends = sorted({0.0, 360.0} | {end for interval in intervals for end in interval})
    total = 0.0
    for low, high in pairwise(ends):
        middle = (low + high) / 2
        if not any(a <= middle < b for a, b in intervals):
            continue
        for turn in range(-5, 6):
            begin = max(low + 360 * turn, angle - width / 2)
            end = min(high + 360 * turn, angle + width / 2)
            total += max(0.0, end - begin)
    return total / width


def ring(angle: float, width: float) -> float:
    """π |cos a − cos b| of the parts into which multiples of 180 cut the bin, added up."""
    low, high = angle - width / 2, angle + width / 2
    first, last = math.ceil(low / 180), math.floor(high / 180)
    ends = [low, *(180.0 * number for number in range(first, last + 1)), high]
    total = 0.0
    for begin, end in pairwise(ends):
        total += abs(math.cos(math.radians(begin)) - math.cos(math.radians(end)))
    return math.pi * total


def reduce_cells(
    values: NDArray[Any],
    counts: NDArray[np.bool_],
    angle: NDArray[Any],
    categories: Mapping[str, Intervals],
    combine: str,
    *,
    width: NDArray[Any] | None = None,
    weight: NDArray[Any] | None = None,
    variance: NDArray[Any] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and uncertainties (category, record, channel); all arrays have the full shape."""
    records, bins, channels = values.shape
    out = np.full((2, len(categories), records, channels), np.nan)
    for number, intervals in enumerate(categories.values()):
        for record, channel in np.ndindex(records, channels):
            total = norm = square = reach = 0.0
            for one in range(bins):
                cell = record, one, channel
                if not counts[cell]:
                    continue
                w = share(angle[cell], 0.0 if width is None else width[cell], intervals)
                omega = 1.0 if weight is None or combine == "sum" else float(weight[cell])
                total += w * omega * float(values[cell])
                norm += w * omega
                reach += w
                if variance is not None and w:
                    square += (w * omega) ** 2 * float(variance[cell])
            if reach > 0 and norm > 0:
                divisor = 1.0 if combine == "sum" else norm
                out[0, number, record, channel] = total / divisor
                out[1, number, record, channel] = math.sqrt(square) / divisor
    return out[0], out[1]
