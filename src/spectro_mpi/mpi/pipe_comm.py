"""Ranks without MPI: processes of this machine that talk through pipes.

Each talks to the first and to the last rank, coordinator and writer, and to nobody else.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from spectro_mpi.mpi.messages import Message
from spectro_mpi.system.processes import End, receive, transmit

_LAST_SECONDS = 5.0


class _Shared:
    """A value of `bcast`, or a rank's arrival at a barrier."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


class _Barrier:
    """A barrier that is waited for by testing it."""

    def __init__(self, comm: PipeComm) -> None:
        self._comm = comm
        self._done = False

    def Test(self) -> bool:
        """Whether all ranks are here."""
        self._done = self._done or self._comm.are_here()
        return self._done


class PipeComm:
    """What a session wants of a communicator, and the transport between its ranks in one."""

    def __init__(self, rank: int, size: int, pipes: dict[int, Connection]) -> None:
        """`pipes`: rank → the pipe to it, of the ranks this one talks to."""
        self.rank, self.size = rank, size
        self.processes: dict[int, BaseProcess] = {}
        """Of rank 0: rank → its process."""
        self._inbox: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._arrived: deque[Message] = deque()
        self._shared: deque[_Shared] = deque()
        self._outboxes: dict[int, queue.SimpleQueue[Any]] = {}
        self._senders: list[threading.Thread] = []
        for other, pipe in pipes.items():
            self._outboxes[other] = queue.SimpleQueue()
            # Threads, so that two ranks with full pipes do not wait for each other.
            self._start(receive, pipe, lambda one, other=other: self._inbox.put((other, one)))
            self._senders.append(self._start(transmit, pipe, self._outboxes[other]))

    def Get_rank(self) -> int:
        """This rank."""
        return self.rank

    def Get_size(self) -> int:
        """Number of ranks."""
        return self.size

    def bcast(self, value: Any, root: int) -> Any:
        """What rank `root`, which is 0, has."""
        if self.rank == root:
            for other in range(1, self.size):
                self._outboxes[other].put(_Shared(value))
            return value
        return self._wait().value

    def Ibarrier(self) -> _Barrier:
        """A request that is done once all ranks are here; to be tested until it is."""
        if self.rank:
            self._outboxes[0].put(_Shared())
        return _Barrier(self)

    def Abort(self, code: int) -> None:
        """End all ranks, now."""
        for process in self.processes.values():
            process.kill()
        os._exit(code or 1)

    def send(self, rank: int, message: Message) -> None:
        """Send a message to a rank, which may be this one."""
        if rank == self.rank:
            self._arrived.append(message)
        else:
            self._outboxes[rank].put(message)

    def receive(self) -> Iterator[Message]:
        """What has arrived, one after the other."""
        self._look()
        for _ in range(len(self._arrived)):
            yield self._arrived.popleft()

    def is_flushed(self) -> bool:
        """Whether everything sent has left; what has not is sent before the rank ends."""
        return True

    def close(self) -> None:
        """Send what is left; of rank 0, wait until the others have ended."""
        for outbox in self._outboxes.values():
            outbox.put(End())
        for sender in self._senders:
            sender.join(_LAST_SECONDS)
        for process in self.processes.values():
            process.join()

    def _start(self, life: Any, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=life, args=arguments, daemon=True)
        thread.start()
        return thread

    def are_here(self) -> bool:
        """Whether all ranks have come to the barrier; tested until it is true."""
        self._look()
        if len(self._shared) < (1 if self.rank else self.size - 1):
            return False
        if self.rank:
            self._shared.popleft()
        else:
            self._shared.clear()
            self.bcast(None, 0)
        return True

    def _look(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._take_in(*self._inbox.get_nowait())

    def _wait(self) -> _Shared:
        while not self._shared:
            self._take_in(*self._inbox.get())
        return self._shared.popleft()

    def _take_in(self, rank: int, one: Any) -> None:
        if isinstance(one, _Shared):
            self._shared.append(one)
        elif isinstance(one, End):
            self._lost(rank)
        else:
            self._arrived.append(one)

    def _lost(self, rank: int) -> None:
        """A rank has ended: as it should, or the whole job goes with it."""
        if self.rank and rank == 0:
            os._exit(1)
        if rank in self.processes:
            process = self.processes[rank]
            process.join(_LAST_SECONDS)
            if process.exitcode:
                code = process.exitcode
                if code < 0:
                    print(f"spectro-mpi: rank {rank} was ended by signal {-code}", file=sys.stderr)
                self.Abort(max(code, 1))
