"""All roles together, under any schedule that MPI allows: nothing is lost, and nobody waits."""

from __future__ import annotations

import errno
import itertools
import math
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Generation
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spectro_mpi.errors import Failure, UserError
from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.coordinator import Coordinator
from spectro_mpi.mpi.loop import Role, Stops, loop
from spectro_mpi.mpi.messages import (
    Assign,
    Begin,
    Committed,
    Credit,
    Done,
    EndPhase,
    Lose,
    Message,
    Result,
    StopRequest,
    Trouble,
    WorkerFinish,
    WriterFinish,
)
from spectro_mpi.mpi.ranks import COORDINATOR, workers_of, writer_of
from spectro_mpi.mpi.transport import QueueTransport
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.planning.stacks import AHEAD, window_of
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.resources.sampling import Ending
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import JOURNAL, LOCK, PROGRESS, data_path
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_run_wide
from spectro_mpi.rundir.store import read_datasets
from spectro_mpi.rundir.tallies import read_tallies
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import StopSignals
from spectro_mpi.terminal.display import NoDisplay
from tests.mpi.network import Channel, Network
from tests.mpi.script import (
    Clock,
    Fate,
    ScriptedExecutor,
    config_in,
    failure,
    outcome,
    plan_of,
    reason_for,
)

_CREDIT_BYTES, _OWED_BYTES, _MOST_HELD_BYTES = 40_000, 10_000, 60_000
"""As the roles' bounds, for results of 7 to 60 kB."""
_MOST_AHEAD = 64
_TURNS = 5000
"""Far more than any of these runs takes."""

Fates = Mapping[tuple[str, str], Fate]
"""(phase, item) → what comes of it, if it is not sound."""


