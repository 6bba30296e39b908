"""The state on disk: progress.json, and the journal of what came after it.

A batch costs one fsynced line appended to the journal; the journal is folded into progress.json
now and then, so that state costs O(items) over a run. Entries say what is so (an item is done, its
errors, its shard), never what changed, so applying one twice does no harm.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.errors import DamagedStateError
from spectro_mpi.rundir.layout import JOURNAL, PROGRESS
from spectro_mpi.rundir.progress import _DAMAGE, Batch, Fact, Progress, _failure, _read_folded
from spectro_mpi.settings.schema import ScalePair
from spectro_mpi.system.atomic import sync_directory, write_atomic


def load_progress(run_dir: Path, run_id: str) -> Progress:
    """progress.json and the journal after it; an empty `Progress` if there are none.

    Raises `RunError` where progress.json is not what this program wrote. A line of the journal
    that does not read, and what follows it, is void: what it told is done again.
    """
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
    """A file of the state that does not read."""

    path: Path
    what: str
    """As after the path: "does not read (…)"."""
    good_lines: int = 0
    """Of a journal, the lines before the first that does not read."""


def damaged_state(run_dir: Path) -> Iterator[Damage]:
    """The files of the state that do not read. A torn last line of a journal is no damage.

    Raises `OSError`.
    """
    try:
        _read_folded(run_dir / PROGRESS, Progress(""))
    except _DAMAGE as error:
        yield Damage(run_dir / PROGRESS, f"does not read ({_words(error)})")
    try:
        lines = (run_dir / JOURNAL).read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return
    whole = sum(1 for _ in _journal_entries(run_dir / JOURNAL))
    if whole < len(lines):
        what = f"line {whole + 1} of {len(lines)} does not read"
        yield Damage(run_dir / JOURNAL, what, whole)


class Journal:
    """The writer's hand on the state: journals batches, folds them into progress.json."""

    def __init__(self, run_dir: Path, run_id: str, scales: Iterable[ScalePair]) -> None:
        self.state = load_progress(run_dir, run_id)
        self._run_dir = run_dir
        self._scales = tuple(scales)
        self._journal: Any = None
        self._entries = sum(1 for _ in _journal_entries(run_dir / JOURNAL))
        if (run_dir / JOURNAL).exists():
            self.fold()  # takes away a line a killed run left half-written

    def journal(self, batch: Batch) -> None:
        """Record a batch whose output is on disk; durable on return. Raises `OSError`."""
        self.state.apply(batch)
        self._append(
            {
                "phase": batch.phase,
                "items": batch.items,
                "failures": {
                    item: [asdict(failure) for failure in failures]
                    for item, failures in batch.failures.items()
                },
                "shard": batch.shard,
                "held": batch.held,
                "fingerprints": batch.fingerprints,
            }
        )

    def forget(self, items: Iterable[str], phases: Iterable[str] = ()) -> None:
        """Have items done again; durable on return. Raises `OSError`."""
        items, phases = tuple(items), tuple(phases)
        self.state.forget(items, phases)
        self._append({"forget": items, "phases": phases})

    def adopt(self, shard: str, items: Iterable[str]) -> None:
        """Call items reduced that a shard holds whole; durable on return. Raises `OSError`."""
        items = tuple(items)
        self.journal(Batch("reduce", items, {}, shard, items))

    def lose(self, items: Iterable[str]) -> None:
        """Have items done again whose shard is lost; durable on return. Raises `OSError`."""
        items = tuple(items)
        self.state.lose(items)
        self._append({"lose": items})

    def note(self, **facts: Fact) -> None:
        """Set plain fields (`items_total` and the like); durable on return."""
        if any(getattr(self.state, name) != value for name, value in facts.items()):
            self.state.note(facts)
            self._append({"note": facts})

    def note_made_from(self, what: str, digest: str) -> None:
        """Record what an artifact of the run, or a phase's items, were made from; durable."""
        self.note(made_from={**self.state.made_from, what: digest})

    def fold(self) -> None:
        """Rewrite progress.json and drop the journal. Raises `OSError`."""
        content = json.dumps(self.state.to_json(self._scales), indent=1) + "\n"
        path = self._run_dir / PROGRESS
        write_atomic(path, content.encode())
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        (self._run_dir / JOURNAL).unlink(missing_ok=True)
        sync_directory(self._run_dir)
        self._entries = 0

    def fold_if_due(self) -> None:
        """Fold once the journal outgrows the state it would be folded into."""
        items = max(map(len, self.state.settled.values()))
        if self._entries > max(100, items // 10):
            self.fold()

    def close(self) -> None:
        """Fold what is in the journal, if anything."""
        if self._entries:
            self.fold()

    def _append(self, entry: Mapping[str, Any]) -> None:
        if self._journal is None:
            self._journal = (self._run_dir / JOURNAL).open("ab")
            sync_directory(self._run_dir)
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._entries += 1
        if not os.fstat(self._journal.fileno()).st_nlink:
            # Removed while it is open: writing goes on into nothing, without an error.
            gone = errno.ENOENT
            raise FileNotFoundError(gone, os.strerror(gone), str(self._run_dir / JOURNAL))


def _apply_entry(progress: Progress, entry: dict[str, Any]) -> None:
    """Take in one line of the journal. Raises what is in `_DAMAGE`."""
    if "note" in entry:
        progress.note(entry["note"])
    elif "forget" in entry:
        progress.forget(entry["forget"], entry["phases"])
    elif "lose" in entry:
        progress.lose(entry["lose"])
    else:
        failures = {
            item: tuple(_failure(one) for one in ones) for item, ones in entry["failures"].items()
        }
        items, held = tuple(entry["items"]), tuple(entry["held"])
        prints = dict(entry.get("fingerprints", {}))
        progress.apply(Batch(entry["phase"], items, failures, entry["shard"], held, prints))


def _journal_entries(path: Path) -> Iterable[dict[str, Any]]:
    """The whole lines of a journal, up to the first that does not read."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
            _apply_entry(Progress(""), entry)
        except _DAMAGE:
            return
        yield entry


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
