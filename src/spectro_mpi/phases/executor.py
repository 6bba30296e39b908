"""Executors compute tasks: in this process, or in a supervised child process.

The child is forked before MPI starts or started by multiprocessing's `spawn`, as one that replaces
another is, and does not use MPI. A hang, a segfault or an out-of-memory kill there costs one item,
not the job.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import logging
import multiprocessing.util  # registers its exit function before ours
import os
import queue
import signal
import threading
import time
import weakref
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from spectro_mpi.errors import Failure, Reason
from spectro_mpi.phases.child import Begin, Log, Ready, Step, Trouble, live
from spectro_mpi.phases.compute import ReadyPhase, make_ready
from spectro_mpi.phases.early_child import EarlyChild
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.rundir.layout import sweep_files
from spectro_mpi.settings.schema import RunSettings
from spectro_mpi.system.processes import End, receive, start, transmit

log = logging.getLogger(__name__)
_SPAWN = multiprocessing.get_context("spawn")
_MEMORY_CHECK_SECONDS = 0.1
"""Least time between two checks of the child's memory."""

_START_SECONDS = 300.0
"""Longest time for a child to import what it needs (file servers can be slow) before it is
replaced."""
_JOIN_SECONDS = 5.0
"""Longest wait for a child to end."""

_STARTS = 3
"""After this many deaths in a row before a child is ready, the cause is not an item: give up."""


class Executor(Protocol):
    """Computes one task at a time."""

    step: str
    """The current step of the task."""
    how_far: str
    """Progress of that step, as in "3/10"; empty: the step does not report it."""

    def begin(self, phase: str, workspace: Workspace) -> None:
        """Load a phase; the tasks submitted from now on belong to it."""
        ...

    def submit(self, task: Task) -> None:
        """Start a task. The outcome of the previous task must have been returned by `poll`."""
        ...

    def poll(self) -> Outcome | None:
        """Return the outcome of the current task, or None if it is not done yet.

        Raises `RunError` if the output cannot be written; then there is no outcome.
        """
        ...

    def close(self) -> None:
        """Drop the current task and release all resources."""
        ...


class InlineExecutor:
    """Computes in the calling process, during `poll`."""

    def __init__(self, sampling: Sampling | None = None) -> None:
        self.step = self.how_far = ""
        self._sampling = sampling or Sampling()
        self._phase: ReadyPhase | None = None
        self._task: Task | None = None

    def begin(self, phase: str, workspace: Workspace) -> None:
        self._phase = make_ready(phase, workspace)

    def submit(self, task: Task) -> None:
        self._task = task

    def poll(self) -> Outcome | None:
        if self._task is None or self._phase is None:
            return None
        task, self._task = self._task, None
        return self._phase.compute(task, self._report)

    def close(self) -> None:
        self._task = None

    def _report(self, step: str, how_far: str) -> None:
        self.step, self.how_far = step, how_far
        if not how_far:
            self._sampling.step(step)


