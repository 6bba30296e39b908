"""What the program asks of a batch system, and what it hears from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spectro_mpi.errors import Cause


@dataclass(frozen=True)
class Job:
    """A job as the scheduler has it."""

    state: str
    """In the scheduler's own word: PENDING, RUNNING, COMPLETED, …"""
    is_waiting: bool = False
    """Whether it has yet to start, for the first time or again."""
    is_on_nodes: bool = False
    """Whether processes of it may be running."""
    restarts: int = 0
    """How often it went back into the queue."""
    verdict: Cause | None = None
    """Why it has ended, as far as its state tells."""


@dataclass(frozen=True)
class OwnJob:
    """The job that this process runs in; empty outside of a job."""

    id: str = ""
    restarts: int = 0
    cluster: str = ""
    """Another cluster has other jobs under the same ids."""


@dataclass(frozen=True)
class Step:
    """Ranks that the scheduler's own launcher (as `srun`) has started, this process among them."""

    ranks: int
    rank: int


@dataclass(frozen=True)
class Script:
    """A job script to be: a template of `jobs/`, and what goes into it."""

    template: str
    """Text of the template."""
    settings: Path
    """The settings file that the job uses."""
    bin_folder: Path
    """Where the commands of this installation are."""
    log_folder: Path
    """Where the job writes what it prints."""
    ranks: int
    nodes: int = 0
    time: str = ""
    """Wall time; empty: the partition's default."""
    partition: str = ""
    account: str = ""
    mpi: str = ""
    """Type of MPI for the scheduler's own launcher; empty: mpirun."""
    extra: tuple[str, ...] = ()
    """Further options of the submit command."""
    setup: tuple[str, ...] = ()
    """Shell lines before the run."""


class Scheduler(Protocol):
    """A batch system: what it says of this process's job and of others, and how jobs are sent."""

    name: str
    """As in `jobs.json`, in the settings (the table of its options) and in messages."""
    assets_template: str
    """Name of the job script in `jobs/` that prepares a run."""
    run_template: str
    """Name of the job script in `jobs/` that runs it."""
    submit_command: str
    launch_hint: str
    """How its own launcher is told which MPI to start, for a sentence; empty: it has none."""
    log_patterns: Mapping[Cause, str]
    """Cause → regular expression of what its logs say when it ends a job for that."""

    def is_here(self) -> bool:
        """Whether this process is in a job of it, or can submit one."""
        ...

    def own_job(self) -> OwnJob:
        """The job of this process."""
        ...

    def own_step(self) -> Step | None:
        """The ranks that its launcher started, if it started this process."""
        ...

    def end_of_own_job(self) -> float | None:
        """When the wall time of this process's job ends, s since 1970; None if unknown."""
        ...

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        """Job id → job, of those it still knows."""
        ...

    def submit(self, script: Path, after: str = "") -> str:
        """Submit a script, to start once job `after` has succeeded; the job's id.

        Raises `UserError` with the scheduler's words where it refuses.
        """
        ...

    def cancel(self, job: str) -> None:
        """End a job, whether it waits or runs."""
        ...

    def ask_to_stop(self, job: str) -> None:
        """Have the script of a running job stop its run, and the job not be requeued."""
        ...

    def keep_from_requeue(self, job: str) -> None:
        """Refuse the requeue that a job's own script asks for."""
        ...

    def script(self, script: Script) -> str:
        """The text of a job script."""
        ...
