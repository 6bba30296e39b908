"""The loop of a rank hands each message to its role, pauses when idle, and leaves no rank alone."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.errors import OutputLostError
from spectro_mpi.mpi.backoff import LONGEST_PAUSE, SENDING_PAUSE, STARVED_PAUSE, Backoff
from spectro_mpi.mpi.loop import Role, Stops, loop
from spectro_mpi.mpi.messages import (
    Closed,
    Collect,
    Drain,
    EndPhase,
    Leave,
    Message,
    StopRequest,
    ToCoordinator,
    ToWorker,
    ToWriter,
    Trouble,
)
from spectro_mpi.mpi.transport import QueueTransport
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.lock import HEARTBEAT_SECONDS, RunLock
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import SAME_SIGNAL_SECONDS, StopSignals
from tests.mpi.script import Clock


class Listener:
    """A role that takes in messages, and has finished after so many turns."""

    is_starved = False
    troubled = False

    def __init__(self, accepts: type[Message], turns: int = 1, busy: int = 0) -> None:
        self.accepts = accepts
        self.messages: list[Message] = []
        self.turns, self.busy = turns, busy
        self.steps = 0

    @property
    def finished(self) -> bool:
        return self.steps >= self.turns

    @finished.setter
    def finished(self, _: bool) -> None: ...

    def handle(self, message: Message) -> None:
        self.messages.append(message)

    def step(self) -> bool:
        self.steps += 1
        return self.steps <= self.busy

    def close(self) -> None: ...


class Wire:
    """The transport of one rank: what arrives, turn by turn, and what was sent."""

    def __init__(self, *turns: list[Message], rank: int = 0, size: int = 3) -> None:
        self.rank, self.size = rank, size
        self.turns = deque(turns)
        self.sent: list[tuple[int, Message]] = []
        self.flushed_after = 0
        """Looks until everything has left."""

    def send(self, rank: int, message: Message) -> None:
        self.sent.append((rank, message))

    def receive(self) -> Iterator[Message]:
        yield from (self.turns.popleft() if self.turns else [])

    def is_flushed(self) -> bool:
        self.flushed_after -= 1
        return self.flushed_after < 0


class Pauses(Clock):
    """A clock that remembers how long everybody paused."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.seconds.append(seconds)
        assert len(self.seconds) < 1000, "the loop does not end"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    clock = Pauses()
    clock.install(monkeypatch)
    return clock


@pytest.fixture
def rank_log(tmp_path: Path) -> Iterator[RankLog]:
    made = RankLog(tmp_path / "logs" / "rank-0000.log", 10)
    yield made
    made.close()


def run(wire: Any, *roles: Role, rank_log: RankLog, **parts: Any) -> None:
    """Run the loop of a rank."""
    stops = parts.get("stops") or Stops(StopSignals(), float("inf"))
    loop(wire, roles, parts.get("lock"), stops, rank_log, parts.get("backoff") or Backoff())


LEAVES: list[Message] = [Leave(1), Leave(2)]


def test_each_message_goes_to_the_role_that_takes_its_kind(
    pauses: Pauses, rank_log: RankLog
) -> None:
    messages = [Collect(), EndPhase(1), Drain(), Closed()]
    roles = [Listener(kind) for kind in (ToWriter, ToWorker, ToCoordinator)]
    run(Wire(messages, LEAVES), *roles, rank_log=rank_log)
    assert [role.messages for role in roles] == [[EndPhase(1)], [Collect(), Drain()], [Closed()]]


def test_a_message_that_nobody_here_takes_is_an_error(pauses: Pauses, rank_log: RankLog) -> None:
    with pytest.raises(StopIteration):
        run(Wire([Collect()]), Listener(ToWriter), rank_log=rank_log)


def test_the_loop_ends_when_all_roles_have_finished_and_no_finished_role_works(
    pauses: Pauses, rank_log: RankLog
) -> None:
    early, late = Listener(ToWriter, turns=2), Listener(ToWorker, turns=5)
    run(Wire(LEAVES), early, late, rank_log=rank_log)
    assert (early.steps, late.steps) == (2, 5)


def test_a_rank_leaves_only_when_all_it_talks_to_have_left_and_everything_is_sent(
    pauses: Pauses, rank_log: RankLog
) -> None:
    wire = Wire([], [], [], [Leave(2)], [Closed()], [], [Leave(1)], [EndPhase(1)])
    run(wire, Listener(ToWriter), rank_log=rank_log)
    assert wire.sent == [(1, Leave(0)), (2, Leave(0))]
    assert list(wire.turns) == [[EndPhase(1)]]
    early = Wire([Leave(1)], [Leave(2)])
    run(early, Listener(ToWriter, turns=3), rank_log=rank_log)
    unsent = Wire(LEAVES)
    unsent.flushed_after = 7
    run(unsent, Listener(ToWriter), rank_log=rank_log)
    assert unsent.flushed_after < 0


def test_a_worker_leaves_coordinator_and_writer_and_nobody_else(
    pauses: Pauses, rank_log: RankLog
) -> None:
    wire = Wire([Leave(0), Leave(4)], rank=2, size=5)
    run(wire, Listener(ToWorker), rank_log=rank_log)
    assert sorted(rank for rank, _ in wire.sent) == [0, 4]


