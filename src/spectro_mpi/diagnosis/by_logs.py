"""Find what the scheduler, mpirun and ranks logged when a run died."""

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
from spectro_mpi.system.regular import opened_regular
from spectro_mpi.system.scheduler import built_in, current

NO_ROOM = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))
"""The system's messages for a full disk and an exceeded quota."""

_ORDER = get_args(Cause)
"""Causes, likeliest first: an earlier one often leads to a later one."""

_WORDS: Mapping[Cause, str] = {
    "out-of-memory": r"Out [Oo]f [Mm]emory|MemoryError",
    "disk-full": "|".join(map(re.escape, NO_ROOM)),
    "output-lost": r"the output cannot be written",
    "exception": r"rank \d+ of \d+ ends the job",
    "killed": r"KILLED BY SIGNAL|EXIT CODE: (9|137)\b|exited on signal",
}
"""Cause → regular expression for messages of the system, mpirun or ranks. Schedulers add theirs."""

_OF_RANKS: tuple[Cause, ...] = ("disk-full", "output-lost")
"""Causes that are looked for in errors in the logs of ranks."""

_TAIL = 64 << 10
"""Bytes at the end of a log that are searched."""


@dataclass(frozen=True)
class Trace:
    """A line of a log that shows why a run ended."""

    cause: Cause
    path: Path
    line: str


def find_traces(run_dir: Path, since: float) -> list[Trace]:
    """Find traces in logs modified after `since` (s since 1970), likeliest cause first."""
    traces = []
    patterns = _patterns()
    of_ranks = {cause: patterns[cause] for cause in _OF_RANKS}
    for path in _written_after(since, job_logs(run_dir)):
        traces += [_trace_in(path, line, patterns) for line in _tail(path)]
    for path in _written_after(since, rank_logs(run_dir)):
        errors = [line for line in _tail(path) if " ERROR " in line]
        traces += [_trace_in(path, line, of_ranks) for line in errors]
    return sorted(filter(None, traces), key=lambda trace: _ORDER.index(trace.cause))


def _patterns() -> dict[Cause, str]:
    """Cause → regular expression for all messages of it, likeliest cause first."""
    schedulers = {scheduler.name: scheduler for scheduler in (*built_in(), current())}
    tables: list[Mapping[Any, str]] = [_WORDS]
    tables += [scheduler.log_patterns for scheduler in schedulers.values()]
    return {
        cause: "|".join(table[cause] for table in tables if cause in table)
        for cause in _ORDER
        if any(cause in table for table in tables)
    }


def _written_after(since: float, paths: Iterable[Path]) -> list[Path]:
    return [path for path in sorted(paths) if path.exists() and path.stat().st_mtime >= since]


def _tail(path: Path) -> Sequence[str]:
    try:
        with opened_regular(path) as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read(_TAIL).decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def _trace_in(path: Path, line: str, patterns: Mapping[Cause, str]) -> Trace | None:
    for cause, pattern in patterns.items():
        if re.search(pattern, line):
            return Trace(cause, path, line.strip())
    return None
