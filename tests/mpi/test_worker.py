"""A worker computes one task after the other, within its credit, and gives back what it drops."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.errors import REASONS, DiskFullError, Reason
from spectro_mpi.mpi.messages import (
    Assign,
    Begin,
    Closed,
    Collect,
    Credit,
    Done,
    Drain,
    Drained,
    Drop,
    Message,
    Partial,
    Result,
    Trouble,
    WorkerFinish,
    WorkerStatus,
)
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.phases.contributions import Group
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.stacks import CREDIT_BYTES, CREDIT_OWED_BYTES, REPORT_SECONDS
from spectro_mpi.rundir.item_file import ItemFile
from tests.mpi.network import Network
from tests.mpi.script import (
    Clock,
    Fate,
    ScriptedExecutor,
    config_in,
    failure,
    items_of,
    lost_input,
    order_of,
    outcome,
)

MB = 1 << 20


class Bench:
    """A worker at rank 1 of 3, in a phase that has begun."""

    def __init__(
        self, folder: Path, phase: str = "count", window: int = 100, **settings: Any
    ) -> None:
        config = config_in(folder, **settings)
        self.workspace = Workspace(config, config.run_dir, phases=order_of(config).carried)
        self.network = Network(3)
        self.outcomes: dict[str, Outcome | Fate] = {}
        """Item → what comes of it, if it is not sound."""
        self.executor = ScriptedExecutor(self.answer)
        self.worker = Worker(self.network.transport(1), self.executor, 0, 2, window)
        self.worker.handle(Begin(phase, self.workspace))
        self.phase = phase

    def answer(self, task: Task) -> Outcome | None:
        """What comes of a task."""
        scripted = self.outcomes.get(task.item.id, "sound")
        return scripted if isinstance(scripted, Outcome) else outcome(task, scripted)

    def tasks(self, *names: str, **facts: Any) -> tuple[Task, ...]:
        """Tasks of the phase for items of these names."""
        return tuple(Task(self.phase, item, **facts) for item in items_of(dict.fromkeys(names, 1)))

    def assign(self, *names: str, **facts: Any) -> None:
        """Assign the worker tasks."""
        self.worker.handle(Assign(self.tasks(*names, **facts)))

    def work(self) -> None:
        """Let it do what it can without another message."""
        while self.worker.step():
            pass

    @property
    def sent(self) -> list[Message]:
        """All it has sent."""
        return [message for _, _, message in self.network.sent]

    def of(self, kind: type[Message]) -> list[Any]:
        """The messages of a kind among them."""
        return [message for message in self.sent if isinstance(message, kind)]

    @property
    def done(self) -> list[str]:
        """The items it has reported as done."""
        return [task.item for message in self.of(Done) for task in message.tasks]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


@pytest.fixture
def bench(tmp_path: Path, clock: Clock) -> Bench:
    return Bench(tmp_path)


def large(nbytes: int) -> Outcome:
    """An outcome whose result weighs `nbytes` (of which none are there)."""
    values = np.broadcast_to(np.uint8(0), (nbytes,))
    return Outcome(data=ItemFile("undated/00/1.h5#0123456789abcdef", values))


def test_a_worker_without_tasks_imports_nothing_for_its_phase(bench: Bench) -> None:
    bench.work()
    assert bench.executor.phase == ""
    bench.assign("1")
    assert bench.executor.phase == "count"


def test_tasks_are_computed_one_after_the_other_in_the_order_assigned(bench: Bench) -> None:
    bench.assign("3", "1")
    bench.assign("2")
    bench.work()
    assert [task.item.id for task in bench.executor.tasks] == ["3", "1", "2"]
    assert [message.item for message in bench.of(Result)] == bench.done == ["3", "1", "2"]


def test_the_next_task_is_started_before_the_result_of_the_last_is_sent(bench: Bench) -> None:
    bench.assign("1", "2")
    bench.worker.step()
    bench.network.watch = lambda *_: started.append(len(bench.executor.tasks))
    started: list[int] = []
    bench.worker.step()
    assert started and set(started) == {2}


def test_an_item_is_reported_done_only_after_its_result_was_sent(bench: Bench) -> None:
    bench.assign("1", "2", "3")
    bench.work()
    results: set[str] = set()
    for message in bench.sent:
        if isinstance(message, Result):
            results.add(message.item)
        if isinstance(message, Done):
            assert {task.item for task in message.tasks} <= results


def test_a_worker_is_starved_while_it_has_no_task(bench: Bench) -> None:
    assert bench.worker.is_starved
    bench.assign("1")
    bench.worker.step()
    assert not bench.worker.is_starved


@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_goes_to_the_writer_with_its_reason(tmp_path: Path, reason: Reason) -> None:
    bench = Bench(tmp_path, retry_timeouts=False)
    (task,) = bench.tasks("1")
    bench.outcomes["1"] = Outcome([failure(task, reason)])
    bench.assign("1", "2")
    bench.work()
    assert bench.of(Result)[0].failures == (failure(task, reason),)
    assert bench.of(Done)[0].tasks[0].failures == (failure(task, reason),)
    assert bench.done == ["1", "2"]


def test_what_took_too_long_once_is_tried_again_and_leaves_no_trace(bench: Bench) -> None:
    bench.outcomes["1"] = "times-out-once"
    bench.assign("1")
    bench.work()
    (reported,) = bench.of(Done)[0].tasks
    assert reported.again and not bench.of(Result)
    bench.assign("1", again=True)
    bench.worker.handle(Collect())
    assert not bench.of(Partial)[-1].groups, "what is tried again has not contributed"
    bench.work()
    assert not bench.of(Done)[1].tasks[0].again
    assert bench.of(Result)[0].failures == ()


def test_what_took_too_long_twice_has_failed(bench: Bench) -> None:
    bench.outcomes["1"] = "times-out"
    bench.assign("1", again=True)
    bench.work()
    assert not bench.of(Done)[0].tasks[0].again
    assert [reported.reason for reported in bench.of(Result)[0].failures] == ["timeout"]


def test_without_retry_timeouts_the_first_timeout_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path, retry_timeouts=False)
    bench.outcomes["1"] = "times-out"
    bench.assign("1")
    bench.work()
    assert not bench.of(Done)[0].tasks[0].again
    assert len(bench.of(Result)) == 1


def test_lost_input_is_recorded_only_if_it_was_made_again_already(tmp_path: Path) -> None:
    bench = Bench(tmp_path, phase="draw")
    (task,) = bench.tasks("1", data_files={"count": "shard-00000.h5"})
    bench.outcomes["1"] = lost_input(task)
    bench.worker.handle(Assign((task,)))
    bench.work()
    assert bench.of(Done)[0].tasks[0].again and not bench.of(Result)
    bench.worker.handle(Assign((replace(task, remade=True),)))
    bench.work()
    assert not bench.of(Done)[1].tasks[0].again
    assert bench.of(Result)[0].failures == tuple(lost_input(task).failures)


def test_a_restored_item_contributes_and_has_no_result(bench: Bench) -> None:
    bench.assign("1", mode="restore")
    bench.work()
    bench.worker.handle(Collect())
    assert not bench.of(Result)
    assert bench.of(Partial)[0].groups == (Group(["1"], Counter("1")),)


def test_what_cannot_be_restored_whole_contributes_nothing(bench: Bench) -> None:
    (task,) = bench.tasks("1", mode="restore")
    bench.outcomes["1"] = Outcome([failure(task, "generic")], partial=Counter("1"))
    bench.worker.handle(Assign((task,)))
    bench.work()
    bench.worker.handle(Collect())
    assert not bench.of(Partial)[0].groups


def test_every_item_contributes_once_to_what_is_collected(bench: Bench) -> None:
    bench.assign("1", "2", "3")
    bench.work()
    for _ in range(2):
        bench.worker.handle(Collect())
    assert [message.groups for message in bench.of(Partial)] == [
        (Group(["1", "2", "3"], Counter("123")),),
        (),
    ]
    bench.worker.handle(Begin("count", bench.workspace))
    bench.assign("4")
    bench.work()
    bench.worker.handle(Collect())
    assert bench.of(Partial)[-1].groups == (Group(["4"], Counter("4")),)


def test_contributions_are_merged_in_groups_of_the_size_that_was_asked_for(bench: Bench) -> None:
    bench.worker.handle(Begin("count", bench.workspace, group_size=2))
    bench.assign("1", "2", "3")
    bench.work()
    bench.worker.handle(Collect())
    assert bench.of(Partial)[-1].groups == (
        Group(["1", "2"], Counter("12")),
        Group(["3"], Counter("3")),
    )


def test_bytes_on_the_way_to_the_writer_stay_within_the_credit(bench: Bench) -> None:
    names = [str(place) for place in range(20)]
    bench.outcomes |= dict.fromkeys(names, large(10 * MB))
    bench.assign(*names)
    bench.work()
    assert (
        sum(message.nbytes for message in bench.of(Result)) == CREDIT_BYTES // (10 * MB) * 10 * MB
    )
    # One more has been computed; with its result unsent, no further task is looked after.
    computed = len(bench.executor.tasks)
    bench.work()
    assert len(bench.executor.tasks) == computed == 8
    bench.worker.handle(Credit(2, 20 * MB))
    bench.work()
    assert len(bench.of(Result)) == 8


def test_a_result_larger_than_the_credit_is_sent_when_the_writer_owes_no_more_than_it_keeps_back(
    bench: Bench,
) -> None:
    bench.outcomes = {"1": large(CREDIT_OWED_BYTES), "2": large(2 * CREDIT_BYTES), "3": large(MB)}
    bench.assign("1", "2", "3")
    bench.work()
    assert [message.item for message in bench.of(Result)] == ["1", "2"]
    bench.worker.handle(Credit(1, CREDIT_OWED_BYTES))
    bench.work()
    assert len(bench.of(Result)) == 2
    bench.worker.handle(Credit(1, 2 * CREDIT_BYTES))
    bench.work()
    assert [message.item for message in bench.of(Result)] == ["1", "2", "3"]


def test_a_worker_begins_an_item_only_while_fewer_than_its_window_are_not_on_disk(
    tmp_path: Path, clock: Clock
) -> None:
    bench = Bench(tmp_path, window=3)
    bench.outcomes["2"] = "fails"
    bench.assign(*"123456")
    bench.work()
    assert bench.done == list("123"), "failures are recorded too, and count"
    assert bench.worker.is_starved
    bench.worker.handle(Credit(1, 0))
    bench.work()
    assert bench.done == list("1234")
    bench.worker.handle(Credit(2, 0))
    bench.work()
    assert bench.done == list("123456")


def test_what_has_no_result_does_not_count_against_the_window(bench: Bench, tmp_path: Path) -> None:
    bench = Bench(tmp_path, window=1)
    bench.outcomes["1"] = "times-out-once"
    bench.assign("1")
    bench.assign("2", "3", mode="restore")
    bench.assign("4", "5")
    bench.work()
    assert bench.done == list("1234")


def test_small_tasks_share_a_message_but_not_for_long(bench: Bench, clock: Clock) -> None:
    bench.assign(*map(str, range(6)))
    bench.work()
    assert [len(message.tasks) for message in bench.of(Done)] == [1, 4, 1]
    bench.assign(*map(str, range(6, 9)))
    bench.worker.step()
    for _ in range(2):
        clock.now += 1.1 * REPORT_SECONDS
        bench.worker.step()
    assert bench.done[6:] == ["6", "7"]


def test_a_drained_worker_finishes_its_task_and_gives_back_the_others(bench: Bench) -> None:
    bench.executor.is_done = False
    bench.assign("1", "2", "3")
    bench.work()
    bench.worker.handle(Drain())
    assert bench.of(Drained) == [Drained(1, 2)]
    bench.executor.is_done = True
    bench.work()
    assert bench.done == ["1"]
    assert len(bench.executor.tasks) == 1


def test_a_dropped_worker_gives_back_all_it_has_not_done_and_reports_what_it_has(
    bench: Bench,
) -> None:
    bench.assign("1", "2", "3", "4")
    bench.worker.step()
    bench.worker.step()
    bench.worker.step()
    assert [message.item for message in bench.of(Result)] == ["1", "2"]
    bench.worker.handle(Drop())
    assert bench.executor.is_closed
    assert bench.done == ["1", "2"]
    assert bench.of(Drained) == [Drained(1, 2)]
    assert not bench.worker.step()


def test_a_result_that_waits_for_credit_is_sent_even_after_a_drop(bench: Bench) -> None:
    bench.outcomes = {"1": large(CREDIT_BYTES), "2": large(MB)}
    bench.assign("1", "2", "3")
    bench.work()
    assert bench.done == ["1", "2"]
    bench.worker.handle(Drop())
    bench.worker.handle(Credit(1, CREDIT_BYTES))
    bench.work()
    assert [message.item for message in bench.of(Result)] == ["1", "2"]


def test_a_worker_whose_files_cannot_be_written_says_so_once_and_computes_nothing_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poll() -> Outcome | None:
        raise DiskFullError("the disk is full")

    monkeypatch.setattr(bench.executor, "poll", poll)
    bench.assign("1", "2")
    bench.work()
    bench.work()
    assert bench.of(Trouble) == [Trouble("the disk is full", "disk-full")]
    assert len(bench.executor.tasks) == 1
    bench.worker.handle(Drop())
    assert bench.of(Drained) == [Drained(1, 2)]


def test_what_a_worker_does_is_reported_when_it_changes_and_at_most_twice_a_second(
    bench: Bench, clock: Clock
) -> None:
    bench.executor.is_done = False
    bench.assign("7")
    bench.work()
    for seconds in (0.0, 0.6, 0.6, 0.1):
        clock.now += seconds
        bench.executor.step = f"step {clock.now - clock.now % 1:g}"
        bench.work()
    texts = [str(message.doing) for message in bench.of(WorkerStatus)]
    assert texts == ["count 7", "count 7 step 1000", "count 7 step 1001"]


def test_a_worker_finishes_when_nothing_more_will_come(bench: Bench) -> None:
    assert not bench.worker.finished
    bench.worker.handle(WorkerFinish())
    assert bench.worker.finished
    bench.worker.close()
    assert bench.executor.is_closed


def test_a_worker_refuses_messages_for_others(bench: Bench) -> None:
    with pytest.raises(TypeError):
        bench.worker.handle(Closed())
