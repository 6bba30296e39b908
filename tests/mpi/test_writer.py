"""The writer puts batches on disk, data before journal, and writes nothing once it cannot."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.errors import Failure
from spectro_mpi.model.artifacts import Dataset, Group
from spectro_mpi.model.items import Item
from spectro_mpi.mpi.messages import (
    Assign,
    Closed,
    Committed,
    Credit,
    EndPhase,
    Forget,
    Lose,
    MadeFrom,
    Message,
    Note,
    PhaseCommitted,
    Result,
    Trouble,
    WriterFinish,
    WriteRunWide,
    WriterWaits,
)
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.rundir.item_file import make_item_file
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import DATA, JOURNAL, LOCK, PROGRESS, data_path, links_path
from spectro_mpi.rundir.lock import LockWatch, RunLock
from spectro_mpi.rundir.names import stamp_of
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.store import links_are, read_datasets, stamp_of_file
from tests.mpi.network import Network
from tests.mpi.script import Clock, config_in, data

WRITER, WORKER, COORDINATOR = 2, 1, 0


class Desk:
    """A writer at rank 2, by default of 3."""

    def __init__(self, folder: Path, workers: Sequence[int] = (WORKER,), **settings: Any) -> None:
        self.config = config_in(folder, **settings)
        self.run_dir = self.config.run_dir
        self.network = Network(3)
        self.writer = Writer(
            self.network.transport(WRITER), self.config, self.run_dir, COORDINATOR, workers
        )

    def take(self, *items: str, worker: int = WORKER) -> None:
        """Hand over a sound result of each item, and let the writer do what is due."""
        for item in items:
            self.writer.handle(Result(worker, "count", item, (), data(item, int(item))))
            self.writer.step()

    @property
    def sent(self) -> list[Message]:
        """All it has sent."""
        return [message for _, _, message in self.network.sent]

    @property
    def state(self) -> Progress:
        """What is on disk."""
        return load_progress(self.run_dir, self.config.run_id)

    @property
    def settled(self) -> set[str]:
        """The items that the state on disk calls settled, each of which can be read."""
        state = self.state
        for item, name in state.stores["count"].items():
            path = data_path(self.run_dir, name)
            values = read_datasets(path, item, "ees").datasets["counts"]
            assert len(values.values) == int(item)
        return state.settled["count"]

    @property
    def files(self) -> dict[str, int]:
        """The files of the run, and when they were written."""
        paths = self.run_dir.rglob("*")
        return {str(path): path.stat().st_mtime_ns for path in paths if path.is_file()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().install(monkeypatch)


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    return Desk(tmp_path, flush_batch_size=3)


def test_a_batch_is_written_when_it_is_full(desk: Desk) -> None:
    desk.take("1", "2")
    assert desk.settled == set()
    desk.take("3", "4")
    assert desk.settled == {"1", "2", "3"}


def test_a_batch_is_written_when_it_has_waited_long_enough(desk: Desk, clock: Clock) -> None:
    desk.take("1")
    clock.now += 20
    desk.take("2")
    assert not desk.writer.step()
    assert desk.settled == set()
    clock.now += 10.1  # flush_interval_seconds after the first of them
    assert desk.writer.step()
    assert desk.settled == {"1", "2"}
    clock.now += 100
    assert not desk.writer.step(), "there is nothing to write"
    desk.take("3")
    assert not desk.writer.step(), "a new batch waits from its own first result on"


def test_a_batch_is_written_when_it_holds_too_many_bytes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = data("1", 1).nbytes
    monkeypatch.setattr("spectro_mpi.mpi.writer._MOST_HELD_BYTES", 3 * weight // 2)
    desk.take("1")
    assert desk.settled == set()
    desk.take("2")
    assert desk.settled == {"1", "2"}
    desk.take("3")
    assert desk.settled == {"1", "2"}


def test_files_are_on_disk_for_good_before_the_journal_mentions_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    synced: list[str] = []

    def record(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append(path.name)
        if path.name == JOURNAL:
            for line in path.read_text().splitlines():
                for name in json.loads(line)["data_files"].values():
                    assert stamp_of_file(data_path(desk.run_dir, name)) == stamp_of(name)

    monkeypatch.setattr(os, "fsync", record)
    desk.take("1", "2", "3")
    files = synced.index("00", 4)
    assert synced[:3] == ["data", "undated", "run"] or "data" in synced[:3]
    assert {name for name in synced if name.endswith(".part")} == {
        "1.h5.part",
        "2.h5.part",
        "3.h5.part",
    }
    assert max(synced.index(f"{item}.h5.part") for item in "123") < files
    assert files < synced.index(JOURNAL)
    desk.take("4", "5", "6")
    again = synced[synced.index(JOURNAL) + 1 :]
    assert again.count("00") == again.count(JOURNAL) == 1
    assert len(again) == 3 + 2, "a file each, their folder, and one line of the journal"


def test_files_of_a_batch_are_written_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, flush_batch_size=12)
    all_there = threading.Barrier(12)
    fsync = os.fsync

    def wait_for_the_others(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
            all_there.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", wait_for_the_others)
    desk.take(*map(str, range(1, 13)))
    assert len(desk.settled) == 12


def test_a_batch_is_written_as_soon_as_a_worker_would_wait(tmp_path: Path, clock: Clock) -> None:
    desk = Desk(tmp_path, workers=(1, 2, 3), flush_batch_size=5)
    # Their windows are 3, 2 and 2 items, 7 = 3 + 5 - 1 in all.
    desk.take("1", worker=3)
    desk.take("2", "3", worker=1)
    assert desk.settled == set()
    desk.take("4", worker=3)
    assert desk.settled == {"1", "2", "3", "4"}
    assert credits(desk) == {(3, 2), (1, 2)}
    desk.take("5", worker=2)
    desk.take("6", "7", worker=1)
    assert len(desk.settled) == 4
    desk.take("8", worker=1)
    assert len(desk.settled) == 8


def test_many_workers_need_not_wait_for_the_commit_of_a_batch(tmp_path: Path, clock: Clock) -> None:
    desk = Desk(tmp_path, workers=(1, 2, 3, 4, 5), flush_batch_size=11)  # windows of 3
    desk.take("1", worker=1)
    desk.take("2", worker=2)
    assert desk.settled == set()
    desk.take("3", worker=1)  # which computes the third item now
    assert desk.settled == {"1", "2", "3"}


def test_what_has_arrived_together_is_committed_together(tmp_path: Path, clock: Clock) -> None:
    desk = Desk(tmp_path, workers=range(1, 9), flush_batch_size=1)
    for item in range(1, 9):
        desk.writer.handle(Result(item, "count", str(item), (), data(str(item), item)))
    assert desk.writer.step()
    assert not desk.writer.step()
    assert len(desk.settled) == 8
    assert len((desk.run_dir / JOURNAL).read_text().splitlines()) == 1


def test_the_coordinator_hears_what_is_on_disk_and_no_more(desk: Desk) -> None:
    failures = (Failure("ies", "count", "timeout", "took too long"),)
    desk.take("1")
    desk.writer.handle(Result(WORKER, "count", "2", failures))
    assert not desk.sent
    desk.take("3")
    assert desk.sent[0] == Committed(
        {"1": (), "2": failures, "3": ()},
        {item: data(item, int(item)).data_file for item in "13"},
        {},
    )


def test_a_writer_that_waits_for_the_file_system_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spectro_mpi.rundir.batch_files._LOOK_SECONDS", 0.01)
    monkeypatch.setattr("spectro_mpi.mpi.writer._TELL_SECONDS", 0.05)
    told = threading.Event()
    desk.network.watch = lambda *sent: told.set() if isinstance(sent[2], WriterWaits) else None
    fsync = os.fsync

    def hang(descriptor: int) -> None:
        assert told.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", hang)
    desk.take("1", "2", "3")
    waits = [message.seconds for message in desk.sent if isinstance(message, WriterWaits)]
    assert waits[0] >= 0.05
    assert waits[-1] == 0.0
    assert len(desk.settled) == 3


def test_an_item_made_again_replaces_its_file_and_one_of_another_month(desk: Desk) -> None:
    desk.take("1", "2", "3")
    item = Item("1", datetime(2000, 1, 1, tzinfo=timezone.utc), ())
    counts = Group("ees", {"counts": Dataset("counts", np.zeros(1), ("record",))})
    moved = make_item_file("count", item, [counts])
    desk.writer.handle(Result(WORKER, "count", "1", (), moved))
    desk.take("2", "3")
    names = {path.name: path for path in (desk.run_dir / DATA).rglob("*.h5")}
    assert len(names) == len(list((desk.run_dir / DATA).rglob("*.h5"))) == 3
    assert names["1.h5"] == desk.run_dir / DATA / "count/2000/01/1.h5"
    assert desk.settled == {"1", "2", "3"}


def test_what_the_journal_calls_settled_is_in_the_store_after_every_message(desk: Desk) -> None:
    for item in range(1, 12):
        desk.take(str(item))
        assert len(desk.settled) == item // 3 * 3
    desk.writer.handle(EndPhase(11))
    assert len(desk.settled) == 11


def test_the_phase_is_committed_only_with_all_its_results(desk: Desk) -> None:
    # What the coordinator says may overtake what a worker says.
    desk.writer.handle(EndPhase(4))
    desk.take("1", "2", "3")
    assert not any(isinstance(message, PhaseCommitted) for message in desk.sent)
    desk.take("4")
    expected = {item: data(item, int(item)).data_file for item in "1234"}
    assert desk.sent[-1] == PhaseCommitted()
    assert desk.settled == set(expected)
    # The links are written beside the next phase, so that no worker waits for them.
    desk.writer.handle(WriterFinish())
    assert links_are(desk.run_dir, expected, "count")


def test_phases_are_counted_each_by_itself(desk: Desk) -> None:
    desk.take("1")
    desk.writer.handle(EndPhase(1))
    desk.writer.handle(EndPhase(0))
    desk.writer.handle(EndPhase(1))
    assert phases(desk) == 2
    desk.writer.handle(Result(WORKER, "draw", "1", ()))
    desk.writer.step()
    assert phases(desk) == 3
    assert desk.state.settled["draw"] == {"1"}


def test_failures_are_recorded_with_their_reasons(desk: Desk) -> None:
    failures = (
        Failure("ees", "count", "invalid-cdf", "is no CDF file"),
        Failure("ies", "count", "timeout", "took too long"),
    )
    desk.writer.handle(Result(WORKER, "count", "1", failures))
    desk.writer.handle(Result(WORKER, "count", "2", failures[:1], data("2", 2), "fingerprint"))
    desk.writer.handle(EndPhase(2))
    assert desk.settled == {"1", "2"}
    assert desk.state.failures == {"1": failures, "2": failures[:1]}
    assert set(desk.state.stores["count"]) == {"2"}
    assert desk.state.fingerprints["count"] == {"2": "fingerprint"}


def credits(desk: Desk) -> set[tuple[int, int]]:
    """Worker and number of items of the credit given so far."""
    return {
        (receiver, message.items)
        for _, receiver, message in desk.network.sent
        if isinstance(message, Credit)
    }


def phases(desk: Desk) -> int:
    """How many phases were committed."""
    return sum(isinstance(message, PhaseCommitted) for message in desk.sent)


def test_credit_is_given_back_with_the_commit_for_items_and_bytes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.writer._hurried_at |= {7: 3, 8: 3}
    desk.take("1", worker=7)
    monkeypatch.setattr("spectro_mpi.mpi.writer.CREDIT_OWED_BYTES", data("2", 2).nbytes)
    desk.take("2", worker=8)
    assert not credits(desk)
    desk.take("3", worker=8)
    given = [
        (receiver, message)
        for _, receiver, message in desk.network.sent
        if isinstance(message, Credit)
    ]
    assert given == [
        (7, Credit(1, data("1", 1).nbytes)),
        (8, Credit(2, data("2", 2).nbytes + data("3", 3).nbytes)),
    ]


def test_an_artifact_of_the_run_is_written_whole_with_what_it_was_made_from(desk: Desk) -> None:
    desk.writer.handle(WriteRunWide("totals", {"b": 1, "a": 2}, "basis"))
    assert json.loads((desk.run_dir / "totals.json").read_text()) == {"a": 2, "b": 1}
    assert desk.state.made_from == {"totals": "basis"}
    assert not list(desk.run_dir.glob("*.part"))


def test_what_the_coordinator_has_done_again_is_not_settled_on_disk(desk: Desk) -> None:
    desk.take("1", "2", "3")
    desk.writer.handle(Forget(("1",), ("count",)))
    assert desk.settled == {"2", "3"}
    assert set(desk.state.stores["count"]) == {"1", "2", "3"}
    desk.writer.handle(Lose(("2",)))
    assert desk.settled == {"3"}
    assert set(desk.state.stores["count"]) == {"1", "3"}


def test_facts_are_noted_and_folded_into_progress_at_the_end(desk: Desk) -> None:
    desk.writer.handle(Note({"items_total": 5, "phases": ("count", "draw")}))
    desk.writer.handle(MadeFrom("draw", "digest"))
    desk.take("1")
    desk.writer.handle(EndPhase(1))
    desk.writer.handle(WriterFinish())
    assert desk.writer.finished
    assert desk.sent[-1] == Closed()
    assert not (desk.run_dir / JOURNAL).exists()
    state = desk.state
    assert (state.items_total, state.made_from) == (5, {"draw": "digest"})
    assert state.settled["count"] == {"1"}


def end(desk: Desk, results: int) -> None:
    """End the phase and the run; the writer has to answer whatever has become of the output."""
    desk.writer.handle(EndPhase(results))
    desk.writer.handle(WriterFinish())
    kept = (Trouble, PhaseCommitted, Closed)
    assert [type(message) for message in desk.sent if isinstance(message, kept)] == [
        Trouble,
        PhaseCommitted,
        Closed,
    ]
    assert desk.writer.finished


def fail_at(call: int, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a call of the operating system fail from the `call`th on: the disk is full."""
    original: Callable[..., Any] = getattr(os, name)
    calls = 0

    def full(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*arguments)

    monkeypatch.setattr(os, name, full)


