"""One run at a time in a run directory: a lock file that names its owner."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
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
    started: str
    """Boot and clock tick the process began at: a pid alone may belong to another by now."""
    job: str
    """Slurm's job id, or empty."""

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class RunLock:
    """Held from `acquire` to `release`; beats while held, so that others can tell it is alive."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LOCK
        self._owner = _this_process()
        self._beaten = 0.0
        self._now = 0.0
        """By the clock of the file system, which is the one heartbeats are dated by."""

    def acquire(self) -> None:
        """Take the lock, from a dead owner too. Raises `RunError` naming a living owner."""
        while not self._create():
            owner, age = read_owner(self._path.parent), _age(self._path, self._now)
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
        """Show that the owner is alive; cheap enough to call at every turn of a loop.

        Raises `RunError` if the lock is not there any more, or another's.
        """
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self.check()
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def check(self) -> None:
        """Raises `RunError` if the lock is not there any more, or another's."""
        try:
            owner = _parse(self._path.read_bytes())
        except FileNotFoundError:
            owner = None
        except OSError:
            return  # the file server stumbles; the next beat will tell
        if owner != self._owner:
            by = f"is now held by {owner}" if owner else "has gone"
            raise RunError(
                f"{self._path}: the lock of this run {by}; it stops, so that two never write "
                "here: see what became of the directory and run again to go on"
            )

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        with contextlib.suppress(OSError):
            if _owner_in(self._path) == self._owner:
                self._path.unlink()

    def _create(self) -> bool:
        # Written under another name and linked, so that nobody ever reads half an owner.
        draft = self._path.with_name(f"{LOCK}.{socket.gethostname()}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self._owner)))
        self._now = draft.stat().st_mtime
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
    return owner is not None and _is_alive(owner, _age(run_dir / LOCK, time.time()))


def _owner_in(path: Path) -> Owner | None:
    try:
        return _parse(path.read_bytes())
    except OSError:
        return None


def _parse(content: bytes) -> Owner | None:
    try:
        return Owner(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _this_process() -> Owner:
    job = os.environ.get("SLURM_JOB_ID", "")
    return Owner(socket.gethostname(), os.getpid(), _started(os.getpid()), job)


def _started(pid: int) -> str:
    """When a process began, in a way that setting the clock does not change; empty: none is."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # Field 22; the name before it, in parentheses, may hold anything.
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if sys.platform == "linux" else _created(pid)
    state, ticks = facts[0], facts[19]
    return "" if state == "Z" else f"{boot} {ticks}"


def _created(pid: int) -> str:
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""


def _is_alive(owner: Owner, age: float) -> bool:
    if owner.host != socket.gethostname():
        # A requeued job's earlier start is over, wherever it was.
        requeued = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"
        earlier = requeued and owner.job and owner.job == os.environ.get("SLURM_JOB_ID")
        return age < DEAD_AFTER_SECONDS and not earlier
    return _started(owner.pid) == owner.started


def _age(path: Path, now: float) -> float:
    """Seconds from the last heartbeat to `now`."""
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
