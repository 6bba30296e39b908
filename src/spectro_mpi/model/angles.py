"""Pitch-angle spectrograms: (time, pitch angle, energy) → (band, time, pitch angle).

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import FILL_FLOAT, Distribution, blocks, is_measured

Band = tuple[float, float]
"""Lower and upper energy, in the unit of the channels."""

CELLS = 64
"""Cells of the circle: as many as the finest instrument has bins."""
_TOLERANCE = 1.001
"""Bins reach a little farther, so that none is left out between two that touch."""


def cell_edges() -> NDArray[np.float64]:
    """Lower and upper edges of the cells, (angle, 2), degrees."""
    edges = np.linspace(0.0, 360.0, CELLS + 1)
    return np.stack([edges[:-1], edges[1:]], axis=1)


def angles_of(bands: Sequence[Band], records: int) -> tuple[NDArray[np.float32], Sequence[Band]]:
    """An array for the spectrograms of some bands, (band, record, angle), and the bands."""
    return np.full((len(bands), records, CELLS), np.nan, np.float32), bands


def reduce_angles(
    distribution: Distribution, edges: NDArray[np.floating[Any]], bands: Sequence[Band]
) -> NDArray[np.float32]:
    """Average each bin over energy bands, and lay the bins round the circle.

    With the width ΔE of a channel and the fraction w of it that lies in the band, a bin has the
    value Σ ΔE w C / Σ ΔE w over the channels that count, and lies at the circular mean of their
    pitch angles with the weights ΔE w. Each cell of the circle (`cell_edges`) shows the bin nearest
    to its middle, if the middle lies within it.

    Parameters
    ----------
    distribution : Distribution
        Consecutive records.
    edges : ndarray, (mode, channel, 2)
        Lower and upper edges of the channels of each energy table; NaN: no such channel.
    bands : sequence of (float, float)
        Energies from and to, in the unit of `edges`.

    Returns
    -------
    ndarray, (band, record, angle), float32
        NaN where no bin lies, or none of its channels in the band counts.
    """
    records, bins, channels = distribution.values.shape
    values = np.full((len(bands), records, CELLS), np.nan, np.float32)
    nbins, nenergy = distribution.nbins.astype(np.intp), distribution.nenergy.astype(np.intp)
    usable = distribution.valid & (nbins > 0) & (nbins <= bins)
    usable &= (nenergy > 0) & (nenergy <= channels)
    weights_of = overlaps(edges, bands)
    for rows, used_bins, used in blocks(usable, nbins, nenergy):
        mode = distribution.mode[rows]
        for table in np.unique(mode).tolist():
            if table >= len(weights_of):
                continue
            chosen = np.arange(records)[rows][mode == table]
            weights = weights_of[table][:, :used]
            means, angles = _of_bands(distribution, chosen, used_bins, used, weights)
            half = _half_widths(distribution, chosen, used_bins, used, angles)
            values[:, chosen] = _laid_out(means, angles, half)
    return values


def overlaps(edges: NDArray[np.floating[Any]], bands: Sequence[Band]) -> NDArray[np.float64]:
    """ΔE w of each channel: its width inside each band; (mode, channel, 2) → (mode, band, channel).

    0 where there is no channel.
    """
    low, high = (edges[:, None, :, end].astype(np.float64) for end in (0, 1))
    ends = np.array(bands, np.float64).reshape(-1, 2)
    begin, stop = ends[None, :, 0, None], ends[None, :, 1, None]
    width = np.minimum(high, stop) - np.maximum(low, begin)
    return np.where(np.isfinite(width) & (width > 0), width, 0.0)


def _part(array: Any, chosen: NDArray[np.intp], bins: int, used: int) -> Any:
    """The array of some records, bins and channels; an axis of length 1 is kept."""
    if array is None:
        return None
    return array[chosen if len(array) > 1 else slice(None), :bins, :used]


def _of_bands(
    distribution: Distribution,
    chosen: NDArray[np.intp],
    bins: int,
    used: int,
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean and the angle of each bin in each band, both (band, record, bin); NaN: none.

    `weights` (band, channel) are those of channels that count. Only channels inside of any band
    are looked at.
    """
    inside = np.flatnonzero(weights.any(axis=0))
    shape = (len(weights), len(chosen), bins)
    if not len(inside):
        return np.full(shape, np.nan), np.full(shape, np.nan)
    span = slice(int(inside[0]), int(inside[-1]) + 1)
    weights = weights[:, span]
    values = _part(distribution.values, chosen, bins, used)[:, :, span]
    angle = _part(distribution.pitch_angle, chosen, bins, used)[:, :, span]
    counts = is_measured(angle)
    if distribution.value_fill is not None:
        counts &= values != distribution.value_fill
    if values.dtype.kind == "f":
        counts &= is_measured(values)
    measured = _part(distribution.measured, chosen, bins, used)
    if measured is not None:
        counts &= measured if measured.shape[2] == 1 else measured[:, :, span]
    clean = np.where(counts, values, 0).astype(np.float64)
    # Angles as differences from the first channel that counts, the shorter way round the circle.
    lead = np.take_along_axis(angle, counts.argmax(axis=2)[:, :, None], axis=2).astype(np.float64)
    turned = np.where(counts, angle - lead, 0.0)
    turned -= 360.0 * np.round(turned / 360.0)
    by_channel = weights.T
    norm = counts.astype(np.float64) @ by_channel
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (clean @ by_channel) / norm
        middle = lead + (turned @ by_channel) / norm
    known = norm > 0
    means, middle = np.where(known, means, np.nan), np.where(known, middle % 360.0, np.nan)
    return np.moveaxis(means, 2, 0), np.moveaxis(middle, 2, 0)


def _half_widths(
    distribution: Distribution,
    chosen: NDArray[np.intp],
    bins: int,
    used: int,
    angles: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Half the extent of each bin, degrees, (record or 1, bin or 1): as given, else as they are
    apart."""
    given = distribution.width if distribution.width is not None else distribution.ring_width
    width = _part(given, chosen, bins, used)
    if width is not None:
        width = np.where(np.isfinite(width) & (width > FILL_FLOAT / 10), width, 0.0)
        return np.asarray(width.max(axis=2) / 2, np.float64)
    ordered = np.sort(angles, axis=2)  # NaN last
    steps = np.diff(ordered, axis=2)
    usual = np.nanmedian(np.where(steps > 0, steps, np.nan)) if steps.size else np.nan
    return np.full((1, 1), 180.0 if not np.isfinite(usual) else usual / 2)


def _laid_out(
    means: NDArray[np.float64], angles: NDArray[np.float64], half: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The values of the bins nearest to the middle of each cell, (band, record, angle)."""
    middle = cell_edges().mean(axis=1)
    shape = (*means.shape[:2], CELLS)
    best = np.full(shape, np.inf, np.float32)
    laid = np.full(shape, np.nan, np.float32)
    reach = np.broadcast_to(half * _TOLERANCE, means.shape[1:]).astype(np.float32)
    with np.errstate(invalid="ignore"):
        for number in range(means.shape[2]):
            # The bins one after the other: their distances from all cells would take much memory.
            away = np.abs(angles[:, :, number, None] - middle).astype(np.float32)
            away = np.minimum(away, np.float32(360) - away)
            nearer = (away < best) & (away <= reach[:, number, None])
            best = np.where(nearer, away, best)
            laid = np.where(nearer, means[:, :, number, None].astype(np.float32), laid)
    return laid
