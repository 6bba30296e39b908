"""One run at a time in a run directory: a lock file that names its owner."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.errors import RunError

log = logging.getLogger(__name__)

LOCK = "run.lock"
HEARTBEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
"""Without a heartbeat, an owner on another host counts as dead."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    pid: int
    started: float
    """When the process began, s since 1970: a pid alone may belong to another by now."""
    job: str
    """Slurm's job id, or empty."""

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class RunLock:
    """Held from `acquire` to `release`; beats while held, so that others can tell it is alive."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LOCK
        self._beaten = 0.0

    def acquire(self) -> None:
        """Take the lock, from a dead owner too. Raises `RunError` naming a living owner."""
        while not self._create():
            owner, age = read_owner(self._path.parent), _age(self._path)
            if owner is not None and _is_alive(owner, age):
                raise RunError(
                    f"{self._path.parent}: another run is writing here ({owner}); "
                    "wait for it, stop it, or choose another run_id"
                )
            if owner is None and age < DEAD_AFTER_SECONDS:
                time.sleep(0.1)  # it is being written, or was left empty by a crash
                continue
            self._take_away(owner)
        self._beaten = time.monotonic()

    def beat(self) -> None:
        """Show that the owner is alive; cheap enough to call at every turn of a loop."""
        if time.monotonic() - self._beaten > HEARTBEAT_SECONDS:
            self._beaten = time.monotonic()
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def release(self) -> None:
        """Give the lock back."""
        self._path.unlink(missing_ok=True)

    def _create(self) -> bool:
        # Written under another name and linked, so that nobody ever reads half an owner.
        draft = self._path.with_name(f"{LOCK}.{socket.gethostname()}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(_this_process())))
        try:
            os.link(draft, self._path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _take_away(self, owner: Owner | None) -> None:
        """Remove a dead owner's lock, and no other that came in its place meanwhile."""
        aside = self._path.with_name(f"{LOCK}.dead.{socket.gethostname()}.{os.getpid()}")
        try:
            self._path.rename(aside)
        except FileNotFoundError:
            return
        if _owner_in(aside) == owner:
            log.warning("%s: taken over from %s, which is dead", self._path, owner)
            aside.unlink()
        else:
            with contextlib.suppress(FileExistsError):
                os.link(aside, self._path)
            aside.unlink()


def read_owner(run_dir: Path) -> Owner | None:
    """Who holds the run directory's lock; None if nobody does."""
    return _owner_in(run_dir / LOCK)


def is_running(run_dir: Path) -> bool:
    """Whether a living process holds the run directory's lock."""
    owner = read_owner(run_dir)
    return owner is not None and _is_alive(owner, _age(run_dir / LOCK))


def _owner_in(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _this_process() -> Owner:
    import psutil

    return Owner(
        socket.gethostname(),
        os.getpid(),
        psutil.Process().create_time(),
        os.environ.get("SLURM_JOB_ID", ""),
    )


def _is_alive(owner: Owner, age: float) -> bool:
    if owner.host != socket.gethostname():
        return age < DEAD_AFTER_SECONDS
    import psutil

    try:
        return bool(abs(psutil.Process(owner.pid).create_time() - owner.started) < 2)
    except psutil.NoSuchProcess:
        return False


def _age(path: Path) -> float:
    """Seconds since the last heartbeat."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
