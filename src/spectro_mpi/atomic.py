"""Files that are complete or absent: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".part"
"""Ends the name of every file that is not finished yet."""


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
    for path in paths:
        with part_path(path).open("rb") as file:
            os.fsync(file.fileno())
    for path in paths:
        part_path(path).replace(path)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
