"""The worker: computes the tasks it is assigned, one at a time."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

from spectro_mpi.errors import RunError
from spectro_mpi.mpi.messages import (
    Assign,
    Begin,
    Collect,
    Credit,
    Done,
    Drain,
    Drained,
    Drop,
    Message,
    Partial,
    Result,
    TaskDone,
    ToWorker,
    Trouble,
    WorkerFinish,
    WorkerStatus,
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.phases.contributions import Contributions, Group
from spectro_mpi.phases.executor import Executor
from spectro_mpi.phases.interface import MergingPhase
from spectro_mpi.phases.registry import make_phase
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.planning.stacks import CREDIT_BYTES, CREDIT_OWED_BYTES, REPORT_SECONDS
from spectro_mpi.resources.sampling import Sampling
from spectro_mpi.system.activity import Doing
from spectro_mpi.system.logs import FailureMark

log = logging.getLogger(__name__)

_STATUS_SECONDS = 0.5
"""Least time between two status messages."""


class Worker:
    """Runs tasks in its executor, sends results to the writer, and merges contributions."""

    accepts = ToWorker

    def __init__(
        self,
        transport: Transport,
        executor: Executor,
        coordinator: int,
        writer: int,
        window: int,
        sampling: Sampling | None = None,
    ) -> None:
        """`window`: finished items that may be uncommitted (`planning.stacks.window_of`)."""
        self.finished = False
        self._transport = transport
        self._executor = executor
        self._coordinator = coordinator
        self._writer = writer
        self._sampling = sampling or Sampling()
        self._waiting: deque[Task] = deque()
        self._task: Task | None = None
        self._began = 0.0
        self._held: Result | None = None
        """A result that cannot be sent yet, for lack of credit."""
        self._in_flight = 0
        """Bytes of results sent for which the writer has not returned credit."""
        self._window = window
        self._uncommitted = 0
        """Finished items that are not on disk yet."""
        self._begun: Begin | None = None
        self._is_ready = False
        """Whether the executor knows the current phase."""
        self._contributions: Contributions | None = None
        """What the items of the current phase contribute to its artifact of the run; None: nothing
        yet."""
        self._retry_timeouts = False
        self.troubled = False
        self._done: list[TaskDone] = []
        self._reported = 0.0
        """When tasks were last reported done, on the monotonic clock."""
        self._status_sent = 0.0
        self._status: Doing | None = None

    @property
    def is_starved(self) -> bool:
        """Whether it has no task, so that its core is idle, or holds a result."""
        return self._task is None or self._held is not None

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Begin():
                self._begun, self._contributions = message, None
                self._retry_timeouts = message.workspace.config.run.retry_timeouts
                self._is_ready = False
            case Assign():
                self._get_ready()
                self._waiting.extend(message.tasks)
            case Credit():
                self._in_flight -= message.nbytes
                self._uncommitted -= message.items
            case Drain():
                self._send_coordinator(Drained(self._transport.rank, len(self._waiting)))
                self._waiting.clear()
            case Drop():
                self._drop()
            case Collect():
                groups = self._contributions.groups if self._contributions is not None else ()
                self._send_coordinator(Partial(self._transport.rank, tuple(groups)))
                self._contributions = None
            case WorkerFinish():
                self.finished = True
            case _:
                raise TypeError(f"unexpected message for a worker: {message}")

    def step(self) -> bool:
        """Poll the current task, or start the next; returns whether there was anything to do."""
        if self._held is not None:
            return self._send_held()
        if self._task is None:
            return self._start_next()
        if self.troubled:
            return False
        try:
            outcome = self._executor.poll()
        except RunError as error:
            self.troubled = True  # compute no more; the coordinator ends the run
            self._send_coordinator(Trouble(str(error), error.cause))
            return False
        if outcome is None:
            self._report_status()
            return False
        self._handle_outcome(self._task, outcome)
        return True

    def close(self) -> None:
        """Close the executor and with it the compute process."""
        self._executor.close()

    def _get_ready(self) -> None:
        """Have the executor import what the phase needs; a worker without tasks need not."""
        if self._begun is not None and not self._is_ready:
            self._is_ready = True
            self._executor.begin(self._begun.phase, self._begun.workspace)

    def _start_next(self) -> bool:
        """Begin the next task, unless too many finished items are not on disk yet."""
        if not self._waiting or self._uncommitted >= self._window:
            return False
        self._task = self._waiting.popleft()
        self._began = time.monotonic()
        self._sampling.begins(self._task.phase, self._task.item.id)
        self._executor.submit(self._task)
        return True

    def _handle_outcome(self, task: Task, outcome: Outcome) -> None:
        """Record the outcome of a task: to the log, the writer, the partial, the coordinator."""
        seconds = time.monotonic() - self._began
        self._sampling.done(
            task.phase, task.item.id, task.size, seconds, len(outcome.failures), outcome.spent
        )
        self._task = None
        again = self._is_worth_retrying(task, outcome)
        has_result = task.has_result and not again
        self._uncommitted += has_result
        self._start_next()  # first, because the core is idle until then
        # An item restored with failures is done again, and contributes then.
        is_redone = task.mode == "restore" and bool(outcome.failures)
        if not (again or is_redone) and outcome.partial is not None:
            self._merge(task.item.id, outcome.partial)
        for failure in outcome.failures:
            mark = FailureMark(task.item.id, failure.instrument, failure.phase)
            log.error("%s: %s: %s", mark, failure.reason, failure.message)
        done = "read back" if task.mode == "restore" else "computed"
        log.info("item %s: %s %s in %.3f s", task.item.id, task.phase, done, seconds)
        failures = tuple(outcome.failures)
        rank = self._transport.rank
        if has_result:
            self._held = Result(
                rank,
                task.phase,
                task.item.id,
                failures,
                outcome.data,
                task.fingerprint,
                task.parts or {},
            )
            self._send_held()
        self._done.append(TaskDone(task.item.id, failures, seconds, again, outcome.lost_input))
        # Small tasks share a message while there is more to do.
        is_due = self._began - self._reported > REPORT_SECONDS
        if self._task is None or not self._waiting or is_due:
            self._reported = self._began
            self._report_done()

    def _is_worth_retrying(self, task: Task, outcome: Outcome) -> bool:
        """Whether to do the task again instead of recording its failures."""
        if not task.has_result:
            return False
        if any(failure.reason == "timeout" for failure in outcome.failures):
            return self._retry_timeouts and not task.again
        # Input that cannot be read from the store is computed again, once.
        was_stored = bool(task.data_files) and not task.remade
        return was_stored and outcome.lost_input

    def _merge(self, item: str, partial: Any) -> None:
        if self._begun is None:
            return
        if self._contributions is None:
            phase = make_phase(self._begun.phase, self._begun.workspace)
            if not isinstance(phase, MergingPhase):
                return
            self._contributions = Contributions(phase, self._begun.group_size)
        self._contributions.add(Group([item], partial))

    def _report_done(self) -> None:
        self._send_coordinator(Done(self._transport.rank, tuple(self._done)))
        self._done = []

    def _drop(self) -> None:
        """Drop the current task and return all tasks that are not done."""
        self._executor.close()
        if self._done:
            self._report_done()
        left = len(self._waiting) + (self._task is not None)
        self._waiting.clear()
        self._task = None
        self._send_coordinator(Drained(self._transport.rank, left))

    def _send_held(self) -> bool:
        """Send the held result if there is credit for it; returns whether it was sent."""
        result = self._held
        if result is None:
            return False
        in_flight = self._in_flight
        # The writer returns credit only from this many bytes on: waiting for less may never end.
        if in_flight > CREDIT_OWED_BYTES and in_flight + result.nbytes > CREDIT_BYTES:
            return False
        self._in_flight += result.nbytes
        self._transport.send(self._writer, result)
        self._held = None
        return True

    def _report_status(self) -> None:
        if self._task is None:
            return
        executor = self._executor
        status = Doing(self._task.phase, self._task.item.id, executor.step, executor.how_far)
        now = time.monotonic()
        if status != self._status and now - self._status_sent > _STATUS_SECONDS:
            self._status, self._status_sent = status, now
            self._send_coordinator(WorkerStatus(self._transport.rank, status))

    def _send_coordinator(self, message: Message) -> None:
        self._transport.send(self._coordinator, message)