class Ranks:
    """The roles of one run on a network. Raises `AssertionError` where they break a promise."""

    def __init__(self, plan: RunPlan, size: int, answer: Callable[[Task], Outcome | None]) -> None:
        config = plan.order.config
        self.plan, self.size = plan, size
        self.network = Network(size, watch=self._check)
        self.executors: dict[int, ScriptedExecutor] = {}
        self.roles: dict[int, list[Role]] = {rank: [] for rank in range(size)}
        self._in_flight = dict.fromkeys(workers_of(size), 0)
        self._computing: dict[str, int] = {}
        """Item → worker that has it."""
        self._results: Counter[tuple[str, str]] = Counter()
        self._lost: set[str] = set()
        self.trouble_left: Mapping[str, Any] | None = None
        """What was on disk when the writer met with trouble."""
        self._run_dir = config.run_dir
        place = {rank: self.network.transport(rank) for rank in range(size)}
        writer = writer_of(size)
        workers = workers_of(size)
        self.writer = Writer(place[writer], config, config.run_dir, COORDINATOR, workers)
        batch = config.run.batch_size(len(workers))
        self._most_uncommitted = len(workers) + batch - 1
        self.computed = 0
        """Results that are on the way to the disk, or on it."""
        self.roles[writer].append(self.writer)
        for rank in workers_of(size):
            self.executors[rank] = ScriptedExecutor(answer)
            window = window_of(workers.index(rank), len(workers), batch)
            worker = Worker(place[rank], self.executors[rank], COORDINATOR, writer, window)
            self.roles[rank].append(worker)
        self.coordinator = Coordinator(
            place[COORDINATOR], config, plan, workers_of(size), writer, NoDisplay()
        )
        self.roles[COORDINATOR].append(self.coordinator)

    @property
    def finished(self) -> bool:
        """Whether all roles have."""
        return all(role.finished for roles in self.roles.values() for role in roles)

    def deliver(self, channel: Channel) -> None:
        """Let the first message of a channel arrive."""
        message = self.network.deliver(channel)
        roles = self.roles[channel[1]]
        next(role for role in roles if isinstance(message, role.accepts)).handle(message)
        if isinstance(message, Credit):
            self._in_flight[channel[1]] -= message.nbytes
            assert self._in_flight[channel[1]] >= 0, "more credit than was used"

    def step(self, rank: int) -> bool:
        """Let the roles of a rank do what is due; whether there was anything."""
        return any([role.step() for role in self.roles[rank] if not role.finished])

    def ask_to_stop(self, rank: int, at_once: bool) -> None:
        """Let a rank be asked to stop."""
        request = StopRequest(f"rank {rank} was asked", at_once)
        self.network.send(rank, COORDINATOR, request)

    def go_on(self, order: random.Random) -> None:
        """Do one thing that can be done next, whichever."""
        waiting = self.network.waiting()
        choice = order.randrange(len(waiting) + self.size)
        if choice < len(waiting):
            self.deliver(waiting[choice])
        else:
            self.step(choice - len(waiting))

    def finish(self, order: random.Random) -> None:
        """Deliver and compute everything, in any order; what hangs is dropped, as at a job's end.

        Fails if anybody is left waiting.
        """
        for executor in self.executors.values():
            executor.is_done = True
        for _ in range(_TURNS):
            if self.finished:
                return
            for channel in order.sample(waiting := self.network.waiting(), len(waiting)):
                self.deliver(channel)
            busy = [self.step(rank) for rank in order.sample(range(self.size), self.size)]
            if not (any(busy) or self.network.waiting() or self.finished):
                hanging = [executor.task for executor in self.executors.values() if executor.task]
                assert hanging, "everybody waits for somebody else"
                self.ask_to_stop(COORDINATOR, at_once=True)
        raise AssertionError("the run does not end")

    def _check(self, sender: int, receiver: int, message: Message) -> None:
        match message:
            case Assign():
                assert not self.coordinator.stopped_by, "a stopped run hands out more"
                for task in message.tasks:
                    assert task.item.id not in self._computing, "an item at two workers at once"
                    self._computing[task.item.id] = receiver
                    if task.mode == "restore":  # if it cannot be, the item is made again
                        del self._results[task.phase, task.item.id]
                held = list(self._computing.values()).count(receiver)
                assert held <= _MOST_AHEAD, "a worker with too many tasks"
            case Done():
                for done in message.tasks:
                    assert self._computing.pop(done.item) == sender
            case Result():
                # Nothing but what the store has lost is made twice in a run.
                self._results[message.phase, message.item] += 1
                before = self._in_flight[sender]
                self._in_flight[sender] += message.nbytes
                in_flight = self._in_flight[sender]
                assert before <= _OWED_BYTES or in_flight <= _CREDIT_BYTES, "beyond the credit"
                self.computed += 1
                assert self.computed <= self._most_uncommitted, "more to lose than promised"
                assert self._results[message.phase, message.item] == 1, "settled twice"
            case Committed():
                self.computed -= len(message.items)
            case Lose():
                for item in message.items:
                    assert item not in self._lost, "made again once more"
                    self._lost.add(item)
                    del self._results["count", item]
            case Begin() if receiver == workers_of(self.size)[0]:
                assert not self._computing, "a phase begins while the one before goes on"
            case EndPhase() if not self.coordinator.stopped_by:
                assert not self._computing, "a phase ends before all its tasks are done"
            case WorkerFinish() | WriterFinish() if not self.coordinator.stopped_by:
                assert not self._computing, "the run ends before all its tasks are done"
            case Trouble() if self.trouble_left is None:
                self.trouble_left = on_disk(self._run_dir)


