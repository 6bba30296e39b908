"""The scheduler (batch system) of a run, if any.

A scheduler is a class that implements `Scheduler` (base.py), listed in `_BUILT_IN` or installed as
an entry point of the group `spectro_mpi.schedulers`. No other package knows a scheduler by name, or
reads the environment variables that it sets.
"""

from __future__ import annotations

import os
from functools import cache

from spectro_mpi.errors import UserError
from spectro_mpi.system.plugins import installed, load
from spectro_mpi.system.scheduler.base import Job, OwnJob, Scheduler, Script, Step
from spectro_mpi.system.scheduler.none import NoScheduler

__all__ = [
    "ENTRY_POINTS",
    "Job",
    "OwnJob",
    "Scheduler",
    "Script",
    "Step",
    "built_in",
    "current",
    "named",
]

ENTRY_POINTS = "spectro_mpi.schedulers"

_BUILT_IN = {
    "slurm": "spectro_mpi.system.scheduler.slurm:Slurm",
    "pbs": "spectro_mpi.system.scheduler.pbs:Pbs",
}
_CHOSEN = "SPECTRO_MPI_SCHEDULER"
"""Environment variable that names the scheduler; without it, the scheduler is detected."""


@cache
def current() -> Scheduler:
    """The scheduler of this machine, or of the job that this process is in.

    It is the one that the environment variable SPECTRO_MPI_SCHEDULER names; without the variable,
    the first built-in one that is available. Raises `UserError` if the name is unknown.
    """
    if name := os.environ.get(_CHOSEN, ""):
        try:
            return named(name)
        except UserError as error:
            raise UserError(f"environment variable {_CHOSEN}: {error}") from None
    return next((scheduler for scheduler in built_in() if scheduler.is_here()), NoScheduler())


@cache
def named(name: str) -> Scheduler:
    """The scheduler called `name`; `NoScheduler` if empty. Raises `UserError` if unknown."""
    if not name:
        return NoScheduler()
    reference = _BUILT_IN.get(name) or installed(ENTRY_POINTS).get(name)
    if reference is None:
        known = ", ".join([*_BUILT_IN, *sorted(installed(ENTRY_POINTS))])
        raise UserError(f"unknown scheduler {name}; choose one of: {known}")
    scheduler: Scheduler = load(reference, f"scheduler {name}")()
    return scheduler


def built_in() -> list[Scheduler]:
    """The schedulers that come with the package."""
    return [named(name) for name in _BUILT_IN]
