"""The coordinator deals the items, phase by phase, feeds the workers, and ends the run."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from spectro_mpi.errors import REASONS, Failure, Reason
from spectro_mpi.mpi.coordinator import Coordinator
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
    Partial,
    PhaseCommitted,
    StopRequest,
    TaskDone,
    Trouble,
    WorkerFinish,
    WorkerStatus,
    WriterFinish,
    WriteRunWide,
    WriterWaits,
)
from spectro_mpi.phases.contributions import Group
from spectro_mpi.phases.task import Task
from spectro_mpi.planning.stacks import AHEAD
from spectro_mpi.planning.todo import RunPlan, digest
from spectro_mpi.resources.sampling import Ending
from spectro_mpi.rundir.journal import Journal
from spectro_mpi.rundir.layout import STOP
from spectro_mpi.rundir.progress import Batch
from spectro_mpi.system.activity import Doing
from spectro_mpi.terminal.display import NoDisplay
from tests.mpi.network import Network
from tests.mpi.script import Clock, config_in, failure, lost_input, plan_of

M = TypeVar("M", bound=Message)


class Board(NoDisplay):
    """A display that keeps what it shows."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.waiting = (0, 0.0)
        self.doings: list[tuple[int, Doing]] = []

    def advance(self, failures: int) -> None:
        self.done.append(failures)

    def uncommitted(self, items: int, writer_waits: float) -> None:
        self.waiting = items, writer_waits

    def status(self, worker: int, doing: Doing) -> None:
        self.doings.append((worker, doing))


class Office:
    """A coordinator at rank 0, its workers at the ranks after it, and the writer at the last."""

    def __init__(
        self,
        folder: Path,
        sizes: Mapping[str, int],
        workers: int = 2,
        active: set[str] | None = None,
        ends_at: float = math.inf,
        **settings: Any,
    ) -> None:
        self.config = config_in(folder, **settings)
        self.plan: RunPlan = plan_of(self.config, sizes, active)
        self.workers = range(1, workers + 1)
        self.network = Network(workers + 2)
        self.board = Board()
        self.failures: dict[str, tuple[Failure, ...]] = {}
        """Of each item, as its worker has last said."""
        self.coordinator = Coordinator(
            self.network.transport(0),
            self.config,
            self.plan,
            self.workers,
            workers + 1,
            self.board,
            ends_at,
        )

    def start(self) -> Office:
        self.coordinator.start()
        return self

    def of(self, kind: type[M]) -> list[M]:
        """All messages of a kind it has sent."""
        return [message for _, _, message in self.network.sent if isinstance(message, kind)]

    def receivers(self, kind: type[Message]) -> list[int]:
        """To whom they went."""
        return [rank for _, rank, message in self.network.sent if isinstance(message, kind)]

    def tasks(self, rank: int | None = None) -> list[Task]:
        """All tasks assigned, to one worker or to all, in order."""
        return [
            task
            for _, receiver, message in self.network.sent
            if isinstance(message, Assign) and rank in (None, receiver)
            for task in message.tasks
        ]

    def names(self, rank: int | None = None) -> list[str]:
        """Their items."""
        return [task.item.id for task in self.tasks(rank)]

    def done(self, rank: int, *items: str, seconds: float = 1.0, **facts: Any) -> None:
        """Let a worker have done its tasks for items."""
        facts = {"failures": (), **facts}
        if not facts.get("again"):
            self.failures |= dict.fromkeys(items, facts["failures"])
        tasks = tuple(TaskDone(item, seconds=seconds, **facts) for item in items)
        self.coordinator.handle(Done(rank, tasks))

    def compute(self, **facts: Any) -> None:
        """Let the workers do all of the phase, one task each in turn."""
        pending = {rank: self.names(rank) for rank in self.workers}
        reported = {rank: len(pending[rank]) - self.outstanding(rank) for rank in self.workers}
        while busy := [rank for rank in self.workers if self.outstanding(rank)]:
            for rank in busy:
                self.done(rank, self.names(rank)[reported[rank]], **facts)
                reported[rank] += 1

    def outstanding(self, rank: int) -> int:
        """How many tasks a worker has, by the coordinator's messages and what it was told."""
        return self.coordinator._assigned[rank]

    def commit(self, *items: str) -> None:
        """Let the writer have committed the phase, with data of `items`."""
        phase = self.of(Begin)[-1].phase
        given = {task.item.id for task in self.tasks() if task.phase == phase and task.has_result}
        self.commit_some(*sorted(given & self.failures.keys() - set(items)), has_data=False)
        self.commit_some(*items)
        self.coordinator.handle(PhaseCommitted())

    def commit_some(self, *items: str, has_data: bool = True) -> None:
        """Let the writer have committed items."""
        files = {item: data_file(item) for item in items if has_data}
        if items:
            failures = {item: self.failures.get(item, ()) for item in items}
            self.coordinator.handle(Committed(failures, files))

    def collect(self, *partials: Counter[str] | None) -> None:
        """Let each worker have sent what its items contribute."""
        for rank, partial in itertools.zip_longest(self.workers, partials):
            self.coordinator.handle(Partial(rank, groups_of(partial)))


