"""What Slurm, mpirun and the ranks said when a run died, found in the logs of its directory."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spectro_mpi.rundir.layout import job_logs, rank_logs

Cause = Literal[
    "wall-time",
    "node-lost",
    "out-of-memory",
    "disk-full",
    "output-lost",
    "exception",
    "cancelled",
    "killed",
    "stopped",
]

NO_ROOM = tuple(os.strerror(one) for one in (errno.ENOSPC, errno.EDQUOT))
"""How the system says that a disk is full."""

_WORDS: dict[Cause, str] = {
    "wall-time": r"DUE TO TIME LIMIT",
    "node-lost": r"DUE TO NODE FAILURE|NODE_FAIL",
    "out-of-memory": r"oom[-_]kill|OUT_OF_MEMORY|Out [Oo]f [Mm]emory|MemoryError",
    "disk-full": "|".join(map(re.escape, NO_ROOM)),
    "output-lost": r"the output cannot be written",
    "exception": r"rank \d+ of \d+ ends the job",
    "cancelled": r"CANCELLED AT|DUE TO PREEMPTION",
    "killed": r"KILLED BY SIGNAL|EXIT CODE: (9|137)\b|exited on signal",
}
"""Cause → words that tell of it; the earlier in the list, the likelier the reason for the rest."""

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
    for path in _written_after(since, job_logs(run_dir)):
        found += [_told(path, line, tuple(_WORDS)) for line in _tail(path)]
    for path in _written_after(since, rank_logs(run_dir)):
        found += [_told(path, line, _OF_RANKS) for line in _tail(path) if " ERROR " in line]
    order = list(_WORDS)
    return sorted((one for one in found if one is not None), key=lambda one: order.index(one.cause))


def _written_after(since: float, paths: Iterable[Path]) -> list[Path]:
    return [path for path in sorted(paths) if path.exists() and path.stat().st_mtime >= since]


def _tail(path: Path) -> Sequence[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace").splitlines()


def _told(path: Path, line: str, causes: Sequence[Cause]) -> Trace | None:
    for cause in causes:
        if re.search(_WORDS[cause], line):
            return Trace(cause, path, line.strip())
    return None
