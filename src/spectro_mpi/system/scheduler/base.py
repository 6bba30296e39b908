"""The interface of a scheduler (batch system), and the data that it exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spectro_mpi.errors import Cause


@dataclass(frozen=True)
class Job:
    """A job as the scheduler reports it."""

    state: str
    """The scheduler's name of the state: PENDING, RUNNING, COMPLETED, …"""
    is_waiting: bool = False
    """Whether it waits to start, for the first time or again."""
    is_on_nodes: bool = False
    """Whether its processes may be running."""
    restarts: int = 0
    """How often it went back into the queue."""
    verdict: Cause | None = None
    """Why it ended, as far as its state shows."""


@dataclass(frozen=True)
class OwnJob:
    """The job that this process runs in; all fields are empty outside a job."""

    id: str = ""
    restarts: int = 0
    cluster: str = ""
    """Name of the cluster: job ids are unique only within a cluster."""


@dataclass(frozen=True)
class Step:
    """Ranks, including this process, that the scheduler's launcher (such as `srun`) started."""

    ranks: int
    rank: int


@dataclass(frozen=True)
class Script:
    """A template of a job script, and the values to fill in."""

    template: str
    """Text of a script in `jobs/`."""
    settings: Path
    """Path of the settings file that the job uses."""
    bin_folder: Path
    """Folder with the commands of this installation."""
    log_folder: Path
    """Folder for the output of the job."""
    ranks: int
    nodes: int = 0
    """0: the scheduler decides."""
    time: str = ""
    """Wall time; empty: the partition's default."""
    partition: str = ""
    account: str = ""
    mpi: str = ""
    """Type of MPI for the scheduler's launcher; empty: mpirun starts the ranks."""
    extra: tuple[str, ...] = ()
    """Further options of the submit command."""
    setup: tuple[str, ...] = ()
    """Shell commands before the run."""


class Scheduler(Protocol):
    """A batch system: queries jobs, submits and cancels them, writes job scripts."""

    name: str
    """Name in `jobs.json`, in the settings (table of its options) and in messages."""
    assets_template: str
    """Name of the job script in `jobs/` that prepares a run."""
    run_template: str
    """Name of the job script in `jobs/` that runs it."""
    report_template: str
    """Name of the job script in `jobs/` that makes the report of a run on many ranks, with one
    task; empty: the run makes it."""
    submit_command: str
    launch_hint: str
    """How its launcher selects the MPI, to be part of a message; empty: it has no launcher."""
    log_patterns: Mapping[Cause, str]
    """Cause → regular expression for its messages in logs when it ends a job for that cause."""

    def is_here(self) -> bool:
        """Whether this process is in one of its jobs, or can submit one."""
        ...

    def own_job(self) -> OwnJob:
        """The job of this process."""
        ...

    def own_step(self) -> Step | None:
        """The ranks that its launcher started; None if it did not start this process."""
        ...

    def end_of_own_job(self) -> float | None:
        """End of the wall time of this process's job, s since 1970; None if unknown."""
        ...

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        """Job id → job, for those of `ids` that it still knows."""
        ...

    def submit(self, script: Path, after: str = "", even_if_failed: bool = False) -> str:
        """Submit a script, to start when job `after` has succeeded; returns the id of the job.

        `even_if_failed`: when job `after` has ended, however it ended.

        Raises `UserError` with the scheduler's message if it refuses the script.
        """
        ...

    def cancel(self, job: str) -> None:
        """End a waiting or running job."""
        ...

    def ask_to_stop(self, job: str) -> None:
        """Ask the script of a running job to stop its run, and prevent a requeue."""
        ...

    def keep_from_requeue(self, job: str) -> None:
        """Prevent the requeue that the script of a job requests."""
        ...

    def script(self, script: Script) -> str:
        """Fill in a template; returns the text of the job script."""
        ...
