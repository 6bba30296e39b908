"""The pitch-angle axis of an ISTP CDF, and the rings of its bins."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp_axes import NUMBERS, VariableAxes
from spectro_mpi.instruments.istp_edges import reported_edges
from spectro_mpi.instruments.istp_variables import Floats, Variables, measured
from spectro_mpi.instruments.units import AxisUnit, degrees_in
from spectro_mpi.model.distribution import EnergyFlux
from spectro_mpi.model.pitch_rings import ring_edges, ring_solid_angles

_PITCH_ANGLE = re.compile(r"pitch|(^|_)pa(_|$)", re.IGNORECASE)
_SPELT_OUT = re.compile(r"pitch[ _-]?angle", re.IGNORECASE)
_WITHIN = 1e-3
"""Degrees; angles this much outside of 0…180 are rounded."""
_QUADRANT = 90.0
"""Degrees; pitch angles reach beyond, numbers of bins do not."""
_RECORDS = 65536
"""Records of an axis read at a time, to look at its range."""


class Rings(NamedTuple):
    """The rings of some records, each (record or 1, bin, channel or 1)."""

    middle: NDArray[np.float32]
    """Degrees, between the edges."""
    width: NDArray[np.float32]
    """Degrees."""
    solid_angle: NDArray[np.float32]
    """sr."""

    def energy_flux(self, eflux: NDArray[np.float32]) -> EnergyFlux:
        """The flux (record, bin, channel) in these rings, which pass each direction once."""
        middle = np.broadcast_to(self.middle.astype(np.float32), eflux.shape)
        return EnergyFlux(eflux, middle, self.width, passes=1)


class PitchAxis:
    """A variable with pitch angles from 0 to 180° along one angle axis of the value."""

    def __init__(
        self, reader: CdfReader, axes: VariableAxes, variables: Variables, name: str
    ) -> None:
        self._reader, self._axes, self._variables, self._name = reader, axes, variables, name
        self._order = variables.axes_of(name)
        self._degrees = angle_factor(reader, name)
        self._fixed: Rings | None = None

    @cached_property
    def range(self) -> tuple[float, float]:
        """Smallest and largest angle of all records, degrees; NaN: there is none."""
        low = high = np.nan
        for first in range(0, self._axes.records, _RECORDS):
            last = min(first + _RECORDS, self._axes.records)
            angles, varies = self._variables.floats(self._name, first, last)
            low = np.fmin(low, np.fmin.reduce(angles, axis=None))
            high = np.fmax(high, np.fmax.reduce(angles, axis=None))
            if not varies:
                break
        return float(low) * self._degrees, float(high) * self._degrees

    @property
    def has_rings(self) -> bool:
        """Whether the variable lies along one angle axis, with angles within 0 to 180."""
        if len(self._order) != 1 or self._order[0] == self._axes.energy_axis:
            return False
        low, high = self.range
        return low >= -_WITHIN and high <= 180 + _WITHIN

    def rings(self, first: int, last: int) -> Rings:
        """The rings of some records, by the edges that the file reports or else as `ring_edges`."""
        if self._fixed is not None:
            return self._fixed
        raw, varies = self._variables.floats(self._name, first, last)
        unit = AxisUnit("y", self._degrees, "deg")
        reported = reported_edges(self._reader, self._name, self._axes.records, unit)
        centres = self._variables.spread(raw * self._degrees, self._order)
        reach = self._variables.reach(reported, self._name, centres, first, last)
        planes = np.broadcast_arrays(centres, *(reach or ()))
        edges = ring_edges(*(self._along_axis(plane) for plane in planes))
        parts = edges.mean(axis=-1), edges[..., 1] - edges[..., 0], ring_solid_angles(edges)
        rings = Rings(
            *(self._variables.spread(part, self._order).astype(np.float32) for part in parts)
        )
        if not varies and len(planes[0]) == 1:
            self._fixed = rings
        return rings

    def _along_axis(self, plane: Floats) -> Floats:
        """(record, bin, channel or 1), equal along all other axes → (record, bin of the axis)."""
        axes = self._axes
        sizes = [axes.shape[axis] for axis in axes.angle_axes]
        of_bins = plane[:, :, 0].reshape(len(plane), *sizes)
        last = np.moveaxis(of_bins, axes.angle_axes.index(self._order[0]) + 1, -1)
        return last.reshape(len(plane), -1, last.shape[-1])[:, 0]


def angle_factor(reader: CdfReader, name: str) -> float:
    """Factor that converts the angles of a variable to degrees."""
    return degrees_in(str(reader.attributes(name).get("UNITS", ""))) or 1.0


def is_pitch_angle(reader: CdfReader, name: str) -> bool:
    """Whether a variable holds pitch angles, by its UNITS and its name or a text of it.

    Without UNITS the text must spell it out, and the numbers must be more than those of bins.
    """
    if name not in reader.names or reader.kind(name) not in NUMBERS:
        return False
    attributes = reader.attributes(name)
    units = str(attributes.get("UNITS", "")).strip()
    labels = [name, *(str(attributes.get(key, "")) for key in ("LABLAXIS", "FIELDNAM", "CATDESC"))]
    if units:
        is_angle = degrees_in(units) is not None
        return is_angle and any(_PITCH_ANGLE.search(label) for label in labels)
    if reader.records(name) != 1 or not any(_SPELT_OUT.search(label) for label in labels):
        return False
    return bool(np.nanmax(measured(reader.static(name), {}), initial=0) > _QUADRANT)
