"""A task that hangs, crashes or grows costs itself only: the next one is computed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import psutil
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.phases.executor import ChildExecutor, Executor, InlineExecutor
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import Config, RunSettings
from tests.conftest import spectro_mpi

START = datetime(2000, 1, 1, tzinfo=timezone.utc)


def wait(executor: Executor, seconds: float = 60) -> Outcome:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outcome = executor.poll()
        if outcome is not None:
            return outcome
        time.sleep(0.005)
    raise AssertionError(f"no outcome within {seconds} s")


@contextmanager
def child_executor(tmp_path: Path, run: RunSettings | None = None) -> Iterator[ChildExecutor]:
    executor = ChildExecutor(run or RunSettings())
    executor.begin("reduce", Workspace(Config(), tmp_path))
    try:
        yield executor
    finally:
        executor.close()


def end_by(pid: int, number: signal.Signals) -> None:
    """Have a process die in the middle of what it does."""
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)


def test_what_exceeds_memory_and_time_at_once_is_out_of_memory(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunSettings(memory_limit_mb=1, orbit_timeout_seconds=1e-9, retry_timeouts=False)
    with child_executor(tmp_path, run) as executor:
        # Memory was looked at a moment ago, so that only the time limit is due.
        monkeypatch.setattr("spectro_mpi.phases.executor._MEMORY_CHECK_SECONDS", 3600)
        executor._memory_checked = time.monotonic()
        executor.submit(task)
        (failure,) = wait(executor).failures
    assert failure.reason == "out-of-memory"
    assert "memory_limit_mb = 1" in failure.message


@pytest.fixture
def task(demo: DemoSummary) -> Task:
    path = next(demo.directory.glob("FAST_data/*/*/*ees*13313*.cdf"))
    file = InputPath("ees", str(path), path.stat().st_size, 1)
    return Task("reduce", Item("13313", START, (file,)))


def test_the_child_computes_what_this_process_would(tmp_path: Path, task: Task) -> None:
    inline = InlineExecutor()
    inline.begin("reduce", Workspace(Config(), tmp_path))
    inline.submit(task)
    here = wait(inline).data
    with child_executor(tmp_path) as child:
        child.submit(task)
        there = wait(child).data
    assert here is not None and there is not None
    assert here.content.tobytes() == there.content.tobytes()


def test_a_child_that_hangs_is_ended_by_the_clock_and_replaced(tmp_path: Path, task: Task) -> None:
    with child_executor(tmp_path, RunSettings(instrument_timeout_seconds=3)) as child:
        child.submit(task)
        wait(child)
        hung = psutil.Process(child.pid)
        hung.suspend()
        began = time.monotonic()
        child.submit(task)
        failure = wait(child).failures[0]
        assert 3 <= time.monotonic() - began < 6
        assert failure.reason == "timeout"
        assert "instrument_timeout_seconds = 3" in failure.message
        assert not hung.is_running()
        child.submit(task)
        assert wait(child).failures == []


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_child_that_dies_is_noticed_at_once_and_its_signal_named(
    tmp_path: Path, task: Task, number: signal.Signals
) -> None:
    with child_executor(tmp_path) as child:
        child.submit(task)
        wait(child)
        child.submit(replace(task, careful=True))
        end_by(child.pid, number)
        failure = wait(child, seconds=10).failures[0]
        assert (failure.reason, failure.phase) == ("killed", "reduce")
        assert number.name in failure.message
        child.submit(task)
        assert wait(child).failures == []


def test_a_file_that_kills_the_fast_reader_is_read_once_more_by_the_other(
    tmp_path: Path, task: Task
) -> None:
    with child_executor(tmp_path) as child:
        child.submit(task)
        wait(child)
        child.submit(task)
        end_by(child.pid, signal.SIGSEGV)
        outcome = wait(child)
        assert outcome.failures == []
        assert outcome.data is not None


def test_a_child_that_grows_is_stopped_before_the_kernel_does(tmp_path: Path, task: Task) -> None:
    with child_executor(tmp_path, RunSettings(memory_limit_mb=1)) as child:
        child.submit(task)
        failure = wait(child).failures[0]
    assert failure.reason == "out-of-memory"
    assert "memory_limit_mb = 1" in failure.message


def test_a_child_is_held_to_its_ranks_share_of_the_jobs_memory(tmp_path: Path, task: Task) -> None:
    executor = ChildExecutor(RunSettings(), memory_share=100 << 20)
    executor.begin("reduce", Workspace(Config(), tmp_path))
    try:
        executor.submit(task)
        failure = wait(executor).failures[0]
    finally:
        executor.close()
    assert failure.reason == "out-of-memory"
    assert "the rank's share of the job's memory limit is 100 MB" in failure.message


@pytest.mark.slow
def test_ranks_load_neither_matplotlib_nor_a_reader_of_cdf_files(
    settings: Path, tmp_path: Path
) -> None:
    # Python runs this file in every process; ranks tell what they have loaded when they end.
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os, sys\n"
        "if any(word.endswith('spectro-mpi') for word in sys.orig_argv):\n"
        "    def tell():\n"
        f"        with open({str(tmp_path)!r} + '/' + os.environ['PMI_RANK'], 'w') as file:\n"
        "            print(*sys.modules, file=file)\n"
        "    atexit.register(tell)\n"
    )
    assert spectro_mpi("run", settings, ranks=3, env={"PYTHONPATH": str(tmp_path)}).code == 3
    for rank in range(3):
        loaded = set((tmp_path / str(rank)).read_text().split())
        assert {"numpy", "mpi4py.MPI"} <= loaded
        assert not loaded & {"matplotlib", "cdflib", "pycdfpp", "PIL"}


def test_the_child_goes_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from pathlib import Path\n"
        "from spectro_mpi.settings.schema import Config, RunSettings\n"
        "from spectro_mpi.phases.workspace import Workspace\n"
        "from spectro_mpi.phases.executor import ChildExecutor\n"
        "if __name__ == '__main__':\n"
        "    child = ChildExecutor(RunSettings())\n"
        "    child.begin('reduce', Workspace(Config(), Path('.')))\n"
        "    while not child.is_ready: child.poll(); time.sleep(0.01)\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    end = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the child outlives its parent"
        time.sleep(0.01)


def test_a_worker_has_one_more_process_and_no_other() -> None:
    script = """
import psutil
from spectro_mpi.phases.executor import ChildExecutor
from spectro_mpi.settings.schema import RunSettings

if __name__ == "__main__":
    executor = ChildExecutor(RunSettings())
    print(len(psutil.Process().children(recursive=True)))
    executor.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
