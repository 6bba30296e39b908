"""Stops on request: at leisure, at once, and with the caller's signal handlers as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.plant import plant
from tests.faults.runs import Bench, Started, processes_of


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_second_signal_drops_the_items_in_hand(
    bench: Bench, tmp_path: Path, number: signal.Signals
) -> None:
    name = f"twice-{number.name}"
    run = bench.start(name, env=plant(tmp_path, {"13313": "sleeps"}))
    _wait_for_item_in_hand(run)
    run.launcher.send_signal(number)
    time.sleep(0.6)
    assert run.launcher.poll() is None  # the item in hand is waited for
    run.launcher.send_signal(number)
    began = time.monotonic()
    assert run.end(20).code == 75
    assert time.monotonic() - began < 3
    assert processes_of(run.run_dir, seconds=1) == []
    assert bench.run(name).code == 3
    bench.same_as_whole(name)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_signal_to_any_rank_stops_the_run(bench: Bench, rank: int) -> None:
    name = f"signal-to-{rank}"
    run = bench.start(name, "-s", "run.flush_batch_size=1")
    run.wait_for_data()
    os.kill(run.ranks()[rank], signal.SIGUSR1)
    assert run.end(20).code == 75
    assert bench.run(name, "-s", "run.flush_batch_size=1").code == 3
    bench.same_as_whole(name)


@pytest.mark.parametrize("attempt", range(4))
def test_a_stop_in_the_runs_first_moments_ends_it_like_any_other(
    bench: Bench, attempt: int
) -> None:
    """All ranks ask for the stop at once, when there is hardly anybody left to hear it."""
    run = bench.start(f"early-{attempt}")
    run.wait_for((run.run_dir / "run.lock").exists)
    run.launcher.send_signal(signal.SIGUSR1)
    ended = run.end(20)
    assert ended.code == 75, ended
    assert processes_of(run.run_dir, seconds=2) == []


def test_before_a_known_end_of_the_job_the_items_in_hand_are_dropped(
    bench: Bench, tmp_path: Path
) -> None:
    environment = plant(tmp_path, {"13313": "sleeps"})
    environment |= {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 25)}
    run = bench.start("end-of-job", env=environment)
    began = time.monotonic()
    assert run.end(20).code == 75
    assert time.monotonic() - began < 10


def test_a_callers_signal_handlers_are_given_back_or_left_alone(bench: Bench) -> None:
    code = (
        "import json, signal, sys; from pathlib import Path\n"
        "from spectro_mpi.mpi.session import Request, run\n"
        "from spectro_mpi.system.signals import STOP_SIGNALS as NUMBERS\n"
        "def mine(*_): print('mine', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    for number in NUMBERS: signal.signal(number, mine)\n"
        "    code = run(Request(Path(sys.argv[1]), tuple(sys.argv[2:]), progress=False))\n"
        "    kept = [signal.getsignal(number) is mine for number in NUMBERS]\n"
        "    print(json.dumps([code, kept]), flush=True)\n"
    )
    script = bench.settings.with_name("caller.py")
    script.write_text(code)
    for installs, stopped in (("true", True), ("false", False)):
        run_dir = bench.run_dir(f"caller-{installs}")
        settings = (f"run_id={run_dir.name}", f"run.install_signal_handlers={installs}")
        caller = subprocess.Popen(
            [sys.executable, str(script), str(bench.settings), *settings],
            stdout=subprocess.PIPE,
            text=True,
        )
        Started(caller, run_dir).wait_for_data()
        caller.send_signal(signal.SIGTERM)
        out = caller.communicate(timeout=60)[0]
        code_of_run, kept = json.loads(out.splitlines()[-1])
        assert kept == [True, True, True, True]
        assert code_of_run == (75 if stopped else 3)
        assert ("mine" in out) is not stopped


def _wait_for_item_in_hand(run: Started) -> None:
    """Until the planted item sleeps: nothing but its compute process is left to wait for."""
    run.wait_for(lambda: len(list((run.run_dir / "logs").glob("*.log"))) >= 0)
    run.wait_for(run.run_dir.joinpath("progress.journal").exists)
    time.sleep(2)
