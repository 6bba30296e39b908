"""What Slurm is asked and told: the states of jobs, when this one ends, an end to others."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.errors import UserError

_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
_ON_NODES = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_SECONDS_TO_ANSWER = 30.0


@dataclass(frozen=True)
class Job:
    """A job as Slurm has it."""

    state: str
    """PENDING, RUNNING, COMPLETED, …"""
    restarts: int = 0
    """How often it went back into the queue."""

    @property
    def is_waiting(self) -> bool:
        """Whether it is yet to start, for the first time or again."""
        return self.state in _WAITING

    @property
    def is_on_nodes(self) -> bool:
        """Whether processes of it may be there."""
        return self.state in _ON_NODES


def jobs_of(ids: Iterable[str]) -> dict[str, Job]:
    """Job id → job; without those Slurm does not list any more, none where there is no Slurm."""
    ids = [one for one in ids if one]
    if not ids or shutil.which("squeue") is None:
        return {}
    columns = "JobID:40,State:40,RestartCnt:40"
    told = _told("squeue", "-h", "-t", "all", "-O", columns, "-j", ",".join(ids))
    rows = [line.split() for line in told.splitlines()]
    return {row[0]: Job(row[1], int(row[2])) for row in rows if len(row) == 3}


def is_over(job: str) -> bool:
    """Whether Slurm says that nothing of a job runs any more; False where it cannot tell."""
    known = jobs_of([job]).get(job)
    return known is not None and not known.is_on_nodes


def end_of_job(environment: Mapping[str, str]) -> float | None:
    """When this Slurm job's wall time ends, s since 1970; None outside of a job or if unknown."""
    job = environment.get("SLURM_JOB_ID", "")
    if not job:
        return None
    known = environment.get("SLURM_JOB_END_TIME", "")
    if known.isdecimal():
        return float(known)
    if shutil.which("squeue") is None:
        return None
    told = _told("squeue", "-h", "-j", job, "-o", "%e").strip()
    try:
        return time.mktime(time.strptime(told, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None


def seconds_of(walltime: str) -> float:
    """A wall time as Slurm writes it (minutes, MM:SS, HH:MM:SS, D-HH[:MM[:SS]]), in seconds.

    Raises `ValueError` for anything else.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", walltime.strip())
    if match is None:
        raise ValueError(f'"{walltime}" is not a wall time such as 90, 01:30:00 or 1-12')
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    # With days hours come first; without, minutes do, unless there are three numbers.
    first = 3600.0 if days is not None or len(numbers) == 3 else 60.0
    seconds = sum(number * first / 60.0**place for place, number in enumerate(numbers))
    return int(days or 0) * 86400.0 + seconds


def sbatch(script: Path, *options: str) -> str:
    """Submit a script; the job's id. Raises `UserError` in Slurm's words where it refuses."""
    command = ["sbatch", "--parsable", *options, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"sbatch refused {script}: {' '.join(done.stderr.split())}")
    return done.stdout.strip().partition(";")[0]


def scancel(job: str) -> None:
    """End a job, whether it waits or runs."""
    _told("scancel", job)


def ask_to_stop(job: str) -> None:
    """Have the script of a running job stop its run, and the job not go back into the queue."""
    keep_from_requeue(job)
    _told("scancel", "--batch", "--signal=USR1", job)


def keep_from_requeue(job: str) -> None:
    """Have Slurm refuse the `scontrol requeue` of a job's own script."""
    _told("scontrol", "update", f"JobId={job}", "Requeue=0")


def _told(*command: str) -> str:
    """Standard output of a command of Slurm's; empty if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS_TO_ANSWER
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
