"""The reduced data as HDF5: shards of items, each written once and renamed when whole.

Group `/{item}/{instrument}` of a shard holds one spectrogram. Dimensions are HDF5 dimension
scales (record, channel, category, and `table` for the rows of the energy tables), so that xarray
opens a group in one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spectro_mpi.atomic import commit, part_path
from spectro_mpi.spectrogram import Spectrogram

# Shards are written by one process under a temporary name and never changed: no locks needed,
# and many cluster file systems do not have them.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

DATA = "data"
LINKS = "spectrograms.h5"
QUANTITIES = {
    "counts": ("Raw Counts (telemetry codes), sum over the category's angle bins", "counts"),
    "eflux": (
        "Differential energy flux, mean over the category's angle bins weighted by solid angle",
        "eV cm-2 s-1 sr-1 eV-1",
    ),
}
"""Quantity → (long name, units)."""

_EPOCH = "seconds since 1970-01-01 00:00:00"
_NETCDF_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable. %10d"


class ShardWriter:
    """One shard in the making; its items are on disk for good when `commit` returns."""

    def __init__(self, path: Path) -> None:
        import h5py

        self.path = path
        self.items: list[str] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(part_path(path), "w")

    def add(self, item_id: str, spectrograms: Sequence[Spectrogram]) -> None:
        """Write one item's spectrograms. Raises `OSError`."""
        for spectrogram in spectrograms:
            _write(self._file.create_group(f"{item_id}/{spectrogram.instrument}"), spectrogram)
        self.items.append(item_id)

    def commit(self) -> None:
        """Close, fsync and rename. Raises `OSError`."""
        self._file.close()
        commit(self.path)

    def discard(self) -> None:
        """Close and forget what was written."""
        self._file.close()
        part_path(self.path).unlink(missing_ok=True)


def shard_path(run_dir: Path, number: int) -> Path:
    """`data/shard-00000.h5` and so on."""
    return run_dir / DATA / f"shard-{number:05d}.h5"


def next_shard_number(run_dir: Path) -> int:
    """One more than the highest number any shard, finished or not, has had."""
    numbers = [int(path.name[6:11]) for path in (run_dir / DATA).glob("shard-[0-9]*.h5*")]
    return max(numbers, default=-1) + 1


def write_links(run_dir: Path, shards: Mapping[str, str]) -> None:
    """Write `spectrograms.h5`: an external link to each item of `shards` (item → shard name)."""
    import h5py

    path = run_dir / LINKS
    with h5py.File(part_path(path), "w") as file:
        for item_id, shard in shards.items():
            file[item_id] = h5py.ExternalLink(f"{DATA}/{shard}", f"/{item_id}")
    commit(path)


def read_item(shard: Path, item_id: str) -> Iterator[Spectrogram]:
    """All spectrograms of an item, one after the other. Raises `OSError`, `KeyError`."""
    import h5py

    with h5py.File(shard, "r") as file:
        if item_id in file:
            for group in file[item_id].values():
                yield _read(group)


def read_spectrogram(shard: Path, item_id: str, instrument: str) -> Spectrogram:
    """One spectrogram. Raises `OSError`, `KeyError`."""
    import h5py

    with h5py.File(shard, "r") as file:
        return _read(file[f"{item_id}/{instrument}"])


def instruments_of(shard: Path, item_id: str) -> list[str]:
    """The instruments an item has data of. Raises `OSError`."""
    import h5py

    with h5py.File(shard, "r") as file:
        return list(file[item_id]) if item_id in file else []


def _write(group: Any, spectrogram: Spectrogram) -> None:
    import h5py

    records, channels = spectrogram.values.shape[1:]
    for name, size in (
        ("record", records),
        ("channel", channels),
        ("table", len(spectrogram.energy)),
    ):
        scale = group.create_dataset(name, (size,), "f4")
        scale.make_scale(_NETCDF_NO_VARIABLE % size)
    group.create_dataset(
        "category", data=list(spectrogram.category), dtype=h5py.string_dtype()
    ).make_scale("category")

    def put(name: str, dims: str, data: Any, long_name: str, units: str | None) -> None:
        dataset = group.create_dataset(name, data=data)
        for axis, dim in enumerate(dims.split()):
            dataset.dims[axis].label = dim
            dataset.dims[axis].attach_scale(group[dim])
        dataset.attrs["long_name"] = long_name
        if units is not None:
            dataset.attrs["units"] = units

    put("time", "record", spectrogram.time, "Centre of the record, UTC", _EPOCH)
    put("time_start", "record", spectrogram.time_start, "Start of the record, UTC", _EPOCH)
    put("time_end", "record", spectrogram.time_end, "End of the record, UTC", _EPOCH)
    put("mode", "record", spectrogram.mode, "Row of the energy table in use", "1")
    put("energy", "table channel", spectrogram.energy, "Centre of the channel by mode", "eV")
    long_name, units = QUANTITIES[spectrogram.quantity]
    put(spectrogram.quantity, "category record channel", spectrogram.values, long_name, units)
    group["category"].attrs["long_name"] = "Pitch-angle category"
    group[spectrogram.quantity].attrs["coordinates"] = "time mode"
    group.attrs["coordinates"] = "energy time_start time_end"
    group.attrs["source"] = spectrogram.source
    group.attrs["source_size"] = spectrogram.source_size


def _read(group: Any) -> Spectrogram:
    quantity = next(name for name in QUANTITIES if name in group)
    return Spectrogram(
        instrument=group.name.rpartition("/")[2],
        quantity=quantity,
        category=tuple(group["category"].asstr()[:]),
        time=group["time"][:],
        time_start=group["time_start"][:],
        time_end=group["time_end"][:],
        mode=group["mode"][:],
        energy=group["energy"][:],
        values=group[quantity][:],
        source=str(group.attrs["source"]),
        source_size=int(group.attrs["source_size"]),
    )
