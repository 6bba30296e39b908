"""The coordinator: assigns tasks phase by phase, merges run-wide artifacts, shows progress."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from spectro_mpi.errors import Cause
from spectro_mpi.mpi.committing import Committing
from spectro_mpi.mpi.messages import (
    Assign,
    Begin,
    Closed,
    Collect,
    Committed,
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
    Outdated,
    OutdatedNoted,
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
    WriterWaits,
    WriteTallies,
)
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.phases.contributions import Contributions, group_size, is_kept, kept_files
from spectro_mpi.phases.interface import MergingPhase, PartwisePhase, Phase
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.stacks import AHEAD, Feeder, snake, tasks_ahead
from spectro_mpi.planning.todo import RunPlan, digest
from spectro_mpi.resources.sampling import Ending, Sampling
from spectro_mpi.rundir.counts import before_phase
from spectro_mpi.rundir.layout import STOP
from spectro_mpi.rundir.lock import Owner
from spectro_mpi.rundir.progress import Fact
from spectro_mpi.rundir.results import with_stamps
from spectro_mpi.rundir.tallies import KeptPhase
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count
from spectro_mpi.terminal.display import Display

log = logging.getLogger(__name__)

_LONGER_THAN_MEAN = 1.3
"""Tasks are expected to take this many times the mean of those done, to leave a margin."""

_STOP_FILE_SECONDS = 1.0
"""Time between two checks for a STOP file, to limit the load on the file server."""


class Coordinator:
    """Runs the phases in order, one at a time.

    `_begin_phase` deals items to stacks, and each `Done` gets its worker more tasks. After the
    last one, `EndPhase` makes the writer commit. `PhaseCommitted` starts the next phase; if the
    phase gives an artifact of the run, the partials of the workers are collected first.
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
        owner: Owner | None = None,
    ) -> None:
        """`ends_at`: when the run must end, by the monotonic clock; `owner`: `Workspace.owner`."""
        self.finished = False
        self.stopped_by = ""
        """Why the run is stopping; empty: it is not."""
        self.stopped_for_good = False
        """Whether the user stopped the run, so that its job must not be requeued."""
        self.trouble = ""
        """Why the run cannot continue, in one sentence; empty: it can."""
        self._cause: Cause | None = None
        """Why the run ends before it is done; None: it does not."""
        self._ending = self._dropping = False
        self._late: list[Task] = []
        """Tasks that timed out, to be tried again at the end of the phase."""
        self._unreadable: set[str] = set()
        """Items whose data the current phase could not read from the store."""
        self._remade: set[str] = set()
        """Items that are therefore done again from the first phase on."""
        self._transport = transport
        self._config = config
        self._plan = plan
        self._progress = plan.progress
        self._place = {rank: place for place, rank in enumerate(workers)}
        """Rank of a worker → number of its stack."""
        self._writer = writer
        self._ends_at = ends_at
        self._display = display
        self._sampling = sampling or Sampling()
        common = plan.run_wide, plan.marks, plan.order.carried
        self._workspace = Workspace(config, config.run_dir, *common, owner=owner)
        self._phase: Phase = plan.order.phases[0]
        self._feeder: Feeder[Task] = Feeder([])
        self._tasks: dict[str, Task] = {}
        self._assigned = dict.fromkeys(workers, 0)
        self._outstanding = 0
        """Tasks assigned to any worker and neither done nor returned yet."""
        self._committing = Committing(plan, display)
        self._ahead = AHEAD
        self._phase_open = False
        self._done, self._seconds = 0, 0.0
        """Tasks done in the phase, and their total time."""
        self._stop_checked = 0.0
        self._contributions: Contributions | None = None
        """To the artifact that the current phase gives of the run; None: it gives none."""
        self._partials = 0

    @property
    def troubled(self) -> bool:
        """Whether the run cannot continue."""
        return bool(self.trouble)

    @property
    def is_starved(self) -> bool:
        """Whether it is between phases, where all ranks wait for its messages."""
        return not self._phase_open

    @property
    def ending(self) -> Ending:
        """Why the run has ended."""
        return Ending(self._cause, self.trouble or self.stopped_by)

    def start(self) -> None:
        """Report the plan to the writer and begin the first phase that has tasks."""
        for again in self._plan.again:
            self._send_writer(Forget(again.items, again.phases, again.all_parts))
        facts: dict[str, Fact] = {
            "items_total": self._plan.items_total,
            "phases": self._progress.phases,
        }
        self._send_writer(Note(facts))
        self._begin_next(0)

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Done():
                self._handle_done(message)
            case Drained():
                self._count(message.worker, -message.tasks)
                self._end_phase_if_complete()
            case Committed():
                self._committing.handle(message)
            case WriterWaits():
                self._committing.wait(message.seconds)
            case PhaseCommitted():
                self._display.end()
                self._end_phase()
            case OutdatedNoted():
                self._begin_next(self._plan.order.place(self._phase.name))
            case Partial():
                self._handle_partial(message)
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
                raise TypeError(f"unexpected message for the coordinator: {message}")

    def step(self) -> bool:
        """Refresh the display and check for a STOP file. Returns False: the loop may pause."""
        self._committing.show()
        now = time.monotonic()
        if now - self._stop_checked > _STOP_FILE_SECONDS:
            self._stop_checked = now
            stop = self._config.run_dir / STOP
            if stop.exists():
                # Removed, so that the next run does not stop at once.
                with suppress(OSError):  # it is a directory, and the next run says so
                    stop.unlink(missing_ok=True)
                self.stopped_for_good = True
                self._stop(f"found {stop}", at_once=False)
        return False

    def close(self) -> None:
        """Close the display."""
        self._display.end()

    def _begin_next(self, place: int) -> None:
        """Begin the first phase from number `place` on that has tasks; if there is none, finish."""
        for phase in self._plan.order.phases[place:]:
            if self.stopped_by:
                break
            if self._plan.order.is_active(phase) and not self._plan.assets_only:
                self._forget_outdated(phase)
                if self._drop_outdated(phase):
                    return  # until the writer has noted it
            tasks = self._plan.tasks(phase, self._remade)
            if tasks:
                self._begin_phase(phase, tasks)
                return
            if isinstance(phase, MergingPhase) and self._plan.must_conclude(phase):
                self._conclude(phase, Contributions(phase, 0, self._plan.kept(phase)))
        self._finish()

    def _forget_outdated(self, phase: Phase) -> None:
        """Do a phase's items again if the artifacts of the run that it depends on have changed."""
        content = phase.depends_on(self._workspace.run_wide)
        made_from = digest(content)
        if not content or made_from == self._progress.made_from.get(phase.name):
            return
        done = tuple(self._progress.settled[phase.name])
        if done and not isinstance(phase, PartwisePhase):
            log.warning(
                "%s will be done again: artifacts of the run that phase %s depends on have changed",
                count(len(done), "item"),
                phase.name,
            )
            self._progress.forget(done, (phase.name,))
            self._send_writer(Forget(done, (phase.name,)))
        self._progress.made_from[phase.name] = made_from
        self._send_writer(MadeFrom(phase.name, made_from))

    def _drop_outdated(self, phase: Phase) -> bool:
        """Have the writer forget parts that are not up to date; returns whether there are any.

        What is about to be replaced must not be recorded: if the run is killed, and the settings
        are then changed back, it would be taken for up to date.
        """
        outdated = self._plan.outdated(phase)
        if not outdated.parts:
            return False
        log.info("phase %s: %s", phase.name, outdated)
        self._phase = phase
        self._progress.forget(outdated.items, (phase.name,))
        self._plan.known.drop(outdated.parts)
        self._send_writer(Outdated(phase.name, outdated.items, outdated.parts))
        return True

    def _begin_phase(self, phase: Phase, tasks: list[Task]) -> None:
        stacks = snake(tasks, len(self._place))
        self._phase = phase
        self._committing.begin(phase.name)
        self._contributions, most = None, 0
        if isinstance(phase, MergingPhase):
            again = {task.item.id for task in tasks if task.has_result}
            most = group_size(phase, len(again.union(kept_files(phase, self._progress))))
            self._contributions = Contributions(phase, most, self._plan.kept(phase, again))
        if not self._plan.assets_only:
            totals = {**self._progress.totals, phase.name: self._plan.count(phase)}
            self._progress.totals = totals
            self._send_writer(Note({"totals": totals}))
        self._done, self._seconds = 0, 0.0
        self._tasks = {task.item.id: task for task in tasks}
        self._feeder = Feeder(stacks, self._config.run.schedule == "balanced")
        percents = [stack.percent for stack in stacks]
        log.info(
            "phase %s: %s on %s, loads %.1f to %.1f %%",
            phase.name,
            count(len(tasks), "item"),
            count(len(stacks), "worker"),
            min(percents),
            max(percents),
        )
        before = before_phase(self._progress, phase.name, len(tasks))
        self._display.begin(phase.name, len(tasks), before)
        self._sampling.plan(
            phase.name,
            [
                (rank, len(stacks[place].items), stacks[place].size)
                for rank, place in self._place.items()
            ],
        )
        self._phase_open = True
        for rank in self._place:
            self._send_worker(rank, Begin(phase.name, self._workspace, most))
        # Every worker gets its first task before any gets a second, which may be from any stack.
        for ahead in (1, AHEAD):
            self._ahead = ahead
            for rank in self._place:
                self._feed(rank)
        self._end_phase_if_complete()

    def _feed(self, rank: int) -> None:
        """Assign tasks to a worker until it holds enough, unless they would end too late."""
        if len(self._feeder) and self._too_late(self._assigned[rank] + 1):
            self._stop(
                "the job would end before another item is done",
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
            self._send_worker(rank, Assign(tuple(tasks)))

    def _too_late(self, tasks: int) -> bool:
        """Whether this many tasks in sequence would end too late, judging by those done."""
        return time.monotonic() + _LONGER_THAN_MEAN * self._mean * tasks > self._ends_at

    @property
    def _mean(self) -> float:
        """Mean time of the tasks done in the phase (s)."""
        return self._seconds / max(1, self._done)

    def _count(self, rank: int, tasks: int) -> None:
        """Count tasks that a worker was assigned or, if negative, has done or returned."""
        self._assigned[rank] += tasks
        self._outstanding += tasks

    def _handle_done(self, message: Done) -> None:
        for done in message.tasks:
            self._handle_task(message.worker, done)
        self._ahead = tasks_ahead(self._mean, len(self._feeder) / len(self._place))
        self._feed(message.worker)
        self._end_phase_if_complete()

    def _handle_task(self, rank: int, done: TaskDone) -> None:
        task = self._tasks[done.item]
        self._count(rank, -1)
        if task.mode == "restore" and done.failures:
            # Data that cannot be restored must be computed again; if stopping, by the next run.
            if not self.stopped_by:
                self._redo(rank, task)
            return
        if done.again and done.lost_input:
            self._unreadable.add(done.item)
            return
        if done.again:
            log.warning("item %s timed out: retrying at the end of the phase", done.item)
            self._tasks[done.item] = replace(task, again=True)
            self._late.append(self._tasks[done.item])
            return
        self._done += 1
        self._seconds += done.seconds
        if task.has_result:
            self._committing.results += 1
        else:
            self._display.advance(len(done.failures))

    def _redo(self, rank: int, task: Task) -> None:
        """Have the worker run the current phase again on an item that could not be restored."""
        files = dict(task.data_files)
        lost = files.pop(task.phase, None)
        log.warning("item %s cannot be read from %s: doing it again", task.item.id, lost)
        fingerprint = self._phase.fingerprint(task.item, self._plan.marks)
        again = replace(task, mode="run", data_files=files, fingerprint=fingerprint)
        self._tasks[task.item.id] = again
        self._progress.stores[task.phase].pop(task.item.id, None)
        self._count(rank, 1)
        self._send_worker(rank, Assign((again,)))

    def _end_phase_if_complete(self) -> None:
        if not self._phase_open or self._outstanding:
            return
        if not self.stopped_by and (len(self._feeder) or self._feed_late()):
            return
        self._phase_open = False
        self._send_writer(EndPhase(self._committing.results))

    def _feed_late(self) -> bool:
        """Assign the tasks that timed out again; returns whether there are any."""
        late, self._late = self._late, []
        if late:
            balanced = self._config.run.schedule == "balanced"
            self._feeder = Feeder(snake(late, len(self._place)), balanced)
            self._ahead = 1
            for rank in self._place:
                self._feed(rank)
        return bool(late)

    def _end_phase(self) -> None:
        """Continue after a phase, now that all its results are on disk."""
        if self.stopped_by:
            self._finish()
        elif self._unreadable:
            self._redo_lost()
        elif self._contributions is not None:
            self._partials = 0
            for rank in self._place:
                self._send_worker(rank, Collect())
        else:
            self._begin_next(self._plan.order.place(self._phase.name) + 1)

    def _redo_lost(self) -> None:
        """Do items that could not be read from the store again, from the first phase on."""
        lost, self._unreadable = tuple(self._unreadable), set()
        log.warning("cannot read from the store: %s; doing all phases again", ", ".join(lost))
        self._remade |= set(lost)
        self._send_writer(Lose(lost))
        self._progress.lose(lost)
        self._begin_next(0)

    def _handle_partial(self, message: Partial) -> None:
        """Merge what a worker's items contribute; after the last, write the artifact, continue."""
        phase, contributions = self._phase, self._contributions
        assert isinstance(phase, MergingPhase)
        assert contributions is not None
        for group in message.groups:
            contributions.add(group)
        self._partials += 1
        if self._partials < len(self._place):
            return
        if is_kept(phase):
            files = kept_files(phase, self._progress, self._committing.without_data)
            kept = KeptPhase(phase.kept_version, contributions.to_keep(files))
            self._plan.tallies[phase.name] = kept
            # Written before the artifact: a run that is killed in between makes it of the tallies.
            self._send_writer(WriteTallies(dict(self._plan.tallies)))
        self._conclude(phase, contributions)
        self._begin_next(self._plan.order.place(phase.name) + 1)

    def _conclude(self, phase: MergingPhase[Any], contributions: Contributions) -> None:
        """Write the artifact that a phase gives of the run."""
        whole = contributions.whole()
        name, content, files = phase.run_wide.name, phase.conclude(whole), phase.files(whole)
        content = with_stamps(content, files)
        basis = self._plan.basis(phase, content)
        self._progress.made_from[name] = basis
        self._send_writer(WriteRunWide(name, content, basis, files))
        self._plan.run_wide = {**self._plan.run_wide, name: content}
        self._workspace = replace(self._workspace, run_wide=self._plan.run_wide)
        log.info("%s: %s complete", phase.name, name)

    def _stop(self, why: str, at_once: bool, cause: Cause = "stopped") -> None:
        """Stop after the current tasks or, if `at_once`, without waiting for them."""
        if self._ending:
            return
        if not self.stopped_by:
            self.stopped_by = why
            self._cause = self._cause or cause
            log.warning("stopping: %s", why)
            self._display.stop(why)
            self._send_busy(Drain())
        if at_once and not self._dropping:
            self._dropping = True
            log.warning("dropping the current items: %s", why)
            self._send_busy(Drop())
        self._end_phase_if_complete()

    def _send_busy(self, message: Message) -> None:
        """Send `message` to all workers that have tasks."""
        for rank, tasks in self._assigned.items():
            if tasks:
                self._send_worker(rank, message)

    def _finish(self) -> None:
        """End all roles. Count executions that were stopped before they finished any item."""
        # A job that never finishes an item before it is stopped must not be requeued for ever.
        fruitless = self._progress.fruitless_stops + 1
        is_fruitless = self.stopped_by and not self._committing.is_fruitful
        self._progress.fruitless_stops = fruitless if is_fruitless else 0
        self._send_writer(Note({"fruitless_stops": self._progress.fruitless_stops}))
        for rank in self._place:
            self._send_worker(rank, WorkerFinish())
        self._send_writer(WriterFinish())
        self._ending = True

    def _send_worker(self, rank: int, message: Message) -> None:
        self._transport.send(rank, message)

    def _send_writer(self, message: Message) -> None:
        self._transport.send(self._writer, message)
