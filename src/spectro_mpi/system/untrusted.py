"""Run calls that may hang, crash or take all memory in a child process.

HDF5 and the readers of CDF do so on damaged files.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import ParamSpec, TypeVar

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.system.processes import die_with_parent, start
from spectro_mpi.system.signals import ignore_stop_signals

P = ParamSpec("P")
T = TypeVar("T")

_SPAWN = multiprocessing.get_context("spawn")
_CPU_SECONDS = 10
"""CPU time allowed for one call. Waiting for a slow file server takes none."""
_LEAST_MB, _MB_PER_MB = 2000, 20


def memory_for(size: int) -> int:
    """What reading and reducing a file of `size` bytes may take, MB; damage may ask for any."""
    return _LEAST_MB + _MB_PER_MB * size // 1_000_000


class UntrustedCalls:
    """Calls functions in a child process, which the kernel kills if a call uses too much CPU time.

    The child is started by the first call, and again by the next one after a call killed it. Its
    temporary files are removed with it: cdflib inflates compressed files into such.
    """

    def __init__(self, cpu_seconds: float = _CPU_SECONDS, memory_mb: int = 0) -> None:
        """`memory_mb`: what a call may use on top of the program itself; 0: unlimited."""
        self.memory_mb = memory_mb
        self._cpu_seconds = math.ceil(cpu_seconds)
        self._child: tuple[Connection, SpawnProcess] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> UntrustedCalls:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `function` in the child and return its result.

        Raises the `OSError`, `UserError` or `MemoryError` that the function raises;
        `ChildProcessError`, also an `OSError`, if the child did not survive the call; `RunError` if
        it cannot be started.
        """
        if self._child is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="spectro-mpi-")
            self._child = _start(self._cpu_seconds, self._scratch.name)
        pipe, _ = self._child
        try:
            pipe.send((self.memory_mb, function, args, kwargs))
            returned, result = pipe.recv()
        except (EOFError, OSError) as error:
            self._end()
            raise ChildProcessError("reading it hangs or crashes") from error
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
        if self._scratch is not None:
            self._scratch.cleanup()
        self._child = self._scratch = None


def _start(cpu_seconds: int, scratch: str) -> tuple[Connection, SpawnProcess]:
    pipe, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs, cpu_seconds, scratch), daemon=True)
    start(process)
    theirs.close()
    try:
        pipe.recv()
    except EOFError as error:
        raise RunError(
            "the process that reads files cannot be started; see its output above"
        ) from error
    return pipe, process


def _serve(pipe: Connection, cpu_seconds: int, scratch: str) -> None:
    tempfile.tempdir = scratch
    die_with_parent()
    ignore_stop_signals()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    pipe.send("ready")
    while True:
        try:
            memory_mb, function, args, kwargs = pipe.recv()
        except EOFError:
            return
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        allowed = int(time.process_time()) + cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))
        if memory_mb:
            _limit_memory(memory_mb << 20)
        try:
            answer = True, function(*args, **kwargs)
        except (OSError, UserError, MemoryError) as error:
            answer = False, error
        pipe.send(answer)


def _limit_memory(size: int) -> None:
    """Let this process use so many bytes more than now; on Linux only."""
    if sys.platform == "linux":
        import psutil

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        allowed = int(psutil.Process().memory_info().vms) + size
        if hard != resource.RLIM_INFINITY:
            allowed = min(allowed, hard)
        resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
