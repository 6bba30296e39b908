"""The reduced data as HDF5: shards of items, each written once and renamed when whole.

Group `/{item}/{instrument}` of a shard holds one spectrogram. Dimensions are HDF5 dimension
scales (record, channel, category, and `table` for the rows of the energy tables), so that xarray
opens a group in one line.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from spectro_mpi.atomic import commit, part_path
from spectro_mpi.spectrogram import Spectrogram

# Shards are written by one process under a temporary name and never changed: no locks needed,
# and many cluster file systems do not have them.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

DATA = "data"
LINKS = "spectrograms.h5"

_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, StopIteration)
"""What HDF5 raises on a damaged file."""


class _PartFile:
    """An unfinished file for HDF5 to write to, which keeps trouble from it and remembers it.

    HDF5 cannot close a file that it cannot write: it tells of every object in it, again at the
    end of the process, and may crash there.
    """

    def __init__(self, path: Path) -> None:
        self.trouble: OSError | None = None
        self._file = path.open("w+b", buffering=0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size) or b""

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer) or 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while len(view) and self.trouble is None:
                view = view[self._file.write(view) or 0 :]
        except OSError as error:
            self.trouble = error
        return size

    def truncate(self, size: int) -> int:
        try:
            self._file.truncate(size)
        except OSError as error:
            self.trouble = self.trouble or error
        return size

    def flush(self) -> None:
        """There is nothing held back."""

    def close(self) -> None:
        self._file.close()


class ShardWriter:
    """One shard in the making; its items are on disk for good when `commit` returns."""

    def __init__(self, path: Path) -> None:
        import h5py

        from spectro_mpi.group import write_group

        self.path = path
        self._write_group = write_group
        self.items: list[str] = []
        path.parent.mkdir(exist_ok=True)
        self._part = _PartFile(part_path(path))
        self._file = h5py.File(self._part, "w")

    def add(self, item_id: str, spectrograms: Sequence[Spectrogram]) -> None:
        """Write one item's spectrograms. Raises `OSError`."""
        for spectrogram in spectrograms:
            group = self._file.create_group(f"{item_id}/{spectrogram.instrument}")
            self._write_group(group.id, spectrogram)
        self.items.append(item_id)
        if self._part.trouble is not None:
            raise self._part.trouble

    def commit(self) -> None:
        """Close, fsync and rename. Raises `OSError`."""
        self._close()
        if self._part.trouble is not None:
            raise self._part.trouble
        commit(self.path)

    def discard(self) -> None:
        """Close and forget what was written, also where no more can be written."""
        with contextlib.suppress(OSError):
            part_path(self.path).unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        self._file.close()
        self._part.close()


def shard_path(run_dir: Path, number: int) -> Path:
    """`data/shard-00000.h5` and so on."""
    return run_dir / DATA / f"shard-{number:05d}.h5"


def next_shard_number(run_dir: Path) -> int:
    """One more than the highest number any shard, finished or not, has had."""
    names = [path.name for path in (run_dir / DATA).glob("shard-[0-9]*.h5*")]
    numbers = [int(name.removeprefix("shard-").partition(".")[0]) for name in names]
    return max(numbers, default=-1) + 1


def shards_of(run_dir: Path) -> list[Path]:
    """The finished shards on disk, by number."""
    found = (run_dir / DATA).glob("shard-[0-9]*.h5")
    return sorted(found, key=lambda path: (len(path.name), path.name))


def problem_of_shard(shard: Path, items: Sequence[str] = ()) -> str:
    """What is wrong with a shard; empty if it opens, is whole, and all of `items` read."""
    import h5py

    from spectro_mpi.group import read_group

    try:
        with h5py.File(shard, "r") as file:
            for item_id in items:
                if item_id not in file:
                    return f"does not hold item {item_id}"
                for group in file[item_id].values():
                    read_group(group)
    except _UNREADABLE as error:
        return f"does not read ({type(error).__name__}: {_first_line(error)})"
    return ""


def sources_of(shard: Path) -> dict[str, dict[str, tuple[str, int]]]:
    """Item → instrument → (name, bytes) of the file its data came from. Raises `OSError`."""
    import h5py

    try:
        with h5py.File(shard, "r") as file:
            return {
                item_id: {
                    instrument: (str(group.attrs["source"]), int(group.attrs["source_size"]))
                    for instrument, group in item.items()
                }
                for item_id, item in file.items()
            }
    except _UNREADABLE as error:
        raise OSError(_first_line(error)) from error


def write_links(run_dir: Path, shards: Mapping[str, str]) -> None:
    """Write `spectrograms.h5`: an external link to each item of `shards` (item → shard name)."""
    import h5py

    path = run_dir / LINKS
    with closing(_PartFile(part_path(path))) as part:
        with h5py.File(part, "w") as file:
            for item_id, shard in shards.items():
                file[item_id] = h5py.ExternalLink(f"{DATA}/{shard}", f"/{item_id}")
        if part.trouble is not None:
            raise part.trouble
    commit(path)


def links_are(run_dir: Path, shards: Mapping[str, str]) -> bool:
    """Whether `spectrograms.h5` links to each item of `shards` (item → shard name)."""
    import h5py

    path = run_dir / LINKS
    if not path.exists():
        return not shards
    try:
        with h5py.File(path, "r") as file:
            found = {item: file.get(item, getlink=True).filename for item in file}
    except (*_UNREADABLE, AttributeError):
        return False
    return found == {item: f"{DATA}/{shard}" for item, shard in shards.items()}


def read_item(shard: Path, item_id: str) -> Iterator[Spectrogram]:
    """All spectrograms of an item, one after the other. Raises `OSError`, `KeyError`."""
    import h5py

    from spectro_mpi.group import read_group

    with h5py.File(shard, "r") as file:
        if item_id in file:
            for group in file[item_id].values():
                yield read_group(group)


def read_spectrogram(shard: Path, item_id: str, instrument: str) -> Spectrogram:
    """One spectrogram. Raises `OSError`, `KeyError`."""
    import h5py

    from spectro_mpi.group import read_group

    with h5py.File(shard, "r") as file:
        return read_group(file[f"{item_id}/{instrument}"])


def instruments_of(shard: Path, item_id: str) -> list[str]:
    """The instruments an item has data of. Raises `OSError`."""
    import h5py

    with h5py.File(shard, "r") as file:
        return list(file[item_id]) if item_id in file else []


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
