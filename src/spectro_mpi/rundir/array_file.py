"""HDF5 files of arrays of the whole run, such as `results/atlas.h5`.

Dimensions are HDF5 dimension scales, and coordinates are named as their dimension, so that xarray
opens a group in one line. Equal contents are equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spectro_mpi.model.artifacts import BOUNDS, Dataset, Group
from spectro_mpi.rundir.bounds import Scalars
from spectro_mpi.rundir.datasets import members, refuse_foreign
from spectro_mpi.rundir.groups import holds_values, read_values, unnamed_scale
from spectro_mpi.rundir.item_file import attach_scales
from spectro_mpi.rundir.store import UNREADABLE, first_line, opened
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION

_COMPRESSED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
_MANY = ("item",)
"""Datasets of so many texts that they have a fixed length: reading others takes a ms each."""
_SMALL = 1024
"""Bytes of a dataset below which it is not compressed."""


def array_file(groups: Sequence[Group], attributes: Mapping[str, str | int]) -> bytes:
    """The content of a file with `groups`; their names may be paths, as in "ees/altitudes".

    A dataset named as its only dimension holds the coordinates of that dimension.
    """

    def write(file: h5py.File) -> None:
        for group in groups:
            _write(file.create_group(group.name), group.datasets)

    return file_image(attributes, write)


def file_image(attributes: Mapping[str, str | int], write: Callable[[h5py.File], None]) -> bytes:
    """The content of a file that is made in memory: with `attributes`, and what `write` adds."""
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        file.attrs[SCHEMA] = SCHEMA_VERSION
        for name, value in attributes.items():
            file.attrs[name] = value
        write(file)
        file.flush()
        return bytes(file.id.get_file_image())


def _write(group: Any, datasets: Mapping[str, Dataset]) -> None:
    sizes: dict[str, int] = {}
    for dataset in datasets.values():
        sizes |= dict(zip(dataset.dims, dataset.values.shape, strict=True))
    for name, size in sizes.items():
        if name not in datasets:
            scale = group.create_dataset(name, (size,), "f4", track_times=False)
            scale.make_scale(unnamed_scale(size))
    dims = {}
    for name, dataset in datasets.items():
        written = _dataset(group, dataset)
        for axis, dim in enumerate(dataset.dims):
            written.dims[axis].label = dim
        for key, text in (("units", dataset.units), ("long_name", dataset.long_name)):
            if text:
                written.attrs[key] = text
        if dataset.dims == (name,):
            written.make_scale(name)
            if f"{name}{BOUNDS}" in datasets:
                written.attrs["bounds"] = f"{name}{BOUNDS}"
        else:
            dims[name] = dataset.dims
    attach_scales(group, dims)


def _dataset(group: Any, dataset: Dataset) -> Any:
    values = dataset.values
    filters = _COMPRESSED if values.nbytes > _SMALL and values.ndim else {}
    if values.dtype.kind == "U":
        encoded = np.char.encode(values, "utf-8")
        longest = None if dataset.name not in _MANY else max(encoded.dtype.itemsize, 1)
        kind = h5py.string_dtype("utf-8", longest)
        data = encoded.astype(kind) if longest else values.astype(object)
        return group.create_dataset(dataset.name, data=data, dtype=kind, track_times=False)
    written = group.create_dataset(dataset.name, data=values, track_times=False, **filters)
    if values.dtype.kind == "f" and dataset.dims != (dataset.name,):
        written.attrs["_FillValue"] = np.array([np.nan], values.dtype)
    return written


def read_array_file(path: Path) -> tuple[dict[str, Group], dict[str, Any]]:
    """The groups of a file by their path, and its attributes.

    Raises `OSError` if it does not exist or is damaged, `NewerVersionError` if a newer version
    wrote it.
    """
    groups: dict[str, Group] = {}
    try:
        with opened(path) as file:
            attributes = dict(Scalars(file))
            for name, group in members(file):
                groups[name] = _read(group, name)
                for inner, dataset in members(group):
                    if isinstance(dataset, h5py.Group):
                        groups[f"{name}/{inner}"] = _read(dataset, f"{name}/{inner}")
    except FileNotFoundError:
        raise
    except (*UNREADABLE, AttributeError, IndexError) as error:
        raise OSError(f"{type(error).__name__}: {first_line(error)}") from error
    return groups, attributes


def _read(group: Any, name: str) -> Group:
    refuse_foreign(group)
    datasets: dict[str, Dataset] = {}
    for key, stored in members(group):
        if isinstance(stored, h5py.Group) or not holds_values(stored):
            continue
        dims = (key,) if stored.is_scale else tuple(dim.label for dim in stored.dims)
        attributes = Scalars(stored)
        units, long_name = (str(attributes.get(each, "")) for each in ("units", "long_name"))
        values = read_values(stored)
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        datasets[key] = Dataset(key, values, dims, units, long_name)
    return Group(name, datasets)
