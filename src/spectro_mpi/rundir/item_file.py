"""The file of an item, made whole in memory: an HDF5 image with the values, to be written as it is.

Workers make it, so that the writer does no HDF5. Equal results are equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5d, h5ds
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.coverage import Coverage, coverage_of
from spectro_mpi.model.items import Item
from spectro_mpi.model.spectrogram import Spectrogram, data_digest
from spectro_mpi.rundir.groups import write_datasets, write_group
from spectro_mpi.rundir.layout import data_file_of
from spectro_mpi.rundir.sources import Source
from spectro_mpi.rundir.store import ITEM, PHASE, stamp_of_bytes
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION

if TYPE_CHECKING:
    from spectro_mpi.rundir.names import DataFile

_GROWTH_BYTES = 1 << 18
"""By how much HDF5 extends the image at a time."""


@dataclass(frozen=True)
class ItemFile:
    """The content of a file of the store, and what the state records of it."""

    data_file: DataFile
    """Where it belongs, and the stamp of its content."""
    content: NDArray[np.uint8]
    """An HDF5 file: shape (bytes,), dtype u1."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Group → digest of its spectrogram (`model.spectrogram.data_digest`)."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Group → the input that its spectrogram was made from."""
    coverage: Coverage | None = None
    """When and where its spectrograms were measured; None: not known."""

    @property
    def nbytes(self) -> int:
        """Size of the file in bytes."""
        return self.content.nbytes


def make_item_file(phase: str, item: Item, groups: Sequence[Group | Spectrogram]) -> ItemFile:
    """Write the groups that a phase gives of an item into an HDF5 file in memory.

    Raises `ValueError` if two datasets of a group differ in the length of a dimension.
    """
    digests: dict[str, str] = {}
    sources: dict[str, Source] = {}
    # The name is that of no file: nothing of it comes to disk.
    with h5py.File(
        "item", "w", driver="core", backing_store=False, block_size=_GROWTH_BYTES
    ) as file:
        file.attrs[SCHEMA] = SCHEMA_VERSION
        file.attrs[PHASE] = phase
        file.attrs[ITEM] = item.id
        for content in groups:
            group = file.create_group(content.name)
            if isinstance(content, Spectrogram):
                digests[content.name] = write_spectrogram(group, content)
                sources[content.name] = Source(
                    content.source, content.source_size, content.provenance.sha256
                )
            else:
                attach_scales(group, write_datasets(group, content))
        file.flush()
        image = np.frombuffer(file.id.get_file_image(), np.uint8)
    data_file = data_file_of(phase, item, stamp_of_bytes(image.data))
    coverage = coverage_of(each for each in groups if isinstance(each, Spectrogram))
    return ItemFile(data_file, image, digests, sources, coverage)


def write_spectrogram(group: h5py.Group, spectrogram: Spectrogram) -> str:
    """Write a spectrogram into a new group; returns the digest of its data."""
    digest = data_digest(spectrogram)
    attach_scales(group, write_group(group.id, spectrogram, digest))
    return digest


def attach_scales(group: Any, dims: Mapping[str, Sequence[str]]) -> None:
    """Attach dimension scales to the datasets of a group.

    `dims`: dataset → its dimensions, which are names of scales in the group.
    """
    names = {dim for of_dataset in dims.values() for dim in of_dataset}
    scales = {name: h5d.open(group.id, name.encode()) for name in sorted(names)}
    for name, of_dataset in dims.items():
        dataset = h5d.open(group.id, name.encode())
        for axis, dim in enumerate(of_dataset):
            h5ds.attach_scale(dataset, scales[dim], axis)
