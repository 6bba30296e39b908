"""The state on disk: progress.json, and a journal of the batches after it.

Each batch appends one line to the journal and syncs it. From time to time the journal is merged
into progress.json, so that the cost over a run is O(items). An entry describes the state of items
(done, their errors, their data file), not a change, so applying it twice does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from spectro_mpi.errors import DamagedStateError, Failure
from spectro_mpi.rundir.inside import refuse_links_out
from spectro_mpi.rundir.layout import JOURNAL, PROGRESS
from spectro_mpi.rundir.lines import DurableLines
from spectro_mpi.rundir.names import Count, DataFile, ItemId, PhaseName
from spectro_mpi.rundir.progress import _DAMAGE, Batch, Fact, Progress, _read_folded
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.schema import ScalePair
from spectro_mpi.settings.versions import as_json, version_of
from spectro_mpi.system.atomic import sync_directory, write_atomic
from spectro_mpi.system.regular import read_regular


def load_progress(run_dir: Path, run_id: str) -> Progress:
    """Read progress.json and the journal; an empty `Progress` if neither exists.

    An unreadable line of the journal and all lines after it are ignored: their items are redone.
    Raises `RunError` if progress.json is damaged, `NewerVersionError` if a newer version wrote the
    state.
    """
    refuse_links_out(run_dir)
    progress = Progress(run_id)
    try:
        _read_folded(run_dir / PROGRESS, progress)
    except _DAMAGE as error:
        raise DamagedStateError(
            run_dir / PROGRESS, _words(error), "run again to rebuild it from the store"
        ) from None
    for entry in _journal_entries(run_dir / JOURNAL):
        _apply_entry(progress, entry)
    return progress


@dataclass(frozen=True)
class Damage:
    """A damaged file of the state."""

    path: Path
    what: str
    """What is wrong, to follow the path in a sentence: "is damaged (…)"."""
    good_lines: int = 0
    """Number of lines of a journal before the first unreadable one."""


def damaged_state(run_dir: Path) -> Iterator[Damage]:
    """Find damaged files of the state; an incomplete last line of the journal is not damage.

    Raises `OSError` if a file cannot be read, `NewerVersionError` if a newer version wrote it.
    """
    try:
        _read_folded(run_dir / PROGRESS, Progress(""))
    except _DAMAGE as error:
        yield Damage(run_dir / PROGRESS, f"is damaged ({_words(error)})")
    try:
        lines = read_regular(run_dir / JOURNAL).split(b"\n")[:-1]
    except FileNotFoundError:
        return
    except ValueError as error:
        yield Damage(run_dir / JOURNAL, f"is damaged ({error})")
        return
    whole = sum(1 for _ in _journal_entries(run_dir / JOURNAL))
    if whole < len(lines):
        what = f"line {whole + 1} of {len(lines)} is damaged"
        yield Damage(run_dir / JOURNAL, what, whole)


class Journal:
    """Changes the state: appends entries to the journal and merges it into progress.json."""

    def __init__(self, run_dir: Path, run_id: str, scales: Iterable[ScalePair]) -> None:
        self.state = load_progress(run_dir, run_id)
        self._run_dir = run_dir
        self._scales = tuple(scales)
        self._lines = DurableLines(run_dir / JOURNAL)
        self._entries = sum(1 for _ in _journal_entries(run_dir / JOURNAL))
        if (run_dir / JOURNAL).exists():
            self.fold()  # drops an incomplete line of a killed run

    def record(self, batch: Batch) -> None:
        """Record a batch whose output is on disk. Durable on return. Raises `OSError`."""
        self.state.apply(batch)
        self._append(
            {
                "phase": batch.phase,
                "items": batch.items,
                "failures": {
                    item: [asdict(failure) for failure in failures]
                    for item, failures in batch.failures.items()
                },
                "data_files": batch.data_files,
                "fingerprints": batch.fingerprints,
            }
        )

    def forget(self, items: Iterable[str], phases: Iterable[str] = ()) -> None:
        """Mark items to be redone in `phases` (none: in all). Durable; raises `OSError`."""
        items, phases = tuple(items), tuple(phases)
        self.state.forget(items, phases)
        self._append({"forget": items, "phases": phases})

    def adopt(self, data_files: Mapping[str, str]) -> None:
        """Record items of existing files as reduced: item → its data file. Durable on return.

        Raises `OSError`.
        """
        self.record(Batch("reduce", tuple(data_files), {}, data_files))

    def lose(self, items: Iterable[str]) -> None:
        """Mark items whose data is lost to be redone. Durable on return. Raises `OSError`."""
        items = tuple(items)
        self.state.lose(items)
        self._append({"lose": items})

    def note(self, **facts: Fact) -> None:
        """Set plain fields such as `items_total`. Durable on return. Raises `OSError`."""
        if any(getattr(self.state, name) != value for name, value in facts.items()):
            self.state.note(facts)
            self._append({"note": facts})

    def note_made_from(self, artifact: str, digest: str) -> None:
        """Record the digest of what an artifact, or a phase's items, were made from. Durable."""
        self.note(made_from={**self.state.made_from, artifact: digest})

    def fold(self) -> None:
        """Write progress.json and remove the journal. Raises `OSError`."""
        content = json.dumps(self.state.to_json(self._scales), indent=1) + "\n"
        path = self._run_dir / PROGRESS
        write_atomic(path, content.encode())
        self._lines.close()
        (self._run_dir / JOURNAL).unlink(missing_ok=True)
        sync_directory(self._run_dir)
        self._entries = 0

    def fold_if_due(self) -> None:
        """Fold if the journal has become long for the number of items. Raises `OSError`."""
        items = max(map(len, self.state.settled.values()))
        if self._entries > max(100, items // 10):
            self.fold()

    def close(self) -> None:
        """Fold if the journal has entries. Raises `OSError`."""
        if self._entries:
            self.fold()

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._entries += 1
        self._lines.append(as_json(entry))


def _apply_entry(progress: Progress, entry: dict[str, Any]) -> None:
    """Apply one line of the journal. Raises one of `_DAMAGE` if it is not an entry."""
    if "note" in entry:
        facts = as_type(_Note, entry["note"])
        progress.note({name: getattr(facts, name, None) for name in entry["note"]})
    elif "forget" in entry:
        forget = as_type(_Forget, entry)
        progress.forget(forget.forget, forget.phases)
    elif "lose" in entry:
        progress.lose(as_type(list[ItemId], entry["lose"]))
    else:
        progress.apply(as_type(_Batch, entry).batch)


@dataclass
class _Batch:
    """What is read of a line that records a batch."""

    phase: PhaseName
    items: tuple[ItemId, ...]
    failures: dict[ItemId, tuple[Failure, ...]]
    data_files: dict[ItemId, DataFile] = field(default_factory=dict)
    fingerprints: dict[ItemId, str] = field(default_factory=dict)
    shard: Literal[""] | DataFile = ""
    """Up to version 2: the shard with the data of the items `held`."""
    held: tuple[ItemId, ...] = ()

    @property
    def batch(self) -> Batch:
        """What the line records. Raises `ValueError` if it names no shard for what it holds."""
        if self.held and not self.shard:
            raise ValueError("names no shard for what it holds")
        data_files = {**self.data_files, **dict.fromkeys(self.held, self.shard)}
        return Batch(self.phase, self.items, self.failures, data_files, self.fingerprints)


@dataclass
class _Forget:
    """What is read of a line that has items redone."""

    forget: list[ItemId]
    phases: list[PhaseName]


@dataclass
class _Note:
    """What is read of a line with plain fields, each of which it may leave out."""

    items_total: Count = 0
    fruitless_stops: Count = 0
    phases: tuple[PhaseName, ...] = ()
    totals: dict[PhaseName, Count] = field(default_factory=dict)
    made_from: dict[str, str] = field(default_factory=dict)


def _journal_entries(path: Path) -> Iterable[dict[str, Any]]:
    """The entries of a journal, up to the first incomplete or damaged line.

    Raises `NewerVersionError` if a newer version wrote one of them.
    """
    try:
        content = read_regular(path)
    except (FileNotFoundError, ValueError):
        return
    for line in content.split(b"\n")[:-1]:
        try:
            entry = parsed_json(line)
            version_of(entry, path)
            _apply_entry(Progress(""), entry)
        except _DAMAGE:
            return
        yield entry


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
