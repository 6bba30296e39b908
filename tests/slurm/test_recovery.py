"""Whatever ends a job: the next start, Slurm's own or the user's, resumes and completes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil
import pytest

from spectro_mpi.operations.status import read_status
from spectro_mpi.rundir.lock import read_owner
from tests.conftest import BIN
from tests.outputs import same_output
from tests.slurm.cluster import NODES, Cluster
from tests.slurm.jobs import (
    ENDED,
    command,
    jobs_of,
    log_of,
    restarts_of,
    slow_figures,
    state_of,
    wait_for,
    wait_until,
)


def start(slurm: Cluster, data: Path, folder: Path, run_id: str, *more: str) -> str:
    """Submit a run and wait until it has drawn an item; the run's job."""
    settings = [f"run_id={run_id}", "slurm.nodes=1", "slurm.extra=[]", slow_figures(folder, 3)]
    words = [word for setting in (*settings, *more) for word in ("-s", setting)]
    command(slurm, "submit", data, "--ranks", "3", *words)
    run_dir = data.parent / "runs" / run_id
    job = jobs_of(run_dir)["run"]
    wait_until(lambda: state_of(slurm, job) in ("RUNNING", *ENDED), seconds=120)
    wait_until(lambda: any(run_dir.glob("plots/**/*.png")), seconds=60)
    return job


def assert_complete(slurm: Cluster, job: str, run_dir: Path, alone: Path) -> None:
    assert wait_for(slurm, job, *ENDED) == "COMPLETED", log_of(run_dir)
    same_output(alone, run_dir)
    assert read_status(run_dir).state == "finished"


def test_after_a_scancel_the_next_submit_resumes_and_completes(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path
) -> None:
    run_dir = alone.with_name("scancel")
    job = start(slurm, data, tmp_path, "scancel")
    slurm("scancel", job)
    wait_for(slurm, job, "CANCELLED")
    # As far as the cluster's KillWait goes it finishes what it has in hand.
    wait_until(lambda: read_status_of(slurm, run_dir).split()[1] in ("stopped", "dead"))
    drawn = len(list(run_dir.glob("plots/**/*.png")))
    assert 0 < drawn < len(list(alone.glob("plots/**/*.png")))
    command(slurm, "submit", data, "--ranks", "3", "-s", "run_id=scancel")
    assert_complete(slurm, jobs_of(run_dir)["run"], run_dir, alone)


def test_a_preempted_run_resumes_and_completes_by_itself(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path
) -> None:
    run_dir = alone.with_name("preempted")
    job = start(slurm, data, tmp_path, "preempted")
    slurm("scontrol", "requeue", job)
    assert_complete(slurm, job, run_dir, alone)
    assert restarts_of(slurm, job) == 1
    assert "restarts so far: 1" in log_of(run_dir)


@pytest.mark.parametrize("launcher", ["", "pmi2"])
def test_a_run_whose_node_is_lost_resumes_on_another_and_completes_by_itself(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path, launcher: str
) -> None:
    run_dir = alone.with_name(f"lost-node-{launcher}")
    job = start(slurm, data, tmp_path, run_dir.name, f'slurm.mpi="{launcher}"')
    node = slurm("squeue", "-h", "-j", job, "-o", "%N").strip()
    slurm.kill_node(node)
    try:
        wait_until(lambda: restarts_of(slurm, job) == 1, seconds=120)
        assert read_owner(run_dir) is not None  # nobody has given the lock back
        assert_complete(slurm, job, run_dir, alone)
        assert f"JobId={job}" in slurm("scontrol", "show", "job", job)
        assert "taken over from" in log_of(run_dir)
    finally:
        slurm.revive_node(node)


@pytest.mark.parametrize("launcher", ["", "pmi2"])
def test_a_rank_that_is_killed_ends_the_others_and_its_job_goes_on_where_it_was(
    slurm: Cluster, data: Path, alone: Path, tmp_path: Path, launcher: str
) -> None:
    run_dir = alone.with_name(f"lost-rank-{launcher}")
    job = start(slurm, data, tmp_path, run_dir.name, f'slurm.mpi="{launcher}"')
    before = set(ranks_of(slurm, job))
    (worker,) = (process for process in before if process.environ()["PMI_RANK"] == "1")
    worker.kill()
    wait_until(lambda: "starting the run again" in log_of(run_dir), seconds=20)
    assert not before & set(ranks_of(slurm, job))
    assert_complete(slurm, job, run_dir, alone)
    assert restarts_of(slurm, job) == 0


