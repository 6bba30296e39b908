"""What a run is doing right now, in a file of its directory: for `status`, on any machine."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from spectro_mpi.rundir.layout import LIVE
from spectro_mpi.system.activity import Doing
from spectro_mpi.system.atomic import part_path

_SECONDS = 3.0
"""Between two writings."""


@dataclass
class Live:
    """A phase under way."""

    phase: str = ""
    done: int = 0
    failed: int = 0
    total: int = 0
    seconds: float = 0.0
    """Since the phase began."""
    stopping: str = ""
    """Why the run is stopping; empty: it is not."""
    workers: dict[str, str] = field(default_factory=dict)
    """Rank → what it does."""

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the phase is done; None if nothing can be said yet."""
        return (self.total - self.done) / self.rate if self.rate else None


class LiveFile:
    """A display (see display.py) that writes `live.json` every few seconds."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LIVE
        self._live = Live()
        self._began = self._written = 0.0

    def begin(self, phase: str, total: int) -> None:
        self._live = Live(phase, total=total)
        self._began = time.monotonic()
        self._write()

    def status(self, worker: int, doing: Doing) -> None:
        self._live.workers[str(worker)] = str(doing)

    def advance(self, worker: int, failures: int) -> None:
        self._live.done += 1
        self._live.failed += failures > 0

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
        # Only for people who look on: no fsync, and a full disk is told by those who must write.
        with contextlib.suppress(OSError):
            part_path(self._path).write_text(json.dumps(asdict(self._live)))
            part_path(self._path).replace(self._path)


def read_live(run_dir: Path) -> Live | None:
    """What a run is doing; None if it does not say."""
    try:
        return Live(**json.loads((run_dir / LIVE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
