"""Progress of the steps before the first phase: a line now and then, if they take long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spectro_mpi.system.words import duration

_LINE_SECONDS = 10.0

Counting = Callable[[int], None]
"""Called with how many of something are done so far."""


class Steps:
    """Prints lines about the current step, from a thread: file systems may hang."""

    def __init__(self, visible: bool, line_seconds: float = _LINE_SECONDS) -> None:
        """With `visible` false, it prints nothing. `line_seconds`: time between two lines."""
        self._visible = visible
        self._line_seconds = line_seconds
        self._count = 0

    @contextmanager
    def step(self, what: str, unit: str = "") -> Iterator[Counting]:
        """Show a step such as "looking for items"; yields a function to report a count with.

        `unit` is what is counted, in the plural.
        """
        self._count, ended, began = 0, threading.Event(), time.monotonic()

        def watch() -> None:
            while not ended.wait(self._line_seconds):
                counted = f"{self._count:,} {unit} so far, " if self._count else ""
                print(f"{what}: {counted}{duration(time.monotonic() - began)}", flush=True)

        thread = threading.Thread(target=watch, name="steps", daemon=True)
        if self._visible:
            thread.start()
        try:
            yield self._set
        finally:
            ended.set()
            if self._visible:
                thread.join()

    def _set(self, count: int) -> None:
        self._count = count