def data_file(item: str) -> str:
    """The file with the data of an item."""
    return f"undated/00/{item}.h5#0123456789abcdef"


def groups_of(partial: Counter[str] | None) -> tuple[Group, ...]:
    """A worker's contributions, in one group."""
    return () if partial is None else (Group(sorted(partial), partial),)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


def counted(folder: Path, items: Mapping[str, int], *others: str) -> None:
    """Have phase count of `items` on disk (the files themselves nobody here reads)."""
    config = config_in(folder)
    plan = plan_of(config, items)
    keeper = Journal(config.run_dir, config.run_id, ())
    keeper.note(phases=("count", "draw"))
    prints = {item: str(size) for item, size in items.items()}
    files = {item: data_file(item) for item in items}
    keeper.record(Batch("count", tuple(items), {}, files, prints))
    for item in items:
        plan.progress.settled["count"].add(item)
        plan.progress.stores["count"][item] = data_file(item)
    content = dict.fromkeys(items, 1)
    (config.run_dir / "totals.json").write_text(str(content).replace("'", '"'))
    phase = plan.order.phases[0]
    keeper.note_made_from("totals", plan.basis(phase, content))  # type: ignore[arg-type]
    keeper.note_made_from("draw", digest({"totals": content}))
    if others:
        keeper.record(Batch("draw", others, {}))
    keeper.close()


EIGHT = {"1": 80, "2": 70, "3": 60, "4": 50, "5": 40, "6": 30, "7": 20, "8": 10}


def test_stacks_are_dealt_by_size_there_and_back_again(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT, schedule="snake").start()
    office.compute()
    assert [office.names(rank) for rank in (1, 2)] == [list("1458"), list("2367")]


def test_a_worker_whose_stack_is_empty_is_fed_from_the_tail_of_the_fullest(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT, workers=3).start()
    # Stacks: 1 6 7 (130 bytes), 2 5 8 (120), 3 4 (110); each worker has two of its stack.
    assert [office.names(rank) for rank in (1, 2, 3)] == [list("16"), list("25"), list("34")]
    office.done(3, "3")
    assert office.names(3) == list("347"), "7 is left of the first stack, 8 of the second"
    office.done(3, "4")
    assert office.names(3) == list("3478")


def test_with_schedule_snake_a_worker_whose_stack_is_empty_stays_idle(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT, workers=3, schedule="snake").start()
    office.done(3, "3", "4")
    assert office.names(3) == list("34")
    office.compute()
    assert sorted(office.names()) == sorted(EIGHT)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_no_worker_has_two_tasks_while_another_has_none(tmp_path: Path, count: int) -> None:
    sizes = {str(place): 10 for place in range(count)}
    office = Office(tmp_path, sizes, workers=4).start()
    assigned = [len(office.names(rank)) for rank in office.workers]
    assert max(assigned) == 1 or min(assigned) == 1
    assert len(office.of(Begin)) == 4


def test_no_item_is_assigned_to_two_workers(tmp_path: Path) -> None:
    office = Office(tmp_path, {str(place): place % 7 for place in range(40)}, workers=5).start()
    office.compute(seconds=0.001)
    assert sorted(map(int, office.names())) == list(range(40))


