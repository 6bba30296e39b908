"""Axis limits: common to all items, from their merged tallies, or of one spectrogram.

Pure array science: no files, no MPI. Values are physical (eV, counts), never log10 of them. Energy
axes enclose whole channels, so energies are counted by the edges of channels (`levels.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.levels import Levels, count_levels, edge_range
from spectro_mpi.model.samples import grouping_of, samples_of
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.model.tally import Tallies, Tally
from spectro_mpi.settings.schema import AxisLimits, ExtremaSettings, ScalePair

WHOLE = "all"
"""The category from which an instrument's limits are computed."""
_ENDS = ("y_min", "y_max", "z_min", "z_max")
"""The fields of `Limits`, in order."""


@dataclass(frozen=True)
class Limits:
    """Axis limits of one panel, physical values: y in eV, z in counts or eflux units."""

    y_min: float
    y_max: float
    z_min: float
    z_max: float


def flat_extrema(
    tallies: Tallies, scales: Collection[ScalePair], settings: ExtremaSettings
) -> dict[str, float]:
    """The extrema, with flat keys `{instrument}[-{category}]_{y}_{z}_{y|z}_{min|max}`.

    y_min and y_max are edges of channels (`Levels.limits`). On a log colour scale z_min and z_max
    are the `min_percentile`-th and `max_percentile`-th percentile of the positive cells. On a
    linear one they are 0 and the latter; if any cell is negative or none is positive, they are the
    percentiles of all finite cells. Where an instrument is drawn with other scales than the pair's,
    the limits under the pair's names are for those. An instrument (or category) without a cell that
    counts has no keys.
    """
    flat: dict[str, float] = {}
    for (instrument, category), counts in sorted(tallies.items()):
        names = [f"{instrument}-{category}"] + ([instrument] if category == WHOLE else [])
        by_scale = {
            scale: _z_limits(counts, scale, settings)
            for scale in {counts.z_scale or z_scale for _, z_scale in scales}
        }
        for y_scale, z_scale in scales:
            y_limits = counts.levels.limits(counts.y_scale or y_scale, settings.energy_coverage)
            z_limits = by_scale[counts.z_scale or z_scale]
            if y_limits is None or z_limits is None:
                continue
            limits = dict(zip(_ENDS, (*y_limits, *z_limits), strict=True))
            for name in names:
                flat |= {f"{name}_{y_scale}_{z_scale}_{end}": limits[end] for end in limits}
    return dict(sorted(flat.items()))


def given_limits(
    extrema: Mapping[str, float],
    axes: Mapping[str, AxisLimits],
    instrument: str,
    category: str,
    scales: ScalePair,
    category_limits: str,
) -> Limits | None:
    """The common limits of one row: the extrema rounded outward, overridden by `axes` (exactly).

    None if a limit is in neither (no item has a cell that counts).
    """
    by_category = category_limits == "own" and category != WHOLE
    name = f"{instrument}-{category}" if by_category else instrument
    values: dict[str, float] = {}
    fixed: set[str] = set()
    for end in _ENDS:
        value = extrema.get(f"{name}_{scales[0]}_{scales[1]}_{end}")
        if value is not None:
            values[end] = _outward(value, end)
        for override in (instrument, f"{instrument}.{category}"):
            configured = getattr(axes.get(override), end, None)
            if configured is not None:
                values[end] = float(configured)
                fixed.add(end)
    if len(values) < len(_ENDS):
        return None
    for low, high in (("y_min", "y_max"), ("z_min", "z_max")):
        # If a configured limit lies beyond the computed one, move the computed one a decade away.
        if values[low] >= values[high] and low in fixed and high not in fixed:
            values[high] = _decade_above(values[low])
        elif values[low] >= values[high] and high in fixed and low not in fixed:
            values[low] = -_decade_above(-values[high])
    return Limits(**values)


def raw_limits(
    spectrogram: Spectrogram, row: int, scales: ScalePair, energy_coverage: float
) -> Limits | None:
    """Limits of one row by its own data: 1st to 99th percentile of its cells, energies by coverage.

    The cells are means where there are many records (`samples.grouping_of`), and of them those that
    `coloured_values` gives. The scales are those that the spectrogram is drawn with in figures of
    the pair `scales`. None if the row has no such cell.
    """
    y_scale, z_scale = drawn_scales(spectrogram.legend, scales)
    levels = Levels()
    parts = [np.empty(0, np.float32)]
    for samples in samples_of(spectrogram, row, grouping_of(spectrogram)):
        levels.merge(count_levels(spectrogram, samples))
        parts.append(samples.values.reshape(-1))
    cells = coloured_values(np.concatenate(parts), z_scale)
    ends = levels.limits(y_scale, energy_coverage)
    if not len(cells) or ends is None:
        return None
    z_min, z_max = np.percentile(cells.astype(np.float64), [1, 99])
    return _rounded(*ends, float(z_min), float(z_max))


def coloured_values(values: NDArray[np.float32], scale: str) -> NDArray[np.float32]:
    """Values (value,) from which the limits of a colour scale are computed.

    These are the positive ones; on a linear scale all finite ones if any is negative, or none is
    positive.
    """
    finite = values[np.isfinite(values)]
    positive = finite[finite > 0]
    takes_all = scale == "linear" and (not len(positive) or bool((finite < 0).any()))
    return finite if takes_all else positive


def empty_limits(spectrogram: Spectrogram, scales: ScalePair) -> Limits:
    """Limits of a panel without data: the range of its channels, and a decade of values."""
    y_scale, z_scale = drawn_scales(spectrogram.legend, scales)
    low, high = edge_range(spectrogram.energy, spectrogram.edges, y_scale) or (1.0, 10.0)
    return _rounded(low, high, 1.0 if z_scale == "log" else 0.0, 10.0)


def _z_limits(counts: Tally, scale: str, settings: ExtremaSettings) -> tuple[float, float] | None:
    """The unrounded limits of a colour scale; None: it has no value to show."""
    percents = (settings.min_percentile, settings.max_percentile)
    if scale == "log":
        if not counts.has_positive:
            return None
        low, high = counts.percentiles(percents, positive=True)
    elif counts.smallest < 0 or not counts.has_positive:
        if counts.smallest == np.inf:
            return None
        low, high = counts.percentiles(percents, positive=False)
    else:
        low, high = 0.0, *counts.percentiles(percents[1:], positive=True)
    return low, high


def _rounded(*ends: float) -> Limits:
    """Limits rounded outward, from y_min, y_max, z_min and z_max."""
    return Limits(*(_outward(value, end) for value, end in zip(ends, _ENDS, strict=True)))


def _decade_above(value: float) -> float:
    """A value a decade larger, or if negative a decade smaller in magnitude; above 0: 1."""
    return 10 * value if value > 0 else value / 10 if value < 0 else 1.0


def _outward(value: float, end: str) -> float:
    """Round to two significant digits, away from the data."""
    rounding = ROUND_FLOOR if end.endswith("min") else ROUND_CEILING
    return float(Context(prec=2, rounding=rounding).create_decimal(repr(value)))
