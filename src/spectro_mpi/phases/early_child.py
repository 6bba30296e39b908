"""A compute process that is forked from its rank before MPI starts.

It shares the modules that the rank has imported, in time and in memory, and is ready while rank 0
still looks for items. Forking is safe then, and only then: there are no threads yet, nothing of
MPI, and no file of the run is open.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from spectro_mpi.phases.child import live
from spectro_mpi.system.signals import STOP_SIGNALS, ignore_stop_signals

_JOIN_SECONDS = 5.0
"""Longest wait for a killed process to end."""

_STANDARD = 3
"""Files below this number are the standard ones, which a child keeps."""


@dataclass(frozen=True)
class EarlyChild:
    """A running compute process."""

    process: BaseProcess
    pipe: Connection
    """The rank's end of the pipe."""
    shown: Any
    """Shared memory (a `ctypes.c_ubyte`) in which the child shows its current activity."""

    def end(self) -> None:
        """Kill the process, unless it has ended."""
        self.process.kill()
        self.process.join(_JOIN_SECONDS)
        self.pipe.close()


def fork_child() -> EarlyChild | None:
    """Start a compute process; None if a fork would not be safe here."""
    if not _may_fork():
        return None
    fork = multiprocessing.get_context("fork")
    shown = fork.RawValue(ctypes.c_ubyte)
    pipe, theirs = fork.Pipe()
    # Signals wait until the child ignores them: the collector it has inherited is its rank's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        process = fork.Process(target=_live, args=(theirs, pipe, shown, before), daemon=True)
        process.start()
    except OSError:  # no memory or no processes left: a later one says so
        pipe.close()
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return EarlyChild(process, pipe, shown)


def _may_fork() -> bool:
    if sys.platform != "linux" or "mpi4py.MPI" in sys.modules:
        return False
    try:
        return len([*Path("/proc/self/task").iterdir()]) == 1
    except OSError:
        return False


def _live(pipe: Connection, of_rank: Connection, shown: Any, before: set[Any]) -> None:
    ignore_stop_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    of_rank.close()  # or this process would keep its own pipe open
    _give_up_files(keep={pipe.fileno()})
    live(pipe, shown)


def _give_up_files(keep: set[int]) -> None:
    """Replace all inherited files but the standard ones, such as the launcher's pipes.

    Replaced and not closed: objects of the rank that this process has inherited may still close
    them, and would then close others that got their numbers.
    """
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for path in Path("/proc/self/fd").iterdir():
        number = int(path.name)
        if number >= _STANDARD and number != nowhere and number not in keep:
            with contextlib.suppress(OSError):  # the one that listed the folder
                os.fstat(number)
                os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)
