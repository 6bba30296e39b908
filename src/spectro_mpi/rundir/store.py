"""The reduced data as HDF5: shards of items, each written once and renamed when complete.

Group `/{item}/{instrument}` of a shard holds one spectrogram, or datasets of another phase.
Dimensions are HDF5 dimension scales (record, channel, category, and `table` for the rows of the
energy tables), so that xarray opens a group in one line. A shard holds the output of one phase,
which its attribute `phase` names.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.spectrogram import SEPARATOR, Spectrogram
from spectro_mpi.rundir.bounds import Scalars
from spectro_mpi.rundir.layout import DATA, links_path
from spectro_mpi.rundir.names import refuse_link_out
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION, version_of
from spectro_mpi.system.atomic import commit, opened_new, part_path

if TYPE_CHECKING:
    from spectro_mpi.rundir.packed import Packed

# One process writes a shard under a temporary name, and nobody changes it later. So no locks are
# needed; many cluster file systems do not support them.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""Exceptions that h5py raises on a damaged file."""


class _PartFile:
    """An unfinished file for HDF5 that hides write errors from HDF5 and keeps the first one.

    HDF5 cannot close a file that it cannot write: it prints an error for every object in it, again
    when the process exits, and may crash then.
    """

    def __init__(self, path: Path) -> None:
        self.write_error: OSError | None = None
        self._file = opened_new(path, buffering=0)
        self._at = 0
        """Position of the next read or write. HDF5 seeks before each of its many small writes."""

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
            while len(view) and self.write_error is None:
                written = os.pwrite(self._file.fileno(), view, self._at)
                self._at, view = self._at + written, view[written:]
        except OSError as error:
            self.write_error = error
        return size

    def truncate(self, size: int) -> int:
        try:
            self._file.truncate(size)
        except OSError as error:
            self.write_error = self.write_error or error
        return size

    def flush(self) -> None:
        """Do nothing: the file is unbuffered."""

    def check(self) -> None:
        """Raise the first write error, if there was one."""
        if self.write_error is not None:
            raise self.write_error

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[tuple[Any, _PartFile]]:
    """A new HDF5 file, durable under its name when the context is left.

    Raises `OSError` with the name of the file if it cannot be written, and then removes it.
    """
    import h5py

    try:
        with closing(_PartFile(part_path(path))) as part:
            with h5py.File(part, "w") as file:
                try:
                    file.attrs[SCHEMA] = SCHEMA_VERSION
                    yield file, part
                except UNREADABLE:
                    # HDF5 cannot read back what was not written: the write error matters.
                    if part.write_error is None:
                        raise
            part.check()
        commit(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part_path(path).unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file of the run directory, open for reading (`h5py.File`).

    Raises one of `UNREADABLE`, or `NewerVersionError` if a newer version wrote the file.
    """
    import h5py

    refuse_link_out(path)
    if stat.S_ISFIFO(path.stat().st_mode):  # opening it would wait for ever
        raise OSError(errno.EINVAL, "is not a file", str(path))
    with h5py.File(path, "r") as file:
        version_of(Scalars(file), path)
        yield file


def check_versions(paths: Iterable[Path]) -> None:
    """Raise `NewerVersionError` if a newer version wrote one of the files.

    Files that do not exist, or cannot be read, do not matter.
    """
    for path in paths:
        with contextlib.suppress(*UNREADABLE), opened(path):
            pass


def write_shard(path: Path, items: Mapping[str, Packed], phase: str = "reduce") -> None:
    """Write the output of a phase for `items`. Durable on return.

    Raises `OSError` if the shard cannot be written, and then removes it.
    """
    from spectro_mpi.rundir.packed import unpack

    path.parent.mkdir(exist_ok=True)
    with new_file(path) as (file, part):
        file.attrs["phase"] = phase
        for item_id, packed in items.items():
            unpack(packed, file, item_id)
            part.check()


def problem_of_shard(shard: Path, items: Sequence[str] = ()) -> str:
    """What is wrong with a shard, or empty if it opens and all data of `items` can be read."""
    from spectro_mpi.rundir.groups import holds, member, members

    try:
        with opened(shard) as file:
            for item_id in items:
                if not holds(file, item_id):
                    return f"does not hold item {item_id}"
                for _, group in members(member(file, item_id)):
                    _read(group)
    except (*UNREADABLE, MemoryError) as error:  # damage may ask for any size
        return f"cannot be read ({type(error).__name__}: {first_line(error)})"
    return ""


def phase_of(shard: Path) -> str:
    """The phase whose output a shard holds. Raises `OSError` if the shard is damaged."""
    try:
        with opened(shard) as file:
            return str(Scalars(file).get("phase", "reduce"))
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error


class Source(NamedTuple):
    """The input file, or files, that a spectrogram was made from."""

    name: str
    size: int | None
    """Bytes; None: only the sum with other files is known."""
    sha256: str
    """Empty if an earlier version made the spectrogram."""

    @property
    def files(self) -> list[Source]:
        """Each file by itself."""
        digests = self.sha256.split(SEPARATOR)
        if len(digests) == 1:
            return [self]
        names = self.name.split(SEPARATOR)
        return [Source(name, None, digest) for name, digest in zip(names, digests, strict=False)]


def sources_of(shard: Path) -> dict[str, dict[str, Source]]:
    """Item → instrument → the file that its data came from.

    Raises `OSError` if the shard is damaged.
    """
    from spectro_mpi.rundir.groups import members

    try:
        with opened(shard) as file:
            return {
                item_id: {
                    instrument: Source(
                        str(attributes["source"]),
                        int(attributes["source_size"]),
                        str(attributes.get("source_sha256", "")),
                    )
                    for instrument, group in members(item)
                    for attributes in [Scalars(group)]
                }
                for item_id, item in members(file)
            }
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error


def digests_in(shard: Path, items: Iterable[str]) -> dict[str, dict[str, str]]:
    """Item → instrument → digest of its reduced data, for `items` of a shard.

    Raises `OSError` if the shard is damaged.
    """
    from spectro_mpi.rundir.groups import digest_of, member, members

    try:
        with opened(shard) as file:
            return {
                item: {name: digest_of(group) for name, group in members(member(file, item))}
                for item in items
            }
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error


def write_links(run_dir: Path, shards: Mapping[str, str], phase: str = "reduce") -> None:
    """Write the links file of a phase: an external link to each item of `shards`.

    `shards`: item → name of its shard. Raises `OSError`.
    """
    import h5py

    folder = f"{DATA}/" if phase == "reduce" else ""
    with new_file(links_path(run_dir, phase)) as (file, _):
        for item_id in sorted(shards):  # the bytes depend on the order
            shard = shards[item_id]
            file[item_id] = h5py.ExternalLink(f"{folder}{shard}", f"/{item_id}")


def links_are(run_dir: Path, shards: Mapping[str, str], phase: str = "reduce") -> bool:
    """Whether the links file of a phase links to the items of `shards`, and to no others.

    `shards`: item → name of its shard.
    """
    path = links_path(run_dir, phase)
    folder = f"{DATA}/" if phase == "reduce" else ""
    if not path.exists():
        return not shards
    try:
        with opened(path) as file:
            links = {item: file.get(item, getlink=True).filename for item in file}
    except (*UNREADABLE, AttributeError):
        return False
    return links == {item: f"{folder}{shard}" for item, shard in shards.items()}


def read_item(shard: Path, item_id: str) -> Iterator[Spectrogram | Group]:
    """Read all groups of an item, one after the other. Raises one of `UNREADABLE`."""
    from spectro_mpi.rundir.groups import holds, member, members

    with opened(shard) as file:
        if holds(file, item_id):
            for _, group in members(member(file, item_id)):
                yield _read(group)


def read_spectrograms(shard: Path, item_id: str) -> Iterator[Spectrogram]:
    """Read all spectrograms of an item, one after the other. Raises one of `UNREADABLE`."""
    return (group for group in read_item(shard, item_id) if isinstance(group, Spectrogram))


def read_spectrogram(shard: Path, item_id: str, instrument: str) -> Spectrogram:
    """Read one spectrogram.

    Raises `OSError` if the shard cannot be opened, `KeyError` if it does not hold the spectrogram.
    """
    from spectro_mpi.rundir.groups import member, read_group

    with opened(shard) as file:
        return read_group(member(member(file, item_id), instrument))


def read_datasets(shard: Path, item_id: str, name: str) -> Group:
    """Read one group of a phase other than reduce.

    Raises `OSError` if the shard cannot be opened, `KeyError` if it does not hold the group.
    """
    from spectro_mpi.rundir import groups

    with opened(shard) as file:
        return groups.read_datasets(groups.member(groups.member(file, item_id), name))


def instruments_of(shard: Path, item_id: str) -> list[str]:
    """The instruments that an item has data of. Raises `OSError` if the shard cannot be opened."""
    from spectro_mpi.rundir.groups import holds, member

    with opened(shard) as file:
        return list(member(file, item_id)) if holds(file, item_id) else []


def _read(group: Any) -> Spectrogram | Group:
    from spectro_mpi.rundir import groups

    is_spectrogram = Scalars(group.file).get("phase", "reduce") == "reduce"
    return groups.read_group(group) if is_spectrogram else groups.read_datasets(group)


def first_line(error: Exception) -> str:
    """The first line of an error of HDF5, which may have many."""
    return str(error).partition("\n")[0]
