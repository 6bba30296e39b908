"""How far a run is, from its directory alone: no MPI, and right while the run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.diagnosis.verdict import Diagnosis, diagnose
from spectro_mpi.operations.submit import Submitted, scheduler_of, submitted_for
from spectro_mpi.rundir.layout import CONFIG, JOBS, LOCAL_LOG
from spectro_mpi.rundir.live import Live, read_live
from spectro_mpi.rundir.lock import Owner, is_running, read_owner
from spectro_mpi.rundir.progress import PHASES
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.words import duration

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
    jobs: dict[str, Job]
    """Id of a job of the scheduler → the job."""
    logs: str
    """Where what was submitted writes what it says; empty: nothing was."""
    errors: dict[str, list[dict[str, str]]]
    diagnosis: Diagnosis | None = None
    """The likely cause of the run's end, or of items it lost to memory."""


def read_status(run_dir: Path) -> Status:
    """Read the state of a run. Raises `UserError` if `run_dir` is no run directory."""
    submitted, owner = submitted_for(run_dir), read_owner(run_dir)
    jobs = scheduler_of(submitted).jobs(job_ids(submitted, owner))
    logs = str(run_dir / LOCAL_LOG) if submitted.local else ""
    if submitted.run:
        logs = str(run_dir / JOBS / "*.log")
    if not (run_dir / CONFIG).is_file() and submitted != Submitted():
        # Started, and nothing has been done yet.
        state = _state_of_jobs(submitted, jobs) or "stopped"
        return Status(str(run_dir), state, "", (), None, jobs, logs, {})
    run = open_run(run_dir)
    phases = _phases(run)
    live = None
    if is_running(run_dir) and not _is_over(owner, jobs):
        live = read_live(run_dir)
        state = "draining" if live is not None and live.stopping else "running"
    elif begun := _state_of_jobs(submitted, jobs):
        state = begun
    elif _is_finished(run):
        state = "finished"
    else:
        state = "dead" if owner is not None else "stopped"
    errors = {item: [asdict(one) for one in failures] for item, failures in run.errors.items()}
    found = diagnose(run_dir, jobs)
    if found is not None and found.cause == "stopped" and state == "finished":
        found = None
    told = str(owner) if owner is not None and state != "finished" else ""
    return Status(str(run_dir), state, told, phases, live, jobs, logs, errors, found)


def job_ids(submitted: Submitted, owner: Owner | None) -> list[str]:
    """Ids of the jobs of a run: those that were submitted, and whose lock it is."""
    ids = [submitted.assets, submitted.run, owner.job if owner else ""]
    return list(dict.fromkeys(one for one in ids if one))


def _is_over(owner: Owner | None, jobs: dict[str, Job]) -> bool:
    """Whether the scheduler says that the owner's job does not run, or not any more."""
    job = jobs.get(owner.job) if owner else None
    return job is not None and not job.is_on_nodes


def _state_of_jobs(submitted: Submitted, jobs: dict[str, Job]) -> str:
    """What jobs and a local mpirun say of a run that holds no lock; empty: that there is none."""
    if submitted.is_running_here or any(job.is_on_nodes for job in jobs.values()):
        return "running"
    return "queued" if any(job.is_waiting for job in jobs.values()) else ""


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
    for job, known in status.jobs.items():
        times = f", requeued {known.restarts} times" if known.restarts else ""
        lines.append(f"  job {job} is {known.state}{times}")
    if status.logs and status.state in ("running", "dead", "stopped"):
        lines.append(f"  it writes to {status.logs}")
    listed = [(item, one) for item, ones in status.errors.items() for one in ones]
    for item, error in listed[-_LISTED:]:
        lines.append("  {item} {instrument} {phase} {reason}: {message}".format(item=item, **error))
    return "\n".join(lines)


def _phases(run: Run) -> tuple[PhaseStatus, ...]:
    progress = run.progress
    reduced = len(progress.settled["reduce"])
    # What is not reduced yet will most likely have data to draw.
    to_draw = len(progress.shards) + max(0, progress.items_total - reduced)
    totals = {"reduce": max(progress.items_total, reduced), "plot": to_draw}
    phases = []
    for phase in progress.phases:
        done, settled = len(progress.completed(phase)), len(progress.settled[phase])
        total = totals.get(phase, progress.totals.get(phase, to_draw))
        phases.append(PhaseStatus(phase, done, settled - done, total))
    return tuple(phases)


def _is_finished(run: Run) -> bool:
    """Whether every item of the input is done or recorded as failed, its figures too."""
    progress = run.progress
    own = [phase for phase in progress.phases if phase not in PHASES]
    if not all(len(progress.settled[one]) >= progress.totals.get(one, 1) for one in own):
        return False
    if "reduce" not in progress.phases:
        return bool(own)
    all_reduced = 0 < progress.items_total <= len(progress.settled["reduce"])
    drawn = progress.shards.keys() <= progress.settled["plot"]
    return all_reduced and (drawn or "plot" not in progress.phases)