@pytest.mark.parametrize(
    ("name", "call"),
    [("fsync", call) for call in range(20)] + [("write", call) for call in (0, 1, 5)],
)
def test_trouble_at_any_write_is_reported_and_nothing_is_written_any_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    fail_at(call, monkeypatch, name)
    left = None
    for item in range(1, 13):
        desk.take(str(item))
        if left is None and any(isinstance(message, Trouble) for message in desk.sent):
            left = desk.files
    assert left is not None and left == desk.files
    monkeypatch.undo()  # also when there is room again
    desk.take("13")
    desk.writer.handle(WriteRunWide("totals", {}, ""))
    desk.writer.handle(Note({"items_total": 13}))
    end(desk, 13)
    assert left == desk.files
    (trouble,) = (message for message in desk.sent if isinstance(message, Trouble))
    assert "No space left on device" in trouble.sentence
    settled = desk.settled
    assert len(settled) % 3 == 0
    assert settled == {str(item) for item in range(1, len(settled) + 1)}


def test_without_its_lock_file_nothing_is_written(desk: Desk) -> None:
    desk.take("1", "2", "3", "4", "5")
    left = desk.files
    (desk.run_dir / LOCK).unlink()
    del left[str(desk.run_dir / LOCK)]
    desk.take("6")
    end(desk, 6)
    assert desk.files == left
    assert desk.settled == {"1", "2", "3"}


