"""The reduction written down a second time: one cell after the other, straight from the CDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cdflib
import numpy as np
from numpy.typing import NDArray

Categories = Mapping[str, Sequence[tuple[float, float]]]


def reduced(
    path: Path, quantity: str, categories: Categories, every: int = 1
) -> NDArray[np.float64]:
    """(category, record, channel) of each `every`-th record, by the words of the design."""
    cdf = cdflib.CDF(path)
    value = cdf.varget("data" if quantity == "counts" else "eflux").astype(float)
    angle, solid = (cdf.varget(name).astype(float) for name in ("pitch_angle", "domega"))
    nbins, nenergy, valid = (cdf.varget(name) for name in ("nbins", "nenergy", "valid"))
    records, _, channels = value.shape
    out = np.full((len(categories), records, channels), np.nan)
    for record in np.flatnonzero(valid == 1):
        if record % every:
            continue
        for channel in range(nenergy[record]):
            cell = value[record, : nbins[record], channel]
            degrees = angle[record, : nbins[record], channel]
            weight = solid[record, : nbins[record], channel]
            good = np.isfinite(cell) & np.isfinite(degrees) & (degrees > -1e30)
            if quantity == "counts":
                good &= cell != 255
            else:
                good &= (cell > -1e30) & np.isfinite(weight) & (weight > -1e30)
            for row, intervals in enumerate(categories.values()):
                inside = [
                    (degrees % 360 >= low) & (degrees % 360 < high) for low, high in intervals
                ]
                chosen = good & np.any(inside, axis=0)
                if not chosen.any():
                    continue
                if quantity == "counts":
                    out[row, record, channel] = cell[chosen].sum()
                else:
                    out[row, record, channel] = np.average(cell[chosen], weights=weight[chosen])
    return out[:, ::every]
