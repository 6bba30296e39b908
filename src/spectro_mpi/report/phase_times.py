"""Times of the phases of a run, from the record of its resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spectro_mpi.resources import Record


@dataclass(frozen=True)
class PhaseTime:
    """Times of one phase in one execution of a run."""

    phase: str
    ranks: int
    workers: int
    items: int
    """Number of items to be done."""
    begin: float
    """Start of the phase, s since 1970 UTC."""
    end: float
    """When the last item was done, s since 1970 UTC; `begin` if no item was done."""
    done: int
    """Number of items that were done."""
    busy: float
    """Total seconds that workers spent on items."""

    @property
    def seconds(self) -> float:
        """Seconds from the start of the phase to its last item."""
        return self.end - self.begin

    @property
    def rate(self) -> float:
        """Items done per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that they spent on items, 0 to 1."""
        whole = self.seconds * self.workers
        return min(1.0, self.busy / whole) if whole > 0 else 0.0


def phase_times(record: Record) -> list[PhaseTime]:
    """Each phase of each execution, sorted by start."""
    return sorted(_phase_times(record), key=lambda phase: phase.begin)


def _phase_times(record: Record) -> Iterator[PhaseTime]:
    plans, steps = record.plans, record.steps
    for execution in np.unique(plans.execution):
        ranks = int((record.ranks.execution == execution).sum())
        for phase in np.unique(plans.phase[plans.execution == execution]):
            stacks = plans.at((plans.execution == execution) & (plans.phase == phase))
            done = steps.at((steps.execution == execution) & (steps.phase == phase))
            # A phase begins again if the store had lost items.
            begins = np.unique(stacks.time)
            for begin, next_begin in zip(begins, [*begins[1:], np.inf], strict=True):
                dealt = stacks.at(stacks.time == begin)
                tasks = done.at((done.begin >= begin) & (done.begin < next_begin))
                yield PhaseTime(
                    phase=str(phase),
                    ranks=ranks,
                    workers=len(dealt),
                    items=int(dealt.items.sum()),
                    begin=float(begin),
                    end=float(max([begin, *(tasks.begin + tasks.seconds)])),
                    done=len(tasks),
                    busy=float(tasks.seconds.sum()),
                )
