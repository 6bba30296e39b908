"""The results of an item, packed for the store: an HDF5 file in memory, and its large arrays.

Creating groups is the larger part of the cost of writing them. Workers therefore pack their
results, and the writer only copies them. Large arrays stay outside the file, to copy them less.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5ds, h5f
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.spectrogram import Spectrogram, data_digest
from spectro_mpi.rundir.groups import fill, large_arrays, write_datasets, write_group

_ITEM = "item"


@dataclass(frozen=True)
class Packed:
    """The groups of an item, without large arrays and references to dimension scales.

    References are added later because HDF5 does not adjust them when it copies to another file.
    (H5O_COPY_EXPAND_REFERENCE_FLAG does not help: they are stored in variable-length lists.)
    """

    file: NDArray[np.uint8]
    """An HDF5 file with the groups in `/item`: shape (bytes,), dtype u1."""
    dims: Mapping[str, Mapping[str, Sequence[str]]]
    """Group → dataset → its dimensions, which are names of scales in the group."""
    arrays: Mapping[str, Mapping[str, NDArray[Any]]]
    """Group → dataset → its values: of spectrograms, and their uncertainties."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Group → digest of its spectrogram (`model.spectrogram.data_digest`)."""

    @property
    def nbytes(self) -> int:
        """Size of the file and the large arrays in bytes."""
        large = sum(array.nbytes for named in self.arrays.values() for array in named.values())
        return self.file.nbytes + large

    def open(self) -> h5py.File:
        """Open the file for reading."""
        # HDF5 reads its own memory faster than a Python file.
        return h5py.File(h5f.open_file_image(self.file.tobytes()))


def pack(groups: Sequence[Group | Spectrogram]) -> Packed:
    """Pack the groups of an item.

    Raises `ValueError` if two datasets of a group differ in the length of a dimension.
    """
    buffer = io.BytesIO()
    dims: dict[str, Mapping[str, Sequence[str]]] = {}
    arrays: dict[str, Mapping[str, NDArray[Any]]] = {}
    digests: dict[str, str] = {}
    with h5py.File(buffer, "w") as file:
        for content in groups:
            group = file.create_group(f"{_ITEM}/{content.name}")
            if isinstance(content, Spectrogram):
                digest = digests[content.name] = data_digest(content)
                dims[content.name] = write_group(group.id, content, digest)
                arrays[content.name] = {
                    name: np.ascontiguousarray(array)
                    for name, array in large_arrays(content).items()
                }
            else:
                dims[content.name] = write_datasets(group, content)
    return Packed(np.frombuffer(buffer.getbuffer(), np.uint8), dims, arrays, digests)


def unpack(packed: Packed, file: h5py.File, item_id: str) -> None:
    """Copy the groups into a file, to `/{item_id}`."""
    with packed.open() as source:
        source.copy(_ITEM, file, item_id)
    for name, datasets in packed.dims.items():
        group = file[f"{item_id}/{name}"].id
        opened = {dim: h5d.open(group, dim.encode()) for dims in datasets.values() for dim in dims}
        for dataset_name, dims in datasets.items():
            dataset = h5d.open(group, dataset_name.encode())
            for axis, dim in enumerate(dims):
                h5ds.attach_scale(dataset, opened[dim], axis)
        for dataset_name, array in packed.arrays.get(name, {}).items():
            fill(h5d.open(group, dataset_name.encode()), array)
