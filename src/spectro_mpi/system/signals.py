"""Signals that ask a run to stop: collected from the first moment on, obeyed when it can."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from types import FrameType
from typing import Any

SAME_SIGNAL_SECONDS = 0.3
"""One Ctrl-C may come twice: from the terminal and by way of the launcher."""

_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
_INTERRUPTED = 130


class StopSignals:
    """Inside its context the signals that ask for a stop are collected instead of obeyed."""

    def __init__(self) -> None:
        self.asked: deque[int] = deque()
        """What has come and was not looked at yet."""
        self.is_starting = True
        """Nothing has begun yet that would have to be ended well."""
        self._first = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        # Python lets the main thread alone have handlers.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._take_in)
        return self

    def __exit__(self, *_: object) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # None: it was set by something that is not Python, and cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def give_back(self) -> None:
        """Leave the signals to whoever had them, those that came already too."""
        self.__exit__()
        while self.asked:
            os.kill(os.getpid(), self.asked.popleft())

    def _take_in(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        self._first = self._first or now
        if self.is_starting and now - self._first > SAME_SIGNAL_SECONDS:
            os._exit(_INTERRUPTED)  # asked again, and there is nothing to lose
        self.asked.append(number)


def heed_no_stops() -> None:
    """Ignore them: in a child of a rank, whose business it is to stop; in a process that ends."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
