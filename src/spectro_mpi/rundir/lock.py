"""One run at a time in a run directory: a lock file that names its owner."""

from __future__ import annotations

import contextlib
import json
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
from spectro_mpi.system.scheduler import current

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
"""Without a heartbeat, an owner on another host counts as dead."""

_EXITING = 0x4
"""Linux's flag PF_EXITING of a process that has been killed and is being taken apart."""

_LOOK_SECONDS = 0.5
"""Between looks for a heartbeat of an owner on another host."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    pid: int
    started: str
    """What `beginning_of` said of it: a pid alone may belong to another by now."""
    job: str
    """The scheduler's job id, or empty."""
    restarts: int = 0
    """How often the job had been requeued by then."""
    cluster: str = ""
    """Of the job; another cluster has other jobs under the same ids."""

    @property
    def is_here(self) -> bool:
        """Whether its process can be seen from here: hosts and containers may share a name."""
        here, _, _ = beginning_of(os.getpid()).rpartition(" ")
        return self.host == socket.gethostname() and self.started.rpartition(" ")[0] == here

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
        """Take the lock, from a dead owner too. Raises `RunError` naming a living owner.

        An owner on another host that may have died within the last minute is watched until it
        shows a sign of life, or the minute is over.
        """
        watched: tuple[Owner, float] | None = None
        while not self._create():
            owner, heartbeat = read_owner(self._path.parent), _modified(self._path)
            age = self._now - heartbeat
            if owner is None and age < DEAD_AFTER_SECONDS:
                time.sleep(0.1)  # it is being written, or was left empty by a crash
            elif owner is None or self._is_dead(owner, age, first_look=watched is None):
                self._take_away(owner)
            elif owner.is_here or watched not in (None, (owner, heartbeat)):
                raise RunError(
                    f"{self._path.parent}: another run is writing here ({owner}); "
                    "wait for it, stop it, or choose another run_id"
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

    def _is_dead(self, owner: Owner, age: float, first_look: bool) -> bool:
        """Whether an owner is known to be dead; the scheduler is asked at the first look."""
        if owner.is_here:
            return not _is_alive(owner, age)
        own = self._owner
        if own.job and owner.job and owner.cluster == own.cluster:
            if owner.job == own.job and owner.restarts < own.restarts:
                return True  # an earlier start of this very job is over, wherever it was
            if owner.job != own.job and first_look and _is_over(owner.job):
                return True
        return age >= DEAD_AFTER_SECONDS

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
        # One at a time may look and remove; who finds another at it looks again later.
        token = self._path.with_name(TAKEOVER)
        try:
            token.touch(exist_ok=False)
        except FileExistsError:
            if self._now - _modified(token) > DEAD_AFTER_SECONDS:
                token.unlink(missing_ok=True)  # left by a crash in this very place
            time.sleep(0.05)
            return
        try:
            if _owner_in(self._path) == owner:
                log.warning("%s: taken over from %s, which is dead", self._path, owner)
                self._path.unlink(missing_ok=True)
        finally:
            token.unlink(missing_ok=True)


def read_owner(run_dir: Path) -> Owner | None:
    """Who holds the run directory's lock; None if nobody does."""
    return _owner_in(run_dir / LOCK)


def is_running(run_dir: Path) -> bool:
    """Whether a living process holds the run directory's lock."""
    owner = read_owner(run_dir)
    return owner is not None and _is_alive(owner, time.time() - _modified(run_dir / LOCK))


def beginning_of(pid: int) -> str:
    """When a process began: boot, process namespace and tick; empty if there is none.

    Setting the clock does not change it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        # Field 22; the name before it, in parentheses, may hold anything.
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if sys.platform == "linux" else _created(pid)
    state, flags, ticks = facts[0], int(facts[6]), facts[19]
    is_over = state == "Z" or flags & _EXITING
    return "" if is_over else f"{boot} {namespace} {ticks}"


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
    job = current().own_job()
    host, pid = socket.gethostname(), os.getpid()
    return Owner(host, pid, beginning_of(pid), job.id, job.restarts, job.cluster)


def _is_over(job: str) -> bool:
    """Whether the scheduler says that nothing of a job runs any more; False if unknown."""
    known = current().jobs([job]).get(job)
    return known is not None and not known.is_on_nodes


def _created(pid: int) -> str:
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.NoSuchProcess:
        return ""


def _is_alive(owner: Owner, age: float) -> bool:
    """By its process where that can be seen, else by the age of its last heartbeat."""
    return beginning_of(owner.pid) == owner.started if owner.is_here else age < DEAD_AFTER_SECONDS


def _modified(path: Path) -> float:
    """When the last heartbeat was, s since 1970 by the file system's clock; infinite: no lock."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
