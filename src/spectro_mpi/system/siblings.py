"""Wait for the processes that were started together, before MPI connects them.

A rank that gets to MPI_Init first spins there until the last one has come, and takes its core.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path("/dev/shm")


@contextlib.contextmanager
def together(folder: Path = _FOLDER) -> Iterator[None]:
    """Wait, at the end, until all processes of the same parent that are in here have got there.

    Without spinning: they share a lock until then. It is no guarantee, and where it is not possible
    nobody waits.
    """
    path = folder / f"spectro-mpi-{os.getuid()}-{os.getppid()}"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
        fcntl.flock(file, fcntl.LOCK_UN)
        fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        path.unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_UN)  # a process that was forked meanwhile still has it open
        os.close(file)
