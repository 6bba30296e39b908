"""From `submit` to the finished run on a Slurm of two nodes, with no hand on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi.operations.status import read_status
from tests.outputs import same_output
from tests.slurm.cluster import Cluster
from tests.slurm.jobs import (
    ENDED,
    command,
    jobs_of,
    log_of,
    restarts_of,
    slow_figures,
    wait_for,
)


@pytest.mark.parametrize("launcher", ["mpirun", "pmi2"])
def test_submit_pregenerates_then_runs_over_both_nodes_to_the_end(
    slurm: Cluster, data: Path, alone: Path, launcher: str
) -> None:
    run_dir = alone.with_name(launcher)
    mpi = ("-s", f'slurm.mpi="{launcher}"') if launcher != "mpirun" else ()
    output = command(slurm, "submit", data, "--ranks", "4", "-s", f"run_id={launcher}", *mpi)
    jobs = jobs_of(run_dir)
    assert f"job {jobs['assets']} (assets), then {jobs['run']}" in output
    assert wait_for(slurm, jobs["run"], *ENDED) == "COMPLETED", "".join(
        path.read_text() for path in (run_dir / "jobs").glob("*.log")
    )
    assert "NumNodes=2" in slurm("scontrol", "show", "job", jobs["run"])
    same_output(alone, run_dir)
    assert read_status(run_dir).state == "finished"
    log = log_of(run_dir)
    assert "reduce: 6 of 6 items done; " not in log
    assert "plot: 6 of 6 items done; " in log


_MEMORY_FULL_OF_WHAT_CANNOT_BE_COMPRESSED = """
import os
kept = [os.urandom(size) for size in range(100, 3100) for _ in range(6)]
del kept[::2]
from spectro_mpi.mpi.world import world
print(world().Get_rank(), world().Get_size())
"""


def test_ranks_of_srun_find_each_other_whatever_lies_in_their_memory(slurm: Cluster) -> None:
    python = (sys.executable, "-c", _MEMORY_FULL_OF_WHAT_CANNOT_BE_COMPRESSED)
    srun = ("srun", "--kill-on-bad-exit=1", "--mpi=pmi2", "--nodes=2", "--ntasks=4", "--time=1")
    assert sorted(slurm(*srun, *python).splitlines()) == ["0 4", "1 4", "2 4", "3 4"]


def test_dry_run_prints_what_would_be_submitted(data: Path, slurm: Cluster) -> None:
    output = command(
        slurm, "submit", data, "--dry-run", "--ranks", "7", "-s", 'slurm.setup=["module load x"]'
    )
    assert "#SBATCH --ntasks=7" in output
    assert "#SBATCH --nodes=2" in output
    assert "module load x\n" in output
    assert not (data.parent / "runs" / "fast").exists()
    for script in output.split("#!/usr/bin/env bash")[1:]:
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0


def test_a_wall_time_of_one_minute_ends_complete_after_requeues(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path
) -> None:
    run_dir = alone.with_name("minute")
    command(
        slurm,
        "submit",
        data,
        *("--ranks", "3", "-s", "run_id=minute", "-s", "slurm.time=1", "-s", "slurm.nodes=1"),
        *("-s", 'slurm.extra=["--signal=B:USR1@10"]', "-s", slow_figures(tmp_path, seconds=8)),
    )
    job = jobs_of(run_dir)["run"]
    state = wait_for(slurm, job, *ENDED, seconds=400)
    log = log_of(run_dir)
    assert state == "COMPLETED", log
    same_output(alone, run_dir)
    restarts = restarts_of(slurm, job)
    assert restarts >= 1
    assert log.count("stopped early (") == restarts
    assert f"restarts so far: {restarts}\n" in log
    assert f"job {job} is COMPLETED, requeued {restarts} time" in command(slurm, "status", run_dir)
    assert "DUE TO TIME LIMIT" not in log
