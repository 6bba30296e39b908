"""Copy the data of an item into an HDF5 file of many items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.groups import write_datasets
from spectro_mpi.rundir.item_file import attach_scales, write_spectrogram
from spectro_mpi.rundir.store import read_item


def copy_item(data_file: Path, item: str, to: Any) -> None:
    """Copy what a phase gave of an item into an open group (`h5py.Group`), a group for each.

    All is written anew: HDF5 does not adjust references to dimension scales when it copies.
    Raises one of `store.UNREADABLE`.
    """
    for content in read_item(data_file, item):
        group = to.create_group(content.name)
        if isinstance(content, Spectrogram):
            write_spectrogram(group, content)
        else:
            attach_scales(group, write_datasets(group, content))
