"""The coordinator: hands out tasks phase by phase, merges what is of the run, shows progress."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from spectro_mpi.errors import Cause, Failure
from spectro_mpi.mpi.messages import (
    Assign,
    Begin,
    Closed,
    Collect,
    Done,
    Drain,
    Drained,
    Drop,
    EndPhase,
    Forget,
    Lose,
    MadeFrom,
    Message,
    Note,
    Partial,
    PhaseCommitted,
    StopRequest,
    TaskDone,
    ToCoordinator,
    Trouble,
    WorkerFinish,
    WorkerStatus,
    WriterFinish,
    WriteRunWide,
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.phases.interface import MergingPhase, Phase
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.stacks import AHEAD, Feeder, snake, tasks_ahead
from spectro_mpi.planning.todo import RunPlan, digest
from spectro_mpi.resources.sampling import Ending, Sampling
from spectro_mpi.rundir.layout import STOP, run_wide_path
from spectro_mpi.rundir.progress import Fact
from spectro_mpi.rundir.reader import read_run_wide
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count
from spectro_mpi.terminal.display import Display

log = logging.getLogger(__name__)

_LONGER_THAN_MEAN = 1.3
"""A task is expected to take so many times the mean of those done, to be on the safe side."""

_STOP_FILE_SECONDS = 1.0
"""Between looks for a STOP file; a look costs the file server something."""


class Coordinator:
    """Goes through the phases in their order, one after the other.

    Within a phase: `_begin_phase` deals the stacks, each `Done` feeds a worker, the last one makes
    the writer commit, and `PhaseCommitted` leads on: through a gathering of the workers' partials
    if the phase gives an artifact of the run.
    """

    accepts = ToCoordinator

    def __init__(
        self,
        transport: Transport,
        config: Config,
        plan: RunPlan,
        workers: Sequence[int],
        writer: int,
        display: Display,
        ends_at: float = math.inf,
        sampling: Sampling | None = None,
    ) -> None:
        """`ends_at`: when everything must be done, by the monotonic clock."""
        self.finished = False
        self.stopped_by = ""
        """What asked for a stop; empty: nothing did."""
        self.stopped_for_good = False
        """Whether somebody wants it not even to be requeued."""
        self.trouble = ""
        """Why the run cannot go on, a sentence; empty: it can."""
        self._cause: Cause | None = None
        """Why the run ends before it is done; None: it does not."""
        self._ending = self._dropping = False
        self._late: list[Task] = []
        """Tasks that took too long, for the end of the phase."""
        self._unreadable: set[str] = set()
        """Items that the store does not give back to the phase at hand."""
        self._remade: set[str] = set()
        """Items that are made again for that."""
        self._transport = transport
        self._config = config
        self._plan = plan
        self._progress = plan.progress
        self._place = {rank: place for place, rank in enumerate(workers)}
        """Worker rank → number of its stack."""
        self._writer = writer
        self._ends_at = ends_at
        self._display = display
        self._sampling = sampling or Sampling()
        run_wide = {
            phase.run_wide.name: read_run_wide(run_wide_path(config.run_dir, phase.run_wide.name))
            for phase in plan.order.phases
            if isinstance(phase, MergingPhase)
        }
        carried = plan.order.carried
        self._workspace = Workspace(config, config.run_dir, run_wide, plan.marks, carried)
        self._phase: Phase = plan.order.phases[0]
        self._feeder: Feeder[Task] = Feeder([])
        self._tasks: dict[str, Task] = {}
        self._assigned = dict.fromkeys(workers, 0)
        self._outstanding = 0
        """Tasks assigned to all workers together, not done or given back yet."""
        self._phase_open = False
        self._results = 0
        self._ahead = AHEAD
        self._fruitful = False
        """Whether any item was finished."""
        self._done = 0
        self._seconds = 0.0
        """Of all tasks done in the phase."""
        self._stop_looked_for = 0.0
        self._whole: Any = None
        """What has been gathered of the partials."""
        self._partials = 0

    @property
    def is_starved(self) -> bool:
        """Between phases everyone waits for everyone."""
        return not self._phase_open

    @property
    def ending(self) -> Ending:
        """How the run has ended."""
        return Ending(self._cause, self.trouble or self.stopped_by)

    def start(self) -> None:
        """Send the first messages."""
        for again in self._plan.again:
            self._tell_writer(Forget(again.items, again.phases))
        facts: dict[str, Fact] = {
            "items_total": len(self._plan.items),
            "phases": self._progress.phases,
        }
        self._tell_writer(Note(facts))
        self._go_on(0)

    def handle(self, message: Message) -> None:
        """Take in one message."""
        match message:
            case Done():
                self._take_in(message)
            case Drained():
                self._count(message.worker, -message.tasks)
                self._end_phase_if_complete()
            case PhaseCommitted():
                self._progress.stores[self._phase.name] |= message.shards
                self._end_phase()
            case Partial():
                self._take_in_partial(message)
            case WorkerStatus():
                self._display.status(message.worker, message.doing)
            case StopRequest():
                self._stop(message.why, message.at_once, message.cause)
            case Trouble():
                if not self.trouble:
                    self.trouble, self._cause = message.sentence, message.cause
                self._stop(message.sentence, at_once=True)
            case Closed():
                self.finished = True
            case _:
                raise TypeError(f"a coordinator does not take {message}")

    def step(self) -> bool:
        """Refresh the display, look for a STOP file; nothing to wait for."""
        self._display.refresh()
        now = time.monotonic()
        if now - self._stop_looked_for > _STOP_FILE_SECONDS:
            self._stop_looked_for = now
            stop = self._config.run_dir / STOP
            if stop.exists():
                # Taken away, so that the next run does not stop at once.
                stop.unlink(missing_ok=True)
                self.stopped_for_good = True
                self._stop(f"{stop} was there", at_once=False)
        return False

    def close(self) -> None:
        """End the display."""
        self._display.end()

    def _go_on(self, place: int) -> None:
        """Begin the phase at `place`, or the first after it that has anything to do."""
        for phase in self._plan.order.phases[place:]:
            if self.stopped_by:
                break
            if self._plan.order.is_active(phase) and not self._plan.assets_only:
                self._forget_outdated(phase)
            tasks = self._plan.tasks(phase, self._remade)
            if tasks:
                self._begin_phase(phase, tasks)
                return
        self._finish()

    def _forget_outdated(self, phase: Phase) -> None:
        """Have a phase's items done again if what they depend on of the run has changed."""
        content = phase.depends_on(self._workspace.run_wide)
        made_from = digest(content)
        if not content or made_from == self._progress.made_from.get(phase.name):
            return
        done = tuple(self._progress.settled[phase.name])
        if done:
            log.warning(
                "what phase %s depends on has changed: %s will be done again",
                phase.name,
                count(len(done), "item"),
            )
            self._progress.forget(done, (phase.name,))
            self._tell_writer(Forget(done, (phase.name,)))
        self._progress.made_from[phase.name] = made_from
        self._tell_writer(MadeFrom(phase.name, made_from))

    def _begin_phase(self, phase: Phase, tasks: list[Task]) -> None:
        stacks = snake(tasks, len(self._place))
        self._phase, self._results = phase, 0
        if not self._plan.assets_only:
            totals = {**self._progress.totals, phase.name: self._plan.count(phase)}
            self._progress.totals = totals
            self._tell_writer(Note({"totals": totals}))
        self._done, self._seconds = 0, 0.0
        self._tasks = {task.item.id: task for task in tasks}
        self._feeder = Feeder(stacks, self._config.run.schedule == "balanced")
        percents = [stack.percent for stack in stacks]
        log.info(
            "phase %s: %d items on %d workers, loads %.1f to %.1f %%",
            phase.name,
            len(tasks),
            len(stacks),
            min(percents),
            max(percents),
        )
        self._display.begin(phase.name, len(tasks))
        self._sampling.plan(
            phase.name,
            [
                (rank, len(stacks[place].items), stacks[place].size)
                for rank, place in self._place.items()
            ],
        )
        self._phase_open = True
        for rank in self._place:
            self._tell_worker(rank, Begin(phase.name, self._workspace))
        # A first task for everybody before anybody has a second, which may be from any stack.
        for ahead in (1, AHEAD):
            self._ahead = ahead
            for rank in self._place:
                self._feed(rank)
        self._end_phase_if_complete()

    def _feed(self, rank: int) -> None:
        if len(self._feeder) and self._too_late(self._assigned[rank] + 1):
            self._stop(
                "the job's time is over before more items can be done",
                at_once=False,
                cause="wall-time",
            )
        if self.stopped_by:
            return
        tasks: list[Task] = []
        while self._assigned[rank] + len(tasks) < self._ahead:
            task = self._feeder.next_for(self._place[rank])
            if task is None:
                break
            tasks.append(task)
        if tasks:
            self._count(rank, len(tasks))
            self._tell_worker(rank, Assign(tuple(tasks)))

    def _too_late(self, tasks: int) -> bool:
        """Whether so many tasks, one after the other, would by past ones not end in time."""
        return time.monotonic() + _LONGER_THAN_MEAN * self._mean * tasks > self._ends_at

    @property
    def _mean(self) -> float:
        """Seconds of the phase's tasks that are done."""
        return self._seconds / max(1, self._done)

    def _count(self, rank: int, tasks: int) -> None:
        self._assigned[rank] += tasks
        self._outstanding += tasks

    def _take_in(self, message: Done) -> None:
        for done in message.tasks:
            self._take_in_task(message.worker, done)
        self._ahead = tasks_ahead(self._mean, len(self._feeder) / len(self._place))
        self._feed(message.worker)
        self._end_phase_if_complete()

    def _take_in_task(self, rank: int, done: TaskDone) -> None:
        task = self._tasks[done.item]
        self._count(rank, -1)
        if task.mode == "restore" and done.failures:
            # What the store was to give back must be made again; by the next run, once it stops.
            if not self.stopped_by:
                self._redo(rank, task)
            return
        if done.again and done.lost_input:
            self._unreadable.add(done.item)
            return
        if done.again:
            log.warning("item %s took too long: once more at the end of the phase", done.item)
            self._tasks[done.item] = replace(task, again=True)
            self._late.append(self._tasks[done.item])
            return
        self._done += 1
        self._seconds += done.seconds
        self._fruitful |= task.has_result
        if task.has_result:
            self._results += 1
            self._note_failures(task, done.failures)
        self._display.advance(rank, len(done.failures))

    def _redo(self, rank: int, task: Task) -> None:
        """Have an item run through the phase at hand again that could not be restored."""
        own = task.shards.get(task.phase)
        log.warning("item %s cannot be read from %s: done again", task.item.id, own)
        shards = {phase: shard for phase, shard in task.shards.items() if phase != task.phase}
        fingerprint = self._phase.fingerprint(task.item, self._plan.marks)
        again = replace(task, mode="run", shards=shards, fingerprint=fingerprint)
        self._tasks[task.item.id] = again
        self._progress.stores[task.phase].pop(task.item.id, None)
        self._count(rank, 1)
        self._tell_worker(rank, Assign((again,)))

    def _note_failures(self, task: Task, failures: tuple[Failure, ...]) -> None:
        before = tuple(
            one for one in self._progress.failures.get(task.item.id, ()) if one.phase != task.phase
        )
        self._progress.settled[task.phase].add(task.item.id)
        self._progress.failures.pop(task.item.id, None)
        if before or failures:
            self._progress.failures[task.item.id] = before + failures

    def _end_phase_if_complete(self) -> None:
        if not self._phase_open or self._outstanding:
            return
        if not self.stopped_by and (len(self._feeder) or self._feed_late()):
            return
        self._phase_open = False
        self._display.end()
        self._tell_writer(EndPhase(self._results))

    def _feed_late(self) -> bool:
        """Hand out the tasks that took too long; whether there were any."""
        late, self._late = self._late, []
        if late:
            balanced = self._config.run.schedule == "balanced"
            self._feeder = Feeder(snake(late, len(self._place)), balanced)
            self._ahead = 1
            for rank in self._place:
                self._feed(rank)
        return bool(late)

    def _end_phase(self) -> None:
        """What comes after a phase, all of which is on disk."""
        if self.stopped_by:
            self._finish()
        elif self._unreadable:
            self._make_again()
        elif isinstance(self._phase, MergingPhase):
            self._whole, self._partials = self._phase.empty(), 0
            for rank in self._place:
                self._tell_worker(rank, Collect())
        else:
            self._go_on(self._plan.order.place(self._phase.name) + 1)

    def _make_again(self) -> None:
        """Have what the store did not give back made again, from the first phase on."""
        lost, self._unreadable = tuple(self._unreadable), set()
        log.warning("the store does not give back %s: made again", ", ".join(lost))
        self._remade |= set(lost)
        self._tell_writer(Lose(lost))
        self._progress.lose(lost)
        self._go_on(0)

    def _take_in_partial(self, message: Partial) -> None:
        phase = self._phase
        assert isinstance(phase, MergingPhase)
        if message.partial is not None:
            self._whole = phase.merge(self._whole, message.partial)
        self._partials += 1
        if self._partials < len(self._place):
            return
        name, content = phase.run_wide.name, phase.conclude(self._whole)
        basis = self._plan.basis(phase, content)
        self._progress.made_from[name] = basis
        self._tell_writer(WriteRunWide(name, content, basis))
        self._workspace = replace(
            self._workspace, run_wide={**self._workspace.run_wide, name: content}
        )
        log.info("%s of phase %s is made", name, phase.name)
        self._go_on(self._plan.order.place(phase.name) + 1)

    def _stop(self, why: str, at_once: bool, cause: Cause = "stopped") -> None:
        if self._ending:
            return
        if not self.stopped_by:
            self.stopped_by = why
            self._cause = self._cause or cause
            log.warning("stopping: %s", why)
            self._display.stop(why)
            self._tell_busy(Drain())
        if at_once and not self._dropping:
            self._dropping = True
            log.warning("dropping the items in hand: %s", why)
            self._tell_busy(Drop())
        self._end_phase_if_complete()

    def _tell_busy(self, message: Message) -> None:
        for rank, tasks in self._assigned.items():
            if tasks:
                self._tell_worker(rank, message)

    def _finish(self) -> None:
        # A run that is stopped again and again before it gets anywhere must not go on for ever.
        fruitless = self._progress.fruitless_stops + 1
        self._progress.fruitless_stops = 0 if self._fruitful or not self.stopped_by else fruitless
        self._tell_writer(Note({"fruitless_stops": self._progress.fruitless_stops}))
        for rank in self._place:
            self._tell_worker(rank, WorkerFinish())
        self._tell_writer(WriterFinish())
        self._ending = True

    def _tell_worker(self, rank: int, message: Message) -> None:
        self._transport.send(rank, message)

    def _tell_writer(self, message: Message) -> None:
        self._transport.send(self._writer, message)
