"""Report the state of a run from its directory, also during the run. Needs no MPI."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.diagnosis.verdict import Diagnosis, diagnose
from spectro_mpi.inert import inert
from spectro_mpi.operations.submit import Submitted, jobs_of, submitted_for
from spectro_mpi.resources.lines import ReadLines, read_lines
from spectro_mpi.rundir.counts import PhaseCount, item_count, phase_counts
from spectro_mpi.rundir.layout import CONFIG, JOBS, LOCAL_LOG
from spectro_mpi.rundir.live import Live, read_live
from spectro_mpi.rundir.lock import Owner, is_running, read_owner
from spectro_mpi.rundir.progress import PHASES
from spectro_mpi.rundir.reader import Run, open_run
from spectro_mpi.system.scheduler import Job
from spectro_mpi.system.words import count, duration, not_on_disk

_LISTED = 20
"""Failures listed, the latest ones."""


@dataclass(frozen=True)
class Status:
    """The state of a run."""

    run_dir: str
    state: str
    """queued; running; draining (stopping after its current items); dead (its process ended
    without cleaning up); finished; stopped (something is left to do)."""
    owner: str
    """Process, host and job of a run that is not finished; empty if it is not locked."""
    phases: tuple[PhaseCount, ...]
    items: PhaseCount
    """Those done in all phases, and those of which something failed."""
    live: Live | None
    jobs: dict[str, Job]
    """Id of a job of the scheduler → the job."""
    logs: str
    """Where jobs, or a local mpirun, write their output; empty if nothing was submitted."""
    errors: dict[str, list[dict[str, str]]]
    """Item → its failures: instrument, phase, reason, message."""
    diagnosis: Diagnosis | None = None
    """Likely cause of the run's end, or of failures for lack of memory."""
    unknown_jobs: str = ""
    """Why nothing is known of the jobs of the run; empty: it is."""


def read_status(run_dir: Path, lines: ReadLines = read_lines) -> Status:
    """Read the state of a run. Raises `UserError` if `run_dir` is not a run directory.

    `lines` reads what ranks have sampled; to read a running run again and again, `GrowingLines`.
    """
    submitted, owner = submitted_for(run_dir), read_owner(run_dir)
    jobs, unknown = jobs_of(submitted, owner)
    of_run = {job: known for job, known in jobs.items() if job != submitted.report}
    logs = str(run_dir / LOCAL_LOG) if submitted.local else ""
    if submitted.run:
        logs = str(run_dir / JOBS / "*.log")
    if not (run_dir / CONFIG).is_file() and submitted != Submitted():
        # Submitted, but the run has not created its directory yet.
        state = _state_of_jobs(submitted, of_run) or "stopped"
        none = PhaseCount("", 0, 0, 0)
        return Status(str(run_dir), state, "", (), none, None, jobs, logs, {}, None, unknown)
    run = open_run(run_dir)
    phases, items = phase_counts(run.progress), item_count(run.progress)
    live = None
    if is_running(run_dir) and not _is_over(owner, of_run):
        live = read_live(run_dir)
        state = "draining" if live is not None and live.stopping else "running"
    elif submitted_state := _state_of_jobs(submitted, of_run):
        state = submitted_state
    elif _is_finished(run):
        state = "finished"
    else:
        state = "dead" if owner is not None else "stopped"
    errors = {item: list(map(asdict, failures)) for item, failures in run.errors.items()}
    diagnosis = diagnose(run_dir, of_run, lines)
    if diagnosis is not None and diagnosis.cause == "stopped" and state == "finished":
        diagnosis = None
    holder = str(owner) if owner is not None and state != "finished" else ""
    return Status(
        str(run_dir), state, holder, phases, items, live, jobs, logs, errors, diagnosis, unknown
    )


def _is_over(owner: Owner | None, jobs: dict[str, Job]) -> bool:
    """Whether the owner's job is not running, by the scheduler; False if unknown."""
    job = jobs.get(owner.job) if owner else None
    return job is not None and not job.is_on_nodes


def _state_of_jobs(submitted: Submitted, jobs: dict[str, Job]) -> str:
    """State of a run without a lock, from its jobs and local mpirun; empty if there are none."""
    if submitted.is_running_here or any(job.is_on_nodes for job in jobs.values()):
        return "running"
    return "queued" if any(job.is_waiting for job in jobs.values()) else ""


def as_json(status: Status) -> str:
    """The status as one JSON object."""
    table: dict[str, Any] = asdict(status)
    if status.live is not None:
        table["live"] |= {"rate": status.live.rate, "seconds_left": status.live.seconds_left}
    return json.dumps(table, indent=1)


def as_text(status: Status, workers: bool = False) -> str:
    """The status as lines of text; with `workers`, one line per worker, too."""
    owner = f" ({status.owner})" if status.owner else ""
    lines = [f"{status.run_dir}: {status.state}{owner}"]
    live = status.live
    # One line for each phase: that of the current one has the rate, so that no two disagree.
    for phase in status.phases:
        now = f"; now {now_of(live)}" if live is not None and live.phase == phase.phase else ""
        lines.append(f"  {phase.phase:8} {phase.words}{now}")
    if live is not None:
        if live.stopping:
            lines.append(f"  stopping: {live.stopping}")
        if workers:
            lines += [f"  rank {rank:>4}  {text}" for rank, text in sorted(live.workers.items())]
    if status.diagnosis is not None:
        lines.append(f"  likely cause: {status.diagnosis.sentence}")
        lines += [f"    {sentence}" for sentence in status.diagnosis.evidence]
    if status.unknown_jobs:
        lines.append(f"  {status.unknown_jobs}")
    for job, known in status.jobs.items():
        times = f", requeued {count(known.restarts, 'time')}" if known.restarts else ""
        lines.append(f"  job {job} is {known.state}{times}")
    if status.logs and status.state in ("running", "dead", "stopped"):
        lines.append(f"  logs: {status.logs}")
    listed = [(item, error) for item, errors in status.errors.items() for error in errors]
    for item, error in listed[-_LISTED:]:
        lines.append("  {item} {instrument} {phase} {reason}: {message}".format(item=item, **error))
    return "\n".join(map(inert, lines))


def now_of(live: Live) -> str:
    """Words for the rate of the current phase, the time left, and what is not on disk yet."""
    left = f", {duration(live.seconds_left)} left" if live.seconds_left is not None else ""
    waiting = not_on_disk(live.uncommitted, live.writer_waits)
    return f"{live.rate:.2f} items/s{left}{waiting}"


def _is_finished(run: Run) -> bool:
    """Whether every item is done, or recorded as failed, in every phase."""
    progress = run.progress
    users = [phase for phase in progress.phases if phase not in PHASES]
    if not all(len(progress.settled[phase]) >= progress.totals.get(phase, 1) for phase in users):
        return False
    if "reduce" not in progress.phases:
        return bool(users)
    all_reduced = 0 < progress.items_total <= len(progress.settled["reduce"])
    drawn = progress.data_files.keys() <= progress.settled["plot"]
    return all_reduced and (drawn or "plot" not in progress.phases)
