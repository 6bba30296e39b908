"""Find the failures of a run in its logs, with the lines around them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spectro_mpi.rundir.layout import rank_logs
from spectro_mpi.system.logs import FailureMark, failure_mark_in
from spectro_mpi.system.regular import opened_regular

_AROUND = 3
"""Lines shown before and after the line of a failure."""
_LONGEST = 1 << 20
"""Bytes after which a line is broken."""
_MOST_LINES = 4000
"""Most lines in an excerpt; the report links to the whole log."""


@dataclass
class Logbook:
    """Places of failures in the logs."""

    failures: dict[FailureMark, tuple[str, int]] = field(default_factory=dict)
    """Failure → (name of the log, line number) of its latest report."""
    excerpts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Name of a log → (line number, text) of the lines with failures and those around them."""


def read_logbook(run_dir: Path) -> Logbook:
    """Read all logs of a run; a log that cannot be read is skipped."""
    book = Logbook()
    for log in rank_logs(run_dir):
        _read(log, book)
    return book


def _read(log: Path, book: Logbook) -> None:
    excerpt: list[tuple[int, str]] = []
    before: deque[tuple[int, str]] = deque(maxlen=_AROUND)
    after = 0
    for number, line in enumerate(_lines(log), 1):
        mark = failure_mark_in(line)
        if mark is not None:
            book.failures[mark] = log.name, number
            excerpt.extend(before)
            before.clear()
            after = _AROUND + 1
        if after:
            excerpt.append((number, line))
            after -= 1
        else:
            before.append((number, line))
    if excerpt:
        book.excerpts[log.name] = excerpt[:_MOST_LINES]


def _lines(path: Path) -> Iterator[str]:
    try:
        with opened_regular(path) as file:
            while line := file.readline(_LONGEST):
                yield line.decode("utf-8", "replace").rstrip("\n")
    except (OSError, ValueError):
        return