_open_executors: weakref.WeakSet[ChildExecutor] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close all executors before multiprocessing joins its children: ours ignore its SIGTERM."""
    for executor in list(_open_executors):
        executor.close()


class ChildExecutor:
    """Computes in a child process, which is killed and replaced when necessary.

    If a task exceeds its time or memory limits, or kills two children, its outcome has the failure
    that says so, and its unfinished files are removed.
    """

    def __init__(
        self,
        settings: RunSettings,
        memory_share: int = 0,
        sampling: Sampling | None = None,
        wake: threading.Event | None = None,
        early: EarlyChild | None = None,
    ) -> None:
        """Start the child, or take over the `early` one.

        `memory_share`: most bytes of memory for child and rank together, if the settings have no
        limit; 0: unlimited. `wake` is set when the child has sent a message that the rank waits
        for.
        """
        self.step = self.how_far = ""
        self._sampling = sampling or Sampling()
        self._shown = self._to_show(early, sampled=sampling is not None)
        """Shared memory in which the child shows its current activity."""
        self._wake = wake or threading.Event()
        self._settings = settings
        self._memory_share = memory_share
        self._deaths_at_start = 0
        self.is_ready = False
        """Whether the child has imported what its phase needs."""
        self._begin: Begin | None = None
        self._task: Task | None = None
        self._task_began = self._step_began = self._memory_checked = 0.0
        self._process: BaseProcess
        self._start(early)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid or 0

    def begin(self, phase: str, workspace: Workspace) -> None:
        self._begin = Begin(phase, workspace)
        self.is_ready = False
        self._outbox.put(self._begin)

    def submit(self, task: Task) -> None:
        self._task, self.step, self.how_far = task, "", ""
        self._task_began = self._step_began = time.monotonic()
        self._outbox.put(task)

    def poll(self) -> Outcome | None:
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, Outcome):
                    self._task = None
                    return message
                if isinstance(message, Trouble):
                    self._task = None
                    raise message.error
                if isinstance(message, End):
                    return self._handle_death()
                self._handle(message)
        return self._enforce_limits() if self.is_ready else self._enforce_start()

    def close(self) -> None:
        _open_executors.discard(self)
        self._kill()

    @staticmethod
    def _to_show(early: EarlyChild | None, sampled: bool) -> Any:
        if early is not None:
            return early.shown
        return _SPAWN.RawValue(ctypes.c_ubyte) if sampled else ctypes.c_ubyte()

    def _start(self, early: EarlyChild | None = None) -> None:
        _open_executors.add(self)
        if early is not None:
            self._pipe, self._process = early.pipe, early.process
        else:
            self._pipe, theirs = _SPAWN.Pipe()
            self._process = _SPAWN.Process(target=live, args=(theirs, self._shown), daemon=True)
            start(self._process)
            theirs.close()
        self._sampling.child(self.pid, self._shown)
        self._started = time.monotonic()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # In threads, so that a child that stops in the middle of a message cannot block the rank.
        inbox, wake = self._inbox, self._wake

        def arrive(message: object) -> None:
            inbox.put(message)
            if not isinstance(message, Step | Log):  # the rank does not wait for these
                wake.set()

        threading.Thread(target=receive, args=(self._pipe, arrive), daemon=True).start()
        threading.Thread(target=transmit, args=(self._pipe, self._outbox), daemon=True).start()

    def _handle(self, message: object) -> None:
        now = time.monotonic()
        if isinstance(message, Ready):
            # The time limits of a task do not include start-up and imports.
            self.is_ready, self._task_began, self._step_began = True, now, now
            self._deaths_at_start = 0
        elif isinstance(message, Step):
            self.step, self.how_far = message.name, message.how_far
            if not message.how_far:
                self._step_began = now
                self._sampling.step(message.name)
        elif isinstance(message, Log):
            logging.getLogger(message.name).log(message.level, message.message)

    def _enforce_limits(self) -> Outcome | None:
        """Replace the child if its task exceeds a limit; the outcome of that task, or None."""
        if self._task is None:
            return None
        now = time.monotonic()
        late = self._excess_time(now)
        # Memory first: an item that exceeds both limits is recorded by one rule, and a second try
        # with more time would exceed that of memory again.
        if late or now - self._memory_checked > _MEMORY_CHECK_SECONDS:
            self._memory_checked = now
            excess = self._excess_memory()
            if excess:
                return self._replace("out-of-memory", excess)
        return self._replace("timeout", late) if late else None

    def _excess_time(self, now: float) -> str:
        """How the task exceeds its time limits; empty if it does not. The item's comes first."""
        settings, again = self._settings, self._task is not None and self._task.again
        factor = 2 if again else 1
        for scope, began, limit in (
            ("orbit", self._task_began, settings.orbit_timeout_seconds),
            ("instrument", self._step_began, settings.instrument_timeout_seconds),
        ):
            if now - began > factor * limit:
                doubled = ", doubled" if again else ""
                return f"took longer than {scope}_timeout_seconds = {limit:g}{doubled}"
        return ""

    def _excess_memory(self) -> str:
        """How the child exceeds its memory limit; empty if it does not, or there is none."""
        limit = self._settings.memory_limit_mb
        if not (limit or self._memory_share):
            return ""
        resident = _resident_mb(self.pid)
        self._sampling.memory(resident)
        if limit:
            return (
                f"needed {resident:.0f} MB, but memory_limit_mb = {limit}"
                if resident > limit
                else ""
            )
        share = self._memory_share / 2**20
        if resident + _resident_mb(os.getpid()) > share:
            return (
                f"needed {resident:.0f} MB, but the rank's share of the job's memory limit is "
                f"{share:.0f} MB"
            )
        return ""

    def _enforce_start(self) -> Outcome | None:
        """Kill a child that is not ready in time."""
        if self._begin is None or time.monotonic() - self._started < _START_SECONDS:
            return None
        self._process.kill()  # the next `poll` handles its death
        self._started = time.monotonic()
        return None

    def _handle_death(self) -> Outcome | None:
        """Replace a child that died; the outcome of its task if it killed two, or None."""
        self._process.join(_JOIN_SECONDS)
        code = self._process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if not self.is_ready:
            self._deaths_at_start += 1
            if self._deaths_at_start == _STARTS:
                raise RuntimeError(
                    f"{_STARTS} compute processes ended, the last {how}, before they were ready; "
                    "see their output above"
                )
            self._restart()
            return None
        if self._task is not None and not self._task.careful:
            # Try again with the reader that does not crash: if that fails too, it says why.
            log.warning("item %s: the compute process ended %s; retrying", self._task.item.id, how)
            self._sampling.child_lost("killed", f"ended {how}; retrying", self._limit_mb())
            self._task = replace(self._task, careful=True)
            self._restart()
            return None
        return self._replace(
            "killed", f"failed: its compute process ended {how}, for the second time"
        )

    def _replace(self, reason: Reason, why: str) -> Outcome | None:
        """Replace the child; returns the outcome of the task it had, or None if it had none."""
        task, self._task = self._task, None
        if task is None:
            self._restart()
            return None
        message = f"{self.step or 'start'} of item {task.item.id} {why}"
        log.error("%s: %s", reason, message)
        self._sampling.child_lost(reason, message, self._limit_mb())
        self._restart(task)
        return Outcome([Failure(self.step or "start", task.phase, reason, message)])

    def _limit_mb(self) -> float:
        """Memory limit of the child in MB; 0: unlimited."""
        return self._settings.memory_limit_mb or self._memory_share / 2**20

    def _restart(self, dropped: Task | None = None) -> None:
        """Start a new child with the phase and the task of the old one.

        Unfinished files of that task, or of the `dropped` one, are removed.
        """
        self._kill()
        for task in (dropped, self._task):
            if task is not None and self._begin is not None:
                with contextlib.suppress(OSError):
                    sweep_files(self._begin.workspace.run_dir, task.phase, task.item)
        self._start()
        if self._begin is not None:
            self.begin(self._begin.phase, self._begin.workspace)
        if self._task is not None:
            self.submit(self._task)

    def _kill(self) -> None:
        self._process.kill()
        # A process that waits for a dead file server cannot be killed, and is left behind.
        self._process.join(_JOIN_SECONDS)
        self._outbox.put(End())
        self._pipe.close()


def _resident_mb(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0
