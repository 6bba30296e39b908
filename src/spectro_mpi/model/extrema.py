"""Common axis limits of all items: partial results that merge in any order, and what is read off.

Pure array science: no files, no MPI. Only finite positive cells count; values are physical
(eV, counts), never log10 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import AxisLimits, ScalePair

WHOLE = "all"
"""The category an instrument's own limits are made from."""

_MANTISSA_BITS_DROPPED = 13
"""Of a float32's 23: ten bits stay, so a bin is at most 0.1 % wide and its middle 0.05 % off."""

_FEW_TABLES = 32
"""Energy tables of one file up to which their energies are counted one by one."""


@dataclass(frozen=True)
class Limits:
    """Axis limits of one panel, physical values: y in eV, z in counts or eflux units."""

    y_min: float
    y_max: float
    z_min: float
    z_max: float


@dataclass
class Tally:
    """What one category of one instrument contributes to the extrema. Merges in any order."""

    exact: bool
    """Whether the values are whole numbers: a bin a number; else a bin a span of float32."""
    first_bin: int = 0
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(bin,) cells by value, from bin `first_bin` on."""
    smallest: float = np.inf
    largest: float = -np.inf
    energy: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """(level,) channel energies that hold a cell, ascending, eV."""
    energy_cells: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """(level,) cells by channel energy."""

    @property
    def cells(self) -> int:
        """Number of finite positive cells."""
        return int(self.bins.sum())

    def merge(self, other: Tally) -> None:
        """Add what `other` holds."""
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
        where = np.searchsorted(self.energy, other.energy)
        if not np.array_equal(np.append(self.energy, np.inf)[where], other.energy):
            energy = np.union1d(self.energy, other.energy)
            cells = np.zeros(len(energy), np.int64)
            cells[np.searchsorted(energy, self.energy)] = self.energy_cells
            self.energy, self.energy_cells = energy, cells
            where = np.searchsorted(energy, other.energy)
        self.energy_cells[where] += other.energy_cells

    def percentile(self, percent: float) -> float:
        """As `numpy.percentile` (linear): exact for whole numbers, else within 0.1 %."""
        position = (self.cells - 1) * (percent / 100)
        below = int(position)
        cumulative = np.cumsum(self.bins)
        low, high = (
            self._middle(int(np.searchsorted(cumulative, rank, side="right")))
            for rank in (below, min(below + 1, self.cells - 1))
        )
        share = position - below
        # numpy's way of interpolating, to the last bit.
        value = low + (high - low) * share
        return float(high - (high - low) * (1 - share) if share >= 0.5 else value)

    def energy_reaching(self, coverage: float) -> float:
        """The smallest channel energy at or below which `coverage` of all cells lie, eV."""
        cumulative = np.cumsum(self.energy_cells)
        return float(self.energy[np.searchsorted(cumulative, coverage * cumulative[-1])])

    def _middle(self, place: int) -> float:
        number = self.first_bin + place
        if self.exact:
            return float(number)
        ends = np.array([number, number + 1], np.uint32) << _MANTISSA_BITS_DROPPED
        low, high = ends.view(np.float32).astype(np.float64)
        return float(np.clip((low + high) / 2, self.smallest, self.largest))


Tallies = dict[tuple[str, str], Tally]
"""(instrument, category) → its tally."""


def tally(spectrogram: Spectrogram) -> Tallies:
    """What one spectrogram contributes to the extrema, for each of its categories."""
    return {
        (spectrogram.instrument, category): _tally_of(spectrogram, row)
        for row, category in enumerate(spectrogram.category)
    }


def merge_tallies(into: Tallies, other: Tallies) -> None:
    """Add `other` to `into`; the order of merging makes no difference."""
    for key, one in other.items():
        into.setdefault(key, Tally(exact=one.exact)).merge(one)


def flat_extrema(
    tallies: Tallies, scales: Iterable[ScalePair], max_percentile: float, energy_coverage: float
) -> dict[str, float]:
    """The extrema under their flat keys `{instrument}[-{category}]_{y}_{z}_{y|z}_{min|max}`.

    z_max: the `max_percentile`-th percentile of the cells; y_max: the smallest energy that covers
    `energy_coverage` of them; minima: the smallest positive on log axes, 0 on linear ones.
    An instrument (or category) without a finite positive cell has no keys.
    """
    flat: dict[str, float] = {}
    for (instrument, category), one in sorted(tallies.items()):
        if not one.cells or not len(one.energy):
            continue
        names = [f"{instrument}-{category}"] + ([instrument] if category == WHOLE else [])
        for y_scale, z_scale in scales:
            found = {
                "y_min": float(one.energy[0]) if y_scale == "log" else 0.0,
                "y_max": one.energy_reaching(energy_coverage),
                "z_min": one.smallest if z_scale == "log" else 0.0,
                "z_max": one.percentile(max_percentile),
            }
            for name in names:
                flat |= {f"{name}_{y_scale}_{z_scale}_{end}": found[end] for end in found}
    return dict(sorted(flat.items()))


def given_limits(
    extrema: Mapping[str, float],
    axes: Mapping[str, AxisLimits],
    instrument: str,
    category: str,
    scales: ScalePair,
    category_limits: str,
) -> Limits | None:
    """The common limits of one row: extrema rounded outward, overridden by `axes`.

    None where neither knows a limit (no item has a finite positive cell).
    """
    own = category_limits == "own" and category != WHOLE
    name = f"{instrument}-{category}" if own else instrument
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
        # One end set beyond the other, which was found: that one gives way, by a decade.
        if values[low] >= values[high] and low in fixed and high not in fixed:
            values[high] = 10 * values[low]
        elif values[low] >= values[high] and high in fixed and low not in fixed:
            values[low] = values[high] / 10
    return Limits(**values)


def raw_limits(
    spectrogram: Spectrogram, row: int, scales: ScalePair, energy_coverage: float
) -> Limits | None:
    """A row's own limits: 1st to 99th percentile of its cells, energies by coverage.

    None if it has no finite positive cell.
    """
    values = spectrogram.values[row]
    cells = values[np.isfinite(values) & (values > 0)]
    if not len(cells):
        return None
    one = _tally_of(spectrogram, row)
    if not len(one.energy):
        return None
    z_min, z_max = np.percentile(cells.astype(np.float64), [1, 99])
    return Limits(
        y_min=_outward(float(one.energy[0]), "y_min") if scales[0] == "log" else 0.0,
        y_max=_outward(one.energy_reaching(energy_coverage), "y_max"),
        z_min=_outward(float(z_min), "z_min"),
        z_max=_outward(float(z_max), "z_max"),
    )


def empty_limits(spectrogram: Spectrogram, scales: ScalePair) -> Limits:
    """Limits for a panel with nothing to show: the energies of its tables, a decade of values."""
    energy = spectrogram.energy[np.isfinite(spectrogram.energy)]
    low, high = (float(energy.min()), float(energy.max())) if len(energy) else (1.0, 10.0)
    return Limits(
        y_min=_outward(low, "y_min") if scales[0] == "log" else 0.0,
        y_max=_outward(high, "y_max"),
        z_min=1.0 if scales[1] == "log" else 0.0,
        z_max=10.0,
    )


def _tally_of(spectrogram: Spectrogram, row: int) -> Tally:
    values = spectrogram.values[row]
    exact = spectrogram.legend.is_whole
    counted = np.isfinite(values) & (values > 0)
    modes = spectrogram.mode.astype(np.intp)
    energy, energy_cells = [], []
    for mode, centres in enumerate(_levels(spectrogram.energy)):
        cells = counted[modes == mode].sum(axis=0)
        held = (cells > 0) & np.isfinite(centres)
        energy.append(centres[held])
        energy_cells.append(cells[held])
    one = Tally(exact)
    found = values[counted]
    if not len(found):
        return one
    number = found.astype(np.int64) if exact else _bin_of(found)
    one.first_bin = int(number.min())
    one.bins = np.bincount(number - one.first_bin).astype(np.int64)
    one.smallest, one.largest = float(found.min()), float(found.max())
    one.energy, where = np.unique(np.concatenate(energy), return_inverse=True)
    one.energy_cells = np.zeros(len(one.energy), np.int64)
    np.add.at(one.energy_cells, where, np.concatenate(energy_cells))
    return one


def _levels(energy: NDArray[np.float32]) -> NDArray[np.float32]:
    """(mode, channel) energies to count cells by.

    Where they drift from record to record, as with the spacecraft's potential, they would be
    as many as there are records: they are then cut to 0.1 %, as values are.
    """
    if len(energy) <= _FEW_TABLES:
        return energy
    bits = np.ascontiguousarray(energy, np.float32).view(np.uint32)
    return ((bits >> _MANTISSA_BITS_DROPPED) << _MANTISSA_BITS_DROPPED).view(np.float32)


def _bin_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Bins of positive float32: their bit patterns are ordered as they are."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return (bits >> _MANTISSA_BITS_DROPPED).astype(np.int64)


def _outward(value: float, end: str) -> float:
    """Rounded to two significant digits, away from the data."""
    rounding = ROUND_FLOOR if end.endswith("min") else ROUND_CEILING
    return float(Context(prec=2, rounding=rounding).create_decimal(repr(value)))
