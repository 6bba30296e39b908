"""Which parts of items, such as figures, are made again: those whose digest has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spectro_mpi.phases.figure_digests import PREVIEW
from spectro_mpi.phases.interface import MergingPhase, PartwisePhase, Phase
from spectro_mpi.phases.task import Task
from spectro_mpi.rundir.digests import FAILED, KnownDigests
from spectro_mpi.system.words import count

if TYPE_CHECKING:
    from spectro_mpi.planning.todo import RunPlan


@dataclass(frozen=True)
class OutdatedParts:
    """Parts that are not up to date, and are about to be made again."""

    items: tuple[str, ...] = ()
    """Items that are settled, and will be done again."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Item → the parts, including those that an item with failures has besides."""
    replaced: int = 0
    """Number of figures that are drawn again."""
    new: int = 0
    """Number of figures that are drawn for the first time."""

    def __str__(self) -> str:
        if not self.new + self.replaced:
            return f"{count(len(self.items), 'preview')} will be made again"
        again = " again" if self.replaced else ""
        return f"{count(self.new + self.replaced, 'figure')} will be drawn{again} from the store"


def with_parts(phase: PartwisePhase, tasks: Iterable[Task], plan: RunPlan) -> Iterator[Task]:
    """Tasks of items that are not settled, with the parts that are not on disk as they should be.

    All parts are made of an item whose data is not known, and recorded by a later run.
    """
    expected = phase.part_digests(plan.run_wide, plan.marks)
    for task in tasks:
        data = _data_of(plan, task)
        if data is None:
            yield task
            continue
        parts = expected(task.item, data, task.failures)
        known = plan.known.figures.get(task.item.id)
        if known:
            same = [part for part in parts if known.get(part) == parts[part]]
            there = phase.parts_on_disk(plan.order.config.run_dir, task.item, same) if same else ()
            parts = {part: each for part, each in parts.items() if part not in there}
        yield replace(task, parts=parts)


def outdated_parts(phase: PartwisePhase, tasks: Iterable[Task], plan: RunPlan) -> OutdatedParts:
    """Compare the parts of items with what is recorded of them.

    An item with failures in the phase is done as a whole, if at all: its parts share the failures.
    """
    expected = phase.part_digests(plan.run_wide, plan.marks)
    settled, failures = plan.progress.settled[phase.name], plan.progress.failures
    items: list[str] = []
    outdated: dict[str, tuple[str, ...]] = {}
    replaced = new = 0
    for task in tasks:
        item, data = task.item.id, _data_of(plan, task)
        known = plan.known.figures.get(item, {})
        if data is None or not (known or item in settled):
            continue
        parts = expected(task.item, data, task.failures)
        changed = [part for part in parts if known.get(part, "").lstrip(FAILED) != parts[part]]
        if item not in settled:
            changed = [part for part in changed if part in known]
        elif changed and any(failure.phase == phase.name for failure in failures.get(item, ())):
            changed = list(parts)
        if changed:
            outdated[item] = tuple(changed)
            figures = [part for part in changed if part != PREVIEW]
            if item in settled:
                items.append(item)
                again = sum(part in known for part in figures)
                # A settled item of which nothing is known was drawn by an earlier version.
                again = again if known else len(figures)
                replaced, new = replaced + again, new + len(figures) - again
    return OutdatedParts(tuple(items), outdated, replaced, new)


def what_is_redrawn(plan: RunPlan, phase: Phase) -> Iterator[str]:
    """Sentences on the figures of finished items that this execution draws again."""
    settled = plan.progress.settled[phase.name]
    if not (isinstance(phase, PartwisePhase) and plan.order.is_active(phase) and settled):
        return
    if not any(plan.known.figures.values()):
        yield "what the figures were drawn from is not recorded: they are drawn again, once"
    reads = restores = False
    for earlier in plan.order.givers(phase):
        tasks = plan.tasks(earlier)
        reads |= any(task.mode == "run" for task in tasks)
        restores |= isinstance(earlier, MergingPhase) and bool(tasks)
    from_cdf = "" if reads else "; nothing is read from CDF"
    if restores:
        yield f"figures whose data or common limits change will be drawn again{from_cdf}"
        return
    outdated = plan.outdated(phase)
    if outdated.items:
        yield f"{outdated}{from_cdf}"


def _data_of(plan: RunPlan, task: Task) -> Mapping[str, str] | None:
    """Instrument → digest of the reduced data of an item; None: not known."""
    known: KnownDigests = plan.known
    shard = next(iter(task.shards.values()), "")
    return known.data_of(task.item.id, shard)