class Schedules(RuleBasedStateMachine):
    """Messages, steps, stops, trouble and kills in any order; then runs in peace until all is done.

    What is on disk at the end is what a run in peace would have left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.clock = Clock().install(self.patches)
        self.disk = Disk().install(self.patches)
        set_bounds(self.patches)
        self.folder = tempfile.TemporaryDirectory()
        self.ranks: Ranks | None = None
        self.journal = (0, 0)

    @initialize(
        sizes=st.lists(st.integers(0, 3000), max_size=7),
        fates=st.lists(
            st.sampled_from(
                (
                    "sound",
                    "sound",
                    "empty",
                    "partly",
                    "fails",
                    "times-out-once",
                    "times-out",
                    "hangs",
                )
            ),
            min_size=7,
            max_size=7,
        ),
        fates_drawn=st.lists(
            st.sampled_from(
                ("sound", "fails", "times-out-once", "times-out", "lost-once", "lost", "hangs")
            ),
            min_size=7,
            max_size=7,
        ),
        unreadable=st.sets(st.integers(0, 6)),
        size=st.integers(1, 5),
        batch=st.integers(1, 4),
        schedule=st.sampled_from(("balanced", "snake")),
        active=st.sampled_from((None, None, "count")),
    )
    def begin(
        self,
        sizes: list[int],
        fates: list[Fate],
        fates_drawn: list[Fate],
        unreadable: set[int],
        size: int,
        batch: int,
        schedule: str,
        active: str | None,
    ) -> None:
        self.sizes = {str(place): records for place, records in enumerate(sizes)}
        self.fates: dict[tuple[str, str], Fate] = {
            **{("count", str(place)): fate for place, fate in enumerate(fates)},
            **{("draw", str(place)): fate for place, fate in enumerate(fates_drawn)},
        }
        self.unreadable = {str(place) for place in unreadable}
        """Items that cannot be restored as they were first made."""
        self.config = config_in(Path(self.folder.name), flush_batch_size=batch, schedule=schedule)
        self.disk.folder = self.config.run_dir
        self.in_peace = False
        self.start(size, active)

    def start(self, size: int, active: str | None = None) -> None:
        """Begin a run with what is on disk."""
        (self.config.run_dir / LOCK).touch()
        self.disk.mend()
        try:
            plan = plan_of(self.config, self.sizes, {active} if active else None)
        except UserError:  # of phases that are not active something is missing
            plan = plan_of(self.config, self.sizes)
        self.ranks = Ranks(plan, size, self.answer)
        self.ranks.coordinator.start()

    def answer(self, task: Task) -> Outcome | None:
        """What comes of a task; in peace nothing hangs."""
        if task.mode == "restore" and task.item.id in self.unreadable:
            self.unreadable.remove(task.item.id)
            # Of one of its instruments, say: another has contributed.
            return Outcome([failure(task, "generic")], partial=Counter([task.item.id]))
        if task.mode == "restore":
            return outcome(task)
        fate = self.fates.get((task.phase, task.item.id), "sound")
        return outcome(task, "sound" if fate == "hangs" and self.in_peace else fate)

    @property
    def going(self) -> Ranks:
        assert self.ranks is not None
        return self.ranks

    @rule(place=st.integers(0, 100))
    def deliver(self, place: int) -> None:
        if waiting := self.going.network.waiting():
            self.going.deliver(waiting[place % len(waiting)])

    @rule(place=st.integers(0, 4))
    def step(self, place: int) -> None:
        self.going.step(place % self.going.size)

    @rule(seed=st.integers(0, 1000), count=st.integers(1, 60))
    def go_on(self, seed: int, count: int) -> None:
        order = random.Random(seed)
        for _ in range(count):
            self.going.go_on(order)

    @rule(place=st.integers(0, 4), is_done=st.booleans())
    def compute_slowly(self, place: int, is_done: bool) -> None:
        executors = list(self.going.executors.values())
        executors[place % len(executors)].is_done = is_done

    @rule(seconds=st.sampled_from((0.01, 0.3, 2.0, 40.0)))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(place=st.integers(0, 4), at_once=st.booleans())
    def ask_to_stop(self, place: int, at_once: bool) -> None:
        self.going.ask_to_stop(place % self.going.size, at_once)

    @rule(after=st.integers(0, 12))
    def fill_the_disk(self, after: int) -> None:
        self.disk.break_after(after)

    @rule()
    def lose_the_lock_file(self) -> None:
        (self.config.run_dir / LOCK).unlink(missing_ok=True)

    @rule(size=st.integers(1, 5), active=st.sampled_from((None, None, "count", "draw")))
    def kill_and_run_again(self, size: int, active: str | None) -> None:
        self.start(size, active)

    @precondition(lambda self: self.ranks is not None)
    @invariant()
    def what_the_journal_calls_settled_is_in_the_store(self) -> None:
        changed = stamps(self.config.run_dir)
        if changed != self.journal:
            self.journal = changed
            check_store(self.config, self.sizes)
            check_tallies(self.config)

    @precondition(lambda self: self.ranks is not None)
    @invariant()
    def after_trouble_nothing_is_written(self) -> None:
        if (left := self.going.trouble_left) is not None:
            assert on_disk(self.config.run_dir) == left

    def teardown(self) -> None:
        try:
            if self.ranks is not None and sys.exc_info()[0] is None:
                self.end()
        finally:
            self.patches.undo()
            self.folder.cleanup()

    def end(self) -> None:
        """Finish this run; then run again until everything is done."""
        ranks, order = self.going, random.Random(1)
        ranks.finish(order)
        self.after_trouble_nothing_is_written()
        if not ranks.coordinator.trouble:
            check_state(ranks)
        self.in_peace = True
        self.start(ranks.size)
        self.going.finish(order)
        check_state(self.going)
        assert self.going.coordinator.ending == Ending()
        check_output(self.config, self.sizes, self.fates)


def test_any_schedule_ends_with_the_output_of_an_undisturbed_run_and_nobody_waits() -> None:
    run_state_machine_as_test(
        Schedules,
        settings=settings(
            max_examples=45,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=(Generation.explicit, Generation.generate),  # to shrink these takes minutes
        ),
    )


ANY_ORDER = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

FATES: Fates = {
    ("count", "1"): "fails",
    ("count", "2"): "times-out-once",
    ("count", "3"): "partly",
    ("count", "4"): "empty",
    ("count", "5"): "times-out",
    ("draw", "6"): "lost-once",
    ("draw", "7"): "lost",
    ("draw", "8"): "fails",
    ("draw", "9"): "times-out-once",
}
SIZES = {str(place): 100 * place for place in range(12)}


class Stage:
    """Runs that go on with each other's output, on a disk and by a clock for tests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock().install(monkeypatch)
        self.disk = Disk().install(monkeypatch)
        set_bounds(monkeypatch)
        self.fates = FATES

    def ranks(self, folder: Path, size: int, **run: Any) -> Ranks:
        """The ranks of a run, which have started."""
        config = config_in(folder, flush_batch_size=3, **run)
        self.disk.folder = config.run_dir
        made = Ranks(plan_of(config, SIZES), size, self.answer)
        made.coordinator.start()
        return made

    def answer(self, task: Task) -> Outcome | None:
        """What comes of a task."""
        if task.mode == "restore":
            return outcome(task)
        return outcome(task, self.fates.get((task.phase, task.item.id), "sound"))

    def finish(self, folder: Path, size: int, order: random.Random) -> None:
        """Run again, undisturbed; then everything must be done."""
        self.disk.mend()
        self.fates = FATES
        ranks = self.ranks(folder, size)
        ranks.finish(order)
        check_state(ranks)
        check_output(ranks.plan.order.config, SIZES, FATES)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """Ever new folders."""
    return (tmp_path / str(number) for number in itertools.count())