def test_a_worker_has_two_tasks_and_more_only_while_they_are_small(
    tmp_path: Path, clock: Clock
) -> None:
    sizes = {str(place): 1 for place in range(200)}
    office = Office(tmp_path, sizes, workers=2).start()
    assert [office.outstanding(rank) for rank in office.workers] == [AHEAD, AHEAD]
    office.done(1, office.names(1)[0], seconds=10.0)
    assert office.outstanding(1) == AHEAD
    slow = Office(tmp_path, sizes, workers=2).start()
    slow.done(1, slow.names(1)[0], seconds=0.05)
    assert slow.outstanding(1) == 10, "half a second of work"
    small = Office(tmp_path, sizes, workers=2).start()
    small.done(1, small.names(1)[0], seconds=0.0)
    assert small.outstanding(1) == 64
    few = Office(tmp_path, dict(list(sizes.items())[:20]), workers=2).start()
    few.done(1, few.names(1)[0], seconds=0.0)
    assert few.outstanding(1) == 16 // 2, "no more than its share of what is left"


def test_the_writer_commits_a_phase_when_all_its_tasks_are_done(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}).start()
    office.done(1, "1")
    assert not office.of(EndPhase)
    office.done(2, "2")
    assert office.of(EndPhase) == [EndPhase(2)]
    assert len(office.of(Begin)) == 2, "the next phase begins when this one is on disk"


def test_the_next_phase_has_the_merged_artifact_of_the_run(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}).start()
    office.compute()
    office.commit("1", "2")
    assert office.receivers(Collect) == [1, 2]
    office.collect(Counter("1"), Counter("2"))
    (written,) = office.of(WriteRunWide)
    assert (written.name, written.content) == ("totals", {"1": 1, "2": 1})
    assert [message.phase for message in office.of(Begin)] == ["count", "count", "draw", "draw"]
    assert office.of(Begin)[-1].workspace.run_wide["totals"] == {"1": 1, "2": 1}
    assert {task.data_files["count"] for task in office.tasks() if task.phase == "draw"} == {
        data_file("1"),
        data_file("2"),
    }


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_partials_are_merged_once_in_whatever_order_they_come(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    office = Office(tmp_path, {"1": 3, "2": 2, "3": 1}, workers=3).start()
    office.compute()
    office.commit("1", "2", "3")
    partials = {1: Counter("12"), 2: None, 3: Counter("3")}
    for rank in order:
        assert not office.of(WriteRunWide)
        office.coordinator.handle(Partial(rank, groups_of(partials[rank])))
    (written,) = office.of(WriteRunWide)
    assert written.content == {"1": 1, "2": 1, "3": 1}
    assert written.basis == office.plan.progress.made_from["totals"]


def test_a_run_without_items_ends_at_once(tmp_path: Path) -> None:
    office = Office(tmp_path, {}).start()
    assert not office.of(Begin)
    assert office.receivers(WorkerFinish) == [1, 2]
    assert office.receivers(WriterFinish) == [3]
    assert not office.coordinator.finished
    office.coordinator.handle(Closed())
    assert office.coordinator.finished
    assert office.coordinator.ending == Ending()


def test_a_phase_without_items_is_passed_over(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 1, "2": 1})
    office = Office(tmp_path, {"1": 1, "2": 1}).start()
    assert {message.phase for message in office.of(Begin)} == {"draw"}
    office.compute()
    office.commit()
    assert len(office.of(WriterFinish)) == 1


def test_a_phase_that_is_not_active_is_passed_over(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 1, "2": 1}, active={"count"}).start()
    office.compute()
    office.commit("1", "2")
    office.collect(Counter("12"))
    assert {message.phase for message in office.of(Begin)} == {"count"}
    assert len(office.of(WriterFinish)) == 1


def test_items_of_a_phase_are_done_again_when_what_it_depends_on_has_changed(
    tmp_path: Path,
) -> None:
    counted(tmp_path, {"1": 1}, "1")
    office = Office(tmp_path, {"1": 1, "2": 1}).start()
    assert not office.of(Forget)
    assert {task.item.id: task.mode for task in office.tasks()} == {"2": "run", "1": "restore"}
    office.compute()
    office.commit("2")
    office.collect(Counter("12"))
    assert office.of(Forget) == [Forget(("1",), ("draw",))]
    assert office.of(MadeFrom) == [MadeFrom("draw", digest({"totals": {"1": 1, "2": 1}}))]
    assert sorted(task.item.id for task in office.tasks() if task.phase == "draw") == ["1", "2"]


