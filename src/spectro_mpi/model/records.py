"""The records of a spectrogram in order of time, for files whose readers expect that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.spectrogram import Spectrogram

RECORD_DIMS = ("time", "record")
"""Names of the dimension of records, in datasets of phases and in the store."""
FIRST, LAST = -2_208_988_800.0, 7_258_118_400.0
"""1900 and 2200, s since 1970 UTC: records outside have no time that means anything."""


def order_of_records(time: NDArray[np.float64]) -> NDArray[np.intp]:
    """The records that have a time, in its order; of equal times, as they are.

    `time` (record,), s since 1970 UTC. Returns places, (kept record,). Records without a time, or
    outside the years 1900 to 2199, are left out.
    """
    with np.errstate(invalid="ignore"):
        (kept,) = np.nonzero((time >= FIRST) & (time < LAST))
    return kept[np.argsort(time[kept], kind="stable")]


def in_time_order(spectrogram: Spectrogram) -> Spectrogram:
    """A spectrogram with the records of `order_of_records`."""
    order = order_of_records(spectrogram.time)
    if len(order) == len(spectrogram.time) and bool((np.diff(order) == 1).all()):
        return spectrogram
    changed: dict[str, Any] = {
        name: getattr(spectrogram, name)[order]
        for name in ("time", "time_start", "time_end", "mode")
    }
    for name in ("values", "errors", "angles"):
        array = getattr(spectrogram, name)
        if array.size:
            changed[name] = array[:, order]
    if spectrogram.quality.size:
        changed["quality"] = spectrogram.quality[order]
    ephemeris = (replace(each, values=each.values[order]) for each in spectrogram.ephemeris)
    if spectrogram.moments is not None:
        values = {name: each[..., order] for name, each in spectrogram.moments.values.items()}
        time = spectrogram.moments.time[order]
        changed["moments"] = replace(spectrogram.moments, time=time, values=values)
    return replace(spectrogram, **changed, ephemeris=tuple(ephemeris))


def datasets_in_order(datasets: Iterable[Dataset], time: NDArray[np.float64]) -> list[Dataset]:
    """Datasets with the records of `order_of_records` of `time` (record,), s since 1970 UTC.

    Their dimension `time` or `record` is that of the records if it is as long; what has no such
    dimension, or another length of it, stays as it is.
    """
    order = order_of_records(time)
    return [_ordered(dataset, order, len(time)) for dataset in datasets]


def _ordered(dataset: Dataset, order: NDArray[np.intp], records: int) -> Dataset:
    for axis, dim in enumerate(dataset.dims):
        if dim in RECORD_DIMS and dataset.values.shape[axis] == records:
            points = dict(dataset.coordinates)
            if dim in points:
                points[dim] = points[dim][order]
            return replace(dataset, values=dataset.values.take(order, axis), coordinates=points)
    return dataset
