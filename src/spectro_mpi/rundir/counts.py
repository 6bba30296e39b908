"""How many items of a run are done, failed, not possible and left in each phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spectro_mpi.rundir.progress import PHASES, Progress


@dataclass(frozen=True)
class PhaseCount:
    """The items of one phase; `done`, `failed`, `not_possible` and `left` add up to `total`."""

    phase: str
    done: int
    """Items of which nothing failed in this phase."""
    failed: int
    """Items of which something failed in this phase."""
    total: int
    not_possible: int = 0
    """Items that cannot go through this phase, because all of it that an earlier one gives is
    missing."""

    @property
    def left(self) -> int:
        """Items that are not settled yet."""
        return max(0, self.total - self.done - self.failed - self.not_possible)

    def with_more(self, done: int, failed: int) -> PhaseCount:
        """The counts when so many more items are done and failed."""
        return replace(self, done=self.done + done, failed=self.failed + failed)

    @property
    def others(self) -> str:
        """Words for the items that are not done, such as ", 2 failed"; empty if all are."""
        words = (
            f"{self.failed} failed" if self.failed else "",
            f"{self.not_possible} not possible (an earlier phase failed)"
            if self.not_possible
            else "",
        )
        return "".join(f", {word}" for word in words if word)

    @property
    def words(self) -> str:
        """The counts in words, the same in every place that shows them."""
        noun = "item" if self.total == 1 else "items"
        return f"{self.done} of {self.total} {noun} done{self.others}"


def phase_counts(progress: Progress) -> tuple[PhaseCount, ...]:
    """The counts of all phases of a run, in order."""
    return tuple(_counts(progress))


def item_count(progress: Progress) -> PhaseCount:
    """The items of a run that are done in all phases, and those of which something failed."""
    counts = phase_counts(progress)
    done = set[str]().union(*progress.settled.values()) - progress.failures.keys()
    for count in counts:
        if count.left:
            done &= progress.settled[count.phase]
    total = max([progress.items_total, *(count.total for count in counts)])
    return PhaseCount("", len(done), len(progress.failures), total)


def before_phase(progress: Progress, phase: str, tasks: int) -> PhaseCount | None:
    """The counts of a phase of which `tasks` items are left.

    None if the run has others left, as when some are done again: then only these count.
    """
    counts = {count.phase: count for count in phase_counts(progress)}
    found = counts.get(phase)
    return found if found is not None and found.left == tasks else None


def _counts(progress: Progress) -> Iterator[PhaseCount]:
    total = max([progress.items_total, *map(len, progress.settled.values())])
    complete = True  # whether the phases so far are
    for phase in progress.phases:
        settled = progress.settled[phase]
        failed = sum(
            any(failure.phase == phase for failure in progress.failures.get(item, ()))
            for item in settled
        )
        not_possible = 0
        if phase == "plot" and "reduce" in progress.phases:
            without_data = progress.settled["reduce"] - progress.data_files.keys()
            not_possible = len(without_data - settled)
        elif phase not in PHASES and complete:
            # The coordinator notes how many items can go through a phase when it begins.
            possible = max(progress.totals.get(phase, total), len(settled))
            not_possible = max(0, total - possible)
        count = PhaseCount(phase, len(settled) - failed, failed, total, not_possible)
        complete = complete and not count.left
        yield count
