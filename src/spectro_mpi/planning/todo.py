"""Plan what one execution has to do: which items, in which phases, given what is on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from spectro_mpi.errors import Failure, UserError
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.phases.contributions import Contributions, is_kept, kept_files
from spectro_mpi.phases.interface import MergingPhase, PartwisePhase, Phase, PreparingPhase
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.phases.task import Mode, Task
from spectro_mpi.planning.events import marks_of
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.planning.redraw import (
    OutdatedParts,
    missing_parts,
    outdated_parts,
    with_parts,
)
from spectro_mpi.planning.stored import stored_items
from spectro_mpi.rundir.digests import KnownDigests, load_digests
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import item_folder, run_wide_path, without_folder
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.reader import read_run_wide
from spectro_mpi.rundir.results import problem_of_result, stamps_in
from spectro_mpi.rundir.tallies import KeptGroup, KeptPhase
from spectro_mpi.system.words import count

_UNKNOWN = datetime.min.replace(tzinfo=timezone.utc)
"""Start of an item whose input is gone; its results in the store still count."""


@dataclass(frozen=True)
class Again:
    """Items to be done again in some phases."""

    items: tuple[str, ...]
    phases: tuple[str, ...]
    why: str = ""
    """The reason to print; empty: the user requested it."""
    all_parts: bool = False
    """Whether figures are drawn again even if they are up to date."""


@dataclass
class RunPlan:
    """What one execution has to do; its methods depend on the current `progress`."""

    order: PhaseOrder
    progress: Progress
    """The state of the run, which the coordinator updates."""
    items: dict[str, Item]
    """Item id → item, for all items with input, and those in `stored`."""
    marks: Marks = field(default_factory=dict)
    again: list[Again] = field(default_factory=list)
    """Items that are done again although they are settled."""
    assets_only: bool = False
    """Whether a `PreparingPhase` only prepares what its items share."""
    tallies: dict[str, KeptPhase] = field(default_factory=dict)
    """Phase → the contributions to its artifact of the run that are kept in tallies.h5."""
    known: KnownDigests = field(default_factory=KnownDigests)
    """What the parts on disk were made from, which the coordinator updates."""
    run_wide: dict[str, Any] = field(default_factory=dict)
    """Name of an artifact of the run → its content, which the coordinator updates."""
    stored: frozenset[str] = frozenset()
    """Items whose data is in the store, but whose input is not there."""
    missing: int = 0
    """Number of parts of settled items that are up to date by the record, but not on disk."""
    current: dict[str, set[str]] = field(default_factory=dict)
    """Phase → settled items of which all parts are up to date, before anything is done."""

    @property
    def items_total(self) -> int:
        """Number of items of the run: if no input is there, as many as before."""
        is_gone = self.stored and len(self.stored) == len(self.items)
        return max(len(self.items), self.progress.items_total if is_gone else 0)

    def has_input(self, phase: Phase, item: str) -> bool:
        """Whether what a phase needs of an item can be there: files, or output of other phases."""
        return item in self.items and (item not in self.stored or bool(self.order.givers(phase)))

    def tasks(self, phase: Phase, also: Collection[str] = ()) -> list[Task]:
        """The tasks of a phase; if it is not active, only those of items in `also`."""
        if self.assets_only and isinstance(phase, PreparingPhase):
            return self._preparing_tasks(phase)
        settled = self.progress.settled[phase.name]
        selected = None if self.order.is_active(phase) else set(also)
        todo = [
            item
            for item in self._possible(phase)
            if item not in settled and (selected is None or item in selected)
        ]
        tasks = self._tasks(phase, todo)
        if isinstance(phase, PartwisePhase):
            tasks = list(
                with_parts(
                    tasks,
                    phase.part_digests(self.run_wide, self.marks),
                    self.known,
                    phase.parts_on_disk(self.order.config.run_dir),
                )
            )
        if also:
            # Input that was recomputed once, since the store lost it, is not recomputed again.
            once = [bool(task.data_files) and task.item.id in also for task in tasks]
            tasks = [replace(task, remade=each) for task, each in zip(tasks, once, strict=True)]
        if isinstance(phase, MergingPhase) and (tasks or self._is_stale(phase)):
            again = {task.item.id for task in tasks}
            kept = {item for group in self.kept(phase, again) for item in group.data_files}
            tasks += self._restoring(phase, again | kept)
        return tasks

    def kept(self, phase: MergingPhase[Any], again: Collection[str] = ()) -> tuple[KeptGroup, ...]:
        """Contributions of earlier executions that hold while the items `again` are done again."""
        kept = self.tallies.get(phase.name)
        if kept is None or not is_kept(phase) or kept.version != phase.kept_version:
            return ()
        stored = kept_files(phase, self.progress).items()
        files = {item: name for item, name in stored if item not in again}
        return tuple(group for group in kept.groups if group.fits(files))

    def must_conclude(self, phase: Phase) -> bool:
        """Whether an artifact of the run is to be made again, of contributions that are all kept.

        For a phase without `tasks`.
        """
        return isinstance(phase, MergingPhase) and bool(self.kept(phase)) and self._is_stale(phase)

    def count(self, phase: Phase) -> int:
        """Number of items that have been through a phase, or can be."""
        return len(self.progress.settled[phase.name].union(self._possible(phase)))

    @cached_property
    def nothing_to_do(self) -> bool:
        """Whether all output was on disk when this was first asked for, before anything is done."""
        phases = [phase for phase in self.order.phases if self.order.is_active(phase)]
        return (
            not self.again
            and not any(
                self.tasks(phase) or self.must_conclude(phase) for phase in self.order.phases
            )
            and (self.assets_only or not any(map(self._has_outdated, phases)))
        )

    def outdated(
        self,
        phase: Phase,
        run_wide: Mapping[str, Any] | None = None,
        without: Container[str] = (),
    ) -> OutdatedParts:
        """The parts of a phase's output that are recorded or settled, and are not up to date.

        `run_wide`: the artifacts of the run by which they are judged; None: as they are now.
        `without`: items that are known to be up to date.
        """
        if not isinstance(phase, PartwisePhase):
            return OutdatedParts()
        expected = phase.part_digests(self.run_wide if run_wide is None else run_wide, self.marks)
        items = (item for item in self._possible(phase) if item not in without)
        return outdated_parts(self._tasks(phase, items), expected, self.known, self.progress)

    def _has_outdated(self, phase: Phase) -> bool:
        """Whether parts are not up to date, before anything is done."""
        return bool(self.outdated(phase, without=self.current.get(phase.name, ())).parts)

    def forget_missing(self) -> None:
        """Forget the digests of parts that are no longer on disk, so that they are made again."""
        for phase in () if self.assets_only else self.order.phases:
            if not (isinstance(phase, PartwisePhase) and self.order.is_active(phase)):
                continue
            settled = self.progress.settled[phase.name]
            missing, self.current[phase.name] = missing_parts(
                self._tasks(phase, (item for item in self._possible(phase) if item in settled)),
                phase.part_digests(self.run_wide, self.marks),
                self.known,
                phase.parts_on_disk(self.order.config.run_dir),
            )
            self.known.drop(missing)
            self.missing += sum(map(len, missing.values()))

    @property
    def notices(self) -> list[str]:
        """Sentences on what is done again without a request by the user."""
        sentences = [
            f"{count(len(again.items), 'item')} will be done again: {again.why}"
            for again in self.again
            if again.why
        ]
        if not self.assets_only:
            for phase in self.order.phases:
                sentences += self._what_is_redrawn(phase)
        return sentences

    def _what_is_redrawn(self, phase: Phase) -> Iterator[str]:
        """Sentences on the figures of finished items that this execution draws again."""
        if not (isinstance(phase, PartwisePhase) and self.order.is_active(phase)):
            return
        if not self.progress.settled[phase.name]:
            return
        if not any(self.known.figures.values()):
            yield "what the figures were drawn from is not recorded: they are drawn again, once"
        if self.missing:
            yield f"{count(self.missing, 'figure')} no longer on disk"
        earlier = [task for giver in self.order.givers(phase) for task in self.tasks(giver)]
        reads = any(task.mode == "run" for task in earlier)
        from_cdf = "" if reads else "; nothing is read from CDF"
        outdated = self.outdated(phase, self._run_wide_before(phase))
        others = self._perhaps_outdated(phase, outdated) if earlier else 0
        if outdated.items and not others:
            yield f"{outdated}{from_cdf}"
        elif outdated.items:
            yield f"{outdated}, and up to {others} more if their common limits change{from_cdf}"
        elif others:
            figures = count(others, "figure")
            yield f"up to {figures} will be drawn again, if their common limits change{from_cdf}"

    def _run_wide_before(self, phase: Phase) -> Mapping[str, Any]:
        """The artifacts of the run as they will be when a phase begins, as far as known."""
        run_wide = dict(self.run_wide)
        for giver in self.order.givers(phase):
            if isinstance(giver, MergingPhase) and self.must_conclude(giver):
                kept = Contributions(giver, 0, self.kept(giver))
                run_wide[giver.run_wide.name] = giver.conclude(kept.whole())
        return run_wide

    def _perhaps_outdated(self, phase: PartwisePhase, outdated: OutdatedParts) -> int:
        """Number of parts of settled items that depend on other items, besides outdated ones."""
        known, settled = self.known.figures, self.progress.settled[phase.name]
        return sum(
            phase.is_common(part)
            for item in settled
            for part in known.get(item, {}).keys() - outdated.parts.get(item, ())
        )

    def basis(self, phase: MergingPhase[Any], content: Mapping[str, Any]) -> str:
        """Digests of an artifact of the run, "-", and of the settings and items behind it."""
        items = sorted(self.progress.stores[phase.name].items())
        if not phase.in_store:
            items = [(item, "") for item in sorted(self.progress.settled[phase.name])]
        return f"{digest(dict(content))}-{digest([phase.basis(), items])}"

    def _is_stale(self, phase: MergingPhase[Any]) -> bool:
        """Whether the artifact of the run is missing, or was made from something else."""
        path = run_wide_path(self.order.config.run_dir, phase.run_wide.name)
        content = read_run_wide(path)
        basis = self.basis(phase, content)
        run_dir, stamps = self.order.config.run_dir, stamps_in(content)
        names = phase.result_files
        if any(problem_of_result(run_dir, name, stamps.get(name)) for name in names):
            return True
        return not path.exists() or self.progress.made_from.get(phase.run_wide.name) != basis

    def _possible(self, phase: Phase) -> Iterator[str]:
        """The items for which all that the phase needs is there."""
        givers = self.order.givers(phase)
        stores = [self.progress.stores[giver.name] for giver in givers if giver.in_store]
        by_files = [giver for giver in givers if not giver.in_store]
        for item in stores[0] if stores else self.items:
            if (
                item in self.items
                and (bool(givers) or item not in self.stored)
                and all(item in held for held in stores)
                and all(self._has_files(giver, self.items[item]) for giver in by_files)
            ):
                yield item

    def _tasks(self, phase: Phase, items: Iterable[str], mode: Mode = "run") -> list[Task]:
        givers = self.order.givers(phase)
        names = {giver.name for giver in givers}
        stores = {name: self.progress.stores[name] for name in _names_in_store(givers)}
        failures = self.progress.failures
        return [
            Task(
                phase.name,
                self.items[item],
                {name: held[item] for name, held in stores.items()},
                tuple(failure for failure in failures.get(item, ()) if failure.phase in names),
                mode,
                fingerprint=phase.fingerprint(self.items[item], self.marks),
            )
            for item in items
        ]

    def _has_files(self, giver: Phase, item: Item) -> bool:
        failures = self.progress.failures.get(item.id, ())
        if item.id in self.progress.settled[giver.name]:
            return not _has_failed(giver, failures)
        # The files of a phase that is not active may have been made elsewhere.
        if self.order.is_active(giver):
            return False
        folder = item_folder(self.order.config.run_dir, giver.name, item)
        return all(
            any(folder.glob(f"*{artifact.extension}"))
            for artifact in giver.gives
            if artifact.extension and artifact.of == "item"
        )

    def _restoring(self, phase: MergingPhase[Any], known: Collection[str]) -> list[Task]:
        """Tasks that restore what finished items contribute, even if their input is gone.

        The contributions of the items `known` are kept, or computed again.
        """
        if not phase.in_store:
            settled = self.progress.settled[phase.name]
            todo = [item for item in self._possible(phase) if item in settled and item not in known]
            return self._tasks(phase, todo, "restore")
        givers = _names_in_store((*self.order.givers(phase), phase))
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
            if item not in known
        ]

    def _preparing_tasks(self, phase: PreparingPhase) -> list[Task]:
        """One task for each set of items that share all that is prepared."""
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
    given: bool = False,
    tallies: Mapping[str, KeptPhase] | None = None,
    known: KnownDigests | None = None,
) -> RunPlan:
    """Compare the inventory with what is on disk; `tallies`: what tallies.h5 holds.

    `known`: what the parts on disk were made from; None: it is read. With `retry`, failed items
    are done again from the phase in which they failed. `redo`: a phase in which all items are done
    again, and in those that depend on it. `given`: the inventory lists all items.

    Raises `UserError` if an active phase needs output that an inactive one has not produced.
    """
    config = order.config
    progress = load_progress(config.run_dir, config.run_id)
    names = tuple(phase.name for phase in order.phases)
    others = tuple(name for name in progress.phases if name not in names and progress.settled[name])
    progress.phases = names + others
    again: list[Again] = []
    items = {item.id: item for item in inventory.items}
    stored = {} if given else {item.id: item for item in stored_items(config, progress, items)}
    plan = RunPlan(
        order,
        progress,
        items | stored,
        marks_of(config),
        again,
        assets_only,
        dict(tallies or {}),
        load_digests(config.run_dir) if known is None else known,
        run_wide_of(order),
        frozenset(stored),
    )
    if retry:
        for first, failed in _failed_by_phase(progress, names).items():
            phase = order.phases[order.place(first)]
            retried = tuple(item for item in failed if plan.has_input(phase, item))
            if retried:
                again.append(Again(retried, progress.onward(first), all_parts=first == "plot"))
    if redo:
        phase = order.phases[order.place(redo)]
        redone = tuple(item for item in progress.settled[redo] if plan.has_input(phase, item))
        if redone:
            again.append(Again(redone, tuple(order.dependents(redo)), all_parts=True))
    for phase in () if assets_only else order.phases:
        again += _outdated(plan, phase)
    for entry in again:
        progress.forget(entry.items, entry.phases)
        in_parts = (phase.name for phase in order.phases if isinstance(phase, PartwisePhase))
        if entry.all_parts and set(entry.phases).intersection(in_parts):
            plan.known.drop({item: tuple(plan.known.figures[item]) for item in entry.items})
    plan.forget_missing()
    _check_inactive(plan)
    return plan


def run_wide_of(order: PhaseOrder) -> dict[str, Any]:
    """The artifacts of the run that are on disk: name → content."""
    names = [phase.run_wide.name for phase in order.phases if isinstance(phase, MergingPhase)]
    return {name: read_run_wide(run_wide_path(order.config.run_dir, name)) for name in names}


def _outdated(plan: RunPlan, phase: Phase) -> Iterator[Again]:
    """Finished items whose input has changed since, or whose files are missing."""
    progress, config = plan.progress, plan.order.config
    settled = [item for item in progress.settled[phase.name] if plan.has_input(phase, item)]
    prints = progress.fingerprints[phase.name]
    changed = tuple(
        item
        for item in settled
        if not (item in plan.stored and _depends_on_files(phase, plan.items[item], plan.marks))
        and phase.is_outdated(prints.get(item, ""), phase.fingerprint(plan.items[item], plan.marks))
    )
    dependents = tuple(plan.order.dependents(phase.name))
    if changed:
        yield Again(changed, dependents, f"the input of phase {phase.name} has changed")
    if phase.gives_files:
        failures = progress.failures
        failed = {item for item in failures if _has_failed(phase, failures[item])}
        whole = [plan.items[item] for item in settled if item not in failed]
        gone = tuple(item.id for item in without_folder(config.run_dir, phase.name, whole))
        if gone:
            yield Again(gone, dependents, f"the files of phase {phase.name} are missing")


def _depends_on_files(phase: Phase, item: Item, marks: Marks) -> bool:
    """Whether the fingerprint of an item depends on its input files."""
    return phase.fingerprint(item, marks) != phase.fingerprint(replace(item, files=()), marks)


def _names_in_store(phases: Iterable[Phase]) -> list[str]:
    return [phase.name for phase in phases if phase.in_store]


def _has_failed(phase: Phase, failures: Iterable[Failure]) -> bool:
    return any(failure.phase == phase.name for failure in failures)


def _check_inactive(plan: RunPlan) -> None:
    """Raise `UserError` naming needed output of inactive phases that is missing."""
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
                "and has no output yet; run without --only first"
            )


def digest_in(basis: str) -> str:
    """The digest of an artifact's content, from its basis (`RunPlan.basis`); else empty."""
    content, separator, _ = basis.partition("-")
    return content if separator else ""


def digest(content: Any) -> str:
    """A short digest of content that JSON can represent: 16 hexadecimal digits."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _failed_by_phase(progress: Progress, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """First phase in which items failed → those items."""
    failed: dict[str, list[str]] = {}
    for item, failures in progress.failures.items():
        phases = {failure.phase for failure in failures}
        first = next((name for name in names if name in phases), None)
        if first is not None:
            failed.setdefault(first, []).append(item)
    return {phase: tuple(items) for phase, items in failed.items()}
