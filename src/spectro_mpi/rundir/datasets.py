"""The objects of an HDF5 group: opened without following links, and written at low level.

h5py's high-level API is several times slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5p, h5s, h5t
from numpy.typing import NDArray

from spectro_mpi.rundir.bounds import refuse_size

TEXT = h5py.string_dtype()
_SCALAR = h5s.create(h5s.SCALAR)
_UNTIMED = h5p.create(h5p.DATASET_CREATE)
_UNTIMED.set_obj_track_times(False)  # the same bytes at any time


def holds(group: Any, name: str) -> bool:
    """Whether a group has an object or a link of this name; the link is not followed."""
    return bool(name) and "/" not in name and group.id.links.exists(name.encode())


def member(group: Any, name: str) -> Any:
    """An object of a group.

    Raises `KeyError` if there is none, `ValueError` for a link, which may lead to another file.
    """
    if not holds(group, name):
        raise KeyError(f"{group.name} has no {name}")
    _refuse_link(group, name)
    return group[name]


def _refuse_link(group: Any, name: str) -> None:
    if group.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link")


def members(group: Any) -> Iterator[tuple[str, Any]]:
    """The objects of a group with their names. Raises as `member`."""
    return ((name, member(group, name)) for name in group)


def refuse_foreign(group: Any) -> None:
    """Raise `ValueError` if a group has a link, or a dataset whose values are in another file.

    Likewise if its datasets claim an absurd size.
    """
    own_datasets(group)


def own_datasets(group: Any) -> dict[str, h5d.DatasetID]:
    """The datasets of a group by name. Raises as `refuse_foreign`."""
    datasets = {}
    for name in group:
        _refuse_link(group, name)
        found = h5py.h5o.open(group.id, name.encode())
        if isinstance(found, h5d.DatasetID):
            created = found.get_create_plist()
            if created.get_external_count() or created.get_layout() == h5d.VIRTUAL:
                raise ValueError(f"{name} has its values in another file")
            datasets[name] = found
    refuse_size(group.file, datasets.values())
    return datasets


def array_of(dataset: h5d.DatasetID) -> NDArray[Any]:
    """All values of a dataset; `Dataset.__getitem__` takes ten times as long."""
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def create(group: Any, name: str, dtype: Any, shape: tuple[int, ...]) -> Any:
    """A new dataset of a group (both low-level)."""
    return h5d.create(group, name.encode(), type_of(dtype), _space_of(shape), _UNTIMED)


def describe(target: Any, **attributes: str | float) -> None:
    """Write attributes of a group or dataset (low-level)."""
    for name, value in attributes.items():
        data, kind, in_memory = _scalar(value)
        h5a.create(target, name.encode(), kind, _SCALAR).write(data, in_memory)


@lru_cache
def _scalar(value: str | float) -> tuple[Any, Any, Any]:
    """The value of an attribute as array, its HDF5 type, and the one it has in memory."""
    data = np.array(value, TEXT if isinstance(value, str) else None)
    return data, type_of(data.dtype), _type_in_memory(data.dtype)


@cache
def type_of(dtype: Any) -> Any:
    """The HDF5 type of a NumPy type."""
    return h5t.py_create(dtype, logical=True)


@lru_cache
def _space_of(shape: tuple[int, ...]) -> Any:
    return h5s.create_simple(shape)


@cache
def _type_in_memory(dtype: Any) -> Any:
    """The HDF5 type of an array in memory, where texts are Python objects."""
    return h5t.py_create(dtype)


def fill(dataset: Any, values: NDArray[Any]) -> None:
    """Write all values of a dataset (a low-level `h5py.h5d.DatasetID`)."""
    whole = np.ascontiguousarray(values)
    dataset.write(h5s.ALL, h5s.ALL, whole, _type_in_memory(whole.dtype))