def test_what_took_too_long_is_tried_once_more_when_all_else_is_done(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 30, "2": 20, "3": 10}).start()
    office.done(1, "1", again=True)
    office.done(1, "3")
    assert not office.of(EndPhase) and len(office.tasks()) == 3
    office.done(2, "2")
    late = office.tasks()[-1]
    assert (late.item.id, late.again, len(office.tasks())) == ("1", True, 4)
    office.done(1, "1", failures=(failure(late, "timeout"),))
    assert office.of(EndPhase) == [EndPhase(3)]
    office.commit()
    assert office.plan.progress.settled["count"] == {"1", "2", "3"}


@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_is_recorded_with_its_reason_and_the_phase_goes_on(
    tmp_path: Path, reason: Reason
) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}).start()
    (task, _) = office.tasks()
    office.done(1, "1", failures=(failure(task, reason),))
    office.done(2, "2")
    assert office.of(EndPhase) == [EndPhase(2)]
    assert office.plan.progress.failures == {}
    assert office.board.done == []
    office.commit_some("1")
    office.commit_some("2")
    assert office.plan.progress.failures == {"1": (failure(task, reason),)}
    assert office.plan.progress.settled["count"] == {"1", "2"}
    assert office.board.done == [1, 0]


def test_only_what_is_on_disk_is_done_and_the_rest_is_shown_beside_it(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT).start()
    office.done(1, "1", "4")
    office.done(2, "2")
    office.coordinator.step()
    assert (office.board.done, office.board.waiting) == ([], (3, 0.0))
    office.commit_some("2", "1")
    office.coordinator.step()
    assert (office.board.done, office.board.waiting) == ([0, 0], (1, 0.0))
    # What the writer says may overtake what a worker says.
    office.commit_some("4", "3")
    office.coordinator.step()
    assert office.board.waiting == (0, 0.0)
    assert office.plan.progress.settled["count"] == set("1234")


def test_what_a_phase_ends_with_is_on_disk_and_shown_as_that(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}).start()
    office.compute()
    office.coordinator.step()
    assert office.board.waiting == (2, 0.0)
    office.commit("1", "2")
    assert office.board.waiting == (0, 0.0)


def test_a_writer_that_waits_for_the_file_system_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(tmp_path, EIGHT).start()
    office.done(1, "1")
    office.coordinator.handle(WriterWaits(40.0))
    office.coordinator.step()
    assert office.board.waiting == (1, 40.0)
    assert "the writer has been waiting for the file system for 40 s" in caplog.text
    office.coordinator.handle(WriterWaits(0.0))
    office.coordinator.step()
    assert office.board.waiting == (1, 0.0)


def drawing(folder: Path) -> Office:
    """In phase draw, whose two workers have three items whose counts are on disk."""
    counted(folder, {"1": 3, "2": 2, "3": 1})
    return Office(folder, {"1": 3, "2": 2, "3": 1}).start()


def test_what_the_store_has_lost_is_made_again_and_nothing_else(tmp_path: Path) -> None:
    office = drawing(tmp_path)
    (task, *_) = office.tasks()
    lost = lost_input(task)
    failures = tuple(lost.failures)
    office.done(1, "1", failures=failures, again=True, lost_input=lost.lost_input)
    office.done(2, "2", "3")
    assert office.of(EndPhase) == [EndPhase(2)], "what is lost has no result yet"
    office.commit()
    assert office.of(Lose) == [Lose(("1",))]
    remaking = office.tasks()[3:]
    assert {task.item.id: task.mode for task in remaking} == {
        "1": "run",
        "2": "restore",
        "3": "restore",
    }
    assert {task.phase for task in remaking} == {"count"}
    office.done(1, *office.names(1)[-office.outstanding(1) :])
    office.done(2, *office.names(2)[-office.outstanding(2) :])
    office.commit("1")
    office.collect(Counter("123"))
    assert not office.of(Forget), "the artifact of the run is the same"
    (again,) = office.tasks()[6:]
    assert (again.item.id, again.phase, again.remade) == ("1", "draw", True)


