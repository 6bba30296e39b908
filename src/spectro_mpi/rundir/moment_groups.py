"""Write and read the group of the moments of an instrument: `/{instrument}/moments`.

Unlike the group of its spectrogram, its dimension is `time`, with the times as coordinates.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5ds, h5g

from spectro_mpi.model.artifacts import EPOCH
from spectro_mpi.model.moments import DIRECTIONS, Moments, in_order, plan_of
from spectro_mpi.rundir.bounds import Scalars
from spectro_mpi.rundir.datasets import (
    TEXT,
    array_of,
    create,
    describe,
    fill,
    holds,
    member,
    own_datasets,
)

MOMENTS = "moments"
"""Name of the group."""


def write_moments(group: Any, moments: Moments) -> None:
    """Write moments into the group of their instrument (a low-level `h5py.h5g.GroupID`)."""
    own = h5g.create(group, MOMENTS.encode())
    time = create(own, "time", moments.time.dtype, moments.time.shape)
    fill(time, moments.time)
    describe(time, long_name="Centre of the record, UTC", units=EPOCH)
    names = np.array(moments.directions, TEXT)
    direction = create(own, "direction", names.dtype, names.shape)
    fill(direction, names)
    describe(direction, long_name="Direction of a flux")
    scales = {"time": time, "direction": direction}
    for name, scale in scales.items():
        h5ds.set_scale(scale, name.encode())
    for name, array in moments.values.items():
        dataset = create(own, name, array.dtype, array.shape)
        fill(dataset, array)
        long_name, units = moments.about(name)
        describe(dataset, long_name=long_name, units=units)
        for axis, dim in enumerate(moments.dims(name)):
            h5ds.set_label(dataset, axis, dim.encode())
            h5ds.attach_scale(dataset, scales[dim], axis)
    describe(own, **moments.attributes)


def read_moments(group: h5py.Group) -> Moments | None:
    """Read the moments in the group of an instrument; None: it has none.

    Raises one of `store.UNREADABLE` if the file is damaged.
    """
    if not holds(group, MOMENTS):
        return None
    own = member(group, MOMENTS)
    datasets = own_datasets(own)
    attributes = Scalars(own)
    time = array_of(datasets["time"])
    positive = str(attributes["positive"])
    arrays = {name: array_of(datasets[name]) for name in in_order(datasets)}
    moments = Moments(time, arrays, positive, plan_of(attributes))
    rows = len(DIRECTIONS[positive])
    for name, array in arrays.items():
        if array.shape not in (time.shape, (rows, *time.shape)) or array.dtype.kind != "f":
            raise ValueError(f"{name} has shape {array.shape} and type {array.dtype}")
    return moments
