"""The main loop of a compute process: receives phases and tasks by a pipe, sends outcomes."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from spectro_mpi.errors import RunError
from spectro_mpi.phases.compute import ReadyPhase, make_ready
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.system import activity
from spectro_mpi.system.atomic import name_parts_for
from spectro_mpi.system.logs import log_level
from spectro_mpi.system.processes import End, die_with_parent, receive, send
from spectro_mpi.system.signals import ignore_stop_signals


@dataclass
class Begin:
    """To the child: import what a phase needs, and compute tasks of that phase from then on."""

    phase: str
    workspace: Workspace


class Ready:
    """From the child: it has imported what the phase needs."""


@dataclass
class Step:
    """From the child: the step it is doing, and its progress (empty: the step begins)."""

    name: str
    how_far: str


@dataclass
class Log:
    """From the child: a log record for the log of its rank."""

    name: str
    level: int
    message: str


@dataclass
class Trouble:
    """From the child: the run cannot continue, because the output cannot be written."""

    error: RunError


def live(pipe: Connection, shown: Any) -> None:
    """Main function of the child: handle messages from the pipe until it is closed.

    `shown`: shared memory (a `ctypes.c_ubyte`) in which the child shows its current activity.
    """
    activity.show_in(shown)
    die_with_parent()
    _prefer_for_oom_kill()
    ignore_stop_signals()
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_PipeHandler(pipe))
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(pipe, inbox.put), daemon=True).start()
    phase: ReadyPhase | None = None
    while not isinstance(message := inbox.get(), End):
        if isinstance(message, Begin):
            owner = message.workspace.owner
            name_parts_for(owner.tag if owner is not None else "")
            gc.disable()
            phase = make_ready(message.phase, message.workspace)
            gc.freeze()  # modules stay: collections need not traverse them, nor write to them
            gc.enable()
            send(pipe, Ready())
        elif isinstance(message, Task) and phase is not None:
            try:
                outcome = phase.compute(message, lambda *step: send(pipe, Step(*step)))
            except RunError as error:
                send(pipe, Trouble(error))
            else:
                send(pipe, outcome)
                del outcome  # it may be large


class _PipeHandler(logging.Handler):
    """Sends log records of the child to the log of its rank."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(log_level(logging.WARNING))
        logging.getLogger().setLevel(self.level)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        send(self._pipe, Log(record.name, record.levelno, record.getMessage()))


def _prefer_for_oom_kill() -> None:
    """On Linux, have the kernel kill this process rather than a rank when memory is short."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
