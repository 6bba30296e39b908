"""Edges of channels: from the widths that a file reports, else from the centres.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_SAME = 1e-6
"""Relative; centres closer than this are one channel."""
_MEET = 0.01
"""Neighbouring edges closer than this part of the narrower channel meet in the middle."""
_LONE = 1.1
"""On a log axis, a table's only channel extends from its centre / 1.1 to its centre × 1.1."""
_STEADY = 0.5
"""Largest relative spread (standard deviation) of the steps of an axis of nearly constant ratio."""


def channel_edges(
    centres: Floats,
    below: Floats | None = None,
    above: Floats | None = None,
    is_log: bool | None = None,
) -> NDArray[np.float32]:
    """Compute the lower and upper edges of channels.

    Reported edges (centre − `below`, centre + `above`) are kept, except that neighbours which
    differ by less than 1 % of the narrower channel meet in the middle, and neighbours that overlap
    by more, or report nothing, meet between their centres: at the geometric mean on a log axis, at
    the midpoint on a linear one; if that is not where they overlap, in the middle of the overlap,
    so that no channel grows beyond its reported edges. Where only one neighbour reports its edge,
    that edge is the border of both. The outermost edges that are not reported mirror the inner
    ones: by the same ratio on a log axis, by the same distance on a linear one. Repeated centres
    are one channel.

    Parameters
    ----------
    centres : ndarray, (…, channel)
        Centres of the channels of each table, in any order and unit; NaN: no channel.
    below, above : ndarray, (…, channel), optional
        Distances from the centre to the edges, same unit. A channel whose two distances are NaN or
        add up to 0 reports no edges. None: no channel reports edges.
    is_log : bool, optional
        Whether the axis is logarithmic; its centres at or below 0 are then no channels. None: each
        table by itself, by `is_geometric`.

    Returns
    -------
    ndarray, (…, channel, 2)
        Lower and upper edge, float32, same unit; NaN: no channel.
    """
    channels = centres.shape[-1]
    centre = np.asarray(centres, np.float64).reshape(-1, channels)
    log = is_geometric(centre) if is_log is None else np.full(len(centre), is_log)
    lower, upper = _reported(centre, below, above)
    known = np.isfinite(centre) & ((centre > 0) | ~log[:, None])
    order = np.argsort(np.where(known, centre, np.inf), axis=1, kind="stable")
    ranked = np.take_along_axis(np.where(known, centre, np.nan), order, axis=1)
    fresh = np.isfinite(ranked)
    with np.errstate(invalid="ignore"):
        fresh[:, 1:] &= ~(np.diff(ranked, axis=1) <= _SAME * np.abs(ranked[:, :-1]))
    number = np.cumsum(fresh, axis=1) - 1
    # Distinct centres of each table in its first columns, then NaN.
    row, place = np.nonzero(fresh)
    distinct = np.full((3, *centre.shape), np.nan)
    source = order[row, place]
    column = number[row, place]
    for target, values in zip(distinct, (centre, lower, upper), strict=True):
        target[row, column] = values[row, source]
    low, high = _edges(distinct[0], distinct[1], distinct[2], log)
    edges = np.full((*centre.shape, 2), np.nan, np.float32)
    row, place = np.nonzero(np.isfinite(ranked))
    column = number[row, place]
    edges[row, order[row, place]] = np.stack([low[row, column], high[row, column]], axis=1)
    return edges.reshape(*centres.shape, 2)


def is_geometric(centres: Floats) -> NDArray[np.bool_]:
    """Whether tables look logarithmic: their ratios are nearly constant, and more so than steps.

    `centres` is (table, channel), NaN where there is no channel. Returns (table,). Values at or
    below 0 beside at least three positive values of such a table are no channels of it.
    """
    finite = np.isfinite(centres)
    ranked = np.sort(np.where(finite, centres, np.nan), axis=1)
    positive = np.where(ranked > 0, ranked, np.nan)
    with np.errstate(invalid="ignore"):
        by_ratio = _spread(np.diff(np.log(positive), axis=1))
        by_step = _spread(np.diff(ranked, axis=1))
    many = (positive > 0).sum(axis=1)
    whole = many == finite.sum(axis=1)
    closer = np.where(whole, by_ratio <= by_step + 1e-9, by_ratio < by_step)
    looks: NDArray[np.bool_] = (by_ratio <= _STEADY) & closer & (whole | (many >= 3))
    return looks


