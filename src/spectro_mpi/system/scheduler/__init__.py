"""The scheduler (batch system) of a run, if any.

A scheduler is a class that implements `Scheduler` (base.py), listed in `_BUILT_IN` or installed as
an entry point of the group `spectro_mpi.schedulers`. No other package knows a scheduler by name, or
reads the environment variables that it sets.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module

from spectro_mpi.errors import UserError
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

_BUILT_IN = {"slurm": "spectro_mpi.system.scheduler.slurm:Slurm"}
_CHOSEN = "SPECTRO_MPI_SCHEDULER"
"""Environment variable that names the scheduler; without it, the scheduler is detected."""


@cache
def current() -> Scheduler:
    """The scheduler of this machine, or of the job that this process is in.

    It is the one that the environment variable SPECTRO_MPI_SCHEDULER names; without the variable,
    the first built-in one that is available. Raises `UserError` if the name is unknown.
    """
    if name := os.environ.get(_CHOSEN, ""):
        return named(name)
    return next((scheduler for scheduler in built_in() if scheduler.is_here()), NoScheduler())


@cache
def named(name: str) -> Scheduler:
    """The scheduler called `name`; `NoScheduler` if empty. Raises `UserError` if unknown."""
    if not name:
        return NoScheduler()
    reference = _BUILT_IN.get(name) or _entry_points().get(name)
    if reference is None:
        known = ", ".join([*_BUILT_IN, *sorted(_entry_points())])
        raise UserError(f"unknown scheduler {name}; choose one of: {known}")
    return _load(reference)


def built_in() -> list[Scheduler]:
    """The schedulers that come with the package."""
    return [_load(reference) for reference in _BUILT_IN.values()]


def _load(reference: str) -> Scheduler:
    """Create the scheduler that `module:class` names."""
    module, _, name = reference.partition(":")
    scheduler: Scheduler = getattr(import_module(module), name)()
    return scheduler


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
