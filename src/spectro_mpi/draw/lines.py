"""Lines against time → pixels: antialiased, at any number of points.

Pure functions: arrays in, arrays out. `points_of` connects the records of a series, `extent_of`
finds what the line covers of each thin column, `coverage_of` turns that into the part of each pixel
that is covered. No Python loop runs over points, columns or pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Records

_Floats = NDArray[np.float64]

FINE = 4
"""Thin columns in a column of pixels: steep lines are as smooth as flat ones."""


@dataclass(frozen=True)
class Points:
    """A line, or a band between two lines, as points in the order of time."""

    x: _Floats
    """(point,) places on the time axis: 0 at its begin, 1 at its end; never decreasing."""
    low: _Floats
    """(point,) the line, or the lower end of the band; finite, in any unit."""
    high: _Floats
    """(point,) the same line, or the upper end of the band."""
    is_joined: NDArray[np.bool_]
    """(point − 1,) whether a point is connected to the next."""

    def scaled(self, width: float, height: float) -> Points:
        """The same line, with places times `width` and values times `height`."""
        return replace(self, x=self.x * width, low=self.low * height, high=self.high * height)

    @property
    def pieces(self) -> list[slice]:
        """The runs of points that are connected."""
        ends = [0, *(np.flatnonzero(~self.is_joined) + 1).tolist(), len(self.x)]
        return [slice(*pair) for pair in pairwise(ends) if pair[0] < pair[1]]


def points_of(
    low: NDArray[np.floating[Any]],
    high: NDArray[np.floating[Any]],
    records: Records,
    begin: float,
    finish: float,
) -> Points:
    """Connect the records of a series, each at its centre.

    `low` and `high` are (record,), in the order of the file. Records with a value that is not
    finite are left out, and the line is broken there, and at a gap between records. A record
    without a neighbour is a line from its start to its end.
    """
    low, high = (each[records.order].astype(np.float64) for each in (low, high))
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    follows = np.diff(known) == 1
    meets = records.end[known[:-1]] >= records.start[known[1:]]
    joined = follows & meets
    alone = np.ones(len(known), bool)
    alone[1:] &= ~joined
    alone[:-1] &= ~joined
    # A lone record has two points, its start and its end, which are joined.
    twice = 1 + alone.astype(np.intp)
    source = np.repeat(known, twice)
    x = np.repeat(records.centre[known], twice)
    last = np.cumsum(twice) - 1
    x[last[alone] - 1], x[last[alone]] = records.start[known[alone]], records.end[known[alone]]
    is_joined = np.zeros(max(0, len(source) - 1), bool)
    is_joined[last[:-1]] = joined
    is_joined[last[alone] - 1] = True
    return Points((x - begin) / ((finish - begin) or 1.0), low[source], high[source], is_joined)


def extent_of(points: Points, columns: int) -> tuple[_Floats, _Floats]:
    """The lowest and highest value of a line within each of `columns` equal columns.

    Both are (column,); of a column that the line does not cross, inf and −inf.
    """
    lowest, highest = np.full(columns, np.inf), np.full(columns, -np.inf)
    if not len(points.x):
        return lowest, highest
    x = points.x * columns
    edges = np.arange(columns + 1, dtype=np.float64)
    after = np.searchsorted(x, edges, "right")
    between = (after > 0) & (after < len(x))
    between[between] = points.is_joined[after[between] - 1]
    before = after[between] - 1
    share = (edges[between] - x[before]) / (x[before + 1] - x[before])
    inside = np.flatnonzero((x >= 0) & (x < columns))
    at = x[inside].astype(np.intp)
    first = np.flatnonzero(np.diff(at, prepend=-1))
    for values, best, choose in (
        (points.low, lowest, np.minimum),
        (points.high, highest, np.maximum),
    ):
        crossing = np.full(columns + 1, best[0])
        crossing[between] = values[before] + share * (values[before + 1] - values[before])
        choose(crossing[:-1], crossing[1:], out=best)
        if len(inside):
            best[at[first]] = choose(best[at[first]], choose.reduceat(values[inside], first))
    return lowest, highest


def thinned(points: Points, columns: int) -> Points:
    """A line of many points by few: its extent in each of `columns` columns, where it has more."""
    if len(points.x) <= 4 * columns:
        return points
    low, high = extent_of(points, columns)
    there = np.flatnonzero(high >= low)
    x = np.repeat((there + 0.5) / columns, 2)
    is_joined = np.ones(max(0, len(x) - 1), bool)
    is_joined[1::2] = np.diff(there) == 1
    if np.array_equal(points.low, points.high):
        low = high = np.stack([low[there], high[there]], axis=1).reshape(-1)
    else:
        low, high = np.repeat(low[there], 2), np.repeat(high[there], 2)
    return Points(x, low, high, is_joined)


def widened(
    extent: tuple[_Floats, _Floats], width: float, fine: int = FINE
) -> tuple[_Floats, _Floats]:
    """The extent, in pixels, of a line drawn with a round pen `width` pixels wide.

    `extent` is by thin column, of which a pixel has `fine`.
    """
    low, high = np.full(extent[0].shape, np.inf), np.full(extent[1].shape, -np.inf)
    radius = width / 2
    for shift in range(-int(radius * fine), int(radius * fine) + 1):
        reach = math.sqrt(radius**2 - (shift / fine) ** 2)
        to = slice(max(0, shift), len(low) + min(0, shift))
        of = slice(max(0, -shift), len(low) - max(0, shift))
        np.minimum(low[to], extent[0][of] - reach, out=low[to])
        np.maximum(high[to], extent[1][of] + reach, out=high[to])
    return low, high


def coverage_of(
    extent: tuple[_Floats, _Floats], rows: int, fine: int = FINE
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The pixels that are covered, by row and column, and the part of each, above 0 up to 1.

    `extent` is what is covered of each thin column, pixels from the top of an image of `rows` rows.
    """
    thin = [np.clip(end, -1, rows + 1).reshape(-1, fine).astype(np.float32) for end in extent]
    low, high = thin
    first = np.maximum(np.floor(low.min(axis=1)), 0).astype(np.intp)
    stop = np.minimum(np.ceil(high.max(axis=1)), rows).astype(np.intp)
    lengths = np.maximum(stop - first, 0)
    column = np.repeat(np.arange(len(lengths)), lengths)
    begins = first - np.append(0, np.cumsum(lengths)[:-1])
    row = np.arange(len(column)) + np.repeat(begins, lengths)
    top = row.astype(np.float32)
    covered = np.zeros(len(row), np.float32)
    for part in range(fine):
        inside = np.minimum(high[column, part] - top, 1)
        inside -= np.maximum(low[column, part] - top, 0)
        covered += np.maximum(inside, 0, out=inside)
    shown = covered > 0
    return row[shown], column[shown], np.minimum(covered[shown] / np.float32(fine), 1)