def test_a_run_whose_lock_was_taken_over_writes_nothing_more(tmp_path: Path, clock: Clock) -> None:
    desk = Desk(tmp_path, flush_batch_size=2)
    (desk.run_dir / LOCK).unlink()
    lock = RunLock(desk.run_dir)
    lock.acquire()
    desk.writer._lock = LockWatch(desk.run_dir, lock.owner)
    desk.take("1", "2")
    (desk.run_dir / LOCK).write_text('{"host": "h", "pid": 1, "started": "", "job": ""}')
    left = desk.files
    desk.take("3", "4")
    assert desk.files == left
    assert desk.settled == {"1", "2"}
    (trouble,) = (message for message in desk.sent if isinstance(message, Trouble))
    assert "is now held by process 1 on h, so it stops" in trouble.sentence


@pytest.mark.parametrize("by", ["the last result", "time"])
def test_trouble_while_the_coordinator_waits_for_the_phase_leaves_it_waiting_no_longer(
    desk: Desk, clock: Clock, by: str
) -> None:
    desk.take("1")
    desk.writer.handle(EndPhase(2))
    (desk.run_dir / LOCK).unlink()
    if by == "time":
        clock.now += 100
        desk.writer.step()
    desk.take("2")
    sent = [type(message) for message in desk.sent if not isinstance(message, Credit)]
    assert sent == [Trouble, PhaseCommitted]


