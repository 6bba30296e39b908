"""Files of one folder that become durable together, by one call of the system where it is safe."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from spectro_mpi.system.atomic import part_path, sync_directory, sync_parts

_FEW = 2
"""So many files are synced one by one."""
_SLOW_SECONDS = 0.5
"""If syncing a file system takes longer, others write to it, and files are synced one by one."""
_KNOWN = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994})
"""ext4, XFS, Btrfs, tmpfs (statfs(2)): on these, syncfs waits for the same as fsync of each file.

Parallel file systems are not among them: of Lustre, fsync waits for the disks of the servers, but
syncfs for the arrival of the pages there.
"""
_FIRST_WITH_ERRORS = (5, 8)
"""Version of Linux since which syncfs reports pages that could not be written (syncfs(2))."""


class FolderCommit:
    """Makes files in a folder durable and visible. It is made before they are written.

    Errors of writing that happen from then on are noticed, also those of pages that the system
    writes by itself before the files are synced.
    """

    slow = False
    """Whether a file system was found to be slow to sync as a whole; shared by all of a process."""

    def __init__(self, folder: Path) -> None:
        """Raises `OSError` if the folder cannot be opened."""
        self._path = folder
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def commit(self, paths: Sequence[Path]) -> None:
        """Sync finished temporary files of the folder, or below it, then rename them to `paths`.

        Raises `OSError`.
        """
        if paths and not (len(paths) > _FEW and self._sync_together()):
            sync_parts(paths)
        for path in paths:
            part_path(path).replace(path)
        if paths:
            os.fsync(self._folder)
        for folder in {path.parent for path in paths} - {self._path}:
            sync_directory(folder)

    def close(self) -> None:
        """Close the folder; may be called again."""
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = -1

    def _sync_together(self) -> bool:
        """Sync the file system of the folder; returns whether everything in it is on disk now.

        An error may be that of a file of somebody else: whose it is, fsync of each file tells.
        """
        if FolderCommit.slow or not _can_sync_together() or _type_of(self._folder) not in _KNOWN:
            return False
        began = time.monotonic()
        code = _libc().syncfs(self._folder)
        FolderCommit.slow = time.monotonic() - began > _SLOW_SECONDS
        return bool(code == 0)


@cache
def _can_sync_together() -> bool:
    if sys.platform != "linux" or not hasattr(_libc(), "syncfs"):
        return False
    words = os.uname().release.split(".")[:2]
    return all(map(str.isdecimal, words)) and tuple(map(int, words)) >= _FIRST_WITH_ERRORS


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _type_of(descriptor: int) -> int:
    """The type of an open file's file system; 0: not known."""
    # `f_type` comes first in `struct statfs`, as a long; of 64 bits are used 32 (statfs(2)).
    facts = (ctypes.c_long * 64)()
    return facts[0] & 0xFFFFFFFF if _libc().fstatfs(descriptor, facts) == 0 else 0
