"""Common axis limits of all items, computed from partial results that merge in any order.

Pure array science: no files, no MPI. Values are physical (eV, counts), never log10 of them. Energy
axes enclose whole channels, so energies are counted by the edges of channels (`levels.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.levels import MANTISSA_BITS_DROPPED, Levels, count_levels, edge_range
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import AxisLimits, ScalePair

WHOLE = "all"
"""The category from which an instrument's limits are computed."""


@dataclass(frozen=True)
class Limits:
    """Axis limits of one panel, physical values: y in eV, z in counts or eflux units."""

    y_min: float
    y_max: float
    z_min: float
    z_max: float


@dataclass
class Tally:
    """Counts of one category of one instrument, for the extrema. Tallies merge in any order."""

    exact: bool
    """Whether each bin is one whole number; if not, it is a range of float32 values."""
    first_bin: int = 0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(bin,) number of cells by value, from bin `first_bin` on."""
    smallest: float = np.inf
    """Smallest of the values; inf: there are none."""
    largest: float = -np.inf
    """Largest of the values; -inf: there are none."""
    levels: Levels = field(default_factory=Levels)
    """Number of cells by channel."""

    @property
    def cells(self) -> int:
        """Number of finite positive cells."""
        return int(self.bins.sum())

    def merge(self, other: Tally) -> None:
        """Add the counts of `other`."""
        self.levels.merge(other.levels)
        if not len(other.bins):
            return
        if not len(self.bins):
            self.first_bin = other.first_bin
        first = min(self.first_bin, other.first_bin)
        last = max(self.first_bin + len(self.bins), other.first_bin + len(other.bins))
        if (first, last) != (self.first_bin, self.first_bin + len(self.bins)):
            grown = np.zeros(last - first, np.int64)
            grown[self.first_bin - first :][: len(self.bins)] = self.bins
            self.bins, self.first_bin = grown, first
        self.bins[other.first_bin - first :][: len(other.bins)] += other.bins
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)

    def percentile(self, percent: float) -> float:
        """The percentile as `numpy.percentile` (linear) gives it, exact or, of floats, to 0.1 %."""
        position = (self.cells - 1) * (percent / 100)
        below = int(position)
        cumulative = np.cumsum(self.bins)
        low, high = (
            self._middle(int(np.searchsorted(cumulative, rank, side="right")))
            for rank in (below, min(below + 1, self.cells - 1))
        )
        share = position - below
        # Interpolates as numpy does, to the last bit.
        value = low + (high - low) * share
        return float(high - (high - low) * (1 - share) if share >= 0.5 else value)

    def _middle(self, place: int) -> float:
        number = self.first_bin + place
        if self.exact:
            return float(number)
        ends = np.array([number, number + 1], np.uint32) << MANTISSA_BITS_DROPPED
        low, high = ends.view(np.float32).astype(np.float64)
        return float(np.clip((low + high) / 2, self.smallest, self.largest))


Tallies = dict[tuple[str, str], Tally]
"""(instrument, category) → its tally."""


def tally(spectrogram: Spectrogram) -> Tallies:
    """Count the cells of one spectrogram, for each of its categories."""
    return {
        (spectrogram.instrument, category): _tally_of(spectrogram, row)
        for row, category in enumerate(spectrogram.category)
    }


def merge_tallies(into: Tallies, other: Tallies) -> None:
    """Add `other` to `into`; the order of merging makes no difference."""
    for key, added in other.items():
        into.setdefault(key, Tally(exact=added.exact)).merge(added)


def flat_extrema(
    tallies: Tallies, scales: Iterable[ScalePair], max_percentile: float, energy_coverage: float
) -> dict[str, float]:
    """The extrema, with flat keys `{instrument}[-{category}]_{y}_{z}_{y|z}_{min|max}`.

    z_max is the `max_percentile`-th percentile of the positive cells; z_min is the smallest of them
    on log axes, 0 on linear ones. y_min and y_max are edges of channels (`Levels.limits`). An
    instrument (or category) without a finite positive cell has no keys.
    """
    flat: dict[str, float] = {}
    for (instrument, category), counts in sorted(tallies.items()):
        if not counts.cells:
            continue
        names = [f"{instrument}-{category}"] + ([instrument] if category == WHOLE else [])
        for y_scale, z_scale in scales:
            ends = counts.levels.limits(y_scale, energy_coverage)
            if ends is None:
                continue
            limits = {
                "y_min": ends[0],
                "y_max": ends[1],
                "z_min": counts.smallest if z_scale == "log" else 0.0,
                "z_max": counts.percentile(max_percentile),
            }
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

    None if a limit is in neither (no item has a finite positive cell).
    """
    by_category = category_limits == "own" and category != WHOLE
    name = f"{instrument}-{category}" if by_category else instrument
    ends = ("y_min", "y_max", "z_min", "z_max")
    values: dict[str, float] = {}
    fixed: set[str] = set()
    for end in ends:
        value = extrema.get(f"{name}_{scales[0]}_{scales[1]}_{end}")
        if value is not None:
            values[end] = _outward(value, end)
        for override in (instrument, f"{instrument}.{category}"):
            configured = getattr(axes.get(override), end, None)
            if configured is not None:
                values[end] = float(configured)
                fixed.add(end)
    if len(values) < len(ends):
        return None
    for low, high in (("y_min", "y_max"), ("z_min", "z_max")):
        # If a configured limit lies beyond the computed one, move the computed one a decade away.
        if values[low] >= values[high] and low in fixed and high not in fixed:
            values[high] = 10 * values[low]
        elif values[low] >= values[high] and high in fixed and low not in fixed:
            values[low] = values[high] / 10
    return Limits(**values)


