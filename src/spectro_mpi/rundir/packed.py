"""What an item gives the store: an HDF5 file in memory, and arrays too large to be copied often.

Making groups is most of the work that writing them is. So the many pack what they have computed,
and the writer has but to copy it into its file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5ds, h5f
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.groups import fill, write_group, write_own_group

_ITEM = "item"


@dataclass(frozen=True)
class Packed:
    """The groups of an item, whole but for spectrograms' values and references to dimension scales.

    HDF5 does not adjust references when it copies to another file.
    (H5O_COPY_EXPAND_REFERENCE_FLAG does not help: they stand in lists of variable length.)
    """

    file: NDArray[np.uint8]
    """Its bytes; the groups are below `/item`."""
    dims: Mapping[str, Mapping[str, Sequence[str]]]
    """Group → dataset → its dimensions, each the name of a scale in the group."""
    values: Mapping[str, tuple[str, NDArray[Any]]]
    """Group → (dataset, what it is to be filled with)."""

    @property
    def nbytes(self) -> int:
        """What sending or holding it costs."""
        return self.file.nbytes + sum(values.nbytes for _, values in self.values.values())

    def open(self) -> h5py.File:
        """The file, for reading."""
        # HDF5 reads its own memory faster than a Python file.
        return h5py.File(h5f.open_file_image(self.file.tobytes()))


def pack(groups: Sequence[Group | Spectrogram]) -> Packed:
    """Make the groups of an item. Raises `ValueError` where datasets of one do not fit."""
    buffer = io.BytesIO()
    dims: dict[str, Mapping[str, Sequence[str]]] = {}
    values: dict[str, tuple[str, NDArray[Any]]] = {}
    with h5py.File(buffer, "w") as file:
        for one in groups:
            group = file.create_group(f"{_ITEM}/{one.name}")
            if isinstance(one, Spectrogram):
                dims[one.name] = write_group(group.id, one)
                values[one.name] = one.quantity, np.ascontiguousarray(one.values)
            else:
                dims[one.name] = write_own_group(group, one)
    return Packed(np.frombuffer(buffer.getbuffer(), np.uint8), dims, values)


def unpack(packed: Packed, file: h5py.File, item_id: str) -> None:
    """Copy the groups into a file, below `/{item_id}`."""
    with packed.open() as source:
        source.copy(_ITEM, file, item_id)
    for name, datasets in packed.dims.items():
        group = file[f"{item_id}/{name}"].id
        opened = {dim: h5d.open(group, dim.encode()) for dims in datasets.values() for dim in dims}
        for name_of_one, dims in datasets.items():
            dataset = h5d.open(group, name_of_one.encode())
            for axis, dim in enumerate(dims):
                h5ds.attach_scale(dataset, opened[dim], axis)
        if name in packed.values:
            name_of_one, values = packed.values[name]
            fill(h5d.open(group, name_of_one.encode()), values)
