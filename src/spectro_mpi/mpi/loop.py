"""The event loop of a rank: passes messages to its roles until all have finished."""

from __future__ import annotations

import logging
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
from spectro_mpi.rundir.lock import LockWatch
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import SAME_SIGNAL_SECONDS, StopSignals

log = logging.getLogger(__name__)


class Role(Protocol):
    """Coordinator, worker or writer: runs on a rank and handles one kind of messages."""

    finished: bool

    @property
    def troubled(self) -> bool:
        """Whether it has told the coordinator why the run cannot continue."""
        ...

    @property
    def is_starved(self) -> bool:
        """Whether work, here or elsewhere, cannot continue until a message arrives or is sent."""
        ...

    def close(self) -> None:
        """Release processes and files, also if the run has failed."""
        ...

    @property
    def accepts(self) -> type[Message]:
        """Base class of the messages for this role."""
        ...

    def handle(self, message: Message) -> None:
        """Handle one message."""
        ...

    def step(self) -> bool:
        """Do what is due, and return whether there was anything to do."""
        ...


def loop(
    transport: Transport,
    roles: Sequence[Role],
    lock: LockWatch | None,
    stops: Stops,
    rank_log: RankLog,
    backoff: Backoff,
) -> bool:
    """Receive messages and let the roles work, until all have finished and all peers have left.

    Trouble with the lock or the log of this rank is reported to the coordinator once. Returns
    whether it, or a role of this rank, has told the coordinator why the run cannot continue. Raises
    whatever a role raises.
    """
    peers = peers_of(transport.rank, transport.size)
    present = set(peers)
    troubled, flushed = False, True
    while not (all(role.finished for role in roles) and flushed):
        busy = False
        for request in stops.requests(transport.rank):
            transport.send(COORDINATOR, request)
        for message in transport.receive():
            busy = True
            log.debug("received %s", type(message).__name__)
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
    # MPI must not be finalized with messages unreceived, such as a stop request sent at the end.
    while present or not transport.is_flushed():
        present -= {message.rank for message in transport.receive() if isinstance(message, Leave)}
        backoff.pause(SENDING_PAUSE)
    return troubled or any(role.troubled for role in roles)


def _trouble_of(lock: LockWatch | None, rank_log: RankLog) -> RunError | None:
    """Why the lock or the log of this rank does not let the run continue, or None."""
    if lock is not None:
        try:
            lock.beat()
        except RunError as error:
            return error
    return rank_log.trouble


class Stops:
    """Reasons for this rank to request a stop: signals, and on rank 0 the end of the job.

    After a second signal, or close to the end, the current items are dropped.
    """

    def __init__(self, signals: StopSignals, end: float) -> None:
        """`end`: time on the monotonic clock at which to drop the current items; may be inf."""
        self._signals = signals.received
        self._first = math.inf
        self._end = end

    def requests(self, rank: int) -> list[StopRequest]:
        """The stop requests since the last call."""
        requests = []
        now = time.monotonic()
        while self._signals:
            name = signal.Signals(self._signals.popleft()).name
            # One Ctrl-C may arrive twice: from the terminal and from the launcher.
            if now - self._first > SAME_SIGNAL_SECONDS:
                requests.append(StopRequest(f"rank {rank} got {name} again", at_once=True))
            elif self._first == math.inf:
                self._first = now
                requests.append(StopRequest(f"rank {rank} got {name}"))
        if now > self._end:
            self._end = math.inf
            requests.append(StopRequest("the job is about to end", at_once=True, cause="wall-time"))
        return requests