sizes_of_world = st.integers(1, 5)
orders = st.integers(0, 10_000).map(random.Random)


@ANY_ORDER
@given(size=sizes_of_world, order=orders)
def test_the_output_is_the_same_for_any_number_of_ranks_and_any_order_of_messages(
    stage: Stage, folders: Iterator[Path], size: int, order: random.Random
) -> None:
    stage.finish(next(folders), size, order)


@ANY_ORDER
@given(size=sizes_of_world, order=orders, turns=st.integers(0, 250), at_once=st.booleans())
def test_a_run_stopped_at_any_point_ends_and_the_next_one_does_the_rest(
    stage: Stage,
    folders: Iterator[Path],
    size: int,
    order: random.Random,
    turns: int,
    at_once: bool,
) -> None:
    folder = next(folders)
    ranks = stage.ranks(folder, size)
    for _ in range(turns):
        ranks.go_on(order)
    ranks.ask_to_stop(order.randrange(size), at_once)
    ranks.finish(order)
    check_state(ranks)
    stage.finish(folder, size, order)


@ANY_ORDER
@given(size=sizes_of_world, order=orders, writes=st.integers(0, 60))
def test_a_disk_that_is_full_at_any_write_ends_the_run_and_the_next_one_does_the_rest(
    stage: Stage, folders: Iterator[Path], size: int, order: random.Random, writes: int
) -> None:
    folder = next(folders)
    ranks = stage.ranks(folder, size)
    stage.disk.break_after(writes)
    ranks.finish(order)
    if ranks.trouble_left is not None:
        assert ranks.coordinator.trouble
        assert on_disk(ranks.plan.order.config.run_dir) == ranks.trouble_left
    check_store(ranks.plan.order.config, SIZES)
    stage.finish(folder, size, order)


