"""The index of items, as scripts that the page loads one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spectro_mpi.errors import Failure
from spectro_mpi.previews.scripts import call
from spectro_mpi.report.contents import FigureKind, ItemEntry
from spectro_mpi.report.folder import PageFolder
from spectro_mpi.report.logbook import Logbook
from spectro_mpi.rundir.reader import Run
from spectro_mpi.system.logs import FailureMark

CHUNK_ITEMS = 5000
"""Items of one script: about 150 kB."""


@dataclass(frozen=True)
class Listed:
    """One failure as the page lists it."""

    item: str
    failure: Failure
    link: str
    """To its line in the excerpt of a log; empty: no log tells of it."""


def write_index(
    pages: PageFolder, run: Run, entries: Sequence[ItemEntry], book: Logbook
) -> dict[str, Any]:
    """Write the index of items as scripts; returns where they lie and what they hold."""
    tables = _Tables()
    chunks = []
    for number, first in enumerate(range(0, len(entries), CHUNK_ITEMS)):
        chunk = entries[first : first + CHUNK_ITEMS]
        items = call("handItems", number, [tables.row(one) for one in chunk])
        failures = {
            one.id: [listed(book, one.id, failure) for failure in run.progress.failures[one.id]]
            for one in chunk
            if one.id in run.progress.failures
        }
        shown = {item: [_as_table(one) for one in ones] for item, ones in failures.items()}
        errors = call("handErrors", number, shown)
        chunks.append(
            {
                "items": pages.put(f"items-{number:03d}.js", items),
                "errors": pages.put(f"errors-{number:03d}.js", errors) if shown else "",
                "count": len(chunk),
            }
        )
    table = pages.put("tables.js", call("tables", tables.as_table()))
    return {"tables": table, "chunks": chunks}


class _Tables:
    """What many items have in common, listed once and told by number."""

    def __init__(self) -> None:
        self._months: dict[str, int] = {}
        self._instruments: dict[tuple[str, ...], int] = {}
        self._figures: dict[tuple[FigureKind, ...], int] = {}
        self._states: dict[tuple[str, ...], int] = {}

    def row(self, entry: ItemEntry) -> list[Any]:
        """An item, in the order that `data.js` takes it apart in."""
        state = (entry.state, *entry.reasons, *(["cusp"] if entry.marked else []))
        return [
            entry.id,
            int(entry.start.timestamp()) if entry.start else None,
            self._months.setdefault(entry.month, len(self._months)),
            self._states.setdefault(state, len(self._states)),
            self._instruments.setdefault(entry.instruments, len(self._instruments)),
            self._figures.setdefault(entry.figures, len(self._figures)),
            entry.has_sheet + 2 * entry.has_script,
        ]

    def as_table(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return {
            "months": list(self._months),
            "states": list(self._states),
            "instruments": list(self._instruments),
            "figures": [[vars(one) for one in figures] for figures in self._figures],
        }


def listed(book: Logbook, item: str, failure: Failure) -> Listed:
    found = book.failures.get(FailureMark(item, failure.instrument, failure.phase))
    return Listed(item, failure, f"{found[0]}#L{found[1]}" if found else "")


def _as_table(listed: Listed) -> list[str]:
    one = listed.failure
    return [one.instrument, one.phase, one.reason, one.message, listed.link]
