"""Wait for messages without spinning."""

from __future__ import annotations

import threading
import time

_SHORTEST_PAUSE = 4e-3
LONGEST_PAUSE = 64e-3
"""Longest pause (s) of a rank whose work continues without a message."""
STARVED_PAUSE = 8e-3
"""Longest pause (s) of a rank that cannot work until a message arrives, or that others wait for."""
SENDING_PAUSE = 4e-3
"""Longest pause (s) while messages are being sent: MPI sends only while requests are tested."""


class Backoff:
    """Pauses that grow while there is nothing to do: a spinning rank would occupy a core."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` ends a pause: it is set when something other than an MPI message arrives."""
        self._wake = wake
        self._pause = 0.0

    def reset(self) -> None:
        """Start again with no pause, since there was something to do."""
        self._pause = 0.0

    def pause(self, longest: float = LONGEST_PAUSE) -> None:
        """Wait, twice as long as the last time, but at most `longest` (s)."""
        if self._wake is None:
            time.sleep(self._pause)
        else:
            self._wake.wait(self._pause)
            self._wake.clear()
        self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), longest)
