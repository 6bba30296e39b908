"""How messages get from rank to rank: MPI, or a queue where there is one rank only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from spectro_mpi.mpi.messages import Message

_RECEIVE_AT_MOST = 64
"""Messages taken in at a time, so that a flood of them does not keep a role from its work."""


class Transport(Protocol):
    """Sends without waiting, receives what is there."""

    rank: int
    size: int

    def send(self, rank: int, message: Message) -> None:
        """Send `message` to a rank (which may be this one)."""
        ...

    def receive(self) -> Iterator[Message]:
        """What has arrived; each message is taken in when the one before has been handled."""
        ...

    def is_flushed(self) -> bool:
        """Whether everything sent has left."""
        ...


class QueueTransport:
    """One rank, which talks to itself."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self._queue: deque[Message] = deque()

    def send(self, rank: int, message: Message) -> None:
        self._queue.append(message)

    def receive(self) -> Iterator[Message]:
        for _ in range(len(self._queue)):
            yield self._queue.popleft()

    def is_flushed(self) -> bool:
        return True


class MpiTransport:
    """Ranks of a communicator; arrays go as they are, out of band (pickle protocol 5)."""

    def __init__(self, comm: Any) -> None:
        from mpi4py.util import pkl5

        self._comm = pkl5.Intracomm(comm)
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._own = QueueTransport()
        self._sending: deque[Any] = deque()

    def send(self, rank: int, message: Message) -> None:
        if rank == self.rank:
            self._own.send(rank, message)
        else:
            self._sending.append(self._comm.isend(message, rank))

    def receive(self) -> Iterator[Message]:
        self.is_flushed()
        yield from self._own.receive()
        for _ in range(_RECEIVE_AT_MOST):
            arriving = self._comm.improbe()
            if arriving is None:
                break
            yield arriving.recv()

    def is_flushed(self) -> bool:
        while self._sending and self._sending[0].test()[0]:
            self._sending.popleft()
        return not self._sending
