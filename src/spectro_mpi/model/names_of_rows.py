"""Datasets taken apart along dimensions that have names, as files of two dimensions need it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.records import RECORD_DIMS


def records_first(dataset: Dataset) -> Dataset:
    """A dataset with the dimension of the records first, and called "time"."""
    places = [place for place, dim in enumerate(dataset.dims) if dim in RECORD_DIMS]
    if not places:
        return dataset
    dims = list(dataset.dims)
    del dims[places[0]]
    values = np.moveaxis(dataset.values, places[0], 0)
    points = {dim: each for dim, each in dataset.coordinates.items() if dim in dims}
    return replace(dataset, values=values, dims=("time", *dims), coordinates=points)


def by_names(dataset: Dataset) -> Iterator[tuple[Dataset, tuple[str, ...]]]:
    """The parts of a dataset along its dimensions that have names, and their names."""
    for axis, dim in enumerate(dataset.dims):
        points = dataset.coordinates.get(dim)
        if points is not None and points.dtype.kind in "OUST" and len(dataset.dims) > 1:
            rest = tuple(other for other in dataset.dims if other != dim)
            kept = {other: each for other, each in dataset.coordinates.items() if other != dim}
            for row, label in enumerate(points.tolist()):
                values = dataset.values.take(row, axis)
                part = replace(dataset, values=values, dims=rest, coordinates=kept)
                for deeper, labels in by_names(part):
                    yield deeper, (str(label), *labels)
            return
    yield dataset, ()
