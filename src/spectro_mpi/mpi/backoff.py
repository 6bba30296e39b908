"""Waiting without spinning."""

from __future__ import annotations

import threading
import time

_SHORTEST_PAUSE = 4e-3
_LONGEST_PAUSE = 32e-3
_LONGEST_SENDING = 2e-3
"""While messages leave, which they may do no faster than they are asked about."""


class Backoff:
    """Pauses that grow while there is nothing to do: a spinning rank takes a worker's core."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` ends a pause: something has come that is not a message of MPI."""
        self._wake = wake
        self._pause = 0.0

    def reset(self) -> None:
        """There was something to do: be quick."""
        self._pause = 0.0

    def pause(self, sending: bool = False) -> None:
        """There was nothing to do: wait, longer each time, but not long while `sending`."""
        if self._wake is None:
            time.sleep(self._pause)
        else:
            self._wake.wait(self._pause)
            self._wake.clear()
        longest = _LONGEST_SENDING if sending else _LONGEST_PAUSE
        self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), longest)
