"""Calls that may hang or crash, in a process of their own: HDF5 does both on damaged files."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from spectro_mpi.pipes import die_with_parent

P = ParamSpec("P")
T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")
_CPU_SECONDS = 10
"""Of one call. A file server that is slow takes no CPU time."""


class Guarded:
    """Calls functions in a child, which the kernel ends when a call takes too much CPU time."""

    def __enter__(self) -> Guarded:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns. Raises `ChildProcessError` if the child did not survive it."""
        try:
            self._pipe.send((function, args, kwargs))
            result: T = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._end()
            self._start()
            raise ChildProcessError("reading it does not end, or crashes") from error
        return result

    def _start(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        self._pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except EOFError:
            return
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        allowed = int(time.process_time()) + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))
        pipe.send(function(*args, **kwargs))