def test_trouble_when_the_phase_is_asked_for_is_answered_once(desk: Desk) -> None:
    desk.take("1")
    (desk.run_dir / LOCK).unlink()
    end(desk, 1)


def test_trouble_at_the_very_end_is_reported_before_the_writer_closes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take("1", "2", "3")
    fail_at(0, monkeypatch, "fsync")
    desk.writer.handle(WriterFinish())
    assert [type(message) for message in desk.sent[-2:]] == [Trouble, Closed]
    monkeypatch.undo()
    assert desk.settled == {"1", "2", "3"}


def test_after_trouble_no_worker_is_given_credit_for_what_is_not_on_disk(desk: Desk) -> None:
    (desk.run_dir / LOCK).unlink()
    desk.take("1", "2", "3", "4", "5")
    assert not credits(desk)


def test_progress_is_not_rewritten_with_every_batch(desk: Desk) -> None:
    desk.take(*map(str, range(1, 31)))
    assert not (desk.run_dir / PROGRESS).exists()
    assert len((desk.run_dir / JOURNAL).read_text().splitlines()) == 10
    assert not links_path(desk.run_dir, "count").exists()


def test_a_writer_refuses_messages_for_others(desk: Desk) -> None:
    with pytest.raises(TypeError):
        desk.writer.handle(Assign(()))
