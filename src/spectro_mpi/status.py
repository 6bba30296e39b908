"""How far a run is, from its directory alone: no MPI, and right while the run goes on."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spectro_mpi import slurm
from spectro_mpi.diagnosis import Diagnosis, diagnose
from spectro_mpi.display import duration
from spectro_mpi.errors import UserError
from spectro_mpi.live import Live, read_live
from spectro_mpi.lock import is_running, read_owner
from spectro_mpi.progress import PHASES
from spectro_mpi.run import CONFIG, STOP, Run, open_run

_LISTED = 20


@dataclass(frozen=True)
class PhaseStatus:
    """One phase."""

    phase: str
    done: int
    failed: int
    total: int


@dataclass(frozen=True)
class Status:
    """A run as its directory shows it."""

    run_dir: str
    state: str
    """queued; running; draining (stopping, items in hand are finished); dead (its process went
    without a word); finished; stopped (something is left to do)."""
    owner: str
    """Of a running or dead run: host, process, job."""
    phases: tuple[PhaseStatus, ...]
    live: Live | None
    jobs: dict[str, str]
    """Slurm job id → its state there."""
    errors: dict[str, list[dict[str, str]]]
    diagnosis: Diagnosis | None = None
    """The likely cause of the run's end, or of items it lost to memory."""


def read_status(run_dir: Path) -> Status:
    """Read the state of a run. Raises `UserError` if `run_dir` is no run directory."""
    jobs = slurm.job_states(slurm.submitted_for(run_dir))
    if not (run_dir / CONFIG).is_file() and jobs:
        # Submitted, and nothing has run yet.
        return Status(str(run_dir), "queued", "", (), None, jobs, {})
    run = open_run(run_dir)
    owner = read_owner(run_dir)
    live = read_live(run_dir) if is_running(run_dir) else None
    phases = _phases(run)
    if is_running(run_dir):
        state = "draining" if live is not None and live.stopping else "running"
    elif owner is not None:
        state = "dead"
    elif all(one.done + one.failed >= one.total for one in phases) and run.progress.items_total:
        state = "finished"
    elif any(one in ("PENDING", "CONFIGURING", "REQUEUED") for one in jobs.values()):
        state = "queued"
    else:
        state = "stopped"
    errors = {item: [asdict(one) for one in failures] for item, failures in run.errors.items()}
    found = diagnose(run_dir, jobs)
    if found is not None and found.cause == "stopped" and state == "finished":
        found = None
    return Status(str(run_dir), state, str(owner or ""), phases, live, jobs, errors, found)


def as_json(status: Status) -> str:
    """One JSON object."""
    table: dict[str, Any] = asdict(status)
    if status.live is not None:
        table["live"] |= {"rate": status.live.rate, "seconds_left": status.live.seconds_left}
    return json.dumps(table, indent=1)


def as_text(status: Status, workers: bool = False) -> str:
    """Some lines for people; with `workers`, one for each."""
    owner = f" ({status.owner})" if status.owner else ""
    lines = [f"{status.run_dir}: {status.state}{owner}"]
    for one in status.phases:
        failed = f", {one.failed} failed" if one.failed else ""
        lines.append(f"  {one.phase:8} {one.done}/{one.total} items done{failed}")
    if status.live is not None:
        left = status.live.seconds_left
        told = f", {duration(left)} left" if left is not None else ""
        live = status.live
        lines.append(f"  now {live.phase}: {live.done}/{live.total}, {live.rate:.2f} items/s{told}")
        if live.stopping:
            lines.append(f"  stopping: {live.stopping}")
        if workers:
            lines += [f"  rank {rank:>4}  {text}" for rank, text in sorted(live.workers.items())]
    if status.diagnosis is not None:
        lines.append(f"  likely cause: {status.diagnosis.sentence}")
        lines += [f"    {one}" for one in status.diagnosis.evidence]
    lines += [f"  job {job} is {state}" for job, state in status.jobs.items()]
    listed = [(item, one) for item, ones in status.errors.items() for one in ones]
    for item, error in listed[-_LISTED:]:
        lines.append("  {item} {instrument} {phase} {reason}: {message}".format(item=item, **error))
    return "\n".join(lines)


def cancel(run_dir: Path, now: bool) -> list[str]:
    """Stop a run cleanly, or end its jobs and processes at once; says what was done.

    Raises `UserError` if nothing is known of a run there.
    """
    jobs = slurm.submitted_for(run_dir)
    if not (run_dir / CONFIG).is_file() and jobs == slurm.Submitted():
        raise UserError(f"{run_dir}: is not a run directory")
    running = is_running(run_dir)
    done = slurm.cancel_jobs(jobs, now)
    owner = read_owner(run_dir)
    if running and owner is not None:
        if now and owner.host == os.uname().nodename and not done:
            os.kill(owner.pid, signal.SIGKILL)
            done.append(f"{owner} is ended, and its ranks with it")
        elif not now:
            (run_dir / STOP).touch()
            done.append(f"{owner} is asked to stop by a file {STOP}")
    return done or [f"{run_dir}: nothing is running or waiting"]


def _phases(run: Run) -> tuple[PhaseStatus, ...]:
    progress = run.progress
    phases = []
    for phase in PHASES:
        done, settled = len(progress.completed(phase)), len(progress.settled[phase])
        with_data = len(progress.shards) or progress.items_total
        total = progress.items_total if phase == "reduce" else with_data
        phases.append(PhaseStatus(phase, done, settled - done, total))
    return tuple(phases)
