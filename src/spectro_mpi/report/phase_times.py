"""How long the phases of a run took, by the record of its resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spectro_mpi.resources import Record


@dataclass(frozen=True)
class PhaseTime:
    """One phase of one execution of a run."""

    phase: str
    ranks: int
    workers: int
    items: int
    """To be done."""
    begin: float
    """s since 1970 UTC."""
    end: float
    """When the last item was done, s since 1970 UTC; `begin` if none was."""
    done: int
    busy: float
    """Seconds that workers spent on items, all together."""

    @property
    def seconds(self) -> float:
        """From its begin to its last item."""
        return self.end - self.begin

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that went into items."""
        whole = self.seconds * self.workers
        return min(1.0, self.busy / whole) if whole > 0 else 0.0


def phase_times(record: Record) -> list[PhaseTime]:
    """Each phase of each execution, in order of their beginning."""
    return sorted(_phase_times(record), key=lambda phase: phase.begin)


def _phase_times(record: Record) -> Iterator[PhaseTime]:
    plans, steps = record.plans, record.steps
    for execution in np.unique(plans.execution):
        ranks = int((record.ranks.execution == execution).sum())
        for phase in np.unique(plans.phase[plans.execution == execution]):
            dealt = plans.at((plans.execution == execution) & (plans.phase == phase))
            done = steps.at((steps.execution == execution) & (steps.phase == phase))
            # A phase may begin again, where the store had lost items.
            begins = np.unique(dealt.time)
            for begin, next_begin in zip(begins, [*begins[1:], np.inf], strict=True):
                stacks = dealt.at(dealt.time == begin)
                tasks = done.at((done.begin >= begin) & (done.begin < next_begin))
                yield PhaseTime(
                    phase=str(phase),
                    ranks=ranks,
                    workers=len(stacks),
                    items=int(stacks.items.sum()),
                    begin=float(begin),
                    end=float(max([begin, *(tasks.begin + tasks.seconds)])),
                    done=len(tasks),
                    busy=float(tasks.seconds.sum()),
                )
