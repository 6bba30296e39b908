"""What tests ask of jobs: their states, their words, and figures slow enough to be disturbed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import BIN, slow_figures_path
from tests.slurm.cluster import Cluster

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "DEADLINE", "OUT_OF_MEMORY")


def command(slurm: Cluster, *words: str | Path) -> str:
    """Output of spectro-mpi on the Slurm's login node."""
    return slurm(BIN / "spectro-mpi", *words)


def jobs_of(run_dir: Path) -> dict[str, str]:
    table: dict[str, str] = json.loads((run_dir / "jobs" / "jobs.json").read_text())
    return table


def log_of(run_dir: Path) -> str:
    """What the job of the run (not of the assets) has written."""
    return "".join(p.read_text() for p in (run_dir / "jobs").glob("spectro-mpi-[0-9]*.log"))


def state_of(slurm: Cluster, job: str) -> str:
    return _shown(slurm, job, "JobState")


def restarts_of(slurm: Cluster, job: str) -> int:
    return int(_shown(slurm, job, "Restarts"))


def wait_for(slurm: Cluster, job: str, *states: str, seconds: float = 120) -> str:
    """Wait until a job is in one of `states`; which one. Requeued, it waits 3 s, not two minutes.

    (A job that starts again in the second in which it was ended is refused by the node.)
    """
    end = time.monotonic() + seconds
    hurried = 0
    while (state := state_of(slurm, job)) not in states:
        assert time.monotonic() < end, f"job {job} is {state}: {slurm('squeue', '-a')}"
        if state == "PENDING":
            slurm.take_back_drained_nodes()
            if (restarts := restarts_of(slurm, job)) > hurried:
                slurm("scontrol", "update", f"JobId={job}", "StartTime=now+3", check=False)
                hurried = restarts
        time.sleep(0.2)
    return state


def wait_until(what: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def slow_figures(folder: Path, seconds: float) -> str:
    """A setting of `submit` that makes every item's figures take so much longer."""
    return f'slurm.setup=["export PYTHONPATH={slow_figures_path(folder, seconds)}"]'


def _shown(slurm: Cluster, job: str, key: str) -> str:
    output = slurm("scontrol", "show", "job", job)
    return next(w.partition("=")[2] for w in output.split() if w.startswith(f"{key}="))
