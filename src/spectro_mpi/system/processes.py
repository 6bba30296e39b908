"""Pass objects through pipes between processes of one machine, with arrays out of band.

`transmit` and `receive` run in threads, so that the caller never waits for the other process.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess, parent_process
from typing import Any


def close_after_sending(pipe: Connection) -> None:
    """Tell the other side that nothing more will come, even while a thread reads from this side."""
    with contextlib.suppress(OSError):
        socket.socket(fileno=os.dup(pipe.fileno())).shutdown(socket.SHUT_WR)


class End:
    """Marks the end of messages: received when the other side closed; put last in an outbox."""


def send(pipe: Connection, message: object) -> None:
    """Send a message with its arrays out of band, so that only the kernel copies them."""
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    # If the receiver is gone, `receive` reports the end.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.send((len(buffers), content))
        for buffer in buffers:
            pipe.send_bytes(buffer.raw())


def transmit(pipe: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    """Body of a thread: send what is put into an outbox, until an `End`."""
    with contextlib.suppress(OSError):
        while not isinstance(message := outbox.get(), End):
            send(pipe, message)


def receive(pipe: Connection, put: Callable[[Any], None]) -> None:
    """Body of a thread: call `put` with each message that arrives, and last with an `End`."""
    try:
        while True:
            count, content = pipe.recv()
            put(pickle.loads(content, buffers=[pipe.recv_bytes() for _ in range(count)]))
    except (EOFError, OSError):
        put(End())


def start(process: BaseProcess) -> None:
    """Start a process of the context "spawn" without multiprocessing's resource tracker.

    The tracker is a third Python process for every worker. It removes shared memory and semaphores
    that processes leave; ours create none that have a name, and its messages go nowhere.
    """
    getfd = resource_tracker.getfd
    nowhere = os.open(os.devnull, os.O_WRONLY)
    resource_tracker.getfd = lambda: nowhere
    try:
        process.start()
    finally:
        resource_tracker.getfd = getfd
        os.close(nowhere)


def die_with_parent(parent: int = 0) -> None:
    """On Linux, have the kernel kill this process when its parent ends, for whatever reason.

    The parent has the process id `parent`; 0: it has started this process by multiprocessing.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        starter = parent_process()
        expected = parent or (starter.pid if starter is not None else 0)
        if expected and os.getppid() != expected:  # it has ended before
            os._exit(1)