def test_what_cannot_be_restored_is_made_again_from_its_input(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 5})
    office = Office(tmp_path, {"1": 5, "2": 1}).start()
    (restored,) = (task for task in office.tasks() if task.mode == "restore")
    office.done(1, "1", failures=(failure(restored, "generic"),))
    redone = office.tasks()[-1]
    assert (redone.item.id, redone.mode, redone.fingerprint) == ("1", "run", "5")
    assert not office.of(EndPhase)
    assert "1" not in office.plan.progress.stores["count"]
    office.compute()
    assert office.of(EndPhase) == [EndPhase(2)]


def test_a_failure_that_is_gone_when_its_item_is_made_again_is_forgotten(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 5})
    office = Office(tmp_path, {"1": 5, "2": 1}).start()
    drawn = Failure("ees", "draw", "plotting", "is not drawn")
    office.plan.progress.failures["1"] = (Failure("ees", "count", "killed", "was killed"), drawn)
    office.done(1, "1", failures=(Failure("ees", "count", "generic", "cannot be read"),))
    office.done(1, "1")
    office.commit_some("1")
    assert office.plan.progress.failures == {"1": (drawn,)}
    office.plan.progress.failures["2"] = (Failure("ees", "count", "killed", "was killed"),)
    office.done(2, "2")
    office.commit_some("2")
    assert office.plan.progress.failures == {"1": (drawn,)}


def test_a_stop_before_the_start_hands_out_nothing(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT)
    office.coordinator.handle(StopRequest("somebody asked"))
    office.start()
    assert not office.tasks()
    assert len(office.of(WriterFinish)) == 1
    assert office.coordinator.ending == Ending("stopped", "somebody asked")


@pytest.mark.parametrize("again", [False, True])
def test_a_stopped_run_hands_out_nothing_more_and_ends_when_all_is_done_or_given_back(
    tmp_path: Path, again: bool
) -> None:
    office = Office(tmp_path, EIGHT, workers=3).start()
    handed_out = office.names()
    office.coordinator.handle(StopRequest("somebody asked"))
    assert office.receivers(Drain) == [1, 2, 3]
    assert not office.of(Drop)
    office.done(1, "1", again=again)
    office.done(2, "2")
    for rank, count in ((1, 1), (2, 1), (3, 2)):
        assert not office.of(EndPhase)
        office.coordinator.handle(Drained(rank, count))
    assert office.names() == handed_out
    assert office.of(EndPhase) == [EndPhase(1 if again else 2)]
    office.commit("2")
    assert not office.of(Collect), "what is missing cannot be merged"
    assert len(office.of(WriterFinish)) == 1


def test_a_stopped_run_does_not_make_again_what_cannot_be_restored(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 5})
    office = Office(tmp_path, {"1": 5, "2": 1}).start()
    office.coordinator.handle(StopRequest("somebody asked"))
    office.done(1, "1", failures=(Failure("ees", "count", "generic", "cannot be read"),))
    office.done(2, "2")
    assert len(office.tasks()) == 2
    assert office.of(EndPhase) == [EndPhase(1)]


def test_a_stop_between_phases_begins_no_other(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}).start()
    office.compute()
    office.commit("1", "2")
    assert office.coordinator.is_starved
    office.coordinator.handle(StopRequest("somebody asked"))
    office.collect(Counter("12"))
    assert len(office.of(WriteRunWide)) == 1
    assert {message.phase for message in office.of(Begin)} == {"count"}
    assert len(office.of(WriterFinish)) == 1


def test_who_asks_again_has_the_items_dropped(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT).start()
    office.done(1, "1")
    office.coordinator.handle(StopRequest("somebody asked"))
    office.coordinator.handle(StopRequest("somebody asked again", at_once=True))
    office.coordinator.handle(StopRequest("and again", at_once=True))
    assert office.receivers(Drain) == office.receivers(Drop) == [1, 2]
    assert office.coordinator.stopped_by == "somebody asked"


