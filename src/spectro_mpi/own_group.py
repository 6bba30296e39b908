"""What a phase of one's own gives in one group of the store: how it is written and read."""

from __future__ import annotations

from typing import Any

import h5py

from spectro_mpi.artifacts import EPOCH, Dataset, Group

_NETCDF_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable. %10d"


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
