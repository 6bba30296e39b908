"""Energies → pixel rows: the channels that each pixel row shows, and how much of it they cover.

Pure functions: arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.scale import Scale

_SNAP = 1e-6  # Pixels; edges closer than this to the border of a pixel row are on it.


@dataclass(frozen=True)
class PixelRows:
    """What each pixel row of a panel shows of one energy table."""

    label: NDArray[np.intp]
    """(row,) from the top: a channel; or the number of channels + i, where i counts the rows that
    several channels share; −1: blank."""
    share: NDArray[np.float64]
    """(row,) the part of the row that its only channel covers; 1 where there are several."""
    start: NDArray[np.intp]
    """(shared row,) index of its first channel in `channel` and `weight`."""
    channel: NDArray[np.intp]
    """(part,) the channels of shared rows, row by row."""
    weight: NDArray[np.float64]
    """(part,) the part of the row that the channel covers, in pixels."""


def rows_of(edges: NDArray[np.float64], scale: Scale, rows: int) -> PixelRows:
    """Find the channels that each of `rows` pixel rows shows.

    `edges` is (channel, 2), lower and upper; NaN: not drawn. A row shows the channel at its centre,
    so that a border between channels is drawn at the nearest pixel. Where a channel is thinner than
    a pixel, all channels that overlap with the row share it. A row whose centre is in no channel is
    blank, except in the middle of a channel that lies between the centres of two rows.
    """
    ends = scale.fraction(edges) * rows
    whole = np.round(ends)
    ends = np.where(np.abs(ends - whole) < _SNAP, whole, ends)
    with np.errstate(invalid="ignore"):
        channels = np.flatnonzero((ends[:, 1] > 0) & (ends[:, 0] < rows))
        is_thin = (ends[:, 1] - ends[:, 0] < 1)[channels]
    low, high = np.clip(ends[channels], 0, rows).T
    # Pixel rows are counted from the bottom until the end.
    label, share = np.full(rows, -1, np.intp), np.ones(rows)
    begin, stop = np.ceil(low - 0.5).astype(np.intp), np.ceil(high - 0.5).astype(np.intp)
    seen, row = _parts(begin, stop)
    label[row] = channels[seen]
    hidden = np.flatnonzero(is_thin & (begin >= stop) & (high > low))
    label[np.minimum((low + high)[hidden] / 2, rows - 1).astype(np.intp)] = channels[hidden]
    parts, row = _parts(np.floor(low).astype(np.intp), np.ceil(high).astype(np.intp))
    thin_rows = np.zeros(rows, bool)
    thin_rows[row[is_thin[parts]]] = True
    chosen = np.flatnonzero(thin_rows[row] & (label[row] >= 0))
    parts, row = parts[chosen], row[chosen]
    if (np.diff(row) < 0).any():  # edges that overlap
        order = np.argsort(row, kind="stable")
        parts, row = parts[order], row[order]
    weight = np.minimum(high[parts], row + 1) - np.maximum(low[parts], row)
    count = np.bincount(row, minlength=rows)
    share[row] = weight
    shared = np.flatnonzero(count > 1)
    label[shared], share[shared] = len(edges) + np.arange(len(shared)), 1
    several = count[row] > 1
    size = count[shared]
    return PixelRows(
        label[::-1], share[::-1], np.cumsum(size) - size, channels[parts[several]], weight[several]
    )


def _parts(first: NDArray[np.intp], stop: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
    """Ranges [first, stop), one after the other, as (number of the range, element)."""
    sizes = np.maximum(stop - first, 0)
    number = np.repeat(np.arange(len(sizes)), sizes)
    return number, np.arange(len(number)) - (np.cumsum(sizes) - sizes - first)[number]
