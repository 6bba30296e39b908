"""Convert energies that vary by record and by bin to one table per mode, and values to match.

Arrays only, no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.channels import channel_edges
from spectro_mpi.model.distribution import Combine

_SAME = 1e-5
"""Energies that differ by less than this, relative to each other, are the same."""


@dataclass(frozen=True)
class _Plane:
    """The energies of all bins at one time."""

    mode: int
    """Row of the table of its energies."""
    known: NDArray[np.bool_]
    """(bin or 1, channel) whether there is an energy."""
    source: NDArray[np.intp] | None
    """(bin, channel) the bin's channel that covers the table's energy; −1: there is none.

    None: all bins have the energies of the table, at the same channels, or values are split.
    """
    parts: NDArray[np.float64] | None = None
    """(bin, channel of the table, channel of the bin) the part of a bin's channel that lies in a
    channel of the table; None: values are not split."""


class EnergyTables:
    """Collects the energy tables of a file of `channels` channels, chunk by chunk."""

    def __init__(
        self, channels: int, is_log: bool | None = True, combine: Combine = "mean"
    ) -> None:
        """`is_log`: whether the axis is logarithmic; None: each table by itself.

        `combine`: what becomes of the bins. For a sum, values are amounts, such as counts.
        """
        self._channels, self._is_log, self._combine = channels, is_log, combine
        self._planes: dict[bytes, _Plane] = {}
        self._modes: dict[bytes, int] = {}
        self._rows: list[NDArray[np.float64]] = []

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) float32, the tables so far; NaN: no such channel."""
        return self._columns(0).astype(np.float32)

    @property
    def edges(self) -> NDArray[np.float32]:
        """(mode, channel, 2) float32, lower and upper edges; NaN: no such channel."""
        return channel_edges(self._columns(0), self._columns(1), self._columns(2), self._is_log)

    def _columns(self, number: int) -> NDArray[np.float64]:
        """(mode, channel) centres (0), distances to the lower (1) or the upper edge (2)."""
        rows = np.array(self._rows, np.float64).reshape(-1, 3, self._channels)
        return rows[:, number]

    def take(
        self,
        values: NDArray[np.floating[Any]],
        energy: NDArray[np.float64],
        reach: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.uint32]]:
        """Assign records to tables, and move values to the energies of their table.

        If bins have different energies, the table has those of the bin with the most channels. For
        a mean, each bin contributes the value of its channel that covers an energy of the table.
        For a sum, the value of each channel is split among the channels of the table that it
        overlaps, in proportion to the overlap in energy: no count appears twice, and none is lost
        but what lies outside of the table's channels. Missing values add nothing.

        Parameters
        ----------
        values : ndarray, (record, bin, channel)
            Values at the energies of their bins. A writable array that owns its data is changed.
        energy : ndarray, (record or 1, bin or 1, channel)
            Centres of the channels; NaN: no such channel.
        reach : pair of ndarray, (record or 1, bin or 1, channel or 1), optional
            Distances from the centres to the lower and upper edges. None: not reported.

        Returns
        -------
        values : ndarray, (record, bin, channel)
            Values at the energies of their table; NaN: none.
        mode : ndarray, (record,)
            Row of the table of each record, uint32.
        """
        finite = np.where(np.isfinite(energy), energy, np.nan)
        centres = finite.astype(np.float32).astype(np.float64)
        nothing = np.full((1, 1, 1), np.nan)
        shapes = np.broadcast_shapes(*(part.shape for part in (centres, *(reach or ()))))
        # Last axis: centre, distance to the lower edge, distance to the upper edge.
        planes = np.stack(
            [np.broadcast_to(part, shapes) for part in (centres, *(reach or (nothing, nothing)))],
            axis=-1,
        )
        first = np.flatnonzero(_differs_from_before(planes))
        mode = np.empty(len(values), np.uint32)
        moved = values.copy() if values.base is not None or not values.flags.writeable else values
        for start, stop in zip(first, [*first[1:], len(planes)], strict=True):
            plane = self._plane(planes[start])
            rows = slice(None) if len(planes) == 1 else slice(start, stop)
            mode[rows] = plane.mode
            if plane.parts is not None:
                moved[rows] = _split(moved[rows], plane.parts)
            elif plane.source is not None:
                channels = np.maximum(plane.source, 0)[None]
                covering = np.take_along_axis(moved[rows], channels, axis=2)
                moved[rows] = np.where(plane.source >= 0, covering, np.nan)
            elif not plane.known.all():
                moved[rows] = np.where(plane.known, moved[rows], np.nan)
        return moved, mode

    def _plane(self, channels: NDArray[np.float64]) -> _Plane:
        key = channels.tobytes()
        plane = self._planes.get(key)
        if plane is None:
            plane = self._planes[key] = self._new_plane(channels)
        return plane

    def _new_plane(self, channels: NDArray[np.float64]) -> _Plane:
        """`channels` is (bin or 1, channel, 3): centre and distances to the edges."""
        energy = channels[..., 0]
        known = np.isfinite(energy)
        first = known.argmax(axis=0)
        shared = np.take_along_axis(channels, first[None, :, None], axis=0)[0]
        with np.errstate(invalid="ignore"):
            near = np.abs(energy - shared[:, 0]) <= _SAME * np.abs(shared[:, 0])
        if (~known | near).all():
            return _Plane(self._mode(shared), known, None)
        fullest = channels[int(known.sum(axis=1).argmax())]
        edges = channel_edges(energy, channels[..., 1], channels[..., 2], self._is_log)
        if self._combine == "sum":
            of_table = channel_edges(fullest[:, 0], fullest[:, 1], fullest[:, 2], self._is_log)
            parts = _parts(edges.astype(np.float64), of_table.astype(np.float64))
            return _Plane(self._mode(fullest), known, None, parts)
        source = np.array([_covering(of_bin, fullest[:, 0]) for of_bin in edges])
        return _Plane(self._mode(fullest), known, source)

    def _mode(self, row: NDArray[np.float64]) -> int:
        key = row.tobytes()
        if key not in self._modes:
            self._modes[key] = len(self._rows)
            self._rows.append(row.T.copy())
        return self._modes[key]


