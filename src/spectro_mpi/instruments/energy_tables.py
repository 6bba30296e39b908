"""Convert energies that vary by record and by bin to one table per mode, and values to match.

Arrays only, no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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

    None: all bins have the energies of the table, at the same channels.
    """


class EnergyTables:
    """Collects the energy tables of a file of `channels` channels, chunk by chunk."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._planes: dict[bytes, _Plane] = {}
        self._modes: dict[bytes, int] = {}
        self._rows: list[NDArray[np.float32]] = []

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) float32, the tables so far; NaN: no such channel."""
        return np.array(self._rows, np.float32).reshape(-1, self._channels)

    def take(
        self, values: NDArray[np.floating[Any]], energy: NDArray[np.float64]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.uint32]]:
        """Assign records to tables, and move values to the energies of their table.

        If bins have different energies, the table has those of the bin with the most channels, and
        each bin contributes the value of its channel that covers an energy of the table.

        Parameters
        ----------
        values : ndarray, (record, bin, channel)
            Values at the energies of their bins. A writable array that owns its data is changed.
        energy : ndarray, (record or 1, bin or 1, channel)
            Centres of the channels; NaN or not positive: no such channel.

        Returns
        -------
        values : ndarray, (record, bin, channel)
            Values at the energies of their table; NaN: none.
        mode : ndarray, (record,)
            Row of the table of each record, uint32.
        """
        centres = np.where(energy > 0, energy, np.nan).astype(np.float32)
        first = np.flatnonzero(_differs_from_before(centres))
        mode = np.empty(len(values), np.uint32)
        moved = values.copy() if values.base is not None or not values.flags.writeable else values
        for start, stop in zip(first, [*first[1:], len(centres)], strict=True):
            plane = self._plane(centres[start])
            rows = slice(None) if len(centres) == 1 else slice(start, stop)
            mode[rows] = plane.mode
            if plane.source is not None:
                channels = np.maximum(plane.source, 0)[None]
                covering = np.take_along_axis(moved[rows], channels, axis=2)
                moved[rows] = np.where(plane.source >= 0, covering, np.nan)
            elif not plane.known.all():
                moved[rows] = np.where(plane.known, moved[rows], np.nan)
        return moved, mode

    def _plane(self, energy: NDArray[np.float32]) -> _Plane:
        key = energy.tobytes()
        plane = self._planes.get(key)
        if plane is None:
            plane = self._planes[key] = self._new_plane(energy)
        return plane

    def _new_plane(self, energy: NDArray[np.float32]) -> _Plane:
        known = np.isfinite(energy)
        fullest = energy[int(known.sum(axis=1).argmax())]
        shared = np.take_along_axis(energy, known.argmax(axis=0)[None], axis=0)[0]
        with np.errstate(invalid="ignore"):
            alike = ~known | (np.abs(energy - shared) <= _SAME * shared)
        if alike.all():
            return _Plane(self._mode(shared), known, None)
        source = np.array([_covering(of_bin, fullest) for of_bin in energy])
        return _Plane(self._mode(fullest), known, source)

    def _mode(self, row: NDArray[np.float32]) -> int:
        key = row.tobytes()
        if key not in self._modes:
            self._modes[key] = len(self._rows)
            self._rows.append(row.copy())
        return self._modes[key]


def narrowest(mode: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """The modes in the smallest unsigned integer type: one byte for up to 256 tables."""
    return mode.astype(np.min_scalar_type(int(mode.max(initial=0))))


def _differs_from_before(energy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(record,) whether the energies of a record differ from those of the record before."""
    bits = energy.view(np.uint32)
    differs = np.ones(len(energy), bool)
    differs[1:] = (bits[1:] != bits[:-1]).any(axis=(1, 2))
    return differs


def _covering(of_bin: NDArray[np.float32], of_table: NDArray[np.float32]) -> NDArray[np.intp]:
    """(channel,) the channel of a bin that covers each energy of the table; −1: none does.

    As in figures, channels extend to the geometric means of neighbouring centres, and the outer
    ones as far outward as inward.
    """
    source = np.full(len(of_table), -1)
    order = np.flatnonzero(np.isfinite(of_bin))
    if not len(order):
        return source
    order = order[np.argsort(of_bin[order], kind="stable")]
    centre = np.log(of_bin[order].astype(np.float64))
    inner = (centre[:-1] + centre[1:]) / 2
    half = (inner[0] - centre[0], centre[-1] - inner[-1]) if len(inner) else (0.1, 0.1)
    edges = np.concatenate([[centre[0] - half[0]], inner, [centre[-1] + half[1]]])
    with np.errstate(invalid="ignore"):
        target = np.log(of_table.astype(np.float64))
        place = np.searchsorted(edges, target, "right") - 1
        inside = np.isfinite(target) & (place >= 0) & (place < len(order))
    source[inside] = order[place[inside]]
    return source
