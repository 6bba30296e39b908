"""From `submit` to the finished run on a Slurm of two nodes, with no hand on it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from spectro_mpi.status import read_status
from tests.conftest import BIN
from tests.slurm.cluster import Cluster
from tests.test_run import same_output


def command(slurm: Cluster, *words: str | Path) -> str:
    return slurm(BIN / "spectro-mpi", *words)


def jobs_of(run_dir: Path) -> dict[str, str]:
    table: dict[str, str] = json.loads((run_dir / "jobs" / "jobs.json").read_text())
    return table


def state_of(slurm: Cluster, job: str) -> str:
    told = slurm("scontrol", "show", "job", job)
    return next(w.partition("=")[2] for w in told.split() if w.startswith("JobState="))


def wait_for(slurm: Cluster, job: str, *states: str, seconds: float = 120) -> str:
    """Wait until a job is in one of `states`; which one."""
    end = time.monotonic() + seconds
    while (state := state_of(slurm, job)) not in states:
        assert time.monotonic() < end, f"job {job} is {state}: {slurm('squeue', '-a')}"
        time.sleep(0.2)
    return state


@pytest.mark.parametrize("launcher", ["mpirun", "pmi2"])
def test_submit_pregenerates_then_runs_over_both_nodes_to_the_end(
    slurm: Cluster, data: Path, alone: Path, launcher: str
) -> None:
    run_dir = alone.with_name(launcher)
    mpi = ("-s", f'slurm.mpi="{launcher}"') if launcher != "mpirun" else ()
    told = command(slurm, "submit", data, "--ranks", "4", "-s", f"run_id={launcher}", *mpi)
    jobs = jobs_of(run_dir)
    assert f"job {jobs['pregenerate']} (assets), then {jobs['run']}" in told
    assert wait_for(slurm, jobs["run"], "COMPLETED", "FAILED", "CANCELLED") == "COMPLETED", "".join(
        path.read_text() for path in (run_dir / "jobs").glob("*.log")
    )
    assert "NumNodes=2" in slurm("scontrol", "show", "job", jobs["run"])
    same_output(alone, run_dir)
    assert read_status(run_dir).state == "finished"
    log = next((run_dir / "jobs").glob("spectro-mpi-[0-9]*.log")).read_text()
    assert "reduce: 6/6 items" not in log
    assert "plot: 6/6 items" in log


def test_dry_run_prints_what_would_be_submitted(data: Path, slurm: Cluster) -> None:
    told = command(
        slurm, "submit", data, "--dry-run", "--ranks", "7", "-s", 'slurm.setup=["module load x"]'
    )
    assert "#SBATCH --ntasks=7" in told
    assert "#SBATCH --nodes=2" in told
    assert "module load x\n" in told
    assert not (data.parent / "runs" / "fast").exists()
    for script in told.split("#!/usr/bin/env bash")[1:]:
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0


@pytest.mark.xfail(
    strict=False,
    reason="Slurm 22.05 now and then shows a job as FAILED while it is being requeued",
)
def test_a_wall_time_of_one_minute_ends_complete_after_requeues(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path
) -> None:
    # Every item takes eight seconds longer, so that the run wants more than its minute.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'multiprocessing.spawn' in str(sys.orig_argv):\n"
        "    import spectro_mpi.phases.plot as plot\n"
        "    run = plot.PlotPhase.run\n"
        "    def slow(self, task, report):\n"
        "        time.sleep(12)\n"
        "        return run(self, task, report)\n"
        "    plot.PlotPhase.run = slow\n"
    )
    run_dir = alone.with_name("minute")
    command(
        slurm,
        "submit",
        data,
        "--ranks",
        "3",
        "-s",
        "run_id=minute",
        "-s",
        "slurm.time=1",
        "-s",
        "slurm.nodes=1",
        "-s",
        'slurm.extra=["--signal=B:USR1@10"]',
        "-s",
        f'slurm.setup=["export PYTHONPATH={tmp_path}"]',
    )
    job = jobs_of(run_dir)["run"]
    end = time.monotonic() + 400
    while (state := state_of(slurm, job)) not in ("COMPLETED", "FAILED", "TIMEOUT"):
        assert time.monotonic() < end
        if state == "PENDING" and "Reason=BeginTime" in slurm("scontrol", "show", "job", job):
            # Slurm holds a requeued job for two minutes; we need not.
            slurm("scontrol", "update", f"JobId={job}", "StartTime=now")
        time.sleep(0.5)
    log = next((run_dir / "jobs").glob("spectro-mpi-[0-9]*.log")).read_text()
    assert state == "COMPLETED", log
    same_output(alone, run_dir)
    told = slurm("scontrol", "show", "job", job)
    restarts = int(next(w.partition("=")[2] for w in told.split() if w.startswith("Restarts=")))
    assert restarts >= 1
    assert log.count("stopped early (") == restarts
    assert "stopping: the job's time is over" in log
    assert "DUE TO TIME LIMIT" not in log