def log_edges(edges: Floats, centres: Floats) -> NDArray[np.float32]:
    """Edges of channels as drawn on a log axis; NaN where the channel cannot be drawn there.

    `edges` is (…, channel, 2) and `centres` (…, channel). A channel whose centre is positive but
    whose lower edge is not extends below its centre by the same ratio as above.
    """
    centre = np.asarray(centres, np.float64)
    lower, upper = edges[..., 0], edges[..., 1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        usable = (centre > 0) & (upper > 0)
        mirrored = np.where(centre < upper, centre**2 / upper, centre / _LONE)
        drawn = np.stack([np.where(lower > 0, lower, mirrored), upper], axis=-1)
    return np.where(usable[..., None], drawn, np.nan).astype(np.float32)


def measured_channels(
    values: NDArray[np.float32], mode: NDArray[np.integer[Any]], tables: int
) -> NDArray[np.bool_]:
    """Which channels have a finite value somewhere: (category, table, channel).

    `values` is (category, record, channel); `mode` (record,) is the row of the energy table in use.
    """
    order = np.argsort(mode, kind="stable")
    present, first = np.unique(mode[order], return_index=True)
    known = present < tables
    measured = np.zeros((len(values), tables, values.shape[2]), bool)
    for of_category, row in zip(measured, values, strict=True):
        by_mode = np.logical_or.reduceat(np.isfinite(row)[order], first, axis=0)
        of_category[present[known]] = by_mode[known]
    return measured


def belongs(edges: Floats, centres: Floats) -> bool:
    """Whether edges (…, channel, 2) have the shape of `centres` (…, channel) and enclose them."""
    if edges.shape != (*centres.shape, 2):
        return False
    slack = 1e-6 * np.abs(centres)
    known = np.isfinite(edges).all(axis=-1)
    outside = (edges[..., 0] > centres + slack) | (edges[..., 1] < centres - slack)
    return not (known & (outside | ~np.isfinite(centres))).any()


def _reported(
    centre: Floats, below: Floats | None, above: Floats | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reported lower and upper edges, (table, channel); NaN: the channel reports none."""
    if below is None and above is None:
        nothing = np.full(centre.shape, np.nan)
        return nothing, nothing
    reaches = [
        np.zeros(centre.shape)
        if reach is None
        else np.abs(np.asarray(reach, np.float64)).reshape(centre.shape)
        for reach in (below, above)
    ]
    with np.errstate(invalid="ignore"):
        reports = np.isfinite(reaches[0] + reaches[1]) & (reaches[0] + reaches[1] > 0)
    lower, upper = centre - reaches[0], centre + reaches[1]
    return np.where(reports, lower, np.nan), np.where(reports, upper, np.nan)


def _edges(
    centre: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    log: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of distinct ascending centres, (table, channel), from those that are reported."""
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = centre[:, :-1], centre[:, 1:]
        product = np.where((left > 0) & (right > 0), left * right, np.nan)
        middle = np.where(log[:, None], np.sqrt(product), (left + right) / 2)
        ends, begins = upper[:, :-1], lower[:, 1:]
        gap = begins - ends
        width = upper - lower
        narrow = _MEET * np.minimum(width[:, :-1], width[:, 1:])
        first, last = np.fmax(begins, lower[:, :-1]), np.fmin(ends, upper[:, 1:])
        is_beside = (first <= last) & ((middle < first) | (middle > last))
        shared = np.where(is_beside, (first + last) / 2, middle)
        meeting = np.where(np.abs(gap) < narrow, (begins + ends) / 2, shared)
        apart = gap >= narrow
        # An edge that only one of two neighbours reports is the border of both.
        ends_alone = np.isfinite(ends) & np.isnan(begins) & (ends <= right)
        begins_alone = np.isfinite(begins) & np.isnan(ends) & (begins >= left)
        border = np.where(ends_alone, ends, np.where(begins_alone, begins, meeting))
        low, high = lower.copy(), upper.copy()
        low[:, 1:] = np.where(apart, begins, border)
        # Behind the last channel of a table, which may have fewer than others, is no border.
        high[:, :-1] = np.where(apart | np.isnan(right), ends, border)
        _mirror(centre, low, high, middle, log)
    return low, high


def _mirror(
    centre: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    middle: NDArray[np.float64],
    log: NDArray[np.bool_],
) -> None:
    """Fill in the outermost edges of each table that are not reported."""
    row = np.flatnonzero(np.isfinite(centre[:, :1]).any(axis=1))
    last = np.isfinite(centre).sum(axis=1)[row] - 1
    inner = np.maximum(last - 1, 0)
    alone = last == 0
    at, is_log = centre[row, last], log[row]
    lone = np.where(is_log, at * _LONE, at + np.where(at == 0, 0.5, np.abs(at) * (_LONE - 1)))
    half = middle[row, inner] if middle.shape[1] else lone
    # Where the inner edge is the centre itself, the middle between centres stands for it.
    border = np.where(low[row, last] < at, low[row, last], half)
    above = np.where(alone, lone, _reflected(at, border, is_log))
    high[row, last] = np.where(np.isnan(high[row, last]), above, high[row, last])
    at = centre[row, 0]
    half = middle[row, 0] if middle.shape[1] else lone
    border = np.where(alone, lone, np.where(high[row, 0] > at, high[row, 0], half))
    below = _reflected(at, border, is_log)
    low[row, 0] = np.where(np.isnan(low[row, 0]), below, low[row, 0])


def _reflected(
    centre: NDArray[np.float64], edge: NDArray[np.float64], is_log: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The edge on the other side of a centre: by the same ratio, or the same distance."""
    return np.where(is_log, centre**2 / edge, 2 * centre - edge)


def _spread(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of steps along the last axis divided by their mean; NaN is left out.

    Steps of 0 (repeated centres) are left out too. 0 where there are fewer than two steps.
    """
    used = np.isfinite(steps) & (steps > 0)
    count = np.maximum(used.sum(axis=-1), 1)
    mean = np.where(used, steps, 0).sum(axis=-1) / count
    square = np.where(used, (steps - mean[..., None]) ** 2, 0).sum(axis=-1) / count
    spread: NDArray[np.float64] = np.sqrt(square) / np.where(mean > 0, mean, 1)
    return spread
