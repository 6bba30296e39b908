"""Write the data files of a batch side by side, so that the latency of a file system counts once.

An fsync or a rename takes 5 to 20 ms on parallel file systems; of a batch they must not add up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.rundir.layout import DATA, data_path
from spectro_mpi.rundir.names import refuse_link_out
from spectro_mpi.system.atomic import part_path, sync_directory

_MOST_AT_ONCE = 64
_LOOK_SECONDS = 1.0
"""Time between two calls of `tell` while the file system is waited for."""

T = TypeVar("T")


class BatchFiles:
    """Writes files in threads; the calling thread waits, and says how long it has."""

    def __init__(self, run_dir: Path, tell: Callable[[float], None], most: int) -> None:
        """`tell` is called now and then with the seconds waited; `most`: items of a batch."""
        self._run_dir = run_dir
        self._tell = tell
        # One more for what is done beside the files.
        self._pool = ThreadPoolExecutor(min(_MOST_AT_ONCE, max(1, most)) + 1, "writer")
        self._later: list[Future[None]] = []
        self._known: set[Path] = set()
        """Folders that are no links that lead out."""

    def write(self, contents: Mapping[str, NDArray[np.uint8]]) -> set[Path]:
        """Write files, and give them their names; returns the folders, which are yet to be synced.

        `contents`: data file (`rundir.names.DataFile`) → bytes. Raises `OSError`.
        """
        paths = {data_path(self._run_dir, name): content for name, content in contents.items()}
        folders = {path.parent for path in paths}
        if new := sorted(f for f in folders if f not in self._known or not f.is_dir()):
            self.all([partial(self._make, new)])
            self._known |= folders
        self.all([partial(_write, path, content) for path, content in paths.items()])
        return folders

    def all(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Make calls side by side; returns what they return. Raises what the first raises.

        All have ended then, also if one raises.
        """
        futures = [self._pool.submit(call) for call in calls]
        waited = 0.0
        waiting: Iterable[Future[T]] = futures
        while waiting := wait(waiting, _LOOK_SECONDS).not_done:
            waited += _LOOK_SECONDS
            self._tell(waited)
        if waited:
            self._tell(0.0)
        return [future.result() for future in futures]

    def later(self, call: Callable[[], None]) -> None:
        """Make a call beside what follows, until `finish`; one at a time.

        Raises what the call before it raised.
        """
        self.finish()
        self._later = [self._pool.submit(call)]

    def finish(self) -> None:
        """Wait for the call of `later`. Raises what it raised."""
        later, self._later = self._later, []
        if later:
            self.all([future.result for future in later])

    def close(self) -> None:
        """End the threads, without waiting for one that hangs in the file system."""
        self._pool.shutdown(wait=False)

    def _make(self, folders: Iterable[Path]) -> None:
        """Create folders below data/, durably; the run directory itself must exist."""
        root = self._run_dir / DATA
        root.mkdir(exist_ok=True)
        for folder in folders:
            for parent in reversed([folder, *folder.parents]):
                if root in parent.parents:
                    refuse_link_out(parent)
                    parent.mkdir(exist_ok=True)
                    sync_directory(parent.parent)


def _write(path: Path, content: NDArray[np.uint8]) -> None:
    part = part_path(path)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        view = content.data
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
