"""What one execution has to do: which items, in which phases, by what is on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from spectro_mpi.errors import Failure, UserError
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.phases.interface import MergingPhase, Phase, PreparingPhase
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.phases.task import Mode, Task
from spectro_mpi.planning.events import marks_of
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import item_folder, run_wide_path, without_folder
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_run_wide
from spectro_mpi.system.words import count

_UNKNOWN = datetime.min.replace(tzinfo=timezone.utc)
"""Start of an item whose input is not there any more; what is in the store still counts."""


@dataclass(frozen=True)
class Again:
    """Items that are done again in some phases."""

    items: tuple[str, ...]
    phases: tuple[str, ...]
    why: str = ""
    """To be told; empty: it was asked for."""


@dataclass
class RunPlan:
    """What one execution has to do, by the state as it is when it is asked."""

    order: PhaseOrder
    progress: Progress
    """The state; the coordinator keeps it up to date."""
    items: dict[str, Item]
    marks: Marks = field(default_factory=dict)
    again: list[Again] = field(default_factory=list)
    """Items that are done again although they are settled."""
    assets_only: bool = False
    """Whether phases that can make ahead what items share do that, and nothing else."""

    def tasks(self, phase: Phase, also: Collection[str] = ()) -> list[Task]:
        """What there is to do in a phase; of one that is not active, items in `also` only."""
        if self.assets_only and isinstance(phase, PreparingPhase):
            return self._preparing_tasks(phase)
        settled = self.progress.settled[phase.name]
        wanted = None if self.order.is_active(phase) else set(also)
        todo = [
            item
            for item in self._possible(phase)
            if item not in settled and (wanted is None or item in wanted)
        ]
        tasks = self._tasks(phase, todo)
        if also:
            # What was made anew because the store did not give it back is not made anew once more.
            tasks = [replace(one, remade=bool(one.shards) and one.item.id in also) for one in tasks]
        if isinstance(phase, MergingPhase) and (tasks or self._is_stale(phase)):
            tasks += self._restoring(phase, {task.item.id for task in tasks})
        return tasks

    def count(self, phase: Phase) -> int:
        """Items that can go through a phase, or have."""
        return len(self.progress.settled[phase.name].union(self._possible(phase)))

    @property
    def nothing_to_do(self) -> bool:
        """Whether all wanted output is on disk."""
        return not self.again and not any(self.tasks(phase) for phase in self.order.phases)

    @property
    def told(self) -> list[str]:
        """What is done again without having been asked for, a sentence each."""
        return [
            f"{count(len(again.items), 'item')} will be done again: {again.why}"
            for again in self.again
            if again.why
        ]

    def basis(self, phase: MergingPhase[Any], content: Mapping[str, Any]) -> str:
        """Digest of what an artifact of the run is made from, settings and items; and of it."""
        items = sorted(self.progress.stores[phase.name].items())
        if not phase.in_store:
            items = [(item, "") for item in sorted(self.progress.settled[phase.name])]
        return digest([sorted(content.items()), phase.basis(), items])

    def _is_stale(self, phase: MergingPhase[Any]) -> bool:
        """Whether the artifact of the run is not there, or made from something else."""
        path = run_wide_path(self.order.config.run_dir, phase.run_wide.name)
        basis = self.basis(phase, read_run_wide(path))
        return not path.exists() or self.progress.made_from.get(phase.run_wide.name) != basis

    def _possible(self, phase: Phase) -> Iterator[str]:
        """The items that have what the phase needs."""
        givers = self.order.givers(phase)
        stores = [self.progress.stores[one.name] for one in givers if one.in_store]
        whole = [one for one in givers if not one.in_store]
        for item in stores[0] if stores else self.items:
            if (
                item in self.items
                and all(item in held for held in stores)
                and all(self._has_files(one, self.items[item]) for one in whole)
            ):
                yield item

    def _tasks(self, phase: Phase, items: Iterable[str], mode: Mode = "run") -> list[Task]:
        givers = self.order.givers(phase)
        names = {one.name for one in givers}
        stores = {one.name: self.progress.stores[one.name] for one in givers if one.in_store}
        failures = self.progress.failures
        return [
            Task(
                phase.name,
                self.items[item],
                {name: held[item] for name, held in stores.items()},
                tuple(one for one in failures.get(item, ()) if one.phase in names),
                mode,
                fingerprint=phase.fingerprint(self.items[item], self.marks),
            )
            for item in items
        ]

    def _has_files(self, giver: Phase, item: Item) -> bool:
        failures = self.progress.failures.get(item.id, ())
        if item.id in self.progress.settled[giver.name]:
            return not _has_failed(giver, failures)
        # Of a phase that is not active they may have been made elsewhere.
        if self.order.is_active(giver):
            return False
        folder = item_folder(self.order.config.run_dir, giver.name, item)
        return all(
            any(folder.glob(f"*{one.extension}"))
            for one in giver.gives
            if one.extension and one.of == "item"
        )

    def _restoring(self, phase: MergingPhase[Any], redone: Collection[str]) -> list[Task]:
        """For the contributions of what is finished; of some of it the input may be gone."""
        if not phase.in_store:
            settled = self.progress.settled[phase.name]
            todo = [one for one in self._possible(phase) if one in settled and one not in redone]
            return self._tasks(phase, todo, "restore")
        givers = [one.name for one in (*self.order.givers(phase), phase) if one.in_store]
        return [
            Task(
                phase.name,
                self.items.get(item, Item(item, _UNKNOWN, ())),
                {
                    name: self.progress.stores[name][item]
                    for name in givers
                    if item in self.progress.stores[name]
                },
                mode="restore",
            )
            for item in self.progress.stores[phase.name]
            if item not in redone
        ]

    def _preparing_tasks(self, phase: PreparingPhase) -> list[Task]:
        """Of the items that share all that is made, one each."""
        first: dict[object, Task] = {}
        for task in self._tasks(phase, self._possible(phase), "prepare"):
            key = phase.alike(task, self.marks)
            if key is not None:
                first.setdefault(key, task)
        return list(first.values())


def plan_run(
    order: PhaseOrder,
    inventory: Inventory,
    *,
    retry: bool = False,
    redo: str = "",
    assets_only: bool = False,
) -> RunPlan:
    """Compare the inventory with what is on disk.

    `retry`: failed items are done again, from the phase on in which they failed; `redo`: all items
    are, in that phase and those that build on it.

    Raises `UserError` where a phase that is not active has not given what others need of it.
    """
    config = order.config
    progress = load_progress(config.run_dir, config.run_id)
    names = tuple(phase.name for phase in order.phases)
    others = tuple(one for one in progress.phases if one not in names and progress.settled[one])
    progress.phases = names + others
    again: list[Again] = []
    if retry:
        for first, failed in _failed_by_phase(progress, names).items():
            again.append(Again(failed, progress.onward(first)))
    if redo and progress.settled[redo]:
        again.append(Again(tuple(progress.settled[redo]), tuple(order.dependents(redo))))
    items = {item.id: item for item in inventory.items}
    plan = RunPlan(order, progress, items, marks_of(config), again, assets_only)
    for phase in () if assets_only else order.phases:
        again += _outdated(plan, phase)
    for one in again:
        progress.forget(one.items, one.phases)
    _check_inactive(plan)
    return plan


def _outdated(plan: RunPlan, phase: Phase) -> Iterator[Again]:
    """Finished items whose input has changed since, or whose files are gone."""
    progress, config = plan.progress, plan.order.config
    settled = [item for item in progress.settled[phase.name] if item in plan.items]
    prints = progress.fingerprints[phase.name]
    changed = tuple(
        item
        for item in settled
        if phase.is_outdated(prints.get(item, ""), phase.fingerprint(plan.items[item], plan.marks))
    )
    dependents = tuple(plan.order.dependents(phase.name))
    if changed:
        why = f"what phase {phase.name} makes them from has changed"
        yield Again(changed, dependents, why)
    if phase.gives_files:
        failed = {item for item, ones in progress.failures.items() if _has_failed(phase, ones)}
        whole = [plan.items[item] for item in settled if item not in failed]
        gone = tuple(one.id for one in without_folder(config.run_dir, phase.name, whole))
        if gone:
            yield Again(gone, dependents, f"the files phase {phase.name} made are gone")


def _has_failed(phase: Phase, failures: Iterable[Failure]) -> bool:
    return any(one.phase == phase.name for one in failures)


def _check_inactive(plan: RunPlan) -> None:
    """Raise `UserError` naming what phases that are not active should have given."""
    run_dir = plan.order.config.run_dir
    for phase in plan.order.phases:
        if not plan.order.is_active(phase) or any(plan._possible(phase)):
            continue
        missing = [
            f"{kind} of phase {giver.name}"
            for giver, kind in plan.order.sources(phase)
            if kind.of == "item" and not plan.order.is_active(giver)
        ]
        if missing:
            raise UserError(
                f"{run_dir}: phase {phase.name} needs {' and '.join(missing)}, which is not active "
                "and has given nothing yet; run without --only first"
            )


def digest(content: Any) -> str:
    """A short digest of what JSON can say."""
    words = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _failed_by_phase(progress: Progress, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The first phase an item failed in → items."""
    failed: dict[str, list[str]] = {}
    for item, failures in progress.failures.items():
        phases = {one.phase for one in failures}
        first = next((name for name in names if name in phases), None)
        if first is not None:
            failed.setdefault(first, []).append(item)
    return {phase: tuple(items) for phase, items in failed.items()}