def test_srun_that_ends_the_job_for_a_bad_exit_gives_our_code_all_the_same(
    slurm: Cluster, data: Path, tmp_path: Path
) -> None:
    # All ranks but the first take their time to go.
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, time\n"
        'if os.environ.get("PMI_RANK", "0") != "0":\n    atexit.register(time.sleep, 1)\n'
    )
    run = [BIN / "spectro-mpi", "run", data, "-s", "run_id=no-time", "--walltime", "00:00:20"]
    words = " ".join(map(str, run))
    script = (
        f"export PYTHONPATH={tmp_path}\n"
        f'srun --kill-on-bad-exit=1 --mpi=pmi2 {words}; echo "exit code $?"'
    )
    out = data.with_name("no-time.log")
    slurm("sbatch", "--wait", "-n", "3", f"--output={out}", f"--wrap={script}", check=False)
    output = out.read_text()
    assert "stopped early" in output
    assert "exit code 75" in output
    assert "Killed" not in output
    assert "Terminated" not in output


def test_srun_without_a_matching_pmi_is_refused_and_nothing_is_written(
    slurm: Cluster, data: Path
) -> None:
    run = [BIN / "spectro-mpi", "run", data, "-s", "run_id=no-pmi"]
    script = f'srun --mpi=none {" ".join(map(str, run))}; echo "exit code $?"'
    out = data.with_name("no-pmi.log")
    slurm("sbatch", "--wait", "-n", "3", f"--output={out}", f"--wrap={script}", check=False)
    output = out.read_text()
    assert "exit code 2" in output
    assert output.count("launcher and MPI library do not match") == 1
    assert "srun --mpi=pmi2" in output
    assert "Traceback" not in output
    assert not (data.parent / "runs" / "no-pmi").exists()


def test_cancel_lets_a_running_job_finish_what_it_has_and_slurm_not_requeue_it(
    slurm: Cluster, data: Path, tmp_path: Path
) -> None:
    run_dir = data.parent / "runs" / "asked"
    job = start(slurm, data, tmp_path, "asked")
    assert read_status_of(slurm, run_dir).startswith(f"{run_dir}: running")
    output = command(slurm, "cancel", run_dir)
    assert f"job {job} (running) is asked to stop" in output
    assert wait_for(slurm, job, *ENDED) == "FAILED"
    assert "ExitCode=75:0" in slurm("scontrol", "show", "job", job)
    assert "stopped early" in log_of(run_dir)
    after = read_status_of(slurm, run_dir)
    assert after.startswith(f"{run_dir}: stopped")
    assert f"job {job} is FAILED" in after
    assert not (run_dir / "STOP").exists()


def test_cancel_takes_waiting_jobs_out_of_the_queue(slurm: Cluster, data: Path) -> None:
    run_dir = data.parent / "runs" / "waiting"
    words = ("-s", "run_id=waiting", "-s", 'slurm.extra=["--begin=now+1hour"]')
    command(slurm, "submit", data, "--ranks", "3", *words)
    assert read_status_of(slurm, run_dir).startswith(f"{run_dir}: queued")
    output = command(slurm, "cancel", run_dir)
    assert output.count("(pending) is cancelled") == 2
    for job in (jobs_of(run_dir)["assets"], jobs_of(run_dir)["run"]):
        assert wait_for(slurm, job, *ENDED) == "CANCELLED"
    assert read_status_of(slurm, run_dir).startswith(f"{run_dir}: stopped")
    assert "nothing is running or waiting" in command(slurm, "cancel", run_dir)


def test_cancel_now_ends_just_this_runs_job(slurm: Cluster, data: Path, tmp_path: Path) -> None:
    run_dir = data.parent / "runs" / "at-once"
    other = slurm(
        "sbatch", "--parsable", "-n", "1", "--output=/dev/null", "--wrap=sleep 600"
    ).strip()
    job = start(slurm, data, tmp_path, "at-once")
    assert f"job {job} (running) is cancelled" in command(slurm, "cancel", run_dir, "--now")
    assert wait_for(slurm, job, *ENDED) == "CANCELLED"
    assert state_of(slurm, other) == "RUNNING"
    slurm("scancel", other)


def ranks_of(slurm: Cluster, job: str) -> list[psutil.Process]:
    """The processes of a job that are ranks of a run."""
    processes = [process for node in NODES for process in slurm.processes_on(node)]
    ranks = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            environment, words = process.environ(), process.cmdline()
            is_rank = "PMI_RANK" in environment and any(w.endswith("/spectro-mpi") for w in words)
            if is_rank and environment.get("SLURM_JOB_ID") == job:
                ranks.append(process)
    # A compute process that was forked from its rank looks like it.
    forked = {child for process in ranks for child in process.children()}
    return [process for process in ranks if process not in forked]


def read_status_of(slurm: Cluster, run_dir: Path) -> str:
    return command(slurm, "status", run_dir)
