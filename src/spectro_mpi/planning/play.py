"""One phase of a run, event by event: coordinator, workers and writer, but nothing is computed.

Items are given to workers as by the coordinator. Coordinator and writer process one message at a
time; workers share the cores evenly. The writer commits what it has received when it has a batch,
and as soon as a worker may begin no other item before that, or soon may not (`hurried_at`).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from spectro_mpi.planning.costs import Constants, ItemCost
from spectro_mpi.planning.stacks import (
    AHEAD,
    REPORT_SECONDS,
    Feeder,
    hurried_at,
    snake,
    tasks_ahead,
    window_of,
    worker_count,
)
from spectro_mpi.settings.schema import Config

_RECEIVED_AT_ONCE = 64
"""Messages the writer receives before it looks whether to commit."""

_WRITER = -1
"""In an event, in place of a worker: the writer is done with what it did."""


class Coordinator:
    """Processes one message at a time, in the order in which they arrive."""

    def __init__(self, constants: Constants, in_each: float) -> None:
        """`in_each`: seconds more for each message that begins a phase."""
        self.free = 0.0
        """Time from which it is idle, s."""
        self.busy = 0.0
        """Total time it was busy, s."""
        self._constants = constants
        self._in_each = in_each

    def take(self, now: float, begins: bool = False) -> float:
        """Process a message that arrives `now`; returns when it is done.

        One of many that wait costs less, because nothing needs to be woken.
        """
        waits = self.free > now
        cost = self._constants.message_busy if waits else self._constants.message
        cost += self._in_each if begins else 0.0
        self.free = max(now, self.free) + cost
        self.busy += cost
        return self.free


@dataclass
class Writer:
    """What the writer has received and does now."""

    queue: deque[tuple[int, float]] = field(default_factory=deque)
    """(worker, seconds to receive) of results that have arrived."""
    batch: list[int] = field(default_factory=list)
    """Workers of the results received and not committed."""
    received: list[int] = field(default_factory=list)
    """Workers of the results that it receives now."""
    committing: list[int] = field(default_factory=list)
    """Workers of the results that it commits now."""
    working: bool = False
    busy: float = 0.0
    """Time it was busy in the phase, s."""
    receiving: float = 0.0
    """The part of it in which it received results."""


@dataclass
class Worker:
    """State of a worker: tasks that wait, results that are not committed."""

    window: int
    """It begins an item only while fewer of its finished ones are uncommitted."""
    hurried_at: int
    """With so many the writer commits."""
    waiting: deque[tuple[float, ItemCost | None]] = field(default_factory=deque)
    """(time of arrival, job); None instead of a job: to get ready."""
    job: ItemCost | None = None
    """The current job."""
    assigned: int = 0
    """Tasks not yet reported to the coordinator as done."""
    reported: float = 0.0
    """Time of the last report to the coordinator."""
    unreported: int = 0
    """Tasks done since then."""
    uncommitted: int = 0
    """Finished items that are not committed."""
    held: int = 0
    """Those of them that the writer has received."""
    blocked: bool = False
    """Whether it waits for a commit."""
    freed: float = 0.0
    """When it finished its last task."""
    frames: int = 0
    """Bit set of the frames drawn."""


class Play:
    """The ranks of a run, during one phase after the other."""

    def __init__(
        self,
        config: Config,
        constants: Constants,
        ranks: int,
        cores: int | None,
        marks: int = 0,
    ) -> None:
        count = worker_count(ranks)
        self.batch = config.run.batch_size(count)
        """Items per commit."""
        windows = [window_of(place, count, self.batch) for place in range(count)]
        self.workers = [Worker(window, hurried_at(window, count)) for window in windows]
        self.coordinator = Coordinator(constants, marks * constants.mark)
        self.writer = Writer()
        self.isolated = config.run.isolation == "process"
        self.busy_writing = 0.0
        """Total time the writer was busy, s."""
        self.lost = dict.fromkeys(("writer", "commits", "coordinator", "last"), 0.0)
        """Why workers waited → worker-seconds."""
        self._config = config
        self._constants = constants
        self._cores = float("inf")
        """Cores for the workers: waiting ranks use a part of them."""
        self.crowd = 1.0
        """Time of a rank's start, relative to that on a separate core."""
        if cores is not None:
            serving = min(2, max(0, ranks - 1))
            waiting = serving + (count if self.isolated else 0)
            self._cores = max(0.5, cores - constants.polling * waiting)
            self.crowd = max(1.0, ranks / cores)
        # With no spare core, coordinator and writer take time from the workers.
        in_one = ranks == 1 and not self.isolated
        self._shared = in_one or (cores is not None and count >= cores)

    def phase(self, jobs: Sequence[ItemCost], drawing: bool, now: float, ready: float) -> float:
        """Simulate a phase that starts `now`; workers need `ready` s to start. Returns its end."""
        self._drawing, self._ready, self._now, self._work = drawing, ready, now, 0.0
        self._feeder = Feeder(
            snake(jobs, len(self.workers)), self._config.run.schedule == "balanced"
        )
        self._set_costs(jobs)
        self._blocked = 0
        """Workers of whom the writer has received so many items that it commits."""
        self._waited_for_commits = 0.0
        self._computing: list[tuple[float, int]] = []
        """(work done when its task ends, worker): all current tasks advance at the same rate."""
        self._coming: list[tuple[float, int]] = []
        """(time, worker): when an idle worker continues; or `_WRITER`."""
        self.writer.receiving = self.writer.busy = 0.0
        for place, worker in enumerate(self.workers):
            worker.reported = self.coordinator.take(now, begins=True)
            worker.freed = worker.reported
            worker.waiting.append((worker.reported, None))
            self._feed(place, worker, worker.reported, AHEAD)
            heapq.heappush(self._coming, (worker.reported, place))
        self._play()
        end = max(self._now, self.coordinator.free)
        end += self._commit if self.writer.batch else self._constants.journal
        self.busy_writing += self.writer.busy
        self._close(end)
        return end

    def _close(self, end: float) -> None:
        """Commit what is left, and count the time that workers lost in the phase."""
        receiving = self.writer.receiving / max(self.writer.busy, 1e-9)
        self.lost["writer"] += self._waited_for_commits * receiving
        self.lost["commits"] += self._waited_for_commits * (1 - receiving)
        for worker in self.workers:
            self.lost["last"] += end - worker.freed
            worker.uncommitted = worker.held = 0
            worker.blocked = False
        self.writer.batch = []

    def _set_costs(self, jobs: Sequence[ItemCost]) -> None:
        constants, drawing = self._constants, self._drawing
        self._commit = (
            constants.journal + constants.journal_syncs * constants.fsync
            if drawing
            else constants.commit + constants.commit_syncs * constants.fsync
        )
        self._write_item = constants.write_drawn if drawing else constants.write_item
        self._extra = constants.task if self.isolated else 0.0
        self._extra += constants.figure_syncs * constants.fsync if drawing else 0.0
        if self._shared:
            self._extra += constants.message + self._write_item + self._commit / self.batch
            self._extra += constants.supervise if self.isolated else 0.0
        self._pace = constants.pace if self.isolated else 1.0
        self._mean = sum(job.plot if drawing else job.reduce for job in jobs) / len(jobs)

    def _play(self) -> None:
        computing, coming = self._computing, self._coming
        while computing or coming:
            rate = min(1.0, self._cores / len(computing)) if computing else 1.0
            ends = float("inf")
            if computing:
                ends = self._now + (computing[0][0] - self._work) / rate
            if coming and coming[0][0] <= ends:
                at, place = heapq.heappop(coming)
                if at > self._now:
                    self._work += (at - self._now) * rate
                    self._now = at
                if place == _WRITER:
                    self._writer_done()
                else:
                    self._begin(place)
            else:
                self._now = ends
                self._work, place = heapq.heappop(computing)
                self._finish(place)

    def _begin(self, place: int) -> bool:
        """Begin the next task, or wait until it may. Returns whether there is one."""
        worker = self.workers[place]
        if not worker.waiting:
            return False
        if worker.uncommitted >= worker.window:
            worker.blocked = True
            return True
        arrives, job = worker.waiting[0]
        if arrives > self._now:
            self.lost["coordinator"] += arrives - self._now
            worker.freed = arrives
            heapq.heappush(self._coming, (arrives, place))
            return True
        worker.waiting.popleft()
        worker.job = job
        heapq.heappush(self._computing, (self._work + self._seconds(worker, job), place))
        return True

    def _seconds(self, worker: Worker, job: ItemCost | None) -> float:
        if job is None:
            return self._ready
        if not self._drawing:
            written = job.result * self._constants.write_mb if self._shared else 0.0
            return self._pace * job.reduce + self._extra + written
        missing = (job.frames & ~worker.frames).bit_count()
        worker.frames |= job.frames
        return self._pace * (job.plot + missing * self._constants.frame) + self._extra

    def _finish(self, place: int) -> None:
        """Send the result of a task to the writer, and begin the next one."""
        worker = self.workers[place]
        worker.freed = self._now
        if worker.job is None:
            self._begin(place)
            return
        megabytes = 0.0 if self._drawing else worker.job.result
        worker.uncommitted += 1
        seconds = self._write_item + self._constants.write_mb * megabytes
        self.writer.queue.append((place, seconds))
        if not self.writer.working:
            self._writer_next()
        worker.unreported += 1
        has_task = self._begin(place)
        if not worker.waiting or self._now - worker.reported > REPORT_SECONDS:
            self._report(place, worker)
            if not has_task:
                self._begin(place)

    def _writer_next(self) -> None:
        """Receive what has arrived; when that is done, commit if it is time to."""
        writer = self.writer
        if writer.batch and (self._blocked or len(writer.batch) >= self.batch):
            writer.committing, writer.batch = writer.batch, []
            seconds = self._commit
        elif writer.queue:
            seconds = 0.0
            for _ in range(min(len(writer.queue), _RECEIVED_AT_ONCE)):
                place, cost = writer.queue.popleft()
                writer.received.append(place)
                seconds += cost
            writer.receiving += seconds
        else:
            writer.working = False
            return
        writer.working = True
        writer.busy += seconds
        heapq.heappush(self._coming, (self._now + seconds, _WRITER))

    def _writer_done(self) -> None:
        """Note what the writer has done: it received results, or committed them."""
        writer = self.writer
        for place in writer.received:
            worker = self.workers[place]
            worker.held += 1
            self._blocked += worker.held == worker.hurried_at
        writer.batch += writer.received
        writer.received = []
        for place in writer.committing:
            worker = self.workers[place]
            self._blocked -= worker.held == worker.hurried_at
            worker.held -= 1
            worker.uncommitted -= 1
            if worker.blocked:
                worker.blocked = False
                self._waited_for_commits += self._now - worker.freed
                worker.freed = self._now
                heapq.heappush(self._coming, (self._now, place))
        writer.committing = []
        self._writer_next()

    def _report(self, place: int, worker: Worker) -> None:
        """Report finished tasks to the coordinator, which sends new tasks in return."""
        answered = self.coordinator.take(self._now)
        worker.assigned -= worker.unreported
        worker.reported, worker.unreported = self._now, 0
        left = len(self._feeder) / len(self.workers)
        self._feed(place, worker, answered, tasks_ahead(self._mean, left))

    def _feed(self, place: int, worker: Worker, arrives: float, ahead: int) -> None:
        while worker.assigned < ahead:
            job = self._feeder.next_for(place)
            if job is None:
                return
            worker.waiting.append((arrives, job))
            worker.assigned += 1
