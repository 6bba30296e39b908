"""One run at a time in a run directory: a lock file that names its owner."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.errors import RunError
from spectro_mpi.rundir.layout import LOCK, TAKEOVER
from spectro_mpi.settings.versions import NewerVersionError, as_json, read_table
from spectro_mpi.system.scheduler import current

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
"""An owner on another host counts as dead after this time without a heartbeat."""

_EXITING = 0x4
"""The Linux flag PF_EXITING: the process has been killed and is exiting."""

_LOOK_SECONDS = 0.5
"""Time between checks for a heartbeat of an owner on another host."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    host: str
    pid: int
    started: str
    """Its `beginning_of`: the system may have given the pid to another process."""
    job: str
    """The scheduler's job id, or empty."""
    restarts: int = 0
    """How often the job had been requeued when the process started."""
    cluster: str = ""
    """Cluster of the job: job ids are unique only within a cluster."""

    @property
    def is_here(self) -> bool:
        """Whether this process can see the owner; a shared host name does not suffice."""
        boot_and_namespace, _, _ = beginning_of(os.getpid()).rpartition(" ")
        return (
            self.host == socket.gethostname()
            and self.started.rpartition(" ")[0] == boot_and_namespace
        )

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class RunLock:
    """A lock held from `acquire` to `release`; its heartbeat shows other hosts that it is alive."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / LOCK
        self._owner = _this_process()
        self._beaten = 0.0
        self._now = 0.0
        """Current time by the clock of the file system, which also dates heartbeats."""

    def acquire(self) -> None:
        """Take the lock, also from a dead owner. Raises `RunError` if its owner is alive.

        If the owner is on another host and its last heartbeat is less than a minute old, this
        waits for another heartbeat or until the minute is over.
        """
        watched: tuple[Owner, float] | None = None
        while not self._create():
            owner, heartbeat = read_owner(self._path.parent), _modified(self._path)
            age = self._now - heartbeat
            if owner is None and age < DEAD_AFTER_SECONDS:
                time.sleep(0.1)  # it is being written, or was left empty by a crash
            elif owner is None or self._is_dead(owner, age, is_first=watched is None):
                self._take_away(owner)
            elif owner.is_here or watched not in (None, (owner, heartbeat)):
                raise RunError(
                    f"{self._path.parent}: another run is writing here ({owner}); "
                    "wait until it ends, stop it, or choose another run_id"
                )
            else:
                if watched is None:
                    left = DEAD_AFTER_SECONDS - age
                    log.warning(
                        "%s: held by %s; waiting up to %.0f s to see whether it is alive",
                        self._path,
                        owner,
                        left,
                    )
                watched = owner, heartbeat
                time.sleep(_LOOK_SECONDS)
        self._beaten = time.monotonic()
        self._remove_drafts()

    def beat(self) -> None:
        """Write a heartbeat if one is due; cheap enough to call in every turn of a loop.

        Raises `RunError` if the lock no longer exists or has another owner.
        """
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self.check()
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def check(self) -> None:
        """Raise `RunError` if the lock no longer exists or has another owner."""
        try:
            owner = _owner(self._path)
        except FileNotFoundError:
            owner = None
        except OSError:
            return  # the file server has a problem; the next heartbeat checks again
        if owner != self._owner:
            problem = f"is now held by {owner}" if owner else "was removed"
            raise RunError(
                f"{self._path}: the lock of this run {problem}, so it stops, because only one run "
                "may write here; check the directory and run again to continue"
            )

    def release(self) -> None:
        """Release the lock, if this process still holds it."""
        with contextlib.suppress(OSError, NewerVersionError):
            if _owner(self._path) == self._owner:
                self._path.unlink()

    def _is_dead(self, owner: Owner, age: float, is_first: bool) -> bool:
        """Whether an owner is known to be dead. The first check asks the scheduler, too."""
        if owner.is_here:
            return not _is_alive(owner, age)
        this = self._owner
        if this.job and owner.job and owner.cluster == this.cluster:
            if owner.job == this.job and owner.restarts < this.restarts:
                return True  # an earlier start of the same job has ended, on whatever host
            if owner.job != this.job and is_first and _is_over(owner.job):
                return True
        return age >= DEAD_AFTER_SECONDS

    def _create(self) -> bool:
        # Written under another name, then linked: nobody can read an incomplete owner.
        draft = self._path.with_name(f"{LOCK}.{socket.gethostname()}.{os.getpid()}")
        draft.write_bytes(as_json(asdict(self._owner)))
        self._now = draft.stat().st_mtime
        try:
            os.link(draft, self._path)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def _remove_drafts(self) -> None:
        """Remove what processes on this host left that were killed in `_create`."""
        for draft in self._path.parent.glob(f"{LOCK}.{socket.gethostname()}.*"):
            owner = _owner_in(draft)
            if owner is not None and owner.is_here and not _is_alive(owner, 0):
                draft.unlink(missing_ok=True)

    def _take_away(self, owner: Owner | None) -> None:
        """Remove the lock of a dead owner, but not a newer lock of another process."""
        # One process at a time may check and remove; the others try again later.
        token = self._path.with_name(TAKEOVER)
        try:
            token.touch(exist_ok=False)
        except FileExistsError:
            if self._now - _modified(token) > DEAD_AFTER_SECONDS:
                token.unlink(missing_ok=True)  # left by a crash between these lines
            time.sleep(0.05)
            return
        try:
            if _owner_in(self._path) == owner:
                log.warning("%s: taken over from %s, which has died", self._path, owner)
                self._path.unlink(missing_ok=True)
        finally:
            token.unlink(missing_ok=True)


def read_owner(run_dir: Path) -> Owner | None:
    """The owner of a run directory's lock; None if it is not locked.

    Raises `NewerVersionError` if a newer version holds it.
    """
    return _owner_in(run_dir / LOCK)


def is_running(run_dir: Path) -> bool:
    """Whether a living process holds the run directory's lock."""
    owner = read_owner(run_dir)
    return owner is not None and _is_alive(owner, time.time() - _modified(run_dir / LOCK))


def beginning_of(pid: int) -> str:
    """When a process began: boot id, pid namespace and clock tick; empty if it does not exist.

    Setting the clock does not change it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        # Field 22; the process name in parentheses before it may contain anything.
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if sys.platform == "linux" else _created(pid)
    state, flags, ticks = values[0], int(values[6]), values[19]
    is_over = state == "Z" or flags & _EXITING
    return "" if is_over else f"{boot} {namespace} {ticks}"


def _owner_in(path: Path) -> Owner | None:
    try:
        return _owner(path)
    except OSError:
        return None


def _owner(path: Path) -> Owner | None:
    """The owner that a lock names; None if it names none. Raises `OSError`."""
    try:
        return Owner(**read_table(path))
    except (ValueError, TypeError):
        return None


def _this_process() -> Owner:
    job = current().own_job()
    host, pid = socket.gethostname(), os.getpid()
    return Owner(host, pid, beginning_of(pid), job.id, job.restarts, job.cluster)


def _is_over(job: str) -> bool:
    """Whether no process of a job is running, by the scheduler; False if unknown."""
    known = current().jobs([job]).get(job)
    return known is not None and not known.is_on_nodes


def _created(pid: int) -> str:
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""


def _is_alive(owner: Owner, age: float) -> bool:
    """Whether an owner is alive: by its process, or on another host by its last heartbeat."""
    return beginning_of(owner.pid) == owner.started if owner.is_here else age < DEAD_AFTER_SECONDS


def _modified(path: Path) -> float:
    """Time of the last heartbeat, s since 1970 by the file system's clock; inf without a lock."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
