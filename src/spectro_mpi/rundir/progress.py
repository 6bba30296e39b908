"""The state of a run, and its form in progress.json."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spectro_mpi.errors import Failure, Reason
from spectro_mpi.model.items import item_order
from spectro_mpi.rundir.names import Count, DataFile, ItemId, PhaseName
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.schema import ScalePair
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION, version_of
from spectro_mpi.system.regular import read_regular

PHASES = ("reduce", "plot")
"""The default phases."""

_DAMAGE = (ValueError, TypeError)
"""Exceptions raised on reading damaged state."""

_NOTED = ("items_total", "fruitless_stops", "phases", "totals", "made_from")
"""Fields of `Progress` that an entry of the journal may set."""
Fact = int | str | tuple[str, ...] | Mapping[str, int] | Mapping[str, str]


@dataclass(frozen=True)
class Batch:
    """Items settled in a phase, with all their output on disk: one line of the journal."""

    phase: str
    items: tuple[str, ...]
    failures: Mapping[str, tuple[Failure, ...]]
    """Item → its failures in this phase; the rest of its output is on disk."""
    data_files: Mapping[str, str] = field(default_factory=dict)
    """Item → its data file, for the items of which there is data (`rundir.names.DataFile`)."""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Item → fingerprint of what it was made from; not every item has one."""


