"""How far a run is, from its directory alone: no MPI, and right while the run goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.lock import is_running, read_owner
from spectro_mpi.progress import PHASES
from spectro_mpi.run import open_run

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
    """running; dead (its process went without a word); finished; stopped (something is left)."""
    owner: str
    phases: tuple[PhaseStatus, ...]
    errors: dict[str, list[dict[str, str]]]


def read_status(run_dir: Path) -> Status:
    """Read the state of a run. Raises `UserError` if `run_dir` is no run directory."""
    run = open_run(run_dir)
    progress = run.progress
    phases = []
    for phase in PHASES:
        done = len(progress.completed(phase))
        settled = len(progress.settled[phase])
        with_data = len(progress.shards) or progress.items_total
        total = progress.items_total if phase == "reduce" else with_data
        phases.append(PhaseStatus(phase, done, settled - done, total))
    owner = read_owner(run_dir)
    if is_running(run_dir):
        state = "running"
    elif owner is not None:
        state = "dead"
    else:
        left = any(one.done + one.failed < one.total for one in phases)
        state = "stopped" if left or not progress.items_total else "finished"
    return Status(
        str(run_dir),
        state,
        str(owner or ""),
        tuple(phases),
        {item: [asdict(one) for one in failures] for item, failures in run.errors.items()},
    )


def print_status(status: Status, as_json: bool) -> None:
    """Print it for people, or as one JSON object."""
    if as_json:
        print(json.dumps(asdict(status), indent=1))
        return
    owner = f" ({status.owner})" if status.owner else ""
    print(f"{status.run_dir}: {status.state}{owner}")
    for one in status.phases:
        failed = f", {one.failed} failed" if one.failed else ""
        print(f"  {one.phase:8} {one.done}/{one.total} items done{failed}")
    listed = [(item, one) for item, ones in status.errors.items() for one in ones]
    for item, error in listed[-_LISTED:]:
        told = "{instrument} {phase} {reason}: {message}".format(**error)
        print(f"  {item} {told}")