def test_a_worker_that_never_answers_is_left_behind_and_the_next_run_does_its_items(
    stage: Stage, tmp_path: Path
) -> None:
    order = random.Random(1)
    stage.fates = {**FATES, ("count", "11"): "hangs", ("count", "10"): "hangs"}
    ranks = stage.ranks(tmp_path, 5)
    ranks.finish(order)
    config = ranks.plan.order.config
    assert ranks.coordinator.stopped_by
    settled = load_progress(config.run_dir, config.run_id).settled["count"]
    late = {"2", "5"}  # they took too long, and their second try is at the end of the phase
    assert len(SIZES.keys() - settled - late) <= 2 * AHEAD, "others go on with what they have"
    stage.finish(tmp_path, 5, order)


def test_while_the_writer_takes_nothing_workers_compute_within_their_credit_and_then_go_on(
    stage: Stage, tmp_path: Path
) -> None:
    ranks = stage.ranks(tmp_path, 4)
    writer = writer_of(4)
    for _ in range(50):
        for channel in ranks.network.waiting():
            if channel[1] != writer:
                ranks.deliver(channel)
        for rank in workers_of(4):
            ranks.step(rank)
    results = [message for _, _, message in ranks.network.sent if isinstance(message, Result)]
    assert 0 < len(results) < len(SIZES) - 3
    assert sum(message.nbytes for message in results) <= 2 * _CREDIT_BYTES
    ranks.finish(random.Random(1))
    check_output(ranks.plan.order.config, SIZES, FATES)


def test_one_rank_does_everything_in_its_loop(stage: Stage, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    plan = plan_of(config, SIZES)
    transport = QueueTransport()
    worker = Worker(transport, ScriptedExecutor(stage.answer), COORDINATOR, writer_of(1), 10)
    writer = Writer(transport, config, config.run_dir, COORDINATOR, workers_of(1))
    coordinator = Coordinator(transport, config, plan, workers_of(1), writer_of(1), NoDisplay())
    coordinator.start()
    rank_log = RankLog(tmp_path / "rank-0000.log", 10)
    roles = (writer, worker, coordinator)
    loop(transport, roles, None, Stops(StopSignals(), math.inf), rank_log, Backoff())
    rank_log.close()
    assert all(role.finished for role in roles)
    check_output(config, SIZES, FATES)


class Disk:
    """A disk that can be full, from a number of writes on; what is fsynced counts as a write."""

    def __init__(self) -> None:
        self.folder = Path()
        self._left: int | None = None

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Disk:
        """Let all output go to this disk."""
        pwrite, write = os.pwrite, os.write

        def write_at(descriptor: int, data: bytes, offset: int) -> int:
            self._use(descriptor)
            return pwrite(descriptor, data, offset)

        def write_next(descriptor: int, data: bytes) -> int:
            self._use(descriptor)
            return write(descriptor, data)

        monkeypatch.setattr(os, "fsync", self._use)  # these files need not outlive the test
        monkeypatch.setattr(os, "pwrite", write_at)
        monkeypatch.setattr(os, "write", write_next)
        return self

    def break_after(self, writes: int) -> None:
        """Have room for so many more."""
        self._left = writes

    def mend(self) -> None:
        """Have room again."""
        self._left = None

    def _use(self, descriptor: int) -> None:
        if self._left is None:
            return
        if not Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(self.folder):
            return
        if not self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= 1


def set_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds on bytes be those of small results."""
    for module in ("worker", "writer"):
        monkeypatch.setattr(f"spectro_mpi.mpi.{module}.CREDIT_OWED_BYTES", _OWED_BYTES)
    monkeypatch.setattr("spectro_mpi.mpi.worker.CREDIT_BYTES", _CREDIT_BYTES)
    monkeypatch.setattr("spectro_mpi.mpi.writer._MOST_HELD_BYTES", _MOST_HELD_BYTES)
    monkeypatch.setattr("spectro_mpi.phases.contributions._FEWEST", 2)  # so there are many groups


def stamps(run_dir: Path) -> tuple[int, int]:
    """What changes with the state on disk."""
    sizes = []
    for name in (PROGRESS, JOURNAL):
        try:
            status = (run_dir / name).stat()
            sizes.append(status.st_size + status.st_mtime_ns)
        except FileNotFoundError:
            sizes.append(0)
    return sizes[0], sizes[1]


def on_disk(run_dir: Path) -> dict[str, Any]:
    """Each finished file of the run and its time; but the lock, which is the test's."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in run_dir.rglob("*")
        if path.is_file() and path.name != LOCK and path.suffix != ".part"
    }


