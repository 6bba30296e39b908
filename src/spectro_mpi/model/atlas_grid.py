"""The cells of the atlas: hemisphere × altitude × invariant latitude × magnetic local time.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.ephemeris import HEMISPHERE
from spectro_mpi.settings.atlas import HOURS, AtlasSettings

HEMISPHERES = ("north", "south")
NOWHERE = -1
"""Cell of a record that lies in none."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Grid:
    """The cells, which are numbered in the order of `shape`."""

    settings: AtlasSettings

    @cached_property
    def mlt_edges(self) -> NDArray[np.float64]:
        """(mlt + 1,) hours, from 0 to 24."""
        cells = self.settings.mlt_cells
        return np.arange(cells + 1) * HOURS / cells

    @cached_property
    def ilat_edges(self) -> NDArray[np.float64]:
        """(ilat + 1,) degrees, ascending; the last cell may be narrower."""
        (low, high), step = self.settings.ilat, self.settings.ilat_degrees
        return np.append(low + step * np.arange(self.settings.ilat_cells), high)

    @cached_property
    def altitude_edges(self) -> NDArray[np.float64]:
        """(altitude + 1,) km, ascending; from 0 to infinity if altitude does not matter."""
        return np.array(self.settings.altitudes or (0.0, np.inf))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Numbers of hemispheres, altitudes, latitudes and local times."""
        edges = (self.altitude_edges, self.ilat_edges, self.mlt_edges)
        altitudes, latitudes, hours = (len(each) - 1 for each in edges)
        return len(HEMISPHERES), altitudes, latitudes, hours

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def cells_of(self, where: Mapping[str, Floats], records: int) -> NDArray[np.int64]:
        """The cell of each record, (record,); `NOWHERE` outside of the grid or where it is unknown.

        `where`: variable of the ephemeris (`mlt` in hours, `ilat` in degrees of either sign, `alt`
        in km, `hemisphere` 1 or −1) → its values, (record,). A cell has its lower border and not
        its upper one, except the highest latitude and the highest altitude; 24 h is 0 h.
        """
        nothing = np.full(records, np.nan)
        hours, latitude, north = (
            where.get(name, nothing).astype(np.float64) for name in ("mlt", "ilat", HEMISPHERE)
        )
        placed = [
            np.where(north > 0, 0, np.where(north < 0, 1, NOWHERE)),
            np.zeros(records, np.int64),
            _places(np.abs(latitude), self.ilat_edges),
            _places(_wrapped(hours), self.mlt_edges),
        ]
        if self.settings.altitudes:
            altitude = where.get("alt", nothing).astype(np.float64)
            placed[1] = _places(altitude, self.altitude_edges)
        inside = np.all([place != NOWHERE for place in placed], axis=0)
        cells = np.full(records, NOWHERE, np.int64)
        chosen = tuple(place[inside] for place in placed)
        cells[inside] = np.ravel_multi_index(chosen, self.shape)
        return cells

    def pooled(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same cells without altitude, in a grid of shape (hemisphere, ilat, mlt)."""
        _, altitudes, latitudes, hours = self.shape
        area = latitudes * hours
        return np.asarray(cells // (altitudes * area) * area + cells % area)


def _wrapped(hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hours from 0 to below 24."""
    with np.errstate(invalid="ignore"):
        wrapped = hours % HOURS
    return np.where(wrapped >= HOURS, 0.0, wrapped)  # a tiny negative number is rounded to 24


def _places(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which interval each value is in; the last one has its upper border, too."""
    places = np.searchsorted(edges, values, side="right") - 1
    places[values == edges[-1]] = len(edges) - 2
    inside = (places >= 0) & (places < len(edges) - 1) & np.isfinite(values)
    return np.where(inside, places, NOWHERE)
