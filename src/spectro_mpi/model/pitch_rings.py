"""Rings of pitch angle: the edges of a pitch-angle axis from 0 to 180°, and their solid angles.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.channels import channel_edges

Floats = NDArray[np.floating[Any]]

_CLOSED = 0.1
"""Degrees; edges built from 0 upward belong to an axis if they end this close to 180."""
_SAME = 1e-6
"""Relative; centres closer than this are one ring, as in `channel_edges`."""


def ring_edges(
    centres: Floats, below: Floats | None = None, above: Floats | None = None
) -> NDArray[np.float64]:
    """Compute the lower and upper edges of rings of pitch angle.

    Reported edges (centre − `below`, centre + `above`) are kept as `channel_edges` keeps them. A
    table that reports none is taken to begin at 0 with centres in the middle of their rings: each
    edge is 2 × centre − the edge before. That holds if the last edge is 180; otherwise, edges lie
    midway between centres and the outermost mirror the inner ones. All are clipped to 0…180.

    Parameters
    ----------
    centres : ndarray, (…, bin)
        Pitch angles of the bins of each table, degrees from 0 to 180, in any order; NaN: no bin.
    below, above : ndarray, (…, bin), optional
        Distances from the centre to the edges, degrees; NaN, or both 0: not reported.

    Returns
    -------
    ndarray, (…, bin, 2)
        Lower and upper edge, degrees; NaN: no bin. Bins of the same pitch angle share a ring.
    """
    edges = channel_edges(centres, below, above, is_log=False).astype(np.float64)
    closed, is_closed = _closed_edges(centres)
    if below is not None and above is not None:
        with np.errstate(invalid="ignore"):
            reported = np.broadcast_to(below + above, centres.shape) > 0
        is_closed = is_closed & ~reported.any(axis=-1)
    edges = np.where(is_closed[..., None, None], closed, edges)
    clipped: NDArray[np.float64] = np.clip(edges, 0, 180)
    return clipped


def ring_solid_angles(edges: Floats) -> NDArray[np.float64]:
    """Solid angles of rings: 2π (cos α₁ − cos α₂).

    `edges` is (…, bin, 2), degrees. Returns (…, bin), sr. Of several bins with the same ring, each
    has its share.
    """
    low, high = np.moveaxis(np.radians(edges.astype(np.float64)), -1, 0)
    ring = 2 * np.pi * (np.cos(low) - np.cos(high))
    middle = (low + high) / 2
    with np.errstate(invalid="ignore"):
        same = np.abs(middle[..., None] - middle[..., None, :]) <= _SAME * middle[..., None]
    return np.asarray(ring / np.maximum(same.sum(axis=-1), 1))


def _closed_edges(centres: Floats) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Edges of centres in the middle of rings that begin at 0: (…, bin, 2), and (…,) if they fit.

    They fit if each centre lies above the edge before it and the last edge is 180.
    """
    order = np.argsort(centres, axis=-1, kind="stable")  # NaN last
    ranked = np.take_along_axis(centres.astype(np.float64), order, axis=-1)
    edge = np.zeros(centres.shape[:-1])
    fits = np.ones(centres.shape[:-1], bool)
    edges = np.full((*centres.shape, 2), np.nan)
    for place in range(centres.shape[-1]):
        centre = ranked[..., place]
        known = np.isfinite(centre)
        fits &= ~known | (centre > edge)
        after = np.where(known, 2 * centre - edge, edge)
        pair = np.where(known[..., None], np.stack([edge, after], axis=-1), np.nan)
        np.put_along_axis(edges, order[..., place, None, None], pair[..., None, :], axis=-2)
        edge = after
    fits &= np.abs(edge - 180) <= _CLOSED
    return edges, fits
