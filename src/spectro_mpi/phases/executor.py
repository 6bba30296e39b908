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
import queue
import signal
import threading
import time
import weakref
from dataclasses import replace
from typing import Any, Protocol

from spectro_mpi.errors import Failure, Reason
from spectro_mpi.phases.child import Begin, Log, Ready, Step, Trouble, live
from spectro_mpi.phases.compute import ReadyPhase, make_ready
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.rundir.layout import sweep_files
from spectro_mpi.settings.schema import RunSettings
from spectro_mpi.system.processes import End, receive, transmit

log = logging.getLogger(__name__)
_SPAWN = multiprocessing.get_context("spawn")
_MEMORY_CHECK_SECONDS = 0.1

_START_SECONDS = 300.0
"""A child that has not imported what it needs by then is replaced: file servers can be slow."""
_LAST_SECONDS = 5.0

_STARTS = 3
"""Children that may die one after the other before they are ready; then it is not the items."""


class Executor(Protocol):
    """Computes one task at a time."""

    step: str
    """The step the task at hand is in."""
    how_far: str
    """How far that step is, as in "3/10"; empty: it does not tell."""

    def begin(self, phase: str, workspace: Workspace) -> None:
        """Get ready for the tasks of a phase."""
        ...

    def submit(self, task: Task) -> None:
        """Start a task; the one before it has been collected."""
        ...

    def poll(self) -> Outcome | None:
        """The outcome of the task at hand, once there is one.

        Raises `RunError` where the output cannot be written; the task is then not done.
        """
        ...

    def close(self) -> None:
        """End; a task at hand is dropped."""
        ...


class InlineExecutor:
    """Computes in the calling process, within `poll`."""

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


_living: weakref.WeakSet[ChildExecutor] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Before multiprocessing waits for its children: ours do not heed its SIGTERM."""
    for executor in list(_living):
        executor.close()


class ChildExecutor:
    """Computes in a child process, which is killed and replaced when it must be.

    A task that takes longer than its limits, needs more memory than it may, or kills two children
    comes back as an outcome with the failure that says so. Files it was at are swept away.
    """

    def __init__(
        self,
        settings: RunSettings,
        memory_share: int = 0,
        sampling: Sampling | None = None,
        wake: threading.Event | None = None,
    ) -> None:
        """`memory_share`: bytes for child and rank together if the settings do not say; 0: any.

        `wake` is set when the child has sent something that is waited for.
        """
        self.step = self.how_far = ""
        self._sampling = sampling or Sampling()
        self._shown = ctypes.c_ubyte() if sampling is None else _SPAWN.RawValue(ctypes.c_ubyte)
        """Where the child shows what it is at."""
        self._wake = wake or threading.Event()
        self._settings = settings
        self._memory_share = memory_share
        self._deaths_at_start = 0
        self.is_ready = False
        """Whether the child has imported what its phase needs."""
        self._begin: Begin | None = None
        self._task: Task | None = None
        self._task_began = self._step_began = self._memory_checked = 0.0
        self._start()

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
                    return self._died()
                self._take_in(message)
        return self._enforce_limits() if self.is_ready else self._enforce_start()

    def close(self) -> None:
        _living.discard(self)
        self._kill()

    def _start(self) -> None:
        _living.add(self)
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=live, args=(theirs, self._shown), daemon=True)
        self._process.start()
        theirs.close()
        self._sampling.child(self.pid, self._shown)
        self._started = time.monotonic()
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # Threads, so that a child that stops in the middle of a message cannot stop the rank.
        inbox, wake = self._inbox, self._wake

        def arrive(message: object) -> None:
            inbox.put(message)
            if not isinstance(message, Step | Log):  # nobody waits for those
                wake.set()

        threading.Thread(target=receive, args=(self._pipe, arrive), daemon=True).start()
        threading.Thread(target=transmit, args=(self._pipe, self._outbox), daemon=True).start()

    def _take_in(self, message: object) -> None:
        now = time.monotonic()
        if isinstance(message, Ready):
            # Start-up and imports are not the task's time.
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
        if self._task is None:
            return None
        settings, now = self._settings, time.monotonic()
        times = 2 if self._task.again else 1
        for what, began, limit in (
            ("orbit", self._task_began, settings.orbit_timeout_seconds),
            ("instrument", self._step_began, settings.instrument_timeout_seconds),
        ):
            if now - began > times * limit:
                doubled = ", doubled" if self._task.again else ""
                told = f"took longer than {what}_timeout_seconds = {limit:g}{doubled}"
                return self._replace("timeout", told)
        if now - self._memory_checked > _MEMORY_CHECK_SECONDS:
            self._memory_checked = now
            told = self._excess_memory()
            if told:
                return self._replace("out-of-memory", told)
        return None

    def _excess_memory(self) -> str:
        """Says so if the child has more memory than it may, if there is a limit."""
        limit = self._settings.memory_limit_mb
        if not (limit or self._memory_share):
            return ""
        resident = _resident_mb(self.pid)
        self._sampling.memory(resident)
        if limit:
            return (
                f"needed {resident:.0f} MB, memory_limit_mb = {limit}" if resident > limit else ""
            )
        share = self._memory_share / 2**20
        if resident + _resident_mb(os.getpid()) > share:
            return (
                f"needed {resident:.0f} MB, {share:.0f} MB are the rank's share of the job's limit"
            )
        return ""

    def _enforce_start(self) -> Outcome | None:
        if self._begin is None or time.monotonic() - self._started < _START_SECONDS:
            return None
        self._process.kill()  # its end is noticed like any other
        self._started = time.monotonic()
        return None

    def _died(self) -> Outcome | None:
        self._process.join(_LAST_SECONDS)
        code = self._process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if not self.is_ready:
            self._deaths_at_start += 1
            if self._deaths_at_start == _STARTS:
                raise RuntimeError(
                    f"{_STARTS} compute processes ended, the last {how}, before they were ready; "
                    "their own words stand above"
                )
            self._start_again()
            return None
        if self._task is not None and not self._task.careful:
            # Once more, and by the reader that does not crash: the reason is the file's, then.
            log.warning("item %s: the compute process ended %s; once more", self._task.item.id, how)
            self._sampling.child_lost("killed", f"ended {how}; once more", self._limit_mb())
            self._task = replace(self._task, careful=True)
            self._start_again()
            return None
        return self._replace("killed", f"its compute process ended {how}, for the second time")

    def _replace(self, reason: Reason, told: str) -> Outcome | None:
        """Put a new child in place of the old one; the outcome of the task it had, if any."""
        task, self._task = self._task, None
        if task is None:
            self._start_again()
            return None
        message = f"{self.step or 'start'} of item {task.item.id} {told}"
        log.error("%s: %s", reason, message)
        self._sampling.child_lost(reason, message, self._limit_mb())
        self._start_again(task)
        return Outcome([Failure(self.step or "start", task.phase, reason, message)])

    def _limit_mb(self) -> float:
        """MB the child may have; 0: any."""
        return self._settings.memory_limit_mb or self._memory_share / 2**20

    def _start_again(self, dropped: Task | None = None) -> None:
        """A new child, with the phase and any task of the old one; files at hand are swept."""
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
        # One that waits for a dead file server cannot be ended, and is left behind.
        self._process.join(_LAST_SECONDS)
        self._outbox.put(End())
        self._pipe.close()


def _resident_mb(pid: int) -> float:
    import psutil

    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0
