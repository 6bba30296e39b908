"""The reduced data as HDF5: shards of items, each written once and renamed when whole.

Group `/{item}/{instrument}` of a shard holds one spectrogram, or what another phase gave.
Dimensions are HDF5 dimension scales (record, channel, category, and `table` for the rows of the
energy tables), so that xarray opens a group in one line. A shard holds what one phase gave; its
attribute `phase` says which.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.layout import DATA, links_path
from spectro_mpi.system.atomic import commit, part_path

if TYPE_CHECKING:
    from spectro_mpi.rundir.packed import Packed

# Shards are written by one process under a temporary name and never changed: no locks needed,
# and many cluster file systems do not have them.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What HDF5 raises on a damaged file."""


class _PartFile:
    """An unfinished file for HDF5 to write to, which keeps trouble from it and remembers it.

    HDF5 cannot close a file that it cannot write: it tells of every object in it, again at the
    end of the process, and may crash there.
    """

    def __init__(self, path: Path) -> None:
        self.trouble: OSError | None = None
        self._file = path.open("w+b", buffering=0)
        self._at = 0
        """Where HDF5 is, which says so before each of its many small writes."""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            self._at = offset
        else:
            self._at = self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        self._file.seek(self._at)
        content = self._file.read(size) or b""
        self._at += len(content)
        return content

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._at)
        count = self._file.readinto(buffer) or 0
        self._at += count
        return count

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while len(view) and self.trouble is None:
                written = os.pwrite(self._file.fileno(), view, self._at)
                self._at, view = self._at + written, view[written:]
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

    def check(self) -> None:
        """Raise the trouble there was, if any."""
        if self.trouble is not None:
            raise self.trouble

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[tuple[Any, _PartFile]]:
    """An HDF5 file in the making; on disk for good when the context is left.

    Raises `OSError` with the name of the file, and leaves nothing of it.
    """
    import h5py

    try:
        with closing(_PartFile(part_path(path))) as part:
            with h5py.File(part, "w") as file:
                try:
                    yield file, part
                except UNREADABLE:
                    # What could not be written cannot be read back either.
                    if part.trouble is None:
                        raise
            part.check()
        commit(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part_path(path).unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


def write_shard(path: Path, items: Mapping[str, Packed], phase: str = "reduce") -> None:
    """Write what a phase gave of `items`, for good. Raises `OSError`, and then leaves nothing."""
    from spectro_mpi.rundir.packed import unpack

    path.parent.mkdir(exist_ok=True)
    with _new_file(path) as (file, part):
        file.attrs["phase"] = phase
        for item_id, packed in items.items():
            unpack(packed, file, item_id)
            part.check()


def problem_of_shard(shard: Path, items: Sequence[str] = ()) -> str:
    """What is wrong with a shard; empty if it opens, is whole, and all of `items` read."""
    import h5py

    try:
        with h5py.File(shard, "r") as file:
            for item_id in items:
                if item_id not in file:
                    return f"does not hold item {item_id}"
                for group in file[item_id].values():
                    _read(group)
    except UNREADABLE as error:
        return f"does not read ({type(error).__name__}: {_first_line(error)})"
    return ""


def phase_of(shard: Path) -> str:
    """The phase that gave what a shard holds. Raises `OSError`."""
    import h5py

    try:
        with h5py.File(shard, "r") as file:
            return str(file.attrs.get("phase", "reduce"))
    except UNREADABLE as error:
        raise OSError(_first_line(error)) from error


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
    except UNREADABLE as error:
        raise OSError(_first_line(error)) from error


def write_links(run_dir: Path, shards: Mapping[str, str], phase: str = "reduce") -> None:
    """Write a phase's file of external links, one to each item of `shards` (item → shard name)."""
    import h5py

    folder = f"{DATA}/" if phase == "reduce" else ""
    with _new_file(links_path(run_dir, phase)) as (file, _):
        for item_id, shard in shards.items():
            file[item_id] = h5py.ExternalLink(f"{folder}{shard}", f"/{item_id}")


def links_are(run_dir: Path, shards: Mapping[str, str], phase: str = "reduce") -> bool:
    """Whether a phase's file links to each item of `shards` (item → shard name)."""
    import h5py

    path = links_path(run_dir, phase)
    folder = f"{DATA}/" if phase == "reduce" else ""
    if not path.exists():
        return not shards
    try:
        with h5py.File(path, "r") as file:
            found = {item: file.get(item, getlink=True).filename for item in file}
    except (*UNREADABLE, AttributeError):
        return False
    return found == {item: f"{folder}{shard}" for item, shard in shards.items()}


def read_item(shard: Path, item_id: str) -> Iterator[Spectrogram | Group]:
    """All groups of an item, one after the other. Raises what is in `UNREADABLE`."""
    import h5py

    with h5py.File(shard, "r") as file:
        if item_id in file:
            for group in file[item_id].values():
                yield _read(group)


def read_spectrograms(shard: Path, item_id: str) -> Iterator[Spectrogram]:
    """All spectrograms of an item, one after the other. Raises what is in `UNREADABLE`."""
    return (one for one in read_item(shard, item_id) if isinstance(one, Spectrogram))


def read_spectrogram(shard: Path, item_id: str, instrument: str) -> Spectrogram:
    """One spectrogram. Raises `OSError`, `KeyError`."""
    import h5py

    from spectro_mpi.rundir.groups import read_group

    with h5py.File(shard, "r") as file:
        return read_group(file[f"{item_id}/{instrument}"])


def read_datasets(shard: Path, item_id: str, name: str) -> Group:
    """One group of another phase than reduce. Raises `OSError`, `KeyError`."""
    import h5py

    from spectro_mpi.rundir.groups import read_own_group

    with h5py.File(shard, "r") as file:
        return read_own_group(file[f"{item_id}/{name}"])


def instruments_of(shard: Path, item_id: str) -> list[str]:
    """The instruments an item has data of. Raises `OSError`."""
    import h5py

    with h5py.File(shard, "r") as file:
        return list(file[item_id]) if item_id in file else []


def _read(group: Any) -> Spectrogram | Group:
    from spectro_mpi.rundir.groups import read_group, read_own_group

    is_spectrogram = group.file.attrs.get("phase", "reduce") == "reduce"
    return read_group(group) if is_spectrogram else read_own_group(group)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
