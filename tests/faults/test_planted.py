"""A phase that hangs, crashes, grows, raises or exits costs its item, and the run goes on."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import spectro_mpi_here
from tests.faults.plant import plant
from tests.faults.runs import Bench, processes_of, progress_of

FAULTY = {
    "13312": "sleeps",
    "13313": "segfaults",
    "13321": "grows",
    "13322": "raises",
    "13323": "exits",
}
"""Sound items, each with a fault."""
EXPECTED = {
    "sleeps": ("timeout", "took longer than instrument_timeout_seconds = 2, doubled"),
    "segfaults": ("killed", "ended by SIGSEGV, for the second time"),
    "grows": ("out-of-memory", "memory_limit_mb = 600"),
    "raises": ("generic", "planted"),
    "exits": ("killed", "ended with exit code 9, for the second time"),
}
LIMITS = ("-s", "run.instrument_timeout_seconds=2", "-s", "run.memory_limit_mb=600")


@pytest.mark.parametrize("phase", ["reduce", "plot"])
def test_faulty_items_are_recorded_with_their_reasons_and_the_others_are_done(
    bench: Bench, tmp_path: Path, phase: str
) -> None:
    name = f"faulty-{phase}"
    environment = plant(tmp_path, FAULTY, phase)
    done = bench.run(name, *LIMITS, env=environment)
    assert done.code == 3, done.err
    run_dir = bench.run_dir(name)
    errors = progress_of(run_dir)["errors"]
    for item, fault in FAULTY.items():
        error = errors.pop(item)
        reason, message = EXPECTED[fault]
        if (fault, phase) == ("raises", "plot"):
            reason = "plotting"
        assert (error["reason"], error["phase"], error["instrument"]) == (reason, phase, "ees")
        assert message in error["message"]
    assert errors.keys() == progress_of(bench.whole)["errors"].keys()
    assert processes_of(run_dir) == []
    assert not list(run_dir.rglob("*.part"))
    assert spectro_mpi_here("verify", run_dir).code == 0
    # Not tried again by itself: the faults are still there and would take their time.
    before = progress_of(run_dir)
    assert bench.run(name, *LIMITS, env=environment).code == 3
    assert progress_of(run_dir) == before
    (tmp_path / "mended").touch()
    assert bench.run(name, "--retry", env=environment).code == 3
    bench.same_as_whole(name)


@pytest.mark.parametrize("phase", ["reduce", "plot"])
def test_what_goes_wrong_once_only_leaves_no_trace_in_the_output(
    bench: Bench, tmp_path: Path, phase: str
) -> None:
    faulty = {"13312": "sleeps", "13313": "segfaults", "13321": "exits", "13322": "dies"}
    name = f"once-{phase}"
    bench.run(name, *LIMITS, env=plant(tmp_path, faulty, phase, once=True))
    assert len(list(tmp_path.glob("mended*"))) == len(faulty)
    bench.same_as_whole(name)
    assert progress_of(bench.run_dir(name))["errors"] == progress_of(bench.whole)["errors"]


def test_without_retry_timeouts_the_first_timeout_is_recorded(bench: Bench, tmp_path: Path) -> None:
    environment = plant(tmp_path, {"13312": "sleeps"}, once=True)
    bench.run("impatient", *LIMITS, "-s", "run.retry_timeouts=false", env=environment)
    assert progress_of(bench.run_dir("impatient"))["errors"]["13312"]["reason"] == "timeout"


def test_a_sleeping_item_is_gone_in_time_while_other_workers_go_on(
    bench: Bench, tmp_path: Path
) -> None:
    limit = ("-s", "run.instrument_timeout_seconds=2", "-s", "run.retry_timeouts=false")
    done = bench.run("sleeper", *limit, ranks=4, env=plant(tmp_path, {"13312": "sleeps"}))
    assert done.code == 3
    logs = {rank: _log(bench.run_dir("sleeper"), rank) for rank in (1, 2)}
    rank = next(rank for rank, text in logs.items() if "timeout" in text)
    took = re.search(r"item 13312: reduce computed in (\d+\.\d+) s", logs[rank])
    assert took is not None
    assert float(took[1]) < 4
    assert "reduce computed" in logs[3 - rank]
    assert processes_of(bench.run_dir("sleeper"), seconds=1) == []


def test_a_clock_that_jumps_changes_nothing(bench: Bench, tmp_path: Path) -> None:
    # Forward by a day, then back by two, every so often and in every process.
    (tmp_path / "sitecustomize.py").write_text(
        "import time\nreal, calls = time.time, [0]\n"
        "def jumping():\n"
        "    calls[0] += 1\n"
        "    return real() + (86400, -172800)[calls[0] // 7 % 2]\n"
        "time.time = jumping\n"
    )
    began = time.monotonic()
    done = bench.run("clock", env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 3
    assert time.monotonic() - began < 30
    bench.same_as_whole("clock")


def test_a_living_owner_stays_one_when_the_clock_jumps(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import time\nreal = time.time\ntime.time = lambda: real() + 7200\n"
    )
    elsewhere = tmp_path / "phase"
    elsewhere.mkdir()
    run = bench.start("owned", env=plant(elsewhere, {"13312": "sleeps"}), ranks=2)
    try:
        run.wait_for((run.run_dir / "run.lock").exists)
        refused = bench.run("owned", env={"PYTHONPATH": str(tmp_path)}, ranks=0)
        assert refused.code == 1
        assert "another run is writing here" in refused.err
    finally:
        run.launcher.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        run.launcher.send_signal(signal.SIGTERM)
    assert run.end(20).code == 75


def _log(run_dir: Path, rank: int) -> str:
    return (run_dir / "logs" / f"rank-{rank:04d}.log").read_text()
