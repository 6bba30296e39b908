"""Ranks without MPI: messages wait in queues until a test delivers them, in any order MPI allows.

MPI keeps the order of the messages from each rank to each other rank, and no other order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spectro_mpi.mpi.messages import Message

Channel = tuple[int, int]
"""Sender and receiver."""


@dataclass
class Network:
    """The channels between all ranks."""

    size: int
    sent: list[tuple[int, int, Message]] = field(default_factory=list)
    """(sender, receiver, message) of all that was ever sent, in order."""
    watch: Callable[[int, int, Message], None] = lambda *_: None
    """Called with each of them."""
    _channels: dict[Channel, deque[Message]] = field(default_factory=dict)

    def transport(self, rank: int) -> MemoryTransport:
        """What the roles of a rank send and receive with."""
        return MemoryTransport(self, rank, self.size)

    def send(self, sender: int, receiver: int, message: Message) -> None:
        """Put a message into its channel."""
        self.watch(sender, receiver, message)
        self.sent.append((sender, receiver, message))
        self._channels.setdefault((sender, receiver), deque()).append(message)

    def waiting(self) -> list[Channel]:
        """The channels with a message that may be delivered next, sorted."""
        return sorted(channel for channel, queue in self._channels.items() if queue)

    def deliver(self, channel: Channel) -> Message:
        """The first message of a channel, which then has arrived."""
        return self._channels[channel].popleft()

    def arrivals(self, rank: int) -> list[Message]:
        """All that waits for a rank, sender by sender, which then has arrived."""
        return [
            self.deliver(channel)
            for channel in self.waiting()
            if channel[1] == rank
            for _ in range(len(self._channels[channel]))
        ]


@dataclass
class MemoryTransport:
    """The transport of one rank of a network."""

    network: Network
    rank: int
    size: int

    def send(self, rank: int, message: Message) -> None:
        self.network.send(self.rank, rank, message)

    def receive(self) -> Iterator[Message]:
        yield from self.network.arrivals(self.rank)

    def is_flushed(self) -> bool:
        return True
