"""What a run's logs tell: where each failure stands, and how long the phases took."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from spectro_mpi.rundir.layout import rank_logs

_STAMP = r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(?P<ms>\d{3}) [A-Z]+ [\w.]+: "
_START = re.compile(_STAMP + r"rank 0 of (?P<ranks>\d+), process ")
_PHASE = re.compile(_STAMP + r"phase (?P<phase>\w+): (?P<items>\d+) items on (?P<workers>\d+) ")
_DONE = re.compile(_STAMP + r"item .*: \w+ (?:done|back) in (?P<seconds>[\d.]+) s$")
_FAILED = re.compile(_STAMP + r"item (?P<item>.+?) (?P<instrument>\S+) in phase (?P<phase>\w+): ")

_AROUND = 3
"""Lines shown before and after a failure's."""
_MOST_LINES = 4000
"""Of a log's excerpt; the log itself is beside it."""


@dataclass
class PhaseTime:
    """One phase of one execution of a run."""

    phase: str
    ranks: int
    workers: int
    items: int
    """To be done."""
    begin: str
    """Local time of the coordinator's host, as in the log, to the millisecond."""
    end: str = ""
    """When the last item was done; empty: none was."""
    done: int = 0
    busy: float = 0.0
    """Seconds that workers spent on items, all together."""

    @property
    def seconds(self) -> float:
        """From its begin to its last item."""
        return (_time(self.end) - _time(self.begin)).total_seconds() if self.end else 0.0

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that went into items."""
        whole = self.seconds * self.workers
        return min(1.0, self.busy / whole) if whole > 0 else 0.0


@dataclass
class Logbook:
    """What was found in the logs."""

    phases: list[PhaseTime] = field(default_factory=list)
    failures: dict[tuple[str, str, str], tuple[str, int]] = field(default_factory=dict)
    """(item, instrument, phase) → (name of the log, number of the line): the latest one."""
    excerpts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Name of a log → (number, text) of lines at and round failures."""


def read_logbook(run_dir: Path) -> Logbook:
    """Read all logs of a run; what cannot be read is passed over."""
    book = Logbook()
    logs = rank_logs(run_dir)
    for log in logs[:1]:
        book.phases = list(_phases(_lines(log)))
    for log in logs:
        _read(log, book)
    return book


def _phases(lines: Iterable[str]) -> Iterator[PhaseTime]:
    ranks = 1
    for line in lines:
        if start := _START.match(line):
            ranks = int(start["ranks"])
        elif phase := _PHASE.match(line):
            yield PhaseTime(
                phase["phase"],
                ranks,
                int(phase["workers"]),
                int(phase["items"]),
                f"{phase['at']}.{phase['ms']}",
            )


def _read(log: Path, book: Logbook) -> None:
    excerpt: list[tuple[int, str]] = []
    before: deque[tuple[int, str]] = deque(maxlen=_AROUND)
    after = 0
    phases = iter(book.phases)
    current, upcoming = None, next(phases, None)
    for number, line in enumerate(_lines(log), 1):
        if done := _DONE.match(line):
            at = f"{done['at']}.{done['ms']}"
            while upcoming is not None and upcoming.begin <= at:
                current, upcoming = upcoming, next(phases, None)
            if current is not None:
                current.done += 1
                current.busy += float(done["seconds"])
                current.end = max(current.end, at)
        elif " ERROR " in line and (failed := _FAILED.match(line)):
            key = failed["item"], failed["instrument"], failed["phase"]
            book.failures[key] = log.name, number
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
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                yield line.rstrip("\n")
    except OSError:
        return


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f")
