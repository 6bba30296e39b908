"""The batch system that a run lives in, if any.

A scheduler is one class that keeps `Scheduler` (base.py), named in `_BUILT_IN` or as an entry point
of the group `spectro_mpi.schedulers`. No other room knows one by name, or reads what it puts into
the environment.
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
"""Environment variable that names the scheduler where it is not to be found out."""


@cache
def current() -> Scheduler:
    """The scheduler of this machine, or of the job that this process is in.

    The environment variable SPECTRO_MPI_SCHEDULER names it; if it does not, the first built-in one
    that is here. Raises `UserError` if the variable names none that is known.
    """
    if name := os.environ.get(_CHOSEN, ""):
        return named(name)
    return next((scheduler for scheduler in built_in() if scheduler.is_here()), NoScheduler())


@cache
def named(name: str) -> Scheduler:
    """The scheduler called `name`; empty: none. Raises `UserError` if it is not known."""
    if not name:
        return NoScheduler()
    where = _BUILT_IN.get(name) or _entry_points().get(name)
    if where is None:
        known = ", ".join([*_BUILT_IN, *sorted(_entry_points())])
        raise UserError(f"there is no scheduler {name} (there are {known})")
    return _made(where)


def built_in() -> list[Scheduler]:
    """The schedulers that come with the program."""
    return [_made(where) for where in _BUILT_IN.values()]


def _made(where: str) -> Scheduler:
    module, _, name = where.partition(":")
    scheduler: Scheduler = getattr(import_module(module), name)()
    return scheduler


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
