"""Objects through pipes between processes of one machine, without waiting, arrays out of band."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class End:
    """The other side of a pipe is closed; put into an outbox, that nothing more will come."""


def send(pipe: Connection, message: object) -> None:
    """Send with arrays out of band, so that they are copied by the kernel only."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the receiver's end is told
        pipe.send((len(buffers), content))
        for buffer in buffers:
            pipe.send_bytes(buffer.raw())


def transmit(pipe: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    """Send what is put into an outbox; a thread's whole life."""
    with contextlib.suppress(OSError):
        while not isinstance(message := outbox.get(), End):
            send(pipe, message)


def receive(pipe: Connection, put: Callable[[Any], None]) -> None:
    """Hand what arrives to `put`, at last an `End`; a thread's whole life."""
    try:
        while True:
            count, content = pipe.recv()
            put(pickle.loads(content, buffers=[pipe.recv_bytes() for _ in range(count)]))
    except (EOFError, OSError):
        put(End())


def die_with_parent() -> None:
    """On Linux, have the kernel kill this process when its parent is gone, however it went."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() == 1:
            os._exit(1)
