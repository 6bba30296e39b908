"""Transport of messages between ranks: by MPI, or by a queue if there is only one rank."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from spectro_mpi.mpi.messages import Message

_RECEIVE_AT_MOST = 64
"""Most messages received in one call, so that roles can work between floods of messages."""


class Transport(Protocol):
    """Sends and receives messages without blocking."""

    rank: int
    size: int

    def send(self, rank: int, message: Message) -> None:
        """Start sending a message to a rank, which may be this one."""
        ...

    def receive(self) -> Iterator[Message]:
        """Iterate over the messages that have arrived; each is received when it is reached."""
        ...

    def is_flushed(self) -> bool:
        """Whether all messages have been sent; the buffers of the others are still in use."""
        ...


class QueueTransport:
    """The transport of a single rank, to itself."""

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
    """Transport by MPI; arrays are sent out of band, without copies (pickle protocol 5)."""

    def __init__(self, comm: Any) -> None:
        from mpi4py.util import pkl5

        self._comm = pkl5.Intracomm(comm)
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._to_self = QueueTransport()
        self._sending: deque[Any] = deque()

    def send(self, rank: int, message: Message) -> None:
        if rank == self.rank:
            self._to_self.send(rank, message)
        else:
            self._sending.append(self._comm.isend(message, rank))

    def receive(self) -> Iterator[Message]:
        self.is_flushed()
        yield from self._to_self.receive()
        for _ in range(_RECEIVE_AT_MOST):
            arriving = self._comm.improbe()
            if arriving is None:
                break
            yield arriving.recv()

    def is_flushed(self) -> bool:
        while self._sending and self._sending[0].test()[0]:
            self._sending.popleft()
        return not self._sending
