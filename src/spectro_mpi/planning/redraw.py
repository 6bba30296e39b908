"""Which parts of items, such as figures, are made again: those whose digest has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from spectro_mpi.model.items import Item
from spectro_mpi.phases.figure_digests import PREVIEW
from spectro_mpi.phases.interface import PartDigests, PartsOnDisk
from spectro_mpi.phases.task import Task
from spectro_mpi.rundir.digests import FAILED, KnownDigests
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.system.words import count

_AT_ONCE = 8
"""Folders listed at the same time, for file systems with a high latency."""
_BATCH = 100
"""Folders that a thread lists one after another."""


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


def with_parts(
    tasks: Iterable[Task],
    expected: PartDigests,
    known: KnownDigests,
    on_disk: PartsOnDisk,
) -> Iterator[Task]:
    """Tasks of items that are not settled, with the parts that are not on disk as they should be.

    Of an item whose data is not known all parts are made, and made again by the next run.
    """
    for task in tasks:
        data = _data_of(task, known)
        if data is None:
            yield task
            continue
        parts = expected(task.item, data, task.failures)
        recorded = known.figures.get(task.item.id)
        if recorded:
            same = [part for part in parts if recorded.get(part) == parts[part]]
            there = on_disk(task.item, same) if same else ()
            parts = {part: each for part, each in parts.items() if part not in there}
        yield replace(task, parts=parts)


def outdated_parts(
    tasks: Iterable[Task], expected: PartDigests, known: KnownDigests, progress: Progress
) -> OutdatedParts:
    """Compare the parts of items with what is recorded of them.

    An item with failures in the phase is done as a whole, if at all: its parts share the failures.
    """
    items: list[str] = []
    outdated: dict[str, tuple[str, ...]] = {}
    replaced = new = 0
    for task in tasks:
        item, data = task.item.id, _data_of(task, known)
        recorded, is_settled = known.figures.get(item, {}), item in progress.settled[task.phase]
        if data is None or not (recorded or is_settled):
            continue
        parts = expected(task.item, data, task.failures)
        changed = [part for part in parts if recorded.get(part, "").lstrip(FAILED) != parts[part]]
        if not is_settled:
            changed = [part for part in changed if part in recorded]
        elif changed and any(f.phase == task.phase for f in progress.failures.get(item, ())):
            changed = list(parts)
        if not changed:
            continue
        outdated[item] = tuple(changed)
        if is_settled:
            items.append(item)
            figures = [part for part in changed if part != PREVIEW]
            # A settled item of which nothing is recorded was drawn by an earlier version.
            again = sum(part in recorded for part in figures) if recorded else len(figures)
            replaced, new = replaced + again, new + len(figures) - again
    return OutdatedParts(tuple(items), outdated, replaced, new)


def missing_parts(
    tasks: Iterable[Task], expected: PartDigests, known: KnownDigests, on_disk: PartsOnDisk
) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Item → parts that are recorded as up to date, but are not on disk; and the items of which
    all parts are recorded as up to date. Lists each folder once."""
    up_to_date: list[tuple[Item, list[str]]] = []
    current = set[str]()
    for task in tasks:
        recorded, data = known.figures.get(task.item.id), _data_of(task, known)
        if recorded and data is not None:
            parts = expected(task.item, data, task.failures)
            if parts.items() <= recorded.items():
                same = [*parts]
                current.add(task.item.id)
            else:
                same = [part for part in parts if recorded.get(part) == parts[part]]
            up_to_date.append((task.item, same))

    def missing(batch: list[tuple[Item, list[str]]]) -> dict[str, tuple[str, ...]]:
        found = {item.id: on_disk(item, parts) for item, parts in batch}
        return {
            item.id: tuple(part for part in parts if part not in found[item.id])
            for item, parts in batch
            if len(found[item.id]) < len(parts)
        }

    batches = (up_to_date[n : n + _BATCH] for n in range(0, len(up_to_date), _BATCH))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        gone = {item: each for batch in pool.map(missing, batches) for item, each in batch.items()}
    return gone, current - gone.keys()


def _data_of(task: Task, known: KnownDigests) -> Mapping[str, str] | None:
    """Instrument → digest of the reduced data of an item; None: not known."""
    return known.data_of(task.item.id, next(iter(task.data_files.values()), ""))
