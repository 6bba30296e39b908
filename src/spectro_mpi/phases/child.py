"""The life of a compute process: phases and tasks come in by a pipe, outcomes go out."""

from __future__ import annotations

import contextlib
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
from spectro_mpi.system.processes import End, die_with_parent, receive, send
from spectro_mpi.system.signals import ignore_stop_signals


@dataclass
class Begin:
    phase: str
    workspace: Workspace


class Ready:
    """The child has imported what the phase needs."""


@dataclass
class Step:
    name: str
    how_far: str


@dataclass
class Log:
    name: str
    level: int
    message: str


@dataclass
class Trouble:
    """The run cannot continue: the output cannot be written."""

    error: RunError


def live(pipe: Connection, shown: Any) -> None:
    """The child's whole life: phases and tasks come in by the pipe, outcomes go out."""
    activity.show_in(shown)
    die_with_parent()
    _be_the_first_to_go()
    ignore_stop_signals()
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_PipeHandler(pipe))
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=receive, args=(pipe, inbox.put), daemon=True).start()
    phase: ReadyPhase | None = None
    while not isinstance(message := inbox.get(), End):
        if isinstance(message, Begin):
            phase = make_ready(message.phase, message.workspace)
            send(pipe, Ready())
        elif isinstance(message, Task) and phase is not None:
            try:
                outcome = phase.compute(message, lambda *step: send(pipe, Step(*step)))
            except RunError as error:
                send(pipe, Trouble(error))
            else:
                send(pipe, outcome)
                del outcome  # which may be large


class _PipeHandler(logging.Handler):
    """Log records of the child go to the log of its rank."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        send(self._pipe, Log(record.name, record.levelno, record.getMessage()))


def _be_the_first_to_go() -> None:
    """On Linux, have the kernel end this process, and not a rank, when memory is short."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
