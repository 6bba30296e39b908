"""What a process is at within a task (read, reduce, draw, encode, write), and for how long.

Whoever computes says `with doing("read"):`; it costs a microsecond and no message. The activity of
the moment stands in a byte of shared memory, for the rank that samples its compute process.
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
    """Round a part of a task; one inside another counts for itself only."""
    before = _clock.switch(ACTIVITIES.index(activity))
    try:
        yield
    finally:
        _clock.switch(before)


def start_counting() -> None:
    """A task begins: what was spent before is forgotten."""
    _clock.switch(0)
    _clock.spent = [0.0] * len(ACTIVITIES)


def spent() -> tuple[float, ...]:
    """Seconds since `start_counting`, by activity."""
    _clock.switch(_clock.shown.value)
    return tuple(_clock.spent)


def show_in(shown: Any) -> None:
    """Show the activity of the moment in an object with a `value` (`ctypes.c_ubyte`)."""
    shown.value = 0
    _clock.shown = shown


def name_of(shown: Any) -> Activity:
    """The activity shown in such an object."""
    place: int = shown.value
    return ACTIVITIES[place]


def own() -> Any:
    """Where this process shows its own activity."""
    return _clock.shown


class _Clock:
    """Adds up the time between switches."""

    def __init__(self) -> None:
        self.shown: Any = ctypes.c_ubyte()
        self.spent = [0.0] * len(ACTIVITIES)
        self._since = time.monotonic()

    def switch(self, activity: int) -> int:
        """Go on with another activity; returns the one before."""
        before: int = self.shown.value
        now = time.monotonic()
        self.spent[before] += now - self._since
        self._since = now
        self.shown.value = activity
        return before


_clock = _Clock()
