"""What roles report to whoever samples: plain values, so that it depends on no phase or role."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spectro_mpi.errors import Cause


@dataclass(frozen=True)
class Station:
    """Where a rank is and what it does there."""

    rank: int
    size: int
    roles: str
    leads_node: bool
    """Whether it tells the totals of its node."""
    job_ends: float = math.nan
    """s since 1970 UTC."""


@dataclass(frozen=True)
class Ending:
    """How the work of a rank ended."""

    cause: Cause | None = None
    """None: it was done."""
    words: str = ""


class Sampling:
    """What roles report to whoever samples. This one does not listen: nothing is sampled."""

    def begins(self, phase: str, item: str) -> None:
        """A task begins."""

    def step(self, name: str) -> None:
        """A step of it begins."""

    def child(self, pid: int, shown: Any) -> None:
        """There is a new compute process, which shows its activity in `shown`."""

    def memory(self, megabytes: float) -> None:
        """The compute process was seen to have so much memory."""

    def child_lost(self, reason: str, message: str, limit: float = 0.0) -> None:
        """The compute process is about to be ended, or has died; `limit`: MB it might have."""

    def done(
        self,
        phase: str,
        item: str,
        size: int,
        seconds: float,
        failures: int,
        spent: Sequence[float],
    ) -> None:
        """A task is done: an item of `size` bytes in a phase, with so many failures.

        `spent`: seconds by activity (system/activity.py); empty: nobody has counted.
        """

    def wrote(self, phase: str, nbytes: int, seconds: float) -> None:
        """A batch of results of a phase, `nbytes` of data, has been written."""

    def plan(self, phase: str, stacks: Sequence[tuple[int, int, int]]) -> None:
        """Stacks are dealt: (rank, items, bytes) of each worker."""

    def close(self, ending: Ending) -> None:
        """End; how the rank's work ended."""
