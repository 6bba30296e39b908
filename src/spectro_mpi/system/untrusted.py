"""Run calls that may hang, crash or take all memory in a child process.

HDF5 and the readers of CDF do so on damaged files.
"""

from __future__ import annotations

import contextlib
import errno
import math
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from spectro_mpi.errors import RunError, UserError
from spectro_mpi.system.processes import die_with_parent, start
from spectro_mpi.system.signals import ignore_stop_signals

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")

_SPAWN = multiprocessing.get_context("spawn")
_CPU_SECONDS = 10
"""CPU time allowed for one call. Waiting for a slow file server takes none."""
_LEAST_MB, _MB_PER_MB = 2000, 20
_LOOK_SECONDS = 0.5
"""Time between two looks at what a call has used."""
_JOIN_SECONDS = 5.0
"""Longest wait for a killed child. One that waits for a dead file server is left behind."""


def memory_for(size: int) -> int:
    """What reading and reducing a file of `size` bytes may take, MB; damage may ask for any."""
    return _LEAST_MB + _MB_PER_MB * size // 1_000_000


class UntrustedCalls:
    """Calls functions in a child process, which the kernel kills if a call uses too much CPU time.

    The child is started by the first call, and again by the next one after a call killed it. Its
    temporary files are removed with it: cdflib inflates compressed files into such.
    """

    def __init__(
        self,
        cpu_seconds: float = _CPU_SECONDS,
        memory_mb: int = 0,
        silent_seconds: float = math.inf,
    ) -> None:
        """Limits of a call.

        `memory_mb`: what it may use on top of the program itself; 0: unlimited. `silent_seconds`:
        how long it may neither compute nor read, such as when a file server does not answer.
        """
        self.memory_mb = memory_mb
        self._silent_seconds = silent_seconds
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
        `ChildProcessError`, also an `OSError`, if the child did not survive the call, and
        `TimeoutError`, another one, if it was silent for too long; `RunError` if it cannot be
        started.
        """
        if self._child is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="spectro-mpi-")
            self._child = _start(self._cpu_seconds, self._scratch.name)
        pipe, _ = self._child
        try:
            pipe.send((self.memory_mb, function, args, kwargs))
            self._wait()
            returned, result = pipe.recv()
        except TimeoutError:
            self._end()
            raise
        except (EOFError, OSError) as error:
            self._end()
            raise ChildProcessError("reading it hangs or crashes") from error
        if not returned:
            raise result
        value: T = result
        return value

    def _wait(self) -> None:
        """Wait for the answer of the child. Raises `TimeoutError` if it is silent for too long."""
        if self._child is None or math.isinf(self._silent_seconds):
            return
        pipe, process = self._child
        used, since = _used_by(process.pid), time.monotonic()
        while not pipe.poll(min(_LOOK_SECONDS, self._silent_seconds)):
            now = _used_by(process.pid)
            if now != used:
                used, since = now, time.monotonic()
            elif time.monotonic() - since > self._silent_seconds:
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"the file system has not answered for {self._silent_seconds:g} s",
                )

    def _end(self) -> None:
        if self._child is not None:
            pipe, process = self._child
            pipe.close()
            process.kill()
            process.join(_JOIN_SECONDS)
            if process.is_alive():
                # Otherwise multiprocessing waits for it when this process exits.
                getattr(multiprocessing.process, "_children", set()).discard(process)
        if self._scratch is not None:
            self._scratch.cleanup()
        self._child = self._scratch = None


def side_by_side(
    call: Callable[[UntrustedCalls, A], T],
    values: Iterable[A],
    count: int,
    make_child: Callable[[], UntrustedCalls],
) -> Generator[T, None, None]:
    """Yield what `call` returns of each value, in order, with `count` children at the same time.

    `call` gets a child that no other call uses meanwhile; `make_child` makes one. What it raises is
    raised here. The children end with the generator.
    """
    from concurrent.futures import ThreadPoolExecutor

    children: SimpleQueue[UntrustedCalls] = SimpleQueue()
    pool = ThreadPoolExecutor(count)
    for _ in range(count):
        children.put(make_child())

    def one(value: A) -> T:
        child = children.get()
        try:
            return call(child, value)
        finally:
            children.put(child)

    try:
        yield from pool.map(one, values)
    finally:
        pool.shutdown(cancel_futures=True)
        while not children.empty():
            children.get().__exit__()


def _used_by(pid: int | None) -> tuple[float, ...]:
    """CPU time (s) and bytes read by a process so far; empty if it has ended."""
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        times = process.cpu_times()
        used = times.user + times.system
        with contextlib.suppress(psutil.Error, AttributeError):  # Linux only
            return used, float(process.io_counters().read_chars)
        return (used,)
    return ()


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
