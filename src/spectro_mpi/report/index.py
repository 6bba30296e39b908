"""The index of items, as scripts that the page loads one after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from spectro_mpi.errors import Failure
from spectro_mpi.previews.scripts import call
from spectro_mpi.report.contents import ItemEntry, ListedFigure
from spectro_mpi.report.folder import PageFolder
from spectro_mpi.report.logbook import Logbook
from spectro_mpi.rundir.reader import Run
from spectro_mpi.system.logs import FailureMark

CHUNK_ITEMS = 5000
"""Items per script, about 150 kB."""


@dataclass(frozen=True)
class Listed:
    """One failure of an item, as the page lists it."""

    item: str
    failure: Failure
    link: str
    """Link to its line in the excerpt of a log; empty if it is in no log."""


def write_index(
    pages: PageFolder, run: Run, entries: Sequence[ItemEntry], book: Logbook
) -> dict[str, Any]:
    """Write the index of items as scripts; return the addresses of the scripts.

    Each chunk of the index has one script of items, if any failed one of failures, and if it is
    known where any were measured, one of places. The page loads the last two when it needs them.
    """
    tables = _Tables()
    chunks = []
    for number, first in enumerate(range(0, len(entries), CHUNK_ITEMS)):
        chunk = entries[first : first + CHUNK_ITEMS]
        items = call("handItems", number, [tables.row(entry) for entry in chunk])
        failures = {
            entry.id: [
                _as_row(listed(book, entry.id, failure))
                for failure in run.progress.failures[entry.id]
            ]
            for entry in chunk
            if entry.id in run.progress.failures
        }
        errors = call("handErrors", number, failures)
        tracks = [entry.coverage.tracks if entry.coverage else () for entry in chunk]
        places = call("handPlaces", number, [[*chain.from_iterable(each)] for each in tracks])
        chunks.append(
            {
                "items": pages.put(f"items-{number:03d}.js", items),
                "errors": pages.put(f"errors-{number:03d}.js", errors) if failures else "",
                "places": pages.put(f"places-{number:03d}.js", places) if any(tracks) else "",
                "count": len(chunk),
            }
        )
    table = pages.put("tables.js", call("tables", tables.as_table()))
    return {"tables": table, "chunks": chunks}


class _Tables:
    """Values that many items share: each is listed once and referred to by its number."""

    def __init__(self) -> None:
        self._months: dict[str, int] = {}
        self._instruments: dict[tuple[str, ...], int] = {}
        self._figures: dict[tuple[ListedFigure, ...], int] = {}
        self._states: dict[tuple[str, ...], int] = {}
        self._labels: dict[tuple[str, ...], int] = {}

    def row(self, entry: ItemEntry) -> list[Any]:
        """Return an item as a row; `entry` in data.js unpacks it in the same order."""
        state = (entry.state, *entry.reasons)
        return [
            entry.id,
            int(entry.start.timestamp()) if entry.start else None,
            self._months.setdefault(entry.month, len(self._months)),
            self._states.setdefault(state, len(self._states)),
            self._instruments.setdefault(entry.instruments, len(self._instruments)),
            self._figures.setdefault(entry.figures, len(self._figures)),
            self._labels.setdefault(entry.labels, len(self._labels)),
            entry.has_sheet + 2 * entry.has_script,
            *_span(entry),
        ]

    def as_table(self) -> dict[str, Any]:
        """Return the lists of shared values, for JSON."""
        return {
            "months": list(self._months),
            "states": list(self._states),
            "instruments": list(self._instruments),
            "labels": list(self._labels),
            "figures": [[vars(figure) for figure in figures] for figures in self._figures],
        }


def _span(entry: ItemEntry) -> list[int]:
    """Start and length of the data, in whole seconds; empty if they are not known."""
    if entry.coverage is None:
        return []
    begin, end = math.floor(entry.coverage.begin), math.ceil(entry.coverage.end)
    return [begin, end - begin]


def listed(book: Logbook, item: str, failure: Failure) -> Listed:
    """Return a failure with the link to its line in the excerpt of a log."""
    line = book.failures.get(FailureMark(item, failure.instrument, failure.phase))
    return Listed(item, failure, f"{line[0]}#L{line[1]}" if line else "")


def _as_row(listed: Listed) -> list[str]:
    failure = listed.failure
    return [failure.instrument, failure.phase, failure.reason, failure.message, listed.link]
