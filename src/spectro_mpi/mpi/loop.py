"""The event loop of a rank: messages go to the roles that live there, until all have finished."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Sequence
from typing import Protocol

from spectro_mpi.errors import RunError
from spectro_mpi.mpi.backoff import LONGEST_PAUSE, SENDING_PAUSE, STARVED_PAUSE, Backoff
from spectro_mpi.mpi.messages import Leave, Message, StopRequest, Trouble
from spectro_mpi.mpi.ranks import COORDINATOR, peers_of
from spectro_mpi.mpi.transport import Transport
from spectro_mpi.rundir.lock import RunLock
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import SAME_SIGNAL_SECONDS, StopSignals


class Role(Protocol):
    """Coordinator, worker or writer: lives on a rank, takes messages of its own kind."""

    finished: bool

    @property
    def is_starved(self) -> bool:
        """Whether work stands still until it gets a message."""
        ...

    def close(self) -> None:
        """Let go of processes and files, also when the run has failed."""
        ...

    @property
    def accepts(self) -> type[Message]:
        """The kind of messages that are for this role."""
        ...

    def handle(self, message: Message) -> None:
        """Take in one message."""
        ...

    def step(self) -> bool:
        """Do what is due; whether there was anything to do."""
        ...


def loop(
    transport: Transport,
    roles: Sequence[Role],
    lock: RunLock | None,
    stops: Stops,
    rank_log: RankLog,
    backoff: Backoff,
) -> None:
    """Take in messages and let the roles work, until all have finished and all have left."""
    peers = peers_of(transport.rank, transport.size)
    present = set(peers)
    troubled, flushed = False, True
    while not (all(role.finished for role in roles) and flushed):
        busy = False
        for request in stops.requests(transport.rank):
            transport.send(COORDINATOR, request)
        for message in transport.receive():
            busy = True
            if isinstance(message, Leave):
                present.discard(message.rank)
            else:
                next(role for role in roles if isinstance(message, role.accepts)).handle(message)
        for role in roles:
            busy |= not role.finished and role.step()
        if not troubled and (trouble := _trouble_of(lock, rank_log)):
            troubled = True
            transport.send(COORDINATOR, Trouble(str(trouble), trouble.cause))
        flushed = transport.is_flushed()
        if busy:
            backoff.reset()
        else:
            starved = any(role.is_starved and not role.finished for role in roles)
            longest = STARVED_PAUSE if starved else LONGEST_PAUSE
            backoff.pause(longest if flushed else SENDING_PAUSE)
    for rank in peers:
        transport.send(rank, Leave(transport.rank))
    # MPI does not end well with messages that nobody took, as of a signal that came at the end.
    while present or not transport.is_flushed():
        present -= {one.rank for one in transport.receive() if isinstance(one, Leave)}
        backoff.pause(SENDING_PAUSE)


def _trouble_of(lock: RunLock | None, rank_log: RankLog) -> RunError | None:
    """Why this rank's own files do not let the run go on, if so."""
    if lock is not None:
        try:
            lock.beat()
        except RunError as error:
            return error
    return rank_log.trouble


class Stops:
    """What asks this rank for a stop: signals, and on the first rank the end of the job.

    A second signal, or an end that is near, wants the items in hand dropped.
    """

    def __init__(self, signals: StopSignals, end: float) -> None:
        self._asked = signals.received
        self._first = math.inf
        self._end = end

    def requests(self, rank: int) -> list[StopRequest]:
        """What has been asked since the last call."""
        found = []
        now = time.monotonic()
        while self._asked:
            name = signal.Signals(self._asked.popleft()).name
            # One Ctrl-C may come twice: from the terminal and by way of the launcher.
            if now - self._first > SAME_SIGNAL_SECONDS:
                found.append(StopRequest(f"rank {rank} got {name} again", at_once=True))
            elif self._first == math.inf:
                self._first = now
                found.append(StopRequest(f"rank {rank} got {name}"))
        if now > self._end:
            self._end = math.inf
            found.append(StopRequest("the job is about to end", at_once=True, cause="wall-time"))
        return found
