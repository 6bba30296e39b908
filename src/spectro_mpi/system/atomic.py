"""Files that are complete or absent: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SUFFIX = ".part"
"""Ends the name of every file that is not finished yet."""

DAMAGED = ".damaged"
"""Ends the name (before a number, if there are several) of a file that did not read."""

_SYNCED_AT_ONCE = 8
"""Files: file systems take longer to say that something is on disk than to put it there."""


def part_path(path: Path) -> Path:
    """The temporary name for `path`, in the same directory."""
    return path.with_name(path.name + SUFFIX)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a whole file; at no instant does `path` hold half of it. Raises `OSError`."""
    part = part_path(path)
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_directory(path.parent)


def commit(*paths: Path) -> None:
    """Give finished temporary files their names, once their bytes are on disk. Raises `OSError`.

    The paths lie in one directory.
    """
    with ThreadPoolExecutor(min(_SYNCED_AT_ONCE, len(paths))) as pool:
        list(pool.map(_sync_part, paths))
    for path in paths:
        part_path(path).replace(path)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


def set_aside(path: Path) -> Path:
    """Give a file that does not read a name that says so; returns it. Raises `OSError`."""
    aside, number = path.with_name(path.name + DAMAGED), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED}-{number}")
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def sweep(folder: Path) -> list[Path]:
    """Remove what was left half-written in a folder; returns what it was. Raises `OSError`."""
    left = list(folder.glob(f"*{SUFFIX}"))
    for path in left:
        path.unlink(missing_ok=True)
    return left


def make_below(root: Path, folder: Path) -> None:
    """Make `folder` and what is missing between it and `root`, which must be there itself.

    So output that was taken away in mid-run is not made again with most of it missing. Raises
    `OSError`.
    """
    for parent in reversed([folder, *folder.parents]):
        if root in parent.parents:
            parent.mkdir(exist_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_part(path: Path) -> None:
    with part_path(path).open("rb") as file:
        os.fsync(file.fileno())
