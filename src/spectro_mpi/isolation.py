"""Where tasks are computed: in this process, or in a supervised child of it.

The child is made by multiprocessing's `spawn` and knows nothing of MPI; a hang, a segfault or an
out-of-memory kill there costs one item and not the job.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import multiprocessing.util  # so that its exit function is registered before ours
import os
import pickle
import queue
import signal
import sys
import threading
import time
import weakref
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Protocol

from spectro_mpi.config import Run
from spectro_mpi.errors import Failure, Reason
from spectro_mpi.phases import Outcome, Phase, Task, Workspace, make_phase

log = logging.getLogger(__name__)

_MEMORY_CHECK_SECONDS = 0.2


class Executor(Protocol):
    """Computes one task at a time."""

    step: str
    """The step the task at hand is in."""

    def begin(self, phase: str, workspace: Workspace) -> None:
        """Get ready for the tasks of a phase."""
        ...

    def submit(self, task: Task) -> None:
        """Start a task; the one before it has been collected."""
        ...

    def poll(self) -> Outcome | None:
        """The outcome of the task at hand, once there is one."""
        ...

    def close(self) -> None:
        """End; a task at hand is dropped."""
        ...


class InlineExecutor:
    """Computes in the calling process, within `poll`."""

    def __init__(self) -> None:
        self.step = ""
        self._phase: Phase | None = None
        self._task: Task | None = None

    def begin(self, phase: str, workspace: Workspace) -> None:
        self._phase = make_phase(phase, workspace)

    def submit(self, task: Task) -> None:
        self._task = task

    def poll(self) -> Outcome | None:
        if self._task is None or self._phase is None:
            return None
        task, self._task = self._task, None
        return self._phase.run(task, self._report)

    def close(self) -> None:
        self._task = None

    def _report(self, step: str) -> None:
        self.step = step


@dataclass
class _Begin:
    phase: str
    workspace: Workspace


class _Ready:
    """The child has imported what the phase needs."""


@dataclass
class _Step:
    name: str


@dataclass
class _Log:
    name: str
    level: int
    message: str


class _End:
    """The child's side of the pipe is closed."""


_living: weakref.WeakSet[ChildExecutor] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Before multiprocessing waits for its children: ours do not heed its SIGTERM."""
    for executor in list(_living):
        executor.close()


class ChildExecutor:
    """Computes in a child process, which is killed and replaced when it must be.

    A task that takes longer than its limits, needs more memory than `memory_limit_mb`, or whose
    child dies comes back as an outcome with the failure that says so.
    """

    def __init__(self, settings: Run) -> None:
        self.step = ""
        self._settings = settings
        self.is_ready = False
        """Whether the child has imported what its phase needs."""
        self._begin: _Begin | None = None
        self._task: Task | None = None
        self._task_began = self._step_began = self._memory_checked = 0.0
        self._start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid or 0

    def begin(self, phase: str, workspace: Workspace) -> None:
        self._begin = _Begin(phase, workspace)
        self.is_ready = False
        _send(self._pipe, self._begin)

    def submit(self, task: Task) -> None:
        self._task, self.step = task, ""
        self._task_began = self._step_began = time.monotonic()
        _send(self._pipe, task)

    def poll(self) -> Outcome | None:
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, Outcome):
                    self._task = None
                    return message
                self._take_in(message)
                if isinstance(message, _End):
                    return self._died()
        return self._enforce_limits()

    def close(self) -> None:
        _living.discard(self)
        self._kill()

    def _start(self) -> None:
        _living.add(self)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_child, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A thread, so that a child that stops in the middle of a message cannot stop the rank.
        threading.Thread(target=_receive, args=(self._pipe, self._inbox), daemon=True).start()

    def _take_in(self, message: object) -> None:
        now = time.monotonic()
        if isinstance(message, _Ready):
            # Start-up and imports are not the task's time.
            self.is_ready, self._task_began, self._step_began = True, now, now
        elif isinstance(message, _Step):
            self.step, self._step_began = message.name, now
        elif isinstance(message, _Log):
            logging.getLogger(message.name).log(message.level, message.message)

    def _enforce_limits(self) -> Outcome | None:
        if self._task is None or not self.is_ready:
            return None
        settings, now = self._settings, time.monotonic()
        for what, began, limit in (
            ("orbit", self._task_began, settings.orbit_timeout_seconds),
            ("instrument", self._step_began, settings.instrument_timeout_seconds),
        ):
            if now - began > limit:
                told = f"took longer than {what}_timeout_seconds = {limit:g}"
                return self._replace("timeout", told)
        if settings.memory_limit_mb and now - self._memory_checked > _MEMORY_CHECK_SECONDS:
            self._memory_checked = now
            resident = _resident_mb(self.pid)
            if resident > settings.memory_limit_mb:
                told = f"needed {resident:.0f} MB, memory_limit_mb = {settings.memory_limit_mb}"
                return self._replace("out-of-memory", told)
        return None

    def _died(self) -> Outcome | None:
        self._process.join()
        code = self._process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if not self.is_ready:
            raise RuntimeError(
                f"the compute process ended {how} before it was ready; its own words stand above"
            )
        if self._task is not None and self._task.phase == "reduce" and not self._task.careful:
            # Read once more by the reader that does not crash: the reason recorded is the file's.
            task = replace(self._task, careful=True)
            log.warning("item %s: the compute process ended %s; once more", task.item.id, how)
            self._task = None
            self._replace("killed", how)
            self.submit(task)
            return None
        return self._replace("killed", f"its compute process ended {how}")

    def _replace(self, reason: Reason, told: str) -> Outcome | None:
        """Put a new child in place of the old one; the outcome of the task it had, if any."""
        self._kill()
        self._start()
        if self._begin is not None:
            self.begin(self._begin.phase, self._begin.workspace)
        if self._task is None:
            return None
        task, self._task = self._task, None
        message = f"{self.step or 'start'} of item {task.item.id} {told}"
        log.error("%s: %s", reason, message)
        return Outcome([Failure(self.step or "start", task.phase, reason, message)])

    def _kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _resident_mb(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def _send(pipe: Connection, message: object) -> None:
    """Send with arrays out of band, so that they are copied by the kernel only."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the receiver's end is told
        pipe.send((len(buffers), content))
        for buffer in buffers:
            pipe.send_bytes(buffer.raw())


def _receive(pipe: Connection, inbox: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            count, content = pipe.recv()
            inbox.put(pickle.loads(content, buffers=[pipe.recv_bytes() for _ in range(count)]))
    except (EOFError, OSError):
        inbox.put(_End())


def _child(pipe: Connection) -> None:
    """The child's whole life: phases and tasks come in by the pipe, outcomes go out."""
    _die_with_parent()
    # Whether to stop, and when, is the parent's business.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_PipeHandler(pipe))
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, inbox), daemon=True).start()
    phase: Phase | None = None
    while not isinstance(message := inbox.get(), _End):
        if isinstance(message, _Begin):
            phase = make_phase(message.phase, message.workspace)
            _send(pipe, _Ready())
        elif isinstance(message, Task) and phase is not None:
            _send(pipe, phase.run(message, lambda step: _send(pipe, _Step(step))))


class _PipeHandler(logging.Handler):
    """Log records of the child go to the log of its rank."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._pipe, _Log(record.name, record.levelno, record.getMessage()))


def _die_with_parent() -> None:
    """On Linux, have the kernel kill this process when its rank is gone, however it went."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
