"""Ranks without MPI: processes on one machine that communicate through pipes.

There are pipes from each rank to the first (coordinator) and the last (writer), and no others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from spectro_mpi.mpi.messages import Message
from spectro_mpi.system.processes import End, close_after_sending, receive, transmit

_JOIN_SECONDS = 5.0
"""Longest wait for a thread or a process to end."""
_END_SECONDS = 30.0
"""Longest wait for the other ranks after the run: nothing is left for them to do."""
log = logging.getLogger(__name__)


class _Shared:
    """What the collective calls send: a value of `bcast`, or a rank's arrival at a barrier."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


class _Barrier:
    """The request that `Ibarrier` returns."""

    def __init__(self, comm: PipeComm) -> None:
        self._comm = comm
        self._done = False

    def Test(self) -> bool:
        """Whether all ranks have reached the barrier."""
        self._done = self._done or self._comm.passes_barrier()
        return self._done


class PipeComm:
    """The methods of an MPI communicator that a session uses, and a `Transport`."""

    def __init__(self, rank: int, size: int, pipes: dict[int, Connection]) -> None:
        """`pipes`: rank → the pipe to it, for each peer of this rank."""
        self.rank, self.size = rank, size
        self.processes: dict[int, BaseProcess] = {}
        """Rank → its process; empty except on rank 0."""
        self._inbox: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._arrived: deque[Message] = deque()
        self._shared: deque[_Shared] = deque()
        self._outboxes: dict[int, queue.SimpleQueue[Any]] = {}
        self._senders: list[threading.Thread] = []
        self._pipes = [*pipes.values()]
        for other, pipe in pipes.items():
            self._outboxes[other] = queue.SimpleQueue()
            # In threads, so that two ranks with full pipes do not deadlock.
            self._start(
                receive, pipe, lambda message, other=other: self._inbox.put((other, message))
            )
            self._senders.append(self._start(transmit, pipe, self._outboxes[other]))

    def Get_rank(self) -> int:
        """This rank."""
        return self.rank

    def Get_size(self) -> int:
        """Number of ranks."""
        return self.size

    def bcast(self, value: Any, root: int) -> Any:
        """Broadcast from rank `root`, which must be 0; blocks on the other ranks."""
        if self.rank == root:
            for other in range(1, self.size):
                self._outboxes[other].put(_Shared(value))
            return value
        return self._wait().value

    def Ibarrier(self) -> _Barrier:
        """Start a barrier; test the request that is returned until it is done."""
        if self.rank:
            self._outboxes[0].put(_Shared())
        return _Barrier(self)

    def Abort(self, code: int) -> None:
        """Kill all ranks that this one started, and exit at once."""
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
        """Iterate over the messages that have arrived."""
        self._poll_inbox()
        for _ in range(len(self._arrived)):
            yield self._arrived.popleft()

    def is_flushed(self) -> bool:
        """Always true: `close` sends the messages still queued."""
        return True

    def close(self) -> None:
        """Send the messages still queued; on rank 0, wait for the other ranks to end.

        A rank that still waits for a message ends, because there will be none, and one that has not
        ended after a while is killed.
        """
        for outbox in self._outboxes.values():
            outbox.put(End())
        for sender in self._senders:
            sender.join(_JOIN_SECONDS)
        for pipe in self._pipes:
            close_after_sending(pipe)
        end = time.monotonic() + _END_SECONDS
        for rank, process in self.processes.items():
            process.join(max(0.0, end - time.monotonic()))
            if process.exitcode is None:
                log.warning("rank %d has not ended %g s after the run: killed", rank, _END_SECONDS)
                process.kill()
                process.join(_JOIN_SECONDS)

    def _start(self, body: Any, *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=body, args=arguments, daemon=True)
        thread.start()
        return thread

    def passes_barrier(self) -> bool:
        """Whether all ranks have reached the barrier; must not be called again once it is true."""
        self._poll_inbox()
        if len(self._shared) < (1 if self.rank else self.size - 1):
            return False
        if self.rank:
            self._shared.popleft()
        else:
            self._shared.clear()
            self.bcast(None, 0)
        return True

    def _poll_inbox(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._sort(*self._inbox.get_nowait())

    def _wait(self) -> _Shared:
        while not self._shared:
            self._sort(*self._inbox.get())
        return self._shared.popleft()

    def _sort(self, rank: int, message: Any) -> None:
        """Queue what arrived from a rank, for the collective calls or for `receive`."""
        if isinstance(message, _Shared):
            self._shared.append(message)
        elif isinstance(message, End):
            self._handle_end(rank)
        else:
            self._arrived.append(message)

    def _handle_end(self, rank: int) -> None:
        """Exit if rank 0, whose pipe was closed, has ended; end all ranks if another has failed."""
        if self.rank and rank == 0:
            os._exit(1)
        if rank in self.processes:
            process = self.processes[rank]
            process.join(_JOIN_SECONDS)
            if process.exitcode:
                code = process.exitcode
                if code < 0:
                    print(f"spectro-mpi: rank {rank} was killed by signal {-code}", file=sys.stderr)
                self.Abort(max(code, 1))