def test_only_workers_that_have_tasks_are_drained(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 1}, workers=3).start()
    office.coordinator.handle(StopRequest("somebody asked", at_once=True))
    assert office.receivers(Drain) == office.receivers(Drop) == [1]


def test_trouble_drops_everything_and_is_how_the_run_has_ended(tmp_path: Path) -> None:
    office = Office(tmp_path, EIGHT).start()
    office.coordinator.handle(Trouble("the disk is full", "disk-full"))
    office.coordinator.handle(Trouble("something else", "exception"))
    assert office.receivers(Drop) == [1, 2]
    for rank in office.workers:
        office.coordinator.handle(Drained(rank, 2))
    office.commit()
    office.coordinator.handle(Closed())
    assert office.coordinator.trouble == "the disk is full"
    assert office.coordinator.ending == Ending("disk-full", "the disk is full")


def test_trouble_at_the_very_end_is_how_the_run_has_ended(tmp_path: Path) -> None:
    office = Office(tmp_path, {}).start()
    office.coordinator.handle(Trouble("the disk is full", "disk-full"))
    assert not office.of(Drain)
    assert office.coordinator.ending == Ending("disk-full", "the disk is full")


def test_a_stop_file_is_taken_away_and_stops_for_good(tmp_path: Path, clock: Clock) -> None:
    office = Office(tmp_path, EIGHT).start()
    stop = office.config.run_dir / STOP
    office.coordinator.step()
    stop.touch()
    clock.now += 0.5
    office.coordinator.step()
    assert stop.exists(), "a look costs the file server something"
    clock.now += 0.6
    office.coordinator.step()
    assert not stop.exists()
    assert office.coordinator.stopped_for_good
    assert office.receivers(Drain) == [1, 2]


def test_no_item_is_begun_that_would_not_end_before_the_job(tmp_path: Path, clock: Clock) -> None:
    office = Office(tmp_path, EIGHT, ends_at=clock.now + 100).start()
    clock.now += 30
    office.done(1, "1", seconds=30.0)
    assert len(office.names(1)) == 2, "two tasks of 30 s each may take until 108 s"
    assert office.coordinator.stopped_by.startswith("the job would end before")
    quick = Office(tmp_path, EIGHT, ends_at=clock.now + 100).start()
    quick.done(1, "1", seconds=30.0)
    assert len(quick.names(1)) == 3
    assert not quick.coordinator.stopped_by
    late = Office(tmp_path, EIGHT, ends_at=clock.now - 1).start()
    assert not late.tasks()
    assert late.of(EndPhase) == [EndPhase(0)]


def test_what_took_too_long_is_not_begun_again_shortly_before_the_end(
    tmp_path: Path, clock: Clock
) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}, ends_at=clock.now + 100).start()
    office.done(1, "1", again=True)
    clock.now += 95
    office.done(2, "2", seconds=10.0)
    assert len(office.tasks()) == 2
    assert office.of(EndPhase) == [EndPhase(1)]


@pytest.mark.parametrize(
    ("is_stopped", "done", "expected"), [(True, "", 3), (True, "1", 0), (False, "12", 0)]
)
def test_stops_in_a_row_before_anything_is_done_are_counted(
    tmp_path: Path, is_stopped: bool, done: str, expected: int
) -> None:
    office = Office(tmp_path, {"1": 2, "2": 1}, workers=1, active={"count"})
    office.plan.progress.fruitless_stops = 2
    office.start()
    if is_stopped:
        office.coordinator.handle(StopRequest("somebody asked", at_once=True))
    office.done(1, *done)
    office.coordinator.handle(Drained(1, 2 - len(done)))
    office.commit(*done)
    if not is_stopped:
        office.collect(Counter(done))
    assert office.of(Note)[-1].facts == {"fruitless_stops": expected}


def test_what_a_worker_does_is_shown(tmp_path: Path) -> None:
    office = Office(tmp_path, {"1": 1}).start()
    doing = Doing("count", "1", "ees", "3/10")
    office.coordinator.handle(WorkerStatus(1, doing))
    assert office.board.doings == [(1, doing)]


def test_a_coordinator_refuses_messages_for_others(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Office(tmp_path, {}).coordinator.handle(Collect())
