"""The writer puts batches on disk, shard before journal, and writes nothing once it cannot."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.errors import Failure
from spectro_mpi.mpi.messages import (
    Assign,
    Closed,
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
)
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.planning.stacks import CREDIT_OWED_BYTES
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import DATA, JOURNAL, LOCK, PROGRESS, links_path
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.store import links_are, problem_of_shard, read_datasets
from tests.mpi.network import Network
from tests.mpi.script import Clock, config_in, packed

WRITER, WORKER, COORDINATOR = 2, 1, 0


class Desk:
    """A writer at rank 2 of 3."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.config = config_in(folder, **settings)
        self.run_dir = self.config.run_dir
        self.network = Network(3)
        self.writer = Writer(self.network.transport(WRITER), self.config, self.run_dir, COORDINATOR)

    def take(self, *items: str, worker: int = WORKER) -> None:
        """Hand over a sound result of each item."""
        for item in items:
            self.writer.handle(Result(worker, "count", item, (), packed(int(item))))

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
        for item, shard in state.stores["count"].items():
            values = read_datasets(self.run_dir / DATA / shard, item, "ees").datasets["counts"]
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
    weight = packed(1).nbytes
    monkeypatch.setattr("spectro_mpi.mpi.writer._MOST_HELD_BYTES", 3 * weight // 2)
    desk.take("1")
    assert desk.settled == set()
    desk.take("2")
    assert desk.settled == {"1", "2"}
    desk.take("3")
    assert desk.settled == {"1", "2"}


def test_a_shard_is_on_disk_for_good_before_the_journal_mentions_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    synced: list[str] = []

    def record(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        content = [line for line in (desk.run_dir / DATA).iterdir() if path.name == DATA]
        synced.append(" ".join([path.name, *(shard.name for shard in content)]))
        if path.name == JOURNAL:
            for line in path.read_text().splitlines():
                shard = desk.run_dir / DATA / json.loads(line)["shard"]
                assert problem_of_shard(shard, json.loads(line)["held"]) == ""

    monkeypatch.setattr(os, "fsync", record)
    desk.take("1", "2", "3")
    commit = ["shard-00000.h5.part", "data shard-00000.h5", "run", JOURNAL]
    assert synced == commit


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
    shards = {"1": 0, "2": 0, "3": 0, "4": 1}
    expected = {item: f"shard-{number:05d}.h5" for item, number in shards.items()}
    assert desk.sent == [PhaseCommitted(expected)]
    assert desk.settled == set(expected)
    assert links_are(desk.run_dir, expected, "count")


def test_phases_are_counted_each_by_itself(desk: Desk) -> None:
    desk.take("1")
    desk.writer.handle(EndPhase(1))
    desk.writer.handle(EndPhase(0))
    desk.writer.handle(EndPhase(1))
    assert desk.sent == [PhaseCommitted({"1": "shard-00000.h5"}), PhaseCommitted({})]
    desk.writer.handle(Result(WORKER, "draw", "1", ()))
    assert desk.sent[2:] == [PhaseCommitted({})]
    assert desk.state.settled["draw"] == {"1"}


def test_failures_are_recorded_with_their_reasons(desk: Desk) -> None:
    failures = (
        Failure("ees", "count", "invalid-cdf", "is no CDF file"),
        Failure("ies", "count", "timeout", "took too long"),
    )
    desk.writer.handle(Result(WORKER, "count", "1", failures))
    desk.writer.handle(Result(WORKER, "count", "2", failures[:1], packed(2), "fingerprint"))
    desk.writer.handle(EndPhase(2))
    assert desk.settled == {"1", "2"}
    assert desk.state.failures == {"1": failures, "2": failures[:1]}
    assert set(desk.state.stores["count"]) == {"2"}
    assert desk.state.fingerprints["count"] == {"2": "fingerprint"}


def test_credit_is_given_back_worker_by_worker_when_enough_is_owed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CREDIT_OWED_BYTES > 0
    weight = packed(1).nbytes
    monkeypatch.setattr("spectro_mpi.mpi.writer.CREDIT_OWED_BYTES", 2 * weight)
    for worker in (7, 8, 7, 7, 8):
        desk.take("1", worker=worker)
    credits = [
        (receiver, message.nbytes)
        for _, receiver, message in desk.network.sent
        if isinstance(message, Credit)
    ]
    assert credits == [(7, 2 * weight), (8, 2 * weight)]


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


def test_shards_are_numbered_on_from_those_on_disk(desk: Desk) -> None:
    for name in ("shard-00004.h5", "shard-00007.h5.part"):
        (desk.run_dir / DATA / name).touch()
    again = Desk(desk.run_dir.parent, flush_batch_size=1)
    again.take("1")
    assert again.state.stores["count"] == {"1": "shard-00008.h5"}


def end(desk: Desk, results: int) -> None:
    """End the phase and the run; the writer has to answer whatever has become of the output."""
    desk.writer.handle(EndPhase(results))
    desk.writer.handle(WriterFinish())
    assert [type(message) for message in desk.sent if not isinstance(message, Credit)] == [
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
    [("fsync", call) for call in range(10)] + [("pwrite", call) for call in (0, 1, 5)],
)
def test_trouble_at_any_write_is_reported_and_nothing_is_written_any_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    fail_at(call, monkeypatch, name)
    left = None
    for item in range(1, 13):
        desk.take(str(item))
        if left is None and desk.sent:
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
    assert [type(message) for message in desk.sent] == [Trouble, PhaseCommitted]


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
    assert [type(message) for message in desk.sent] == [Trouble, Closed]
    monkeypatch.undo()
    assert desk.settled == {"1", "2", "3"}


def test_after_trouble_no_worker_waits_for_credit_and_none_gets_it_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spectro_mpi.mpi.writer.CREDIT_OWED_BYTES", 1)
    (desk.run_dir / LOCK).unlink()
    desk.take("1", "2", "3", "4", "5")
    given = sum(message.nbytes for message in desk.sent if isinstance(message, Credit))
    assert given == sum(packed(place).nbytes for place in range(1, 6))


def test_progress_is_not_rewritten_with_every_batch(desk: Desk) -> None:
    desk.take(*map(str, range(1, 31)))
    assert not (desk.run_dir / PROGRESS).exists()
    assert len((desk.run_dir / JOURNAL).read_text().splitlines()) == 10
    assert not links_path(desk.run_dir, "count").exists()


def test_a_writer_refuses_messages_for_others(desk: Desk) -> None:
    with pytest.raises(TypeError):
        desk.writer.handle(Assign(()))
