"""`live.json`: what a run is doing now, so that `status` can report it on any machine."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from spectro_mpi.rundir.counts import PhaseCount
from spectro_mpi.rundir.layout import LIVE
from spectro_mpi.rundir.names import Count
from spectro_mpi.settings.parsing import as_type
from spectro_mpi.settings.versions import as_json, read_table
from spectro_mpi.system.activity import Doing
from spectro_mpi.system.atomic import part_path, write_part

_SECONDS = 3.0
"""Least time between two writes."""


@dataclass
class Live:
    """Progress of the current phase."""

    phase: str = ""
    done: Count = 0
    failed: Count = 0
    total: Count = 0
    seconds: Annotated[float, Interval(ge=0, le=1e10)] = 0.0
    """Time since the start of the phase."""
    stopping: str = ""
    """Why the run is stopping, or empty."""
    uncommitted: Count = 0
    """Items that are computed and not on disk yet, besides those done."""
    writer_waits: Annotated[float, Interval(ge=0, le=1e10)] = 0.0
    """How long the writer has been waiting for the file system, s."""
    workers: dict[str, str] = field(default_factory=dict)
    """Rank → what it is doing."""

    @property
    def rate(self) -> float:
        """Items per second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the phase is done; None before the first item is done."""
        return (self.total - self.done) / self.rate if self.rate else None


class LiveFile:
    """A `Display` (terminal/display.py) that writes `live.json` every few seconds."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LIVE
        self._live = Live()
        self._began = self._written = 0.0

    def begin(self, phase: str, total: int, before: PhaseCount | None = None) -> None:
        self._live = Live(phase, total=total)
        self._began = time.monotonic()
        self._write()

    def status(self, worker: int, doing: Doing) -> None:
        self._live.workers[str(worker)] = str(doing)

    def advance(self, failures: int) -> None:
        self._live.done += 1
        self._live.failed += failures > 0

    def uncommitted(self, items: int, writer_waits: float) -> None:
        self._live.uncommitted, self._live.writer_waits = items, writer_waits

    def refresh(self) -> None:
        if self._began and time.monotonic() - self._written > _SECONDS:
            self._write()

    def stop(self, why: str) -> None:
        self._live.stopping = why
        self._write()

    def end(self) -> None:
        if self._began:
            self._began = 0.0
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        self._written = time.monotonic()
        self._live.seconds = self._written - self._began
        # For information only: no fsync, and a full disk is reported by other writers.
        with contextlib.suppress(OSError):
            write_part(self._path, as_json(asdict(self._live)))
            part_path(self._path).replace(self._path)


def read_live(run_dir: Path) -> Live | None:
    """What a run is doing; None if live.json does not exist or is damaged.

    Raises `NewerVersionError` if a newer version wrote it.
    """
    try:
        return as_type(Live, read_table(run_dir / LIVE))
    except (OSError, ValueError, TypeError):
        return None
