"""The CPU time in which the writer's rank receives a result over MPI; for constants.py.

Several ranks send as fast as they can, so that messages always wait, as they do for a busy writer.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from whole import launcher, run_process

from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.messages import Message
from spectro_mpi.mpi.transport import MpiTransport

_RANKS = 4
_MESSAGES = 200
"""Of each sender."""
_UNDER_WAY = 3
"""Messages that a sender has not received credit for."""
_MEGABYTES = (0.0, 1.0)


@dataclass(frozen=True)
class Data(Message):
    """A result of an item, as far as MPI is concerned."""

    rank: int
    content: NDArray[np.uint8]


@dataclass(frozen=True)
class Received(Message):
    """What lets a sender send one more."""


def receive_seconds() -> tuple[float, float]:
    """CPU seconds to receive a result, and for each of its megabytes."""
    none, one = (_play(megabytes) for megabytes in _MEGABYTES)
    return none, max(0.0, one - none)


def _play(megabytes: float) -> float:
    command = [launcher(), "-n", str(_RANKS), sys.executable, __file__, str(megabytes)]
    seconds: float = json.loads(run_process(command).out)
    return seconds


def _receive(transport: MpiTransport) -> float:
    """Receive all messages; returns CPU seconds of each."""
    backoff, left = Backoff(), (transport.size - 1) * _MESSAGES
    used, count = time.process_time(), left
    while left or not transport.is_flushed():
        busy = False
        for message in transport.receive():
            assert isinstance(message, Data)
            transport.send(message.rank, Received())
            busy, left = True, left - 1
        if busy:
            backoff.reset()
        else:
            backoff.pause()
    seconds: float = (time.process_time() - used) / count
    return seconds


def _send(transport: MpiTransport, megabytes: float) -> None:
    backoff, left, under_way = Backoff(), _MESSAGES, 0
    while left or under_way or not transport.is_flushed():
        under_way -= len(list(transport.receive()))
        if left and under_way < _UNDER_WAY:
            content = np.zeros(int(1e6 * megabytes), np.uint8)
            transport.send(0, Data(transport.rank, content))
            left, under_way = left - 1, under_way + 1
            backoff.reset()
        else:
            backoff.pause()


def main() -> None:
    from mpi4py import MPI

    transport = MpiTransport(MPI.COMM_WORLD)
    if transport.rank:
        _send(transport, float(sys.argv[1]))
    else:
        print(json.dumps(_receive(transport)))


if __name__ == "__main__":
    main()
