"""results/superpose.h5: the superposed epoch analysis, a group for each instrument.

Dimensions are HDF5 dimension scales, so that xarray opens a group in one line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.superposed import Superposed
from spectro_mpi.rundir.array_file import file_image
from spectro_mpi.rundir.bounds import Scalars, read_texts
from spectro_mpi.rundir.datasets import member, members, refuse_foreign
from spectro_mpi.rundir.groups import legend_of, unnamed_scale
from spectro_mpi.rundir.item_file import attach_scales
from spectro_mpi.rundir.store import PHASE, opened

TIME = "time_from_event"
"""Name of the dimension of bins of time and of its coordinates."""
_CATEGORY, _BOUND, _INTERVAL = "category", "bound", "interval"
_EDGES = "_edges"
_TEXT = h5py.string_dtype()
_LONG_NAMES = {
    "mean": "Mean of the values",
    "median": "Median of the values",
    "lower_quartile": "25th percentile of the values",
    "upper_quartile": "75th percentile of the values",
}
_COUNTS = {
    "records": "Number of records with a value, each counted for each event",
    "events": "Number of events with a value",
}

_Dataset = tuple[str, tuple[str, ...], Any, dict[str, str]]
"""Name, dimensions, values, attributes."""


def superposed_bytes(results: Iterable[Superposed], about: Mapping[str, str]) -> bytes:
    """The content of the file; equal results are equal bytes. `about`: attributes of the file."""

    def write(file: h5py.File) -> None:
        for result in results:
            _write(file.create_group(result.instrument), result)

    return file_image({PHASE: "superpose", **about}, write)


def read_superposed(path: Path, instrument: str) -> Superposed:
    """Read the result of one instrument. Raises one of `store.UNREADABLE`."""
    with opened(path) as file:
        return _read(member(file, instrument))


def all_superposed(path: Path) -> Iterator[Superposed]:
    """Read the results of all instruments, sorted by name. Raises one of `store.UNREADABLE`."""
    with opened(path) as file:
        for _, group in members(file):
            yield _read(group)


def superposed_instruments(path: Path) -> list[str]:
    """The instruments that the file has. Raises one of `store.UNREADABLE`."""
    with opened(path) as file:
        return list(file)


def _write(group: Any, result: Superposed) -> None:
    axis = result.legend.axis
    for dim, size in ((_BOUND, 2), (_INTERVAL, result.intervals.shape[1])):
        if size:
            scale = group.create_dataset(dim, (size,), "f4", track_times=False)
            scale.make_scale(unnamed_scale(size))
    dims = {}
    for name, of, values, attributes in _datasets(result):
        kind = _TEXT if values.dtype.kind == "U" else None
        data = values.astype(object) if kind else values
        dataset = group.create_dataset(name, data=data, dtype=kind, track_times=False)
        dataset.attrs.update(attributes)
        if of == (name,):
            dataset.make_scale(name)
        else:
            dims[name] = of
    attach_scales(group, dims)
    group.attrs["coordinates"] = f"{TIME}{_EDGES} {axis}{_EDGES}"
    group.attrs["quantity"] = result.quantity
    group.attrs["legend"] = json.dumps(asdict(result.legend), ensure_ascii=False)
    group.attrs["events"] = result.event_count
    group.attrs["records"] = result.record_count
    group.attrs["percentile_error"] = result.width
    group.attrs["modes"] = " ".join(map(str, result.modes))


def _datasets(result: Superposed) -> Iterator[_Dataset]:
    legend = result.legend
    axis, units = legend.axis, {"units": legend.axis_units or "1"}
    seconds = {"units": "s"}
    yield (
        _CATEGORY,
        (_CATEGORY,),
        np.array(result.category, np.str_),
        {"long_name": "Pitch-angle category"},
    )
    yield TIME, (TIME,), result.time, {"long_name": "Time from the event, middle", **seconds}
    yield axis, (axis,), result.energy, {"long_name": "Middle of the bin", **units}
    both = {"long_name": "Begin and end of the bin of time, from the event", **seconds}
    yield TIME + _EDGES, (TIME, _BOUND), result.time_edges, both
    ends = {"long_name": "Lower and upper edge of the bin", **units}
    yield axis + _EDGES, (axis, _BOUND), result.edges, ends
    if result.intervals.shape[1]:
        angles = {"long_name": "Pitch angles of the category, from and to", "units": "degrees"}
        yield "category_intervals", (_CATEGORY, _INTERVAL, _BOUND), result.intervals, angles
    dims = (_CATEGORY, TIME, axis)
    for name, long_name in _LONG_NAMES.items():
        described = f"{long_name}: {legend.long_name}" if legend.long_name else long_name
        attributes = {"long_name": described, "units": legend.units or "1"}
        yield name, dims, getattr(result, name), attributes
    for name, long_name in _COUNTS.items():
        yield name, dims, getattr(result, name), {"long_name": long_name, "units": "1"}


def _read(group: Any) -> Superposed:
    refuse_foreign(group)
    attributes = Scalars(group)
    legend = legend_of(attributes["legend"])

    def read(name: str) -> NDArray[Any]:
        values: NDArray[Any] = member(group, name)[()]
        return values

    category = tuple(str(name) for name in read_texts(member(group, _CATEGORY)))
    has_intervals = "category_intervals" in group
    result = Superposed(
        instrument=group.name.rpartition("/")[2],
        quantity=str(attributes["quantity"]),
        legend=legend,
        category=category,
        intervals=read("category_intervals") if has_intervals else np.empty((0, 0, 2), np.float32),
        time_edges=read(TIME + _EDGES),
        edges=read(legend.axis + _EDGES),
        **{name: read(name) for name in (*_LONG_NAMES, *_COUNTS)},
        event_count=int(attributes["events"]),
        record_count=int(attributes["records"]),
        width=float(attributes["percentile_error"]),
        modes=tuple(map(int, str(attributes["modes"]).split())),
    )
    shape = len(category), len(result.time_edges), len(result.edges)
    for name in (*_LONG_NAMES, *_COUNTS):
        if getattr(result, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(result, name).shape}")
    return result