def check_store(config: Config, sizes: Mapping[str, int]) -> None:
    """What the state on disk says is in the store can be read from it."""
    for phase, held in load_progress(config.run_dir, config.run_id).stores.items():
        for item, name in held.items():
            group = read_datasets(data_path(config.run_dir, name), item, "ees")
            assert phase == "count"
            assert len(group.datasets["counts"].values) == sizes[item]


def check_state(ranks: Ranks) -> None:
    """What the coordinator holds for true of the run is what the writer has put on disk."""
    held, config = ranks.plan.progress, ranks.plan.order.config
    written = load_progress(config.run_dir, config.run_id)
    for phase in ("count", "draw"):
        assert held.settled[phase] == written.settled[phase]
        assert held.stores[phase] == written.stores[phase]
    assert {item: set(failures) for item, failures in held.failures.items()} == {
        item: set(failures) for item, failures in written.failures.items()
    }
    assert held.made_from == written.made_from


def check_output(config: Config, sizes: Mapping[str, int], fates: Fates) -> None:
    """All items are done, or their failures are recorded; each has contributed once."""
    progress = load_progress(config.run_dir, config.run_id)
    expected = expected_progress(sizes, fates)
    assert progress.settled["count"] == expected.settled["count"]
    assert progress.settled["draw"] == expected.settled["draw"]
    assert set(progress.stores["count"]) == set(expected.stores["count"])
    reasons = {
        item: {(failure.phase, failure.reason) for failure in failures}
        for item, failures in progress.failures.items()
    }
    assert reasons == {
        item: {(failure.phase, failure.reason) for failure in failures}
        for item, failures in expected.failures.items()
    }
    totals = read_run_wide(config.run_dir / "totals.json")
    assert totals == dict.fromkeys(expected.stores["count"], 1)
    check_tallies(config)
    assert plan_of(config, sizes).nothing_to_do


def check_tallies(config: Config) -> None:
    """Of each item that the file still knows, it has what the item contributed, once."""
    shards = load_progress(config.run_dir, config.run_id).stores["count"]
    for phase in read_tallies(config.run_dir).values():
        good = [group for group in phase.groups if group.data_files.items() <= shards.items()]
        names = [name for group in good for name in group.arrays["item"].tolist()]
        assert sorted(names) == sorted(item for group in good for item in group.data_files)
        assert len(names) == len(set(names))
        assert all(group.arrays["times"].tolist() == [1] * len(group.data_files) for group in good)


def expected_progress(sizes: Mapping[str, int], fates: Fates) -> Progress:
    """What a run comes to, by what comes of its items."""
    progress = Progress("run")
    for item in sizes:
        progress.settled["count"].add(item)
        fate = fates.get(("count", item), "sound")
        failures: list[Failure] = []
        if fate in ("partly", "fails"):
            failures.append(Failure("ees", "count", reason_for(item), ""))
        elif fate == "times-out":
            failures.append(Failure("ees", "count", "timeout", ""))
        if fate not in ("fails", "times-out", "empty"):
            progress.stores["count"][item] = ""
            progress.settled["draw"].add(item)
            fate = fates.get(("draw", item), "sound")
            if fate == "fails":
                failures.append(Failure("ees", "draw", reason_for(item), ""))
            elif fate == "times-out":
                failures.append(Failure("ees", "draw", "timeout", ""))
            elif fate == "lost":
                failures.append(Failure("store", "draw", "generic", ""))
        if failures:
            progress.failures[item] = tuple(failures)
    return progress
