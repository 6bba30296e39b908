"""The files of the store that are on disk, compared with those that the state refers to.

A file whose name and stamp the state has is whole if its content has that stamp: no HDF5 is needed
to find that out. Files that have not changed since the state was last folded were whole then.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from spectro_mpi.rundir.layout import DATA, PROGRESS, data_path, path_in_data, shards_of
from spectro_mpi.rundir.names import is_shard, stamp_of
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.store import stamp_of_file
from spectro_mpi.system.atomic import SUFFIX

_AT_ONCE = 8
"""Folders listed, or files read, at the same time, for file systems with a high latency."""
_CLOCK_SECONDS = 2.0
"""How much the dates of files written at the same time may differ."""

Listed = dict[str, float]
"""Path relative to data/, such as "2000/01/13312.h5" → when the file was last changed."""


def list_item_files(run_dir: Path, sweeps: bool = False) -> Listed:
    """The files of items on disk; links are not followed.

    With `sweeps`, half-written files beside them are removed; the caller holds the lock. Raises
    `OSError` if one cannot be removed.
    """
    root = run_dir / DATA
    months = [month for year in _folders(root) for month in _folders(year)]
    # Those of phases other than reduce are one folder deeper; in a month there are only files.
    months += [deeper for month in months for deeper in _folders(month)]
    listed: Listed = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for month, found in zip(months, pool.map(_list, months), strict=True):
            folder = month.relative_to(root).as_posix()
            for name, changed in found.items():
                if name.endswith(".h5"):
                    listed[f"{folder}/{name}"] = changed
                elif sweeps and name.endswith(SUFFIX):
                    (month / name).unlink(missing_ok=True)
    return listed


def item_file_problems(
    run_dir: Path,
    state: Progress,
    listed: Listed,
    everything: bool,
    only: Container[str] | None = None,
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Data files of single items that are not as recorded: its name, what is wrong, its items.

    With `everything`, all are read; otherwise those that have changed since the state was folded.
    `only`: the items to look at; None: all.
    What an item that is not settled has is not reported: the item will be redone in any case.
    """
    since = -1.0 if everything else _folded_at(run_dir)
    suspects: list[tuple[str, str]] = []
    for phase, held in state.stores.items():
        for item, name in held.items():
            if is_shard(name) or not (only is None or item in only):
                continue
            changed = listed.get(path_in_data(name))
            if changed is None:
                yield name, "is missing", (item,)
            elif changed > since and item in state.settled[phase]:
                suspects.append((item, name))

    def problem(suspect: tuple[str, str]) -> str:
        name = suspect[1]
        try:
            same = stamp_of_file(data_path(run_dir, name)) == stamp_of(name)
        except (OSError, ValueError) as error:
            return f"cannot be read ({error})"
        return "" if same else "is damaged, or has been changed"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for (item, name), what in zip(suspects, pool.map(problem, suspects), strict=True):
            if what:
                yield name, what, (item,)


def orphans_of(run_dir: Path, state: Progress, listed: Iterable[str]) -> list[Path]:
    """Finished files that the state does not refer to; of shards the latest first.

    `listed`: as by `list_item_files`.
    """
    named = {path_in_data(name) for held in state.stores.values() for name in held.values()}
    shards = [path for path in reversed(shards_of(run_dir)) if path.name not in named]
    return [*shards, *(run_dir / DATA / name for name in sorted(listed) if name not in named)]


def has_data(run_dir: Path) -> bool:
    """Whether the store has a finished file."""
    return bool(shards_of(run_dir)) or bool(list_item_files(run_dir))


def _folded_at(run_dir: Path) -> float:
    """When progress.json was written; -1 if it does not exist: nothing is known to be whole."""
    with contextlib.suppress(OSError):
        return (run_dir / PROGRESS).stat().st_mtime - _CLOCK_SECONDS
    return -1.0


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _list(folder: Path) -> dict[str, float]:
    """Name → when it was last changed, for files in a folder."""
    found: dict[str, float] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if not entry.is_dir(follow_symlinks=False):
                    found[entry.name] = entry.stat(follow_symlinks=False).st_mtime
    return found
