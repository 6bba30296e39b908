"""What a process is doing within a task (read, reduce, draw, encode, write), and for how long.

Code that computes wraps its parts in `with doing("read"):`, which costs a microsecond and no
message. The current activity is in a byte of shared memory, where the rank that samples the
compute process reads it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

Activity = Literal["other", "read", "reduce", "draw", "encode", "write"]

ACTIVITIES: tuple[Activity, ...] = get_args(Activity)
"""In the order in which an item goes through them."""


@dataclass(frozen=True)
class Doing:
    """What a worker is doing, in words of the run."""

    phase: str
    item: str
    step: str = ""
    """As an instrument; empty: it starts."""
    how_far: str = ""
    """As "3/10"; empty: the step does not report it."""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.phase, self.item, self.step, self.how_far)))


@contextmanager
def doing(activity: Activity) -> Iterator[None]:
    """Wraps a part of a task. The time of a nested part is not counted for the outer one."""
    before = _clock.switch(ACTIVITIES.index(activity))
    try:
        yield
    finally:
        _clock.switch(before)


def start_counting() -> None:
    """Set all times to zero, at the start of a task."""
    _clock.switch(0)
    _clock.spent = [0.0] * len(ACTIVITIES)


def spent() -> tuple[float, ...]:
    """Seconds since `start_counting`, in the order of `ACTIVITIES`."""
    _clock.switch(_clock.shown.value)
    return tuple(_clock.spent)


def show_in(shown: Any) -> None:
    """From now on keep the current activity in the `value` of `shown` (a `ctypes.c_ubyte`)."""
    shown.value = 0
    _clock.shown = shown


def name_of(shown: Any) -> Activity:
    """The activity in such an object."""
    place: int = shown.value
    return ACTIVITIES[place]


def shown_by_this_process() -> Any:
    """The object in which this process keeps its current activity."""
    return _clock.shown


class _Clock:
    """Adds up the time between switches."""

    def __init__(self) -> None:
        self.shown: Any = ctypes.c_ubyte()
        self.spent = [0.0] * len(ACTIVITIES)
        self._since = time.monotonic()

    def switch(self, activity: int) -> int:
        """Change to another activity and return the previous one."""
        before: int = self.shown.value
        now = time.monotonic()
        self.spent[before] += now - self._since
        self._since = now
        self.shown.value = activity
        return before


_clock = _Clock()
