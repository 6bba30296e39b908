"""One group of the store: a spectrogram's, or a phase's own; how it is written and read.

Written by HDF5's own functions, with all that is the same every time kept: h5py's comfort would
cost several times as much.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5ds, h5p, h5s, h5t
from numpy.typing import NDArray

from spectro_mpi.instruments import fast_esa
from spectro_mpi.model.artifacts import EPOCH, Dataset, Group
from spectro_mpi.model.spectrogram import Legend, Spectrogram

_NETCDF_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable. %10d"
_TEXT = h5py.string_dtype()
_SCALAR = h5s.create(h5s.SCALAR)
_UNTIMED = h5p.create(h5p.DATASET_CREATE)
_UNTIMED.set_obj_track_times(False)  # the same bytes whenever it is made


def write_group(group: Any, spectrogram: Spectrogram) -> dict[str, tuple[str, ...]]:
    """Fill a group (h5py's low-level identifier of it), but for the values: that dataset is empty.

    Returns dataset → its dimensions, which are not yet attached to their scales.
    """
    written: dict[str, tuple[str, ...]] = {}
    legend, quantity = spectrogram.legend, spectrogram.quantity
    records, channels = spectrogram.values.shape[1:]
    tables = len(spectrogram.energy)
    for name, size in (("record", records), ("channel", channels), ("table", tables)):
        scale = _create(group, name, np.dtype("f4"), (size,))
        h5ds.set_scale(scale, _NETCDF_NO_VARIABLE % size)
    names = np.array(spectrogram.category, _TEXT)
    category = _create(group, "category", names.dtype, names.shape)
    fill(category, names)
    h5ds.set_scale(category, b"category")

    def put(name: str, dims: str, data: Any, long_name: str, units: str) -> Any:
        dataset = _create(group, name, data.dtype, data.shape)
        if name != quantity:
            fill(dataset, data)
        written[name] = tuple(dims.split())
        for axis, dim in enumerate(written[name]):
            h5ds.set_label(dataset, axis, dim.encode())
        _describe(dataset, long_name=long_name, units=units)
        return dataset

    put("time", "record", spectrogram.time, "Centre of the record, UTC", EPOCH)
    put("time_start", "record", spectrogram.time_start, "Start of the record, UTC", EPOCH)
    put("time_end", "record", spectrogram.time_end, "End of the record, UTC", EPOCH)
    put("mode", "record", spectrogram.mode, "Row of the energy table in use", "1")
    centres = "Centre of the channel by mode"
    put(legend.axis, "table channel", spectrogram.energy, centres, legend.axis_units or "1")
    dims = "category record channel"
    values = put(quantity, dims, spectrogram.values, legend.long_name, legend.units or "1")
    _describe(values, coordinates="time mode")
    _describe(category, long_name="Pitch-angle category")
    _describe(
        group,
        coordinates=f"{legend.axis} time_start time_end",
        quantity=quantity,
        legend=_as_json(legend),
        source=spectrogram.source,
        source_size=spectrogram.source_size,
    )
    return written


def fill(dataset: Any, values: NDArray[Any]) -> None:
    """Write all of a dataset (h5py's low-level identifier of it)."""
    dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(values))


def read_group(group: h5py.Group) -> Spectrogram:
    """What `write_group` wrote. Raises what HDF5 raises on a damaged file."""
    instrument = group.name.rpartition("/")[2]
    if "legend" in group.attrs:
        quantity = str(group.attrs["quantity"])
        legend = Legend(**json.loads(group.attrs["legend"]))
    else:  # of a version that knew FAST only
        quantity = "counts" if "counts" in group else "eflux"
        legend = fast_esa.legend(instrument, quantity)
    return Spectrogram(
        instrument=instrument,
        quantity=quantity,
        category=tuple(group["category"].asstr()[:]),
        time=group["time"][:],
        time_start=group["time_start"][:],
        time_end=group["time_end"][:],
        mode=group["mode"][:],
        energy=group[legend.axis][:],
        values=group[quantity][:],
        source=str(group.attrs["source"]),
        source_size=int(group.attrs["source_size"]),
        legend=legend,
    )


def _create(group: Any, name: str, dtype: Any, shape: tuple[int, ...]) -> Any:
    return h5d.create(group, name.encode(), _type_of(dtype), h5s.create_simple(shape), _UNTIMED)


def _describe(where: Any, **attributes: str | int) -> None:
    for name, value in attributes.items():
        data, kind = _scalar(value)
        h5a.create(where, name.encode(), kind, _SCALAR).write(data)


@lru_cache
def _scalar(value: str | int) -> tuple[Any, Any]:
    """An attribute's value as array, and its type in HDF5."""
    data = np.array(value, _TEXT if isinstance(value, str) else None)
    return data, _type_of(data.dtype)


@cache
def _as_json(legend: Legend) -> str:
    return json.dumps(asdict(legend), ensure_ascii=False)


@cache
def _type_of(dtype: Any) -> Any:
    return h5t.py_create(dtype, logical=True)


def write_own_group(group: h5py.Group, given: Group) -> dict[str, tuple[str, ...]]:
    """Dimensions with coordinates are datasets of their own; the others are but dimensions.

    Returns dataset → its dimensions, which are not yet attached to their scales. Raises
    `ValueError` where datasets differ in what they share.
    """
    coordinates = given.coordinates
    for one in given.datasets.values():
        for dim, size in zip(one.dims, one.values.shape, strict=True):
            if dim in group:
                if group[dim].shape != (size,):
                    raise ValueError(f"two datasets of group {given.name} differ along {dim}")
            elif dim in coordinates:
                scale = group.create_dataset(dim, data=_storable(coordinates[dim]))
                scale.make_scale(dim)
                if dim == "time":
                    scale.attrs["units"] = EPOCH
            else:
                scale = group.create_dataset(dim, (size,), "f4")
                scale.make_scale(_NETCDF_NO_VARIABLE % size)
        data = _storable(one.values)
        kind = h5py.string_dtype() if data.dtype == object else None
        dataset = group.create_dataset(one.name, data=data, dtype=kind)
        for axis, dim in enumerate(one.dims):
            dataset.dims[axis].label = dim
        for name, text in (("units", one.units), ("long_name", one.long_name)):
            if text:
                dataset.attrs[name] = text
    return {one.name: one.dims for one in given.datasets.values()}


def read_own_group(group: h5py.Group) -> Group:
    """As it was given. Raises what HDF5 raises on a damaged file."""
    datasets: dict[str, Dataset] = {}
    for name, one in group.items():
        if one.is_scale:
            continue
        dims = tuple(dim.label for dim in one.dims)
        points = {dim: _values(group[dim]) for dim in dims if _is_variable(group[dim])}
        units, long_name = (str(one.attrs.get(key, "")) for key in ("units", "long_name"))
        datasets[name] = Dataset(name, _values(one), dims, units, long_name, points)
    return Group(group.name.rpartition("/")[2], datasets)


def _storable(values: Any) -> Any:
    """As HDF5 takes it: numpy's own strings it does not know."""
    return values.astype(object) if values.dtype.kind in "UT" else values


def _values(dataset: Any) -> Any:
    return dataset.asstr()[()].astype(str) if dataset.dtype == object else dataset[()]


def _is_variable(scale: Any) -> bool:
    """Whether a dimension scale has values, and is not but a dimension."""
    return not scale.attrs.get("NAME", b"").startswith(_NETCDF_NO_VARIABLE[:20])
