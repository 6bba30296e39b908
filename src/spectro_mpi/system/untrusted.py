"""Calls that may hang or crash, in a process of their own: HDF5 does both on damaged files."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import ParamSpec, TypeVar

from spectro_mpi.errors import RunError
from spectro_mpi.system.processes import die_with_parent
from spectro_mpi.system.signals import heed_no_stops

P = ParamSpec("P")
T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")
_CPU_SECONDS = 10
"""Of one call. A file server that is slow takes no CPU time."""


class UntrustedCalls:
    """Calls functions in a child, which the kernel ends when a call takes too much CPU time.

    The child is there from the first call on.
    """

    def __init__(self) -> None:
        self._child: tuple[Connection, SpawnProcess] | None = None

    def __enter__(self) -> UntrustedCalls:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns.

        Raises the `OSError` it raises; `ChildProcessError`, which is one, if the child
        did not survive it; `RunError` if there can be no child.
        """
        pipe, _ = self._child = self._child or _start()
        try:
            pipe.send((function, args, kwargs))
            returned, result = pipe.recv()
        except (EOFError, OSError) as error:
            self._end()
            raise ChildProcessError("reading it does not end, or crashes") from error
        if not returned:
            raise result
        value: T = result
        return value

    def _end(self) -> None:
        if self._child is not None:
            pipe, process = self._child
            pipe.close()
            process.kill()
            process.join()
        self._child = None


def _start() -> tuple[Connection, SpawnProcess]:
    pipe, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        pipe.recv()
    except EOFError as error:
        raise RunError(
            "the process that reads what is there cannot be started; its own words stand above"
        ) from error
    return pipe, process


def _serve(pipe: Connection) -> None:
    die_with_parent()
    heed_no_stops()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    pipe.send("ready")
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except EOFError:
            return
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        allowed = int(time.process_time()) + _CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))
        try:
            answer = True, function(*args, **kwargs)
        except OSError as error:
            answer = False, error
        pipe.send(answer)
