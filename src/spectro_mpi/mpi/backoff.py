"""Waiting without spinning."""

from __future__ import annotations

import threading
import time

_SHORTEST_PAUSE = 4e-3
LONGEST_PAUSE = 64e-3
STARVED_PAUSE = 8e-3
"""The longest while work stands still for want of a message."""
SENDING_PAUSE = 4e-3
"""The longest while messages leave, which they do no faster than they are asked about."""


class Backoff:
    """Pauses that grow while there is nothing to do: a spinning rank takes a worker's core."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` ends a pause: something has come that is not a message of MPI."""
        self._wake = wake
        self._pause = 0.0

    def reset(self) -> None:
        """There was something to do: be quick."""
        self._pause = 0.0

    def pause(self, longest: float = LONGEST_PAUSE) -> None:
        """There was nothing to do: wait, longer each time, up to `longest` (s)."""
        if self._wake is None:
            time.sleep(self._pause)
        else:
            self._wake.wait(self._pause)
            self._wake.clear()
        self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), longest)
