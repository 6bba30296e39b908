"""Files that are complete or absent: temporary name, fsync, rename, fsync of the directory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SUFFIX = ".part"
"""Suffix of every file that is not finished yet."""

DAMAGED = ".damaged"
"""Suffix of a file that cannot be read; a number follows if there are several."""

_SYNCED_AT_ONCE = 8
"""Files synced in parallel, since most of the time of an fsync is latency."""

_MOST_BYTES = 255
"""Bytes of a file name."""


class _Owner:
    """Who writes: a part of every temporary name."""

    tag = ""


def name_parts_for(tag: str) -> None:
    """Let the temporary names of this process carry `tag`, which names the owner of the run.

    Without it, a run that took over from one believed dead could meet a file that the other is
    still writing.
    """
    _Owner.tag = f".{tag}" if tag else ""


def part_path(path: Path) -> Path:
    """The temporary name for `path`, in the same directory."""
    name = f"{path.name}{_Owner.tag}{SUFFIX}"
    if len(os.fsencode(name)) > _MOST_BYTES:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
        name = f"{digest}{_Owner.tag}{SUFFIX}"
    return path.with_name(name)


def opened_new(path: Path, buffering: int = -1) -> Any:
    """A new binary file, open for reading and writing. Raises `OSError`.

    What has its name already is removed: it may be a link, a pipe, or another name of a good file.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(os.fspath(path), flags, 0o666)
    except FileExistsError:
        path.unlink(missing_ok=True)
        descriptor = os.open(os.fspath(path), flags, 0o666)
    return os.fdopen(descriptor, "w+b", buffering)


def write_part(path: Path, content: bytes) -> None:
    """Write the temporary file of `path`, not synced. Raises `OSError`."""
    with opened_new(part_path(path)) as file:
        file.write(content)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that `path` is complete or absent at any time. Raises `OSError`."""
    part = part_path(path)
    with opened_new(part) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_directory(path.parent)


def commit(*paths: Path) -> None:
    """Sync finished temporary files to disk, then rename them to `paths`. Raises `OSError`."""
    sync_parts(paths)
    for path in paths:
        part_path(path).replace(path)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


def sync_parts(paths: Sequence[Path]) -> None:
    """Sync the temporary files of `paths` to disk. Raises `OSError`."""
    with ThreadPoolExecutor(min(_SYNCED_AT_ONCE, len(paths))) as pool:
        list(pool.map(_sync_part, paths))


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, by the suffix `DAMAGED`; returns the new path.

    Raises `OSError`.
    """
    aside, number = path.with_name(path.name + DAMAGED), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}{DAMAGED}-{number}")
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def sweep(folder: Path) -> list[Path]:
    """Remove files left half-written in a folder, unless it is a link; returns their paths.

    Raises `OSError`.
    """
    if folder.is_symlink():
        return []
    left = [path for path in folder.glob(f"*{SUFFIX}") if not path.is_dir()]
    for path in left:
        path.unlink(missing_ok=True)
    return left


def sweep_all(folder: Path) -> None:
    """As `sweep`, also in the folders below, but not where links lead."""
    # Not rglob, which looks at every file: there are three of each item below assets/.
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(SUFFIX):
                Path(parent, name).unlink(missing_ok=True)


def make_below(root: Path, folder: Path) -> None:
    """Create `folder` and its missing parents below `root`; `root` itself must exist.

    If the output is removed during a run, this fails instead of recreating a part of it. Raises
    `OSError`, also if one of them is a link.
    """
    for parent in reversed([folder, *folder.parents]):
        if root in parent.parents:
            parent.mkdir(exist_ok=True)
            if parent.is_symlink():
                raise OSError(f"{parent.name} is a link, which may lead out of the run directory")


def sync_directory(path: Path) -> None:
    """Sync a directory to disk, so that renames in it are durable. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_part(path: Path) -> None:
    with part_path(path).open("rb") as file:
        os.fsync(file.fileno())
