"""One run at a time in a run directory: a lock file that names its owner."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from spectro_mpi.errors import RunError, StoppedError
from spectro_mpi.rundir.layout import LIVE, LOCK, TAKEOVER
from spectro_mpi.rundir.names import Count, JobId
from spectro_mpi.settings.parsing import as_type
from spectro_mpi.settings.versions import NewerVersionError, as_json, read_table
from spectro_mpi.system.atomic import SUFFIX, opened_new
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.scheduler import current

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
"""An owner on another host counts as dead after this time without a heartbeat."""

_EXITING = 0x4
"""The Linux flag PF_EXITING: the process has been killed and is exiting."""

_LOOK_SECONDS = 0.5
"""Time between looks for a heartbeat of an owner on another host."""
_FIRST_LOOK_SECONDS = 0.05
"""Time after the first look: most often the owner is here, or somebody else takes the lock over."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    host: str
    pid: Annotated[int, Interval(ge=1, le=(1 << 31) - 1)]
    started: str
    """Its `beginning_of`: the system may have given the pid to another process."""
    job: JobId
    """The scheduler's job id, or empty."""
    restarts: Count = 0
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

    @property
    def tag(self) -> str:
        """What the temporary names of the owner's processes carry: 8 hexadecimal digits."""
        words = f"{self.host} {self.pid} {self.started} {self.job} {self.restarts}"
        return hashlib.sha256(words.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class LockWatch:
    """Watches a lock that the first rank holds for all: another run may have taken it over.

    That happens to a run that was believed dead, because its node was cut off.
    """

    def __init__(self, run_dir: Path, owner: Owner) -> None:
        self.owner = owner
        """The first rank."""
        self._path = run_dir / LOCK
        self._beaten = time.monotonic()

    def beat(self) -> None:
        """Check the lock if that is due; cheap enough to call in every turn of a loop.

        Raises `RunError` if the lock no longer exists or has another owner.
        """
        if time.monotonic() - self._beaten < HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        self.check()

    def check_before_writing(self) -> None:
        """Raise `RunError` if the lock has another owner, `FileNotFoundError` if it is gone.

        The whole run directory may have been removed with it.
        """
        if not self._path.exists():
            missing = errno.ENOENT
            raise FileNotFoundError(missing, os.strerror(missing), str(self._path))
        self.check()

    def check(self) -> None:
        """Raise `RunError` if the lock no longer exists or has another owner."""
        try:
            if self._is_unchanged():
                return
            owner = _owner(self._path)
        except FileNotFoundError:
            owner = None
        except OSError:
            return  # the file server has a problem; the next heartbeat checks again
        if owner != self.owner:
            problem = f"is now held by {owner}" if owner else "was removed"
            raise RunError(
                f"{self._path}: the lock of this run {problem}, so it stops, because only one run "
                "may write here; check the directory and run again to continue"
            )

    def _is_unchanged(self) -> bool:
        """Whether the lock is as this owner wrote it, which takes no pydantic to find out."""
        try:
            return read_regular(self._path) == as_json(asdict(self.owner))
        except ValueError:
            return False


class RunLock(LockWatch):
    """A lock held from `acquire` to `release`; its heartbeat shows other hosts that it is alive."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, _this_process())
        self._beaten = 0.0

    def acquire(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Take the lock, also from a dead owner. Raises `RunError` if its owner is alive.

        If this host cannot see the owner, this waits until the lock changes or has not changed for
        a minute. Dates do not matter: a clock may have been wrong. Raises `StoppedError` if
        `is_stopped` while it waits.
        """
        lock, token = _Watch(self._path), _Watch(self._path.with_name(TAKEOVER))
        while not self._create():
            owner = lock.look()
            if owner is not None and self._is_alive(owner, lock):
                raise RunError(
                    f"{self._path.parent}: another run is writing here ({owner}); "
                    "wait until it ends, stop it, or choose another run_id"
                )
            if lock.still_for >= DEAD_AFTER_SECONDS or self._is_dead(owner, lock):
                if self._take_away(owner):
                    continue
                token.look()
                if token.still_for >= DEAD_AFTER_SECONDS:  # left by a crash in `_take_away`
                    _unlink(token.path)
            self._wait(owner, lock, is_stopped)
        self._beaten = time.monotonic()
        self._sweep()

    def beat(self) -> None:
        """Write a heartbeat if one is due; cheap enough to call in every turn of a loop.

        Raises `RunError` if the lock no longer exists or has another owner.
        """
        before = self._beaten
        super().beat()
        if self._beaten != before:
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def release(self) -> None:
        """Release the lock, if this process still holds it."""
        with contextlib.suppress(OSError, NewerVersionError):
            if _owner(self._path) == self.owner:
                self._path.unlink()

    def _is_alive(self, owner: Owner, lock: _Watch) -> bool:
        """Whether an owner is known to be alive: its process is seen here, or the lock changes."""
        if owner.is_here:
            return beginning_of(owner.pid) == owner.started
        return lock.has_changed

    def _is_dead(self, owner: Owner | None, lock: _Watch) -> bool:
        """Whether an owner is known to be dead. The first look asks the scheduler, too."""
        if owner is None:
            return False
        if owner.is_here:
            return beginning_of(owner.pid) != owner.started
        this = self.owner
        if not (this.job and owner.job and owner.cluster == this.cluster):
            return False
        if owner.job == this.job:
            return owner.restarts < this.restarts  # an earlier start of this job, on whatever host
        return lock.looks == 1 and _is_over(owner.job)

    def _wait(self, owner: Owner | None, lock: _Watch, is_stopped: Callable[[], bool]) -> None:
        """Pause before the next look, and say why if that may take long."""
        if is_stopped():
            raise StoppedError(f"{self._path.parent}: stopped while it waited for the lock")
        if not lock.is_told and lock.looks > 1:
            lock.is_told = True
            holder = f"is held by {owner}" if owner else "names no owner"
            log.warning(
                "%s: %s; waiting up to %.0f s to see whether that changes",
                self._path,
                holder,
                DEAD_AFTER_SECONDS,
            )
        time.sleep(_LOOK_SECONDS if lock.is_told else _FIRST_LOOK_SECONDS)

    def _create(self) -> bool:
        # Written under another name, then linked: nobody can read an incomplete owner.
        draft = self._path.with_name(f"{LOCK}.{socket.gethostname()}.{os.getpid()}")
        with opened_new(draft) as file:
            file.write(as_json(asdict(self.owner)))
        try:
            os.link(draft, self._path)
        except FileExistsError:
            return False
        except FileNotFoundError:
            return False  # swept by the process that got the lock meanwhile
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _sweep(self) -> None:
        """Remove what processes left that were killed: drafts of locks, tokens, `live.json`.

        A living process that tries to take the lock writes its draft again.
        """
        left = [*self._path.parent.glob(f"{LOCK}.*")]
        left += [self._path.with_name(LIVE), *self._path.parent.glob(f"{LIVE}*{SUFFIX}")]
        for path in left:
            if not path.is_dir():
                path.unlink(missing_ok=True)

    def _take_away(self, owner: Owner | None) -> bool:
        """Remove the lock of a dead owner, but not a newer lock of another process.

        Returns whether it was this process's turn: one at a time may check and remove.
        """
        token = self._path.with_name(TAKEOVER)
        try:
            token.touch(exist_ok=False)
        except FileExistsError:
            return False
        try:
            if _owner_in(self._path) == owner:
                log.warning("%s: taken over from %s, which has died", self._path, owner)
                _unlink(self._path)
        finally:
            token.unlink(missing_ok=True)
        return True


class _Watch:
    """Watches whether a file changes, by the monotonic clock: dates of files say nothing of now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.looks = 0
        self.has_changed = False
        """Whether it has changed since the first look."""
        self.is_told = False
        """Whether the user knows of the wait."""
        self._seen: object = None
        self._since = 0.0

    def look(self) -> Owner | None:
        """Look at the file; returns the owner that it names, None if it names none."""
        owner, now = _owner_in(self.path), time.monotonic()
        # After it was read: file servers may tell old facts of a file that is not opened.
        seen = owner, _facts(self.path)
        self.looks += 1
        if seen != self._seen:
            self.has_changed = self.looks > 1
            self._seen, self._since = seen, now
        return owner

    @property
    def still_for(self) -> float:
        """For how long it has not changed, s."""
        return time.monotonic() - self._since if self.looks else 0.0


def read_owner(run_dir: Path) -> Owner | None:
    """The owner of a run directory's lock; None if it is not locked.

    Raises `NewerVersionError` if a newer version holds it.
    """
    return _owner_in(run_dir / LOCK)


def is_running(run_dir: Path) -> bool:
    """Whether a living process holds the run directory's lock.

    Of an owner on another host one look shows no more than the date of its last heartbeat, which
    may be wrong. Nobody may write on the strength of that: `RunLock.acquire` watches the lock.
    """
    owner = read_owner(run_dir)
    if owner is None:
        return False
    if owner.is_here:
        return beginning_of(owner.pid) == owner.started
    facts = _facts(run_dir / LOCK)
    return facts is not None and abs(time.time() - facts[-1] / 1e9) < DEAD_AFTER_SECONDS


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
        return as_type(Owner, read_table(path))
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


def _facts(path: Path) -> tuple[int, int, int] | None:
    """What changes with a heartbeat, or if another process takes a lock; None: it is not there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _unlink(path: Path) -> None:
    """Remove what stands in the way of a lock. Raises `RunError` if it cannot be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be removed ({error.strerror}); remove it") from None
