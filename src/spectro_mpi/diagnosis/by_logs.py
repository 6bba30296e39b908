"""What scheduler, mpirun and ranks said when a run died, found in the logs of its directory."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from spectro_mpi.errors import Cause
from spectro_mpi.rundir.layout import job_logs, rank_logs
from spectro_mpi.system.scheduler import built_in, current

NO_ROOM = tuple(os.strerror(one) for one in (errno.ENOSPC, errno.EDQUOT))
"""How the system says that a disk is full."""

_ORDER = get_args(Cause)
"""The earlier, the likelier the reason for the rest."""

_WORDS: Mapping[Cause, str] = {
    "out-of-memory": r"Out [Oo]f [Mm]emory|MemoryError",
    "disk-full": "|".join(map(re.escape, NO_ROOM)),
    "output-lost": r"the output cannot be written",
    "exception": r"rank \d+ of \d+ ends the job",
    "killed": r"KILLED BY SIGNAL|EXIT CODE: (9|137)\b|exited on signal",
}
"""Cause → what the system, mpirun or ranks say of it; schedulers have words of their own."""

_OF_RANKS: tuple[Cause, ...] = ("disk-full", "output-lost")
"""What errors in a rank's own log are looked at for."""

_TAIL = 64 << 10
"""Bytes at the end of a log that are looked at."""


@dataclass(frozen=True)
class Trace:
    """A line of a log that tells why a run ended."""

    cause: Cause
    path: Path
    line: str


def find_traces(run_dir: Path, since: float) -> list[Trace]:
    """Lines of logs that were written to after `since` (s since 1970), likeliest cause first."""
    found = []
    patterns = _patterns()
    of_ranks = {cause: patterns[cause] for cause in _OF_RANKS}
    for path in _written_after(since, job_logs(run_dir)):
        found += [_told(path, line, patterns) for line in _tail(path)]
    for path in _written_after(since, rank_logs(run_dir)):
        found += [_told(path, line, of_ranks) for line in _tail(path) if " ERROR " in line]
    traces = (trace for trace in found if trace is not None)
    return sorted(traces, key=lambda trace: _ORDER.index(trace.cause))


def _patterns() -> dict[Cause, str]:
    """Cause → regular expression of all that is said of it, likeliest cause first."""
    schedulers = {scheduler.name: scheduler for scheduler in (*built_in(), current())}
    said: list[Mapping[Any, str]] = [_WORDS, *(one.log_patterns for one in schedulers.values())]
    return {
        cause: "|".join(words[cause] for words in said if cause in words)
        for cause in _ORDER
        if any(cause in words for words in said)
    }


def _written_after(since: float, paths: Iterable[Path]) -> list[Path]:
    return [path for path in sorted(paths) if path.exists() and path.stat().st_mtime >= since]


def _tail(path: Path) -> Sequence[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace").splitlines()


def _told(path: Path, line: str, patterns: Mapping[Cause, str]) -> Trace | None:
    for cause, pattern in patterns.items():
        if re.search(pattern, line):
            return Trace(cause, path, line.strip())
    return None
