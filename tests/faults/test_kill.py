"""Processes that are killed or stopped from outside, at any instant."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.conftest import spectro_mpi_here
from tests.faults.kill_rounds import kill_rounds
from tests.faults.runs import Bench, Started, processes_of


@pytest.mark.parametrize("role", ["launcher", "coordinator", "worker", "writer"])
def test_a_killed_rank_or_launcher_ends_the_job_at_once_and_the_next_run_completes(
    bench: Bench, role: str
) -> None:
    name = f"killed-{role}"
    run = bench.start(name)
    run.wait_for_data()
    pid = run.launcher.pid if role == "launcher" else run.pid_of(role)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    ended = run.end(20)
    assert ended.code not in (0, 3, 75)
    assert processes_of(run.run_dir) == []
    assert time.monotonic() - began < 10
    assert bench.run(name, ranks=4).code == 3
    bench.same_as_whole(name)
    assert spectro_mpi_here("verify", run.run_dir).code == 0


def test_a_killed_compute_process_costs_nothing(bench: Bench) -> None:
    run = bench.start("killed-child")
    run.wait_for_data()
    for _ in range(2):
        child = run.child()
        os.kill(child, signal.SIGKILL)
        run.wait_for(partial(_another, run, child))
    assert run.end().code == 3
    bench.same_as_whole("killed-child")
    assert processes_of(run.run_dir) == []


def test_a_stopped_compute_process_is_ended_by_the_clock_and_its_item_done_at_the_end(
    bench: Bench,
) -> None:
    run = bench.start("stopped-child", "-s", "run.instrument_timeout_seconds=2")
    run.wait_for_data()
    os.kill(run.child(), signal.SIGSTOP)
    assert run.end().code == 3
    bench.same_as_whole("stopped-child")
    log = (run.run_dir / "logs" / "rank-0000.log").read_text()
    assert "timed out: retrying at the end of the phase" in log
    assert processes_of(run.run_dir) == []


def test_compute_processes_that_die_before_they_are_ready_are_replaced_and_in_the_end_told(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'spawn_main' in ' '.join(sys.orig_argv): os._exit(7)\n"
        "os.register_at_fork(after_in_child=lambda: os._exit(7))\n"
    )
    done = bench.run("no-child", env={"PYTHONPATH": str(tmp_path)})
    assert done.code not in (0, 3, 75)
    assert "3 compute processes ended, the last with exit code 7" in done.err


def test_rounds_of_kills_at_random_instants_end_with_the_same_bytes(bench: Bench) -> None:
    counts = kill_rounds(bench, runs=3, seed=4, kills=5)
    assert counts.kills >= 5
    assert counts.beyond_promise == 0


def test_a_writer_killed_when_the_tallies_appear_leaves_what_the_next_runs_go_on_from(
    bench: Bench,
) -> None:
    name = "killed-tallies"
    first = bench.start(name, "-s", "select.skip=[13312, 13313]")
    first.wait_for((first.run_dir / "tallies.h5").exists)
    os.kill(first.pid_of("writer"), signal.SIGKILL)
    first.end(20)
    tallies = first.run_dir / "tallies.h5"
    before = tallies.stat().st_ino
    second = bench.start(name)
    second.wait_for(lambda: tallies.stat().st_ino != before)
    os.kill(second.pid_of("writer"), signal.SIGKILL)
    second.end(20)
    assert bench.run(name, ranks=4).code == 3
    bench.same_as_whole(name)
    logs = [path.read_text() for path in (second.run_dir / "logs").glob("*.log")]
    assert not any("reduce read back" in log for log in logs)
    assert spectro_mpi_here("verify", second.run_dir).code == 0


def _another(run: Started, before: int) -> bool:
    try:
        return run.child() != before
    except (AssertionError, psutil.Error):
        return False
