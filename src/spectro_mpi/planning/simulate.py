"""Predict how long a run takes: a discrete-event simulation of start, reduce, gather, plot and end.

Items are given to workers as by the coordinator, but nothing is computed. Coordinator and writer
process one message at a time; workers share the cores evenly.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spectro_mpi.planning.costs import Constants, ItemCost
from spectro_mpi.planning.stacks import (
    AHEAD,
    CREDIT_BYTES,
    REPORT_SECONDS,
    Feeder,
    snake,
    tasks_ahead,
    worker_count,
)
from spectro_mpi.settings.schema import Config

WORTHWHILE = 0.8
"""Lowest efficiency of a worker for which more ranks are recommended."""

_CREDIT_MB = CREDIT_BYTES / 1e6

_CLOSE = 0.02
"""Tolerance of the number of workers at the knee, relative to it."""


@dataclass(frozen=True)
class Simulated:
    """The result of a simulation."""

    ranks: int
    workers: int
    makespan: float
    """Time from launch to exit, s."""
    phases: Mapping[str, float]
    """Times of start, reduce, gather, plot and end, s."""
    coordinator: float
    """Share of reduce and plot during which the coordinator is busy."""
    writer: float
    """Share of reduce and plot during which the writer is busy."""


def simulate(
    jobs: Sequence[ItemCost],
    config: Config,
    constants: Constants,
    ranks: int,
    cores: int | None = None,
) -> Simulated:
    """Simulate a run on `ranks` MPI ranks, which share `cores` (None: a core for each rank)."""
    play = _Play(config, constants, ranks, cores)
    started = constants.start * play.crowd
    reduced = play.phase(jobs, False, started, constants.child_start if play.isolated else 0.0)
    gathered = reduced + len(play.workers) * (constants.message + constants.merge)
    plotted = play.phase(jobs, True, gathered, constants.plot_start)
    ended = plotted + constants.finish_item * len(jobs)
    phases = {
        "start": started,
        "reduce": reduced - started,
        "gather": gathered - reduced,
        "plot": plotted - gathered,
        "end": ended - plotted,
    }
    served = max(phases["reduce"] + phases["plot"], 1e-9)
    return Simulated(
        ranks=ranks,
        workers=len(play.workers),
        makespan=ended,
        phases=phases,
        coordinator=play.coordinator.busy / served,
        writer=play.writer.busy / served,
    )


def efficiency(alone: Simulated, many: Simulated) -> float:
    """Work done per second by a worker of `many`, relative to the single worker of `alone`."""
    return alone.makespan / (many.workers * many.makespan)


def knee(
    jobs: Sequence[ItemCost],
    config: Config,
    constants: Constants,
    alone: Simulated,
    cores: int | None = None,
) -> Simulated:
    """The run with the most workers that reach `WORTHWHILE`, to within 2 % of their number.

    `alone` is the run with one worker. Efficiency is assumed to fall as workers are added.
    """
    low, best = 1, alone
    high = 1 + _most_workers(jobs, config, constants, alone.makespan)
    step = max(1, int(_CLOSE * high))
    while high - low > max(1, int(_CLOSE * low)):
        # The knee is usually close to the upper bound, so look there first.
        middle = (low + high) // 2
        workers = max(high - step, middle) if best is alone else middle
        played = simulate(jobs, config, constants, workers + 2, cores)
        if efficiency(alone, played) >= WORTHWHILE:
            low, best = workers, played
        else:
            high, step = workers, 4 * step
    return best


def _most_workers(
    jobs: Sequence[ItemCost], config: Config, constants: Constants, alone: float
) -> int:
    """Upper bound on worthwhile workers, from work that is shared out perfectly evenly."""
    written = len(jobs) * (constants.write_item + constants.journal / config.run.batch_size(1))
    megabytes = sum(job.result for job in jobs)
    servers = written + constants.write_mb * megabytes, written
    work = [job.reduce for job in jobs], [job.plot for job in jobs]

    def makespan(workers: int) -> float:
        reduce, plot = (
            max(max(seconds), sum(seconds) / workers, server)
            for seconds, server in zip(work, servers, strict=True)
        )
        gather = workers * (constants.message + constants.merge)
        return constants.start + reduce + gather + plot + constants.finish_item * len(jobs)

    low, high = 1, len(jobs) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if alone >= WORTHWHILE * middle * makespan(middle):
            low = middle
        else:
            high = middle
    return low


@dataclass
class _Server:
    """A rank that processes one message at a time, in the order in which they arrive."""

    free: float = 0.0
    """Time from which it is idle, s."""
    busy: float = 0.0
    """Total time it was busy, s."""

    def take(self, now: float, seconds: float) -> float:
        """Process a message that arrives `now` and takes `seconds`; returns when it is done."""
        self.free = max(now, self.free) + seconds
        self.busy += seconds
        return self.free


@dataclass
class _Worker:
    """State of a worker: tasks that wait, results on the way to the writer."""

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
    held: bool = False
    """Whether the current result waits for credit."""
    in_flight: float = 0.0
    """Results on the way to the writer, MB."""
    credits: deque[tuple[float, float]] = field(default_factory=deque)
    """(time at which the writer returns it, MB)."""
    frames: int = 0
    """Bit set of the frames drawn so far."""


class _Play:
    """A simulated run. Events come in the order of time, so servers need no queue."""

    def __init__(self, config: Config, constants: Constants, ranks: int, cores: int | None) -> None:
        self.workers = [_Worker() for _ in range(worker_count(ranks))]
        self.coordinator, self.writer = _Server(), _Server()
        self.isolated = config.run.isolation == "process"
        self.crowd = 1.0 if cores is None else max(1.0, ranks / cores)
        """Ranks per core, at least 1."""
        self._config, self._constants = config, constants
        # Ranks that wait use some time to poll for messages.
        waiting = ranks if self.isolated else min(ranks - 1, 2)
        available = float("inf") if cores is None else cores - waiting * constants.polling
        self._cores = max(available, 0.1)
        # Whether coordinator and writer take time from the workers.
        in_one = ranks == 1 and not self.isolated
        self._shared = in_one or (cores is not None and len(self.workers) >= cores)

    def phase(self, jobs: Sequence[ItemCost], drawing: bool, now: float, ready: float) -> float:
        """Simulate a phase that starts `now`; workers need `ready` s to start. Returns its end."""
        self._drawing, self._ready, self._now, self._work = drawing, ready, now, 0.0
        self._feeder = Feeder(
            snake(jobs, len(self.workers)), self._config.run.schedule == "balanced"
        )
        self._set_costs(jobs)
        self._computing: list[tuple[float, int]] = []
        """(work done when its task ends, worker): all current tasks advance at the same rate."""
        self._coming: list[tuple[float, int]] = []
        """(time, worker): when an idle worker continues."""
        for place, worker in enumerate(self.workers):
            worker.reported = self.coordinator.take(now, self._constants.message)
            worker.waiting.append((worker.reported, None))
            self._feed(place, worker, worker.reported, AHEAD)
            self._coming.append((worker.reported, place))
        self._play()
        end = max(self._now, self.coordinator.free, self.writer.free)
        return self.writer.take(end, self._commit)

    def _set_costs(self, jobs: Sequence[ItemCost]) -> None:
        constants = self._constants
        self._commit = constants.journal if self._drawing else constants.commit
        self._batch_share = self._commit / self._config.run.batch_size(len(self.workers))
        self._extra = constants.task if self.isolated else 0.0
        if self._shared:
            self._extra += constants.message + constants.write_item
            self._extra += constants.supervise if self.isolated else 0.0
        self._pace = constants.pace if self.isolated else 1.0
        self._mean = sum(job.plot if self._drawing else job.reduce for job in jobs) / len(jobs)

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
                worker = self.workers[place]
                if worker.held:
                    self._deliver(place, worker)
                else:
                    self._start(place, worker)
            else:
                self._now = ends
                self._work, place = heapq.heappop(computing)
                worker = self.workers[place]
                if worker.job is None:
                    self._start(place, worker)
                else:
                    self._deliver(place, worker)

    def _start(self, place: int, worker: _Worker) -> bool:
        """Begin the next task, or wait until it arrives. Returns whether there is one."""
        if not worker.waiting:
            return False
        arrives, job = worker.waiting[0]
        if arrives > self._now:
            heapq.heappush(self._coming, (arrives, place))
            return True
        worker.waiting.popleft()
        worker.job = job
        heapq.heappush(self._computing, (self._work + self._seconds(worker, job), place))
        return True

    def _seconds(self, worker: _Worker, job: ItemCost | None) -> float:
        if job is None:
            return self._ready
        if not self._drawing:
            written = job.result * self._constants.write_mb if self._shared else 0.0
            return self._pace * job.reduce + self._extra + written
        missing = (job.frames & ~worker.frames).bit_count()
        worker.frames |= job.frames
        return self._pace * (job.plot + missing * self._constants.frame) + self._extra

    def _deliver(self, place: int, worker: _Worker) -> None:
        """Send the current result to the writer, once there is credit, and begin the next task."""
        assert worker.job is not None
        megabytes = 0.0 if self._drawing else worker.job.result
        while worker.credits and worker.credits[0][0] <= self._now:
            worker.in_flight -= worker.credits.popleft()[1]
        if worker.credits and worker.in_flight + megabytes > _CREDIT_MB:
            worker.held = True
            heapq.heappush(self._coming, (worker.credits[0][0], place))
            return
        worker.held = False
        constants = self._constants
        seconds = constants.write_item + constants.write_mb * megabytes + self._batch_share
        written = self.writer.take(self._now, seconds)
        if megabytes:
            worker.in_flight += megabytes
            worker.credits.append((written, megabytes))
        worker.unreported += 1
        has_task = self._start(place, worker)
        if not worker.waiting or self._now - worker.reported > REPORT_SECONDS:
            self._report(place, worker)
            if not has_task:
                self._start(place, worker)

    def _report(self, place: int, worker: _Worker) -> None:
        """Report finished tasks to the coordinator, which sends new tasks in return."""
        answered = self.coordinator.take(self._now, self._constants.message)
        worker.assigned -= worker.unreported
        worker.reported, worker.unreported = self._now, 0
        left = len(self._feeder) / len(self.workers)
        self._feed(place, worker, answered, tasks_ahead(self._mean, left))

    def _feed(self, place: int, worker: _Worker, arrives: float, ahead: int) -> None:
        while worker.assigned < ahead:
            job = self._feeder.next_for(place)
            if job is None:
                return
            worker.waiting.append((arrives, job))
            worker.assigned += 1
