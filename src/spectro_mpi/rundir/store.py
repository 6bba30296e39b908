"""The reduced data as HDF5: one file for each item, renamed when complete.

Group `/{instrument}` of a file holds one spectrogram, or datasets of another phase. Dimensions are
HDF5 dimension scales (record, channel, category, and `table` for the rows of the energy tables), so
that xarray opens a group in one line. A file holds the output of one phase, which its attribute
`phase` names, of one item, which `item` names. Earlier versions wrote shards of many items, with
groups `/{item}/{instrument}` and without the attribute `item`; they are read, and never changed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.spectrogram import SEPARATOR, Spectrogram
from spectro_mpi.rundir.bounds import Scalars
from spectro_mpi.rundir.layout import DATA, links_path, path_in_data
from spectro_mpi.rundir.names import is_shard, refuse_link_out
from spectro_mpi.rundir.sources import Source
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION, version_of
from spectro_mpi.system.atomic import commit, opened_new, part_path
from spectro_mpi.system.digests import sha256_of

# One process writes a file under a temporary name, and nobody changes it later. So no locks are
# needed; many cluster file systems do not support them.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")


PHASE, ITEM = "phase", "item"
"""Attributes of a file of the store: whose output it holds."""
_STAMP_DIGITS = 16
_DEEPEST = 4
"""Folders of a file of the store, at most: data/PHASE/YYYY/MM."""

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

    _refuse_links(path)
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


def _refuse_links(path: Path) -> None:
    """Raise `ValueError` if a file, or in data/ one of its folders, is a link that leads out."""
    refuse_link_out(path)
    folders = path.parents[:_DEEPEST]
    names = [folder.name for folder in folders]
    for folder in folders[: names.index(DATA)] if DATA in names else ():
        refuse_link_out(folder)


def stamp_of_bytes(content: bytes | memoryview) -> str:
    """The stamp of a file of this content (`rundir.names.DataFile`)."""
    return hashlib.sha256(content).hexdigest()[:_STAMP_DIGITS]


def stamp_of_file(path: Path) -> str:
    """The stamp of a file. Raises `OSError`, or `ValueError` if it is a link that leads out."""
    _refuse_links(path)
    if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
        raise OSError(errno.EINVAL, "is not a file", str(path))
    return sha256_of(path)[:_STAMP_DIGITS]


def problem_of_shard(shard: Path, items: Sequence[str] = ()) -> str:
    """What is wrong with a shard, or empty if it opens and all data of `items` can be read."""
    from spectro_mpi.rundir.datasets import members

    try:
        with opened(shard) as file:
            for item_id in items:
                if item_id not in items_in(file):
                    return f"does not hold item {item_id}"
                for _, group in members(_group_of(file, item_id)):
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


def sources_of(shard: Path) -> dict[str, dict[str, Source]]:
    """Item → instrument → the file that its data came from.

    Raises `OSError` if the shard is damaged.
    """
    from spectro_mpi.rundir.datasets import members

    try:
        with opened(shard) as file:
            return {
                item_id: {
                    instrument: Source(
                        str(attributes["source"]),
                        int(attributes["source_size"]),
                        str(attributes.get("source_sha256", "")),
                    )
                    for instrument, group in members(_group_of(file, item_id))
                    for attributes in [Scalars(group)]
                }
                for item_id in items_in(file)
            }
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error


def ephemeris_in(data_file: Path) -> dict[str, tuple[Source, ...]]:
    """Item → the ephemeris files that its data were made with; those without a digest are left out.

    Raises `OSError` if the file is damaged.
    """
    from spectro_mpi.rundir.datasets import members
    from spectro_mpi.rundir.groups import provenance_of

    found: dict[str, tuple[Source, ...]] = {}
    try:
        with opened(data_file) as file:
            for item in items_in(file):
                sources: dict[str, Source] = {}
                for _, group in members(_group_of(file, item)):
                    made = provenance_of(Scalars(group))
                    names = made.ephemeris.split(SEPARATOR)  # the last is the model of the field
                    digests = made.ephemeris_sha256.split(SEPARATOR)
                    for name, digest in zip(names, digests, strict=False):
                        if digest:
                            sources[name] = Source(name, None, digest)
                found[item] = tuple(sources.values())
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error
    return found


def digests_in(shard: Path, items: Iterable[str]) -> dict[str, dict[str, str]]:
    """Item → instrument → digest of its reduced data, for `items` of a shard.

    Raises `OSError` if the shard is damaged.
    """
    from spectro_mpi.rundir.datasets import members
    from spectro_mpi.rundir.groups import digest_of

    try:
        with opened(shard) as file:
            return {
                item: {name: digest_of(group) for name, group in members(_group_of(file, item))}
                for item in items
            }
    except UNREADABLE as error:
        raise OSError(first_line(error)) from error


def write_links(run_dir: Path, data_files: Mapping[str, str], phase: str = "reduce") -> None:
    """Write the links file of a phase: an external link to each item of `data_files`.

    `data_files`: item → its data file. Raises `OSError`.
    """
    import h5py

    with new_file(links_path(run_dir, phase)) as (file, _):
        for item_id in sorted(data_files):  # the bytes depend on the order
            name, group = _link(item_id, data_files[item_id], phase)
            file[item_id] = h5py.ExternalLink(name, group)


def links_are(run_dir: Path, data_files: Mapping[str, str], phase: str = "reduce") -> bool:
    """Whether the links file of a phase links to the items of `data_files`, and to no others.

    `data_files`: item → its data file.
    """
    path = links_path(run_dir, phase)
    if not path.exists():
        return not data_files
    try:
        with opened(path) as file:
            # h5py's high-level API takes ten times as long.
            links = {item: file.id.links.get_val(item) for item in file.id}
    except UNREADABLE:
        return False
    expected = {item: _link(item, name, phase) for item, name in data_files.items()}
    return links == {
        item.encode(): (os.fsencode(file), group.encode())
        for item, (file, group) in expected.items()
    }


def _link(item_id: str, data_file: str, phase: str) -> tuple[str, str]:
    """File and group that the link to an item leads to; the links of reduce are beside data/."""
    folder = f"{DATA}/" if phase == "reduce" else ""
    group = f"/{item_id}" if is_shard(data_file) else "/"
    return f"{folder}{path_in_data(data_file)}", group


def items_in(file: Any) -> list[str]:
    """The items that an open file of the store has data of."""
    return [str(file.attrs[ITEM])] if ITEM in file.attrs else list(file)


def _group_of(file: Any, item_id: str) -> Any:
    """The group of an item in an open file of the store; of a file of one item, its root.

    Raises `KeyError` if the file has no such item.
    """
    from spectro_mpi.rundir.datasets import member

    if ITEM not in file.attrs:
        return member(file, item_id)
    if str(file.attrs[ITEM]) != item_id:
        raise KeyError(f"{file.filename} is of item {file.attrs[ITEM]}")
    return file


def read_item(shard: Path, item_id: str) -> Iterator[Spectrogram | Group]:
    """Read all groups of an item, one after the other. Raises one of `UNREADABLE`."""
    from spectro_mpi.rundir.datasets import members

    with opened(shard) as file:
        if item_id in items_in(file):
            for _, group in members(_group_of(file, item_id)):
                yield _read(group)


def read_spectrograms(shard: Path, item_id: str) -> Iterator[Spectrogram]:
    """Read all spectrograms of an item, one after the other. Raises one of `UNREADABLE`."""
    return (group for group in read_item(shard, item_id) if isinstance(group, Spectrogram))


def read_spectrogram(shard: Path, item_id: str, instrument: str) -> Spectrogram:
    """Read one spectrogram.

    Raises `OSError` if the shard cannot be opened, `KeyError` if it does not hold the spectrogram.
    """
    from spectro_mpi.rundir.datasets import member
    from spectro_mpi.rundir.groups import read_group

    with opened(shard) as file:
        return read_group(member(_group_of(file, item_id), instrument))


def read_datasets(shard: Path, item_id: str, name: str) -> Group:
    """Read one group of a phase other than reduce.

    Raises `OSError` if the shard cannot be opened, `KeyError` if it does not hold the group.
    """
    from spectro_mpi.rundir import datasets, groups

    with opened(shard) as file:
        return groups.read_datasets(datasets.member(_group_of(file, item_id), name))


def instruments_of(shard: Path, item_id: str) -> list[str]:
    """The instruments that an item has data of. Raises `OSError` if the shard cannot be opened."""
    with opened(shard) as file:
        return list(_group_of(file, item_id)) if item_id in items_in(file) else []


def time_spans(shard: Path, item_id: str) -> dict[str, tuple[float, float, int]]:
    """Instrument → (first time, last time, s since 1970 UTC, and number of records) of an item.

    Times are NaN if no record has one. Reads no values. Raises one of `UNREADABLE`.
    """
    from spectro_mpi.rundir.datasets import holds, member, members

    spans = {}
    with opened(shard) as file:
        if item_id in items_in(file):
            for name, group in members(_group_of(file, item_id)):
                if holds(group, "time"):
                    times = member(group, "time")[()]
                    known = times[times == times]
                    ends = (known.min(), known.max()) if known.size else (math.nan, math.nan)
                    spans[name] = (float(ends[0]), float(ends[1]), len(times))
    return spans


def variables_of(
    shard: Path, item_id: str, names: Sequence[str]
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Instrument → the datasets `names` of its records, those that it has; float32, (record,).

    Raises one of `UNREADABLE`.
    """
    from spectro_mpi.rundir.datasets import holds, member, members

    found = {}
    with opened(shard) as file:
        if item_id in items_in(file):
            for instrument, group in members(_group_of(file, item_id)):
                there = [name for name in names if holds(group, name)]
                found[instrument] = {
                    name: np.asarray(member(group, name)[()], np.float32) for name in there
                }
    return found


def _read(group: Any) -> Spectrogram | Group:
    from spectro_mpi.rundir import groups

    is_spectrogram = Scalars(group.file).get("phase", "reduce") == "reduce"
    return groups.read_group(group) if is_spectrogram else groups.read_datasets(group)


def first_line(error: Exception) -> str:
    """The first line of an error of HDF5, which may have many."""
    return str(error).partition("\n")[0]
