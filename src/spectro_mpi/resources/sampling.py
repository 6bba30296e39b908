"""The interface by which roles report to the sampler.

It passes only plain values, so that it depends on no phase and no role.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spectro_mpi.errors import Cause


@dataclass(frozen=True)
class Station:
    """The place of a rank in a run."""

    rank: int
    size: int
    roles: str
    leads_node: bool
    """Whether the rank reports the totals of its node."""
    job_ends: float = math.nan
    """End of the wall time, s since 1970 UTC; NaN: not known."""


@dataclass(frozen=True)
class Ending:
    """How the work of a rank ended."""

    cause: Cause | None = None
    """None: it was done."""
    words: str = ""


class Sampling:
    """Receives the reports of the roles. This class ignores them: nothing is sampled."""

    def begins(self, phase: str, item: str) -> None:
        """Report that a task begins: `phase` of `item`."""

    def step(self, name: str) -> None:
        """Report that a step of the current task begins, such as an instrument."""

    def child(self, pid: int, shown: Any) -> None:
        """Report a new compute process; it shows its activity in `shown`, a `ctypes.c_ubyte`."""

    def memory(self, megabytes: float) -> None:
        """Report the memory of the compute process, in MB."""

    def child_lost(self, reason: str, message: str, limit: float = 0.0) -> None:
        """Report that the compute process has died, or will be ended.

        `limit` is its memory limit in MB; 0: none.
        """

    def done(
        self,
        phase: str,
        item: str,
        size: int,
        seconds: float,
        failures: int,
        spent: Sequence[float],
    ) -> None:
        """Report that the current task is done.

        `size` is the size of the item's files in bytes, `seconds` the duration of the task.
        `spent` holds the seconds by activity (system/activity.py); empty: not measured.
        """

    def wrote(self, phase: str, nbytes: int, seconds: float) -> None:
        """Report that a batch of results of a phase, `nbytes` of data, has been written."""

    def plan(self, phase: str, stacks: Sequence[tuple[int, int, int]]) -> None:
        """Report the stacks dealt at the start of a phase: (rank, items, bytes) of each worker."""

    def close(self, ending: Ending) -> None:
        """Stop sampling; `ending` says how the work of the rank ended."""