def raw_limits(
    spectrogram: Spectrogram, row: int, scales: ScalePair, energy_coverage: float
) -> Limits | None:
    """Limits of one row by its own data: 1st to 99th percentile of its cells, energies by coverage.

    None if the row has no finite positive cell.
    """
    values = spectrogram.values[row]
    cells = values[np.isfinite(values) & (values > 0)]
    if not len(cells):
        return None
    ends = count_levels(spectrogram, row).limits(scales[0], energy_coverage)
    if ends is None:
        return None
    z_min, z_max = np.percentile(cells.astype(np.float64), [1, 99])
    return Limits(
        y_min=_outward(ends[0], "y_min"),
        y_max=_outward(ends[1], "y_max"),
        z_min=_outward(float(z_min), "z_min"),
        z_max=_outward(float(z_max), "z_max"),
    )


def empty_limits(spectrogram: Spectrogram, scales: ScalePair) -> Limits:
    """Limits of a panel without data: the range of its channels, and a decade of values."""
    low, high = edge_range(spectrogram.energy, spectrogram.edges, scales[0]) or (1.0, 10.0)
    return Limits(
        y_min=_outward(low, "y_min"),
        y_max=_outward(high, "y_max"),
        z_min=1.0 if scales[1] == "log" else 0.0,
        z_max=10.0,
    )


def _tally_of(spectrogram: Spectrogram, row: int) -> Tally:
    values = spectrogram.values[row]
    exact = spectrogram.legend.is_whole
    counted = np.isfinite(values) & (values > 0)
    counts = Tally(exact, levels=count_levels(spectrogram, row))
    positive = values[counted]
    if not len(positive):
        return counts
    number = positive.astype(np.int64) if exact else _bin_of(positive)
    counts.first_bin = int(number.min())
    counts.bins = np.bincount(number - counts.first_bin).astype(np.int64)
    counts.smallest, counts.largest = float(positive.min()), float(positive.max())
    return counts


def _bin_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bins of positive float32 values, by their bit patterns, which sort as the values do."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits >> MANTISSA_BITS_DROPPED).astype(np.int64)


def _outward(value: float, end: str) -> float:
    """Round to two significant digits, away from the data."""
    rounding = ROUND_FLOOR if end.endswith("min") else ROUND_CEILING
    return float(Context(prec=2, rounding=rounding).create_decimal(repr(value)))
