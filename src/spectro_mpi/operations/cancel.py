"""Stop a run from any machine: after its current items, or at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.errors import UserError
from spectro_mpi.operations.submit import Submitted, jobs_of, scheduler_of, submitted_for
from spectro_mpi.rundir.layout import CONFIG, STOP
from spectro_mpi.rundir.lock import beginning_of, is_running, read_owner
from spectro_mpi.settings.loading import frozen_version
from spectro_mpi.settings.schema import SettingsError
from spectro_mpi.system.launchers import LAUNCHERS
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.scheduler.base import Scheduler

if TYPE_CHECKING:
    import psutil

_KILL_SECONDS = 10.0
"""How long to wait for killed processes to end."""

_Actions = Generator[str, None, bool]
"""Yields a sentence for each action; returns whether there was any."""


def cancel(run_dir: Path, now: bool) -> Iterator[str]:
    """Ask a run to finish its current items and stop; with `now`, kill its jobs and processes.

    Yields a sentence for each action; with `now`, before the action. Raises `UserError` if
    `run_dir` is not a run directory, or one of a newer version, or if the run cannot be killed from
    this machine.
    """
    submitted, owner = submitted_for(run_dir), read_owner(run_dir)
    if not (run_dir / CONFIG).is_file() and submitted == Submitted():
        raise UserError(f"{run_dir}: is not a run directory")
    with contextlib.suppress(SettingsError):
        frozen_version(run_dir / CONFIG)  # a newer one is left alone
    jobs, unknown = jobs_of(submitted, owner)
    if unknown:
        yield unknown
    done = False
    if jobs:
        done = yield from _cancel_jobs(scheduler_of(submitted), jobs, now)
    if now:
        done |= yield from _kill_processes(run_dir, submitted)
        if not done and is_running(run_dir):
            raise UserError(
                f"{run_dir}: {owner} cannot be killed from this machine; run cancel --now there"
            )
    else:
        done |= yield from _ask_processes(run_dir, submitted)
    if not done and not unknown:
        yield f"{run_dir}: nothing is running or waiting"


def _cancel_jobs(scheduler: Scheduler, jobs: dict[str, Job], now: bool) -> _Actions:
    """Cancel waiting jobs; ask running jobs to stop, or cancel them, too, if `now`."""
    any_action = False
    for name, job in jobs.items():
        if job.is_waiting or (now and job.is_on_nodes):
            yield f"job {name} ({job.state.lower()}) is cancelled"
            scheduler.cancel(name)
        elif job.is_on_nodes:
            yield f"job {name} ({job.state.lower()}) is asked to stop and will not be requeued"
            scheduler.ask_to_stop(name)
        else:
            continue
        any_action = True
    return any_action


def _ask_processes(run_dir: Path, submitted: Submitted) -> _Actions:
    if is_running(run_dir):
        with contextlib.suppress(FileExistsError):  # "x" also refuses a link
            (run_dir / STOP).open("x").close()
        yield f"{read_owner(run_dir)} is asked to stop by the file {STOP}"
        return True
    if submitted.is_running_here:
        # The run does not check for the file yet; mpirun forwards the signal, Open MPI's too.
        os.kill(submitted.local, signal.SIGUSR1)
        yield f"mpirun (process {submitted.local}) is asked to stop"
        return True
    return False


def _kill_processes(run_dir: Path, submitted: Submitted) -> _Actions:
    """Kill the launcher of the run on this host, and all processes that it started."""
    processes = list(_processes(run_dir, submitted))
    for process in processes:
        yield f"process {process.pid} is killed: {_command(process)}"
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_KILL_SECONDS)
    return bool(processes)


def _processes(run_dir: Path, submitted: Submitted) -> Iterator[psutil.Process]:
    """The processes of the run on this host: its launcher, if any, and all descendants."""
    import psutil

    owner = read_owner(run_dir)
    first = 0
    if submitted.is_running_here:
        first = submitted.local
    elif owner is not None and owner.is_here and beginning_of(owner.pid) == owner.started:
        first = owner.pid
        for parent in psutil.Process(owner.pid).parents():
            if parent.name() in LAUNCHERS:
                first = parent.pid
    if first:
        yield psutil.Process(first)
        yield from psutil.Process(first).children(recursive=True)


def _command(process: psutil.Process) -> str:
    import psutil

    try:
        return " ".join(process.cmdline())[:120]
    except psutil.Error:
        return "has already ended"