@dataclass
class Progress:
    """The state of a run. Items that are settled, done or failed, are not tried again."""

    run_id: str
    items_total: int = 0
    phases: tuple[str, ...] = PHASES
    """The phases of the run, in order."""
    totals: dict[str, int] = field(default_factory=dict)
    """Phase → number of items that can go through it, as far as known."""
    settled: defaultdict[str, set[str]] = field(
        default_factory=lambda: defaultdict(set, {phase: set() for phase in PHASES})
    )
    failures: dict[str, tuple[Failure, ...]] = field(default_factory=dict)
    """Item → its failures in all phases."""
    stores: defaultdict[str, dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict, {"reduce": {}})
    )
    """Phase → item → the file with the item's datasets of that phase (`rundir.names.DataFile`)."""
    fruitless_stops: int = 0
    """Number of consecutive executions that were stopped before they finished an item."""
    fingerprints: defaultdict[str, dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """Phase → item → fingerprint of what it was made from, except results of earlier phases."""
    made_from: dict[str, str] = field(default_factory=dict)
    """Artifact of the run ("extrema") → digest of what it was made from; phase ("plot") → digest
    of the artifacts that its settled items were made with."""
    version: int = SCHEMA_VERSION
    """Schema version of the progress.json that was read."""

    @property
    def data_files(self) -> dict[str, str]:
        """Item → the file with its spectrograms."""
        return self.stores["reduce"]

    def upto(self, phase: str) -> tuple[str, ...]:
        """A phase and all phases before it."""
        before = self.phases[: self.phases.index(phase)] if phase in self.phases else self.phases
        return (*before, phase)

    def onward(self, phase: str) -> tuple[str, ...]:
        """A phase and all phases after it."""
        after = self.phases[self.phases.index(phase) + 1 :] if phase in self.phases else ()
        return (phase, *after)

    def completed(self, phase: str) -> list[str]:
        """Items settled in `phase` without a failure in it or an earlier phase, sorted."""
        return _sorted(self.complete(phase))

    def complete(self, phase: str) -> set[str]:
        """As `completed`, in no order."""
        upto = self.upto(phase)
        return self.settled[phase] - {
            item
            for item, failures in self.failures.items()
            if any(failure.phase in upto for failure in failures)
        }

    def apply(self, batch: Batch) -> None:
        """Add the items of a batch."""
        for item in batch.items:
            self.settled[batch.phase].add(item)
            self.replace_failures(item, batch.phase, batch.failures.get(item, ()))
            if item in batch.data_files:
                self.stores[batch.phase][item] = batch.data_files[item]
            if item in batch.fingerprints:
                self.fingerprints[batch.phase][item] = batch.fingerprints[item]
            else:
                self.fingerprints[batch.phase].pop(item, None)

    def replace_failures(self, item: str, phase: str, failures: Iterable[Failure]) -> None:
        """Let `failures` be those of an item in a phase."""
        others = tuple(f for f in self.failures.pop(item, ()) if f.phase != phase)
        if kept := (*others, *failures):
            self.failures[item] = kept

    def forget(self, items: Iterable[str], phases: Iterable[str] = ()) -> None:
        """Mark items to be redone in `phases` (none: in all). Their files stay on disk."""
        phases = tuple(phases) or tuple(self.settled)
        for item in items:
            for phase in phases:
                self.settled[phase].discard(item)
            kept = tuple(f for f in self.failures.pop(item, ()) if f.phase not in phases)
            if kept:
                self.failures[item] = kept

    def lose(self, items: Iterable[str]) -> None:
        """Mark items to be redone because their data is no longer in the store."""
        items = tuple(items)
        self.forget(items)
        for held in self.stores.values():
            for item in items:
                held.pop(item, None)

    def note(self, facts: Mapping[str, Any]) -> None:
        """Set fields. Raises `ValueError` for a name that is not in `_NOTED`."""
        for name, value in facts.items():
            if name not in _NOTED:
                raise ValueError(f"{name} is not a field that a journal may set")
            setattr(self, name, tuple(value) if name == "phases" else value)

    def to_json(self, scales: Iterable[ScalePair]) -> dict[str, Any]:
        """The content of progress.json (docs/formats.md describes the format)."""
        errors = {}
        for item in _sorted(self.failures):
            first, *others = (asdict(failure) for failure in self.failures[item])
            errors[item] = first | {
                "others": others,
                "settled": [phase for phase in self.phases if item in self.settled[phase]],
            }
        return {
            SCHEMA: SCHEMA_VERSION,
            "run_id": self.run_id,
            "items_total": self.items_total,
            "completed": {phase: self.completed(phase) for phase in self.phases},
            "errors": errors,
            "data_files": {
                phase: {item: held[item] for item in _sorted(held)}
                for phase, held in self.stores.items()
            },
            "fingerprints": {
                phase: {item: prints[item] for item in _sorted(prints)}
                for phase, prints in self.fingerprints.items()
            },
            "totals": self.totals,
            "fruitless_stops": self.fruitless_stops,
            "made_from": self.made_from,
            **self._flat_lists(scales),
        }

    def _flat_lists(self, scales: Iterable[ScalePair]) -> dict[str, Any]:
        """`{instrument}_{y}_{z}_error-{reason}` and `{y}_{z}_last_orbit`, for older readers."""
        flat: dict[str, Any] = {}
        done = self.completed("plot")
        for y_scale, z_scale in scales:
            for item in _sorted(self.failures):
                for failure in self.failures[item]:
                    key = f"{failure.instrument}_{y_scale}_{z_scale}_error-{failure.reason}"
                    listed = flat.setdefault(key, [])
                    if item not in listed:
                        listed.append(item)
            if done:
                flat[f"{y_scale}_{z_scale}_last_orbit"] = done[-1]
        return dict(sorted(flat.items()))


def _read_folded(path: Path, progress: Progress) -> None:
    """Read progress.json, if it exists. Raises one of `_DAMAGE` if it is damaged.

    Raises `NewerVersionError` if a newer version wrote it.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return
    progress.version, table = _parse(content, path)
    progress.items_total = table.items_total
    progress.phases = tuple(table.completed)
    progress.totals = dict(table.totals)
    for held in ({"reduce": table.shards}, table.other_shards, table.data_files):
        progress.stores.update((phase, dict(files)) for phase, files in held.items())
    progress.fingerprints.update((phase, dict(each)) for phase, each in table.fingerprints.items())
    progress.fruitless_stops = table.fruitless_stops
    progress.made_from = dict(table.made_from)
    for phase, completed in table.completed.items():
        progress.settled[phase] = set(completed)
    for item, error in table.errors.items():
        first = Failure(error.instrument, error.phase, error.reason, error.message)
        progress.failures[item] = (first, *error.others)
        for phase in error.settled:
            progress.settled[phase].add(item)


_parsed: dict[bytes, tuple[int, _Folded]] = {}
"""Digest of the progress.json read last → its version and content; not to be changed."""


def _parse(content: bytes, path: Path) -> tuple[int, _Folded]:
    """Version and content of progress.json. A start reads it several times, unchanged."""
    key = hashlib.blake2b(content).digest()
    parsed = _parsed.get(key)
    if parsed is None:
        table = parsed_json(content)
        parsed = version_of(table, path), as_type(_Folded, table)
        _parsed.clear()
        _parsed[key] = parsed
    return parsed


@dataclass
class _Error:
    """The entry of an item in `errors`: its first failure, and the others."""

    instrument: str
    phase: PhaseName
    reason: Reason
    message: str
    others: list[Failure]
    settled: list[PhaseName]


@dataclass
class _Folded:
    """What is read of progress.json; `Progress.to_json` writes it."""

    items_total: Count
    completed: dict[PhaseName, list[ItemId]]
    errors: dict[ItemId, _Error]
    fruitless_stops: Count
    data_files: dict[PhaseName, dict[ItemId, DataFile]] = field(default_factory=dict)
    shards: dict[ItemId, DataFile] = field(default_factory=dict)
    """`data_files` of reduce, up to version 2."""
    other_shards: dict[PhaseName, dict[ItemId, DataFile]] = field(default_factory=dict)
    """`data_files` of the other phases, up to version 2."""
    fingerprints: dict[PhaseName, dict[ItemId, str]] = field(default_factory=dict)
    totals: dict[PhaseName, Count] = field(default_factory=dict)
    made_from: dict[str, str] = field(default_factory=dict)


def _sorted(items: Iterable[str]) -> list[str]:
    return sorted(items, key=item_order)