def narrowest(mode: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """The modes in the smallest unsigned integer type: one byte for up to 256 tables."""
    return mode.astype(np.min_scalar_type(int(mode.max(initial=0))))


def _differs_from_before(planes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(record,) whether the channels of a record differ from those of the record before."""
    bits = planes.view(np.uint64)
    differs = np.ones(len(planes), bool)
    differs[1:] = (bits[1:] != bits[:-1]).any(axis=(1, 2, 3))
    return differs


def _covering(edges: NDArray[np.float32], of_table: NDArray[np.float64]) -> NDArray[np.intp]:
    """(channel,) the channel of a bin that covers each energy of the table; −1: none does.

    `edges` is (channel, 2), the edges that figures draw; `of_table` is (channel,).
    """
    source = np.full(len(of_table), -1)
    order = np.flatnonzero(np.isfinite(edges[:, 0]))
    if not len(order):
        return source
    order = order[np.argsort(edges[order, 0], kind="stable")]
    lower, upper = edges[order].astype(np.float64).T
    place = np.maximum(np.searchsorted(lower, of_table, "right") - 1, 0)
    with np.errstate(invalid="ignore"):
        # An upper edge reported as the centre itself belongs to its channel.
        inside = (lower[place] <= of_table) & (of_table <= upper[place])
    source[inside] = order[place[inside]]
    return source


def _parts(edges: NDArray[np.float64], of_table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(bin, channel of the table, channel of the bin) overlap / width of the bin's channel.

    `edges` is (bin, channel, 2) and `of_table` (channel, 2); NaN: no channel, which has no overlap.
    """
    _, first = np.unique(of_table, axis=0, return_index=True)
    again = np.ones(len(of_table), bool)
    again[first] = False  # repeated channels of a table are one
    low = np.maximum(edges[:, None, :, 0], of_table[None, :, None, 0])
    high = np.minimum(edges[:, None, :, 1], of_table[None, :, None, 1])
    width = (edges[..., 1] - edges[..., 0])[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.where((high > low) & ~again[None, :, None], (high - low) / width, 0)
        # Edges that are equal but for rounding do not overlap; what they share is not lost.
        rest = np.where(parts > _SAME, parts, 0)
        scale = parts.sum(axis=1, keepdims=True) / rest.sum(axis=1, keepdims=True)
    return np.where(rest > 0, rest * scale, 0)


def _split(
    values: NDArray[np.floating[Any]], parts: NDArray[np.float64]
) -> NDArray[np.floating[Any]]:
    """Values (record, bin, channel) split by `parts` among the channels of the table.

    NaN where no channel of the bin has a value for the channel of the table.
    """
    by_bin = values.transpose(1, 2, 0)
    known = ~np.isnan(by_bin)
    total = parts @ np.where(known, by_bin, 0)
    any_known = (parts > 0).astype(np.float64) @ known > 0
    split: NDArray[np.floating[Any]] = np.where(any_known, total, np.nan).transpose(2, 0, 1)
    return split.astype(values.dtype, copy=False)
