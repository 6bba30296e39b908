"""Energies that may vary by record and by bin → tables by mode, and values brought to them.

Pure array science: no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAME = 1e-5
"""Energies nearer to each other than this, relative, are the same."""


@dataclass(frozen=True)
class _Plane:
    """The energies of all bins at one time."""

    mode: int
    known: NDArray[np.bool_]
    """(bin or 1, channel) where there is an energy."""
    source: NDArray[np.intp] | None
    """(bin, channel) the bin's channel at the mode's energies, −1: none; None: its own."""


class EnergyTables:
    """Collects the energy tables of a file, chunk by chunk."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._planes: dict[bytes, _Plane] = {}
        self._modes: dict[bytes, int] = {}
        self._rows: list[NDArray[np.float32]] = []

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) the tables so far; NaN: no such channel."""
        return np.array(self._rows, np.float32).reshape(-1, self._channels)

    def take(
        self, values: NDArray[np.floating[Any]], energy: NDArray[np.float64]
    ) -> tuple[NDArray[np.floating[Any]], NDArray[np.uint32]]:
        """Values at the energies of their record's table, and the row of that table.

        `values` is (record, bin, channel), `energy` (record or 1, bin or 1, channel), NaN where
        there is none. Where bins have different energies, the table is that of the bin with most
        channels, and each bin gives the value of its channel that covers the table's energy.
        """
        centres = np.where(energy > 0, energy, np.nan).astype(np.float32)
        first = np.flatnonzero(_differs_from_before(centres))
        mode = np.empty(len(values), np.uint32)
        taken = values.copy() if values.base is not None or not values.flags.writeable else values
        for start, stop in zip(first, [*first[1:], len(centres)], strict=True):
            plane = self._plane(centres[start])
            rows = slice(None) if len(centres) == 1 else slice(start, stop)
            mode[rows] = plane.mode
            if plane.source is not None:
                where = np.maximum(plane.source, 0)[None]
                moved = np.take_along_axis(taken[rows], where, axis=2)
                taken[rows] = np.where(plane.source >= 0, moved, np.nan)
            elif not plane.known.all():
                taken[rows] = np.where(plane.known, taken[rows], np.nan)
        return taken, mode

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
        source = np.array([_covering(own, fullest) for own in energy])
        return _Plane(self._mode(fullest), known, source)

    def _mode(self, row: NDArray[np.float32]) -> int:
        key = row.tobytes()
        if key not in self._modes:
            self._modes[key] = len(self._rows)
            self._rows.append(row.copy())
        return self._modes[key]


def narrowest(mode: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """Modes in the smallest type that holds them: one byte for up to 256 tables."""
    return mode.astype(np.min_scalar_type(int(mode.max(initial=0))))


def _differs_from_before(energy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(record,) whether a record's energies are not those of the record before."""
    bits = energy.view(np.uint32)
    differs = np.ones(len(energy), bool)
    differs[1:] = (bits[1:] != bits[:-1]).any(axis=(1, 2))
    return differs


def _covering(own: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.intp]:
    """(channel,) the channel of `own` that covers each energy of `wanted`; −1: none does.

    Channels reach to the geometric means of neighbouring centres, the outer ones as far outward
    as inward, as figures have them.
    """
    source = np.full(len(wanted), -1)
    order = np.flatnonzero(np.isfinite(own))
    if not len(order):
        return source
    order = order[np.argsort(own[order], kind="stable")]
    centre = np.log(own[order].astype(np.float64))
    inner = (centre[:-1] + centre[1:]) / 2
    half = (inner[0] - centre[0], centre[-1] - inner[-1]) if len(inner) else (0.1, 0.1)
    edges = np.concatenate([[centre[0] - half[0]], inner, [centre[-1] + half[1]]])
    with np.errstate(invalid="ignore"):
        at = np.log(wanted.astype(np.float64))
        place = np.searchsorted(edges, at, "right") - 1
        inside = np.isfinite(at) & (place >= 0) & (place < len(order))
    source[inside] = order[place[inside]]
    return source
