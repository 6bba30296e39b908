"""Ending a run from anywhere: cleanly, or at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from spectro_mpi.errors import UserError
from spectro_mpi.operations.status import job_ids
from spectro_mpi.operations.submit import Submitted, scheduler_of, submitted_for
from spectro_mpi.rundir.layout import CONFIG, STOP
from spectro_mpi.rundir.lock import beginning_of, is_running, read_owner
from spectro_mpi.system.launchers import LAUNCHERS
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.scheduler.base import Scheduler

if TYPE_CHECKING:
    import psutil

_SECONDS_TO_GO = 10.0

_Doing = Generator[str, None, bool]
"""Yields a sentence for each thing done; returns whether there was any."""


def cancel(run_dir: Path, now: bool) -> Iterator[str]:
    """Ask a run to finish what it has in hand and stop; with `now`, end its jobs and processes.

    Yields a sentence for each thing it does, those of `now` before they are done. Raises
    `UserError` if nothing is known of a run there.
    """
    submitted, owner = submitted_for(run_dir), read_owner(run_dir)
    if not (run_dir / CONFIG).is_file() and submitted == Submitted():
        raise UserError(f"{run_dir}: is not a run directory")
    scheduler = scheduler_of(submitted)
    jobs = scheduler.jobs(job_ids(submitted, owner))
    done = yield from _cancel_jobs(scheduler, jobs, now)
    if now:
        done |= yield from _end_processes(run_dir, submitted)
        if not done and is_running(run_dir):
            raise UserError(f"{run_dir}: is held by {owner}, which cannot be ended from here")
    else:
        done |= yield from _ask_processes(run_dir, submitted)
    if not done:
        yield f"{run_dir}: nothing is running or waiting"


def _cancel_jobs(scheduler: Scheduler, jobs: dict[str, Job], now: bool) -> _Doing:
    """Cancel jobs that wait; ask those that run to stop, or cancel them `now`."""
    found = False
    for name, job in jobs.items():
        if job.is_waiting or (now and job.is_on_nodes):
            yield f"job {name} ({job.state.lower()}) is cancelled"
            scheduler.cancel(name)
        elif job.is_on_nodes:
            yield f"job {name} ({job.state.lower()}) is asked to stop, not to be requeued"
            scheduler.ask_to_stop(name)
        else:
            continue
        found = True
    return found


def _ask_processes(run_dir: Path, submitted: Submitted) -> _Doing:
    if is_running(run_dir):
        (run_dir / STOP).touch()
        yield f"{read_owner(run_dir)} is asked to stop by a file {STOP}"
        return True
    if submitted.is_running_here:
        # It does not look for files yet; Open MPI's mpirun passes this signal on, too.
        os.kill(submitted.local, signal.SIGUSR1)
        yield f"mpirun, process {submitted.local}, is asked to stop"
        return True
    return False


def _end_processes(run_dir: Path, submitted: Submitted) -> _Doing:
    """Kill the run's launcher on this host and all that it has started."""
    processes = list(_processes(run_dir, submitted))
    for one in processes:
        yield f"process {one.pid} is ended: {_words(one)}"
    import psutil

    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(processes, timeout=_SECONDS_TO_GO)
    return bool(processes)


def _processes(run_dir: Path, submitted: Submitted) -> Iterator[psutil.Process]:
    """The run's processes on this host: the launcher, where there is one, and below."""
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


def _words(process: psutil.Process) -> str:
    import psutil

    try:
        return " ".join(process.cmdline())[:120]
    except psutil.Error:
        return "has gone already"
