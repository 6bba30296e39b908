"""What the atlas maps of a spectrogram, by record: fluxes in energy bands, beams, loss cones.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.angles import Band, overlaps
from spectro_mpi.model.ephemeris import LOSS_CONE
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.direction import Direction

Values = NDArray[np.float64]

_LEAST_COVERED = 0.5
"""Share of a band's channels, by width, that must have values."""
_SPREAD = 30.0
"""Values of single counts in a channel differ by as much: bins lie in a category by a fraction."""


@dataclass(frozen=True)
class Measure:
    """What the value of a band is."""

    name: str
    """Beginning of the names of its datasets: "energy_flux", or the quantity of the store."""
    units: str
    long_name: str
    power: int = 0
    """Power of the energy that values are multiplied by: 1 if they are a number flux."""
    factor: float = 1.0
    """Factor that makes `units` of them."""
    is_integral: bool = False
    """Whether they are integrated over the band; else averaged."""


def band_values(spectrogram: Spectrogram, bands: Sequence[Band], measure: Measure) -> Values:
    """The value of each band, (category, record, band), NaN where it is not known.

    With the width ΔE of a channel and the fraction w of it that lies in the band, the integral is
    Σ f E^p ΔE w and the mean Σ f ΔE w / Σ ΔE w, over channels that have a value. These must be half
    of those of the energy table in the band, by width.
    """
    categories, records, _ = spectrogram.values.shape
    result = np.full((categories, records, len(bands)), np.nan)
    weights_of = overlaps(spectrogram.edges, bands)
    for table in np.unique(spectrogram.mode).tolist():
        if table >= len(weights_of):
            continue
        rows = np.flatnonzero(spectrogram.mode == table)
        energy = spectrogram.energy[table].astype(np.float64)
        weights = np.where(np.isfinite(energy), weights_of[table], 0.0)
        values = spectrogram.values[:, rows].astype(np.float64)
        known = np.isfinite(values)
        covered = known @ weights.T
        scaled = weights * np.where(np.isfinite(energy), energy, 1.0) ** measure.power
        total = np.where(known, values, 0.0) @ scaled.T * measure.factor
        whole = weights.sum(axis=1)
        is_known = (whole > 0) & (covered >= _LEAST_COVERED * whole)
        if not measure.is_integral:
            total = total / np.where(covered > 0, covered, 1.0)
        result[:, rows] = np.where(is_known, total, np.nan)
    return result


def widths_of(spectrogram: Spectrogram, directions: Mapping[str, Direction]) -> NDArray[np.float64]:
    """How much of the circle of pitch angles each category covers, degrees: (category, record).

    Where sums are compared, they are divided by it. NaN where it is not known.
    """
    widths = np.full((len(spectrogram.category), len(spectrogram.time)), np.nan)
    cone = next((each.values for each in spectrogram.ephemeris if each.name == LOSS_CONE), None)
    for row, name in enumerate(spectrogram.category):
        direction = directions.get(name)
        if direction is None:
            if spectrogram.intervals.size:
                widths[row] = np.nansum(np.diff(spectrogram.intervals[row], axis=1))
        elif direction.within is not None:
            widths[row] = 2.0 * direction.within
        elif cone is not None:
            widths[row] = 2.0 * cone
    return np.where(widths > 0, widths, np.nan)


def count_levels(spectrogram: Spectrogram, row: int, is_sum: bool) -> Values:
    """The values of a category in units of the one-count level, (record, channel); NaN: not known.

    Counts are that themselves. Of other quantities with uncertainties σ it is (f/σ)², the number of
    counts that gives this relative uncertainty. Else the level is taken from the item: in this
    category, energy table and channel, the median of the positive values up to 30 times the
    smallest one (which may be of a count in a bin that lies in the category by a small fraction).
    """
    values: Values = spectrogram.values[row].astype(np.float64)
    if is_sum:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):
        if spectrogram.errors.size:
            counts = (values / spectrogram.errors[row]) ** 2
            return np.asarray(np.where(values > 0, counts, 0.0 * values))
        levels = np.full(values.shape, np.nan)
        for table in np.unique(spectrogram.mode).tolist():
            rows = spectrogram.mode == table
            levels[rows] = _single_counts(values[rows])
        return np.asarray(np.where(values > 0, values / levels, 0.0 * values))


def _single_counts(values: Values) -> Values:
    """The level of each channel, (record, channel) → (channel,); NaN: no value is positive."""
    positive = np.where(values > 0, values, np.inf)
    smallest = positive.min(axis=0, initial=np.inf)
    near = positive <= _SPREAD * smallest
    count = near.sum(axis=0)
    ordered = np.sort(np.where(near, positive, np.inf), axis=0)
    middle = np.maximum(count - 1, 0) // 2
    levels = np.take_along_axis(ordered, middle[None], axis=0)[0] if len(values) else smallest
    return np.where(np.isfinite(smallest), levels, np.nan)


@dataclass(frozen=True)
class BeamCriterion:
    """When a record has a beam (`AtlasSettings`)."""

    factor: float
    counts: float
    channels: int


def beams_in(
    spectrogram: Spectrogram,
    row: int,
    reference: int,
    bands: Sequence[Band],
    criterion: BeamCriterion,
    levels: Values,
    widths: NDArray[np.float64] | None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each record has a beam, and whether that can be judged; both (record, band).

    A record has a beam in category `row` if, in `criterion.channels` neighbouring channels of the
    band, its value is at least `factor` times that of the category `reference` and `counts`
    one-count levels (`levels`, those of the category by `count_levels`). A channel belongs to a
    band if half of its width does. It can be judged if that many channels of the band have both
    values.

    `widths` (category, record): divide values by these first; None: compare them as they are.
    """
    records = len(spectrogram.time)
    found, judged = (np.zeros((records, len(bands)), np.bool_) for _ in range(2))
    value, other = (spectrogram.values[each].astype(np.float64) for each in (row, reference))
    if widths is not None:
        value, other = value / widths[row, :, None], other / widths[reference, :, None]
    is_known = np.isfinite(value) & np.isfinite(other)
    with np.errstate(invalid="ignore"):
        stands_out = is_known & (value >= criterion.factor * other)
        stands_out &= levels >= criterion.counts
    weights_of = overlaps(spectrogram.edges, bands)
    channel_widths = np.diff(spectrogram.edges.astype(np.float64), axis=2)[..., 0]
    for table in np.unique(spectrogram.mode).tolist():
        if table >= len(weights_of):
            continue
        rows = np.flatnonzero(spectrogram.mode == table)
        for band, weights in enumerate(weights_of[table]):
            inside = (weights > 0) & (weights >= channel_widths[table] / 2)
            known = is_known[rows] & inside
            judged[rows, band] = known.sum(axis=1) >= criterion.channels
            found[rows, band] = _in_a_row(stands_out[rows] & inside, criterion.channels)
    return found & judged, judged


def _in_a_row(flags: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Whether `count` neighbouring flags are set; (record, channel) → (record,)."""
    if flags.shape[1] < count:
        return np.zeros(len(flags), np.bool_)
    run = flags
    for step in range(1, count):
        run = run[:, :-1] & flags[:, step:]
    return np.asarray(run.any(axis=1))
