"""Reduce: (time, pitch angle, energy) → (category, time, energy).

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import Categories, Combine, Distribution, is_measured

_SLAB_RECORDS = 128
"""Records reduced at a time, so that intermediate arrays stay in the cache."""


def reduce_distribution(
    distribution: Distribution, categories: Categories, combine: Combine
) -> NDArray[np.float32]:
    """Sum or average the bins of each category, weighted by solid angle if the data have it.

    A bin belongs to a category if its pitch angle, mod 360, lies in one of the category's
    intervals. Returns float32 (category, record, channel); a cell without a valid bin is NaN.
    """
    records, _, channels = distribution.values.shape
    reduced = np.full((len(categories), records, channels), np.nan, np.float32)
    edges, members = _segments(categories)
    # Sums of 8-bit counts are whole numbers that float32 holds exactly; others need more.
    exact = combine == "sum" and distribution.values.dtype == np.uint8
    precision = np.float32 if exact else np.float64
    for rows, bins, used in _blocks(distribution):
        values = distribution.values[rows, :bins, :used]
        angle = distribution.pitch_angle[rows, :bins, :used]
        present = is_measured(angle) & (values != distribution.value_fill)
        if values.dtype.kind == "f":
            present &= is_measured(values)
        weight = present.astype(precision)
        if distribution.weight is not None:
            solid_angle = distribution.weight[rows, :bins, :used]
            present &= is_measured(solid_angle)
            weight = np.where(present, solid_angle, precision(0))
        weighted = np.where(present, values, 0) * weight
        segment = _segment_of(angle, edges)
        total, norm = _category_sums((weighted, weight), segment, members)
        with np.errstate(invalid="ignore", divide="ignore"):
            cells = total if combine == "sum" else total / norm
        reduced[:, rows, :used] = np.where(norm > 0, cells, np.nan).swapaxes(0, 1)
    return reduced


def _blocks(
    distribution: Distribution,
) -> Iterator[tuple[slice | NDArray[np.intp], int, int]]:
    """Slabs of valid records with equal numbers of bins and channels: (records, bins, channels).

    A number beyond the shape of the arrays is a fill value or damage: such a record has no valid
    bin.
    """
    _, bins, channels = distribution.values.shape
    nbins, nenergy = distribution.nbins.astype(np.intp), distribution.nenergy.astype(np.intp)
    usable = distribution.valid & (nbins <= bins) & (nenergy <= channels)
    usable &= (nbins > 0) & (nenergy > 0)
    shape = np.where(usable, nbins * (channels + 1) + nenergy, 0)
    for code in np.unique(shape[usable]):
        rows = np.flatnonzero(shape == code)
        for first in range(0, len(rows), _SLAB_RECORDS):
            slab = rows[first : first + _SLAB_RECORDS]
            contiguous = slab[-1] - slab[0] + 1 == len(slab)
            yield (
                slice(slab[0], slab[-1] + 1) if contiguous else slab,
                int(code // (channels + 1)),
                int(code % (channels + 1)),
            )


def _segments(categories: Categories) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Cut 0 to 360 at the ends of all intervals: (edges, members).

    Segment i lies between edges i − 1 and i. Segment 0, which also takes cells without an angle,
    belongs to no category. `edges` is in degrees, `members` is (category, segment).
    """
    ends = {end for intervals in categories.values() for interval in intervals for end in interval}
    edges = np.array(sorted(ends))
    members = np.zeros((len(categories), len(edges) + 1), bool)
    for row, intervals in enumerate(categories.values()):
        for low, high in intervals:
            members[row, np.searchsorted(edges, low) + 1 : np.searchsorted(edges, high) + 1] = True
    # A float32 angle is at or above an edge if it is at or above the first float32 that is.
    rounded = edges.astype(np.float32)
    below = rounded < edges
    rounded[below] = np.nextafter(rounded[below], np.float32(np.inf))
    return rounded, members


def _segment_of(angle: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The segment in which each pitch angle, mod 360, lies; same shape as `angle`."""
    if np.any(angle < 0) or np.any(angle >= 360):
        with np.errstate(invalid="ignore"):
            angle = np.mod(angle, np.float32(360))
        angle[angle >= 360] = 0  # a tiny negative angle rounds up to 360
    segment = np.zeros(angle.shape, np.uint8)
    for edge in edges:
        segment += angle >= edge
    return segment


def _category_sums(
    arrays: Sequence[NDArray[Any]], segment: NDArray[np.uint8], members: NDArray[np.bool_]
) -> list[NDArray[Any]]:
    """Sum arrays (record, bin, channel) over the bins of each category.

    `segment` is (record, bin, channel). Returns (record, category, channel) for each array. Bins
    whose channels all lie in one segment are summed by a batched matrix product; bins that an edge
    cuts through are added cell by cell.
    """
    of_bin = segment[:, :, 0]
    split = (segment != of_bin[:, :, None]).any(axis=2)
    belongs = members.astype(arrays[0].dtype)
    # Segment 0 belongs to no category.
    chosen = belongs[:, np.where(split, 0, of_bin)].swapaxes(0, 1)
    sums = [chosen @ array for array in arrays]
    records, bins = np.nonzero(split)
    if len(records):
        share = belongs[:, segment[records, bins]]
        first = np.flatnonzero(np.diff(records, prepend=-1))
        for total, array in zip(sums, arrays, strict=True):
            added = np.add.reduceat(share * array[records, bins], first, axis=1)
            total[records[first]] += added.swapaxes(0, 1)
    return sums