def test_pauses_of_an_idle_rank_double_up_to_a_bound_and_start_anew_with_work(
    pauses: Pauses, rank_log: RankLog
) -> None:
    run(Wire(*[[]] * 8, [Closed()], *[[]] * 2, LEAVES), idle := Listener(ToCoordinator, 11),
        rank_log=rank_log)  # fmt: skip
    assert len(idle.messages) == 1
    waited = pauses.seconds[:10]
    assert waited == [0, 0.004, 0.008, 0.016, 0.032, 0.064, 0.064, 0.064, 0, 0.004]
    assert max(waited) == LONGEST_PAUSE


def test_a_busy_rank_does_not_pause(pauses: Pauses, rank_log: RankLog) -> None:
    run(Wire(LEAVES), Listener(ToWriter, turns=50, busy=50), rank_log=rank_log)
    assert len(pauses.seconds) == 0


def test_a_starved_rank_pauses_less_and_one_that_sends_less_still(
    pauses: Pauses, rank_log: RankLog
) -> None:
    starved = Listener(ToWorker, turns=12)
    starved.is_starved = True
    run(Wire(LEAVES), starved, rank_log=rank_log)
    assert max(pauses.seconds) == STARVED_PAUSE
    pauses.seconds.clear()
    wire = Wire(LEAVES)
    wire.flushed_after = 12
    run(wire, Listener(ToWriter), rank_log=rank_log)
    assert max(pauses.seconds) == SENDING_PAUSE
    finished = Listener(ToWorker, turns=0)
    finished.is_starved = True
    pauses.seconds.clear()
    run(Wire(LEAVES), finished, Listener(ToWriter, turns=12), rank_log=rank_log)
    assert max(pauses.seconds) == LONGEST_PAUSE


def test_whoever_sets_the_event_ends_a_pause() -> None:
    wake = threading.Event()
    backoff = Backoff(wake)
    backoff._pause = 600.0
    wake.set()
    backoff.pause()
    assert not wake.is_set(), "the next pause is waited for again"


def test_what_asks_a_rank_for_a_stop_goes_to_the_coordinator(
    pauses: Pauses, rank_log: RankLog
) -> None:
    signals = StopSignals()
    signals.received.append(signal.SIGTERM)
    wire = Wire([Leave(0), Leave(4)], rank=2, size=5)
    stops = Stops(signals, float("inf"))
    run(wire, Listener(ToWorker, turns=3), rank_log=rank_log, stops=stops)
    assert wire.sent[0] == (0, StopRequest("rank 2 got SIGTERM"))
    assert len(wire.sent) == 3


def test_a_second_signal_has_the_items_dropped_unless_it_is_the_same_ctrl_c(
    pauses: Pauses,
) -> None:
    signals = StopSignals()
    stops = Stops(signals, float("inf"))
    assert stops.requests(1) == []
    signals.received.extend([signal.SIGINT, signal.SIGINT])
    assert stops.requests(1) == [StopRequest("rank 1 got SIGINT")]
    pauses.now += 0.9 * SAME_SIGNAL_SECONDS
    signals.received.append(signal.SIGINT)
    assert stops.requests(1) == []
    pauses.now += 0.2 * SAME_SIGNAL_SECONDS
    signals.received.append(signal.SIGUSR1)
    assert stops.requests(1) == [StopRequest("rank 1 got SIGUSR1 again", at_once=True)]


def test_shortly_before_the_job_ends_the_items_are_dropped_once(pauses: Pauses) -> None:
    stops = Stops(StopSignals(), pauses.now + 10)
    assert stops.requests(0) == []
    pauses.now += 10.1
    assert stops.requests(0) == [
        StopRequest("the job is about to end", at_once=True, cause="wall-time")
    ]
    assert stops.requests(0) == []


def test_a_lock_that_is_gone_is_reported_once(
    tmp_path: Path, pauses: Pauses, rank_log: RankLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    monkeypatch.setattr("spectro_mpi.rundir.lock.time", pauses)
    pauses.now = lock._beaten + 2 * HEARTBEAT_SECONDS
    (tmp_path / LOCK).unlink()
    wire = Wire(LEAVES)
    run(wire, Listener(ToWriter, turns=40), rank_log=rank_log, lock=lock)
    (message,) = (sent for _, sent in wire.sent if isinstance(sent, Trouble))
    assert "was removed" in message.sentence


def test_a_log_that_cannot_be_written_is_reported_once(
    pauses: Pauses, rank_log: RankLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = OutputLostError("the log cannot be written")
    monkeypatch.setattr(RankLog, "trouble", trouble)
    wire = Wire([Leave(0), Leave(4)], rank=3, size=5)
    run(wire, Listener(ToWorker, turns=5), rank_log=rank_log)
    assert [(rank, sent) for rank, sent in wire.sent if not isinstance(sent, Leave)] == [
        (0, Trouble("the log cannot be written", "output-lost"))
    ]


def test_a_rank_alone_talks_to_itself_and_waits_for_nobody(
    pauses: Pauses, rank_log: RankLog
) -> None:
    transport = QueueTransport()
    transport.send(0, Closed())
    role = Listener(ToCoordinator)
    run(transport, role, rank_log=rank_log)
    assert role.messages == [Closed()]


def test_a_message_that_answers_another_is_taken_in_at_the_next_turn() -> None:
    transport = QueueTransport()
    transport.send(0, Closed())
    for message in transport.receive():
        transport.send(0, message)
    assert len(list(transport.receive())) == 1
