"""Signals that ask a run to stop: collected from the start, obeyed when the run is able to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from types import FrameType
from typing import Any

SAME_SIGNAL_SECONDS = 0.3
"""One Ctrl-C may arrive twice within this time: from the terminal and from the launcher."""

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask a run to stop; the last comes when the terminal or its connection is closed."""

_INTERRUPTED = 130


class StopSignals:
    """A context in which signals that ask for a stop are collected instead of obeyed."""

    def __init__(self) -> None:
        self.received: deque[int] = deque()
        """Signals that arrived and have not been handled yet."""
        self.is_starting = True
        """Whether the process may still exit at once: nothing has begun that must end cleanly."""
        self._first = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Python lets only the main thread set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, self._take_in)
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # None: the handler was not set from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def give_back(self) -> None:
        """Restore the previous handlers and send them the signals received so far."""
        self.__exit__()
        while self.received:
            os.kill(os.getpid(), self.received.popleft())

    def _take_in(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        self._first = self._first or now
        if self.is_starting and now - self._first > SAME_SIGNAL_SECONDS:
            os._exit(_INTERRUPTED)  # a second request, and there is nothing to lose
        self.received.append(number)


def ignore_stop_signals() -> None:
    """Ignore them: in a child of a rank, which the rank stops, and in a process that is exiting."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
