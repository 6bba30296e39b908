"""Copy the data of an item into an HDF5 file of many items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spectro_mpi.rundir.item_file import write_spectrogram
from spectro_mpi.rundir.store import read_spectrograms


def copy_item(data_file: Path, item: str, file: Any) -> None:
    """Copy the spectrograms of an item to `/{item}` of an open file (`h5py.File`).

    They are written anew: HDF5 does not adjust references to dimension scales when it copies.
    Raises one of `store.UNREADABLE`.
    """
    group = file.create_group(item)
    for spectrogram in read_spectrograms(data_file, item):
        write_spectrogram(group.create_group(spectrogram.instrument), spectrogram)
