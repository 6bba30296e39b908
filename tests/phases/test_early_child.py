"""A compute process forked before MPI starts is one like any other, and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")

BEGIN = """
import os, signal, sys, threading, time
from pathlib import Path
from spectro_mpi.system.threads import limit_threads
limit_threads(os.environ)  # as a run does: threads of numerical libraries forbid a fork
from spectro_mpi.phases.early_child import fork_child
from spectro_mpi.phases.executor import ChildExecutor
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import Config, RunSettings

def executor_of(early):
    executor = ChildExecutor(RunSettings(), early=early)
    executor.begin("reduce", Workspace(Config(), Path(".")))
    while not executor.is_ready:
        executor.poll()
        time.sleep(0.01)
    return executor
"""


def outcome_of(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=120,
    )


def test_the_executor_computes_in_the_forked_process(tmp_path: Path) -> None:
    code = """
early = fork_child()
executor = executor_of(early)
print(executor.pid == early.process.pid)
executor.close()
early.end()
"""
    done = outcome_of(code, tmp_path)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_it_holds_no_file_of_its_rank(tmp_path: Path) -> None:
    """Such as the launcher's pipe, by whose end the launcher knows that a rank has died."""
    code = """
inherited, kept = os.pipe()
os.set_inheritable(kept, True)
early = fork_child()
os.close(kept)
print(os.read(inherited, 1))  # the end of the pipe, or for ever
early.end()
"""
    assert outcome_of(code, tmp_path).stdout == "b''\n"


def test_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    code = """
early = fork_child()
executor = executor_of(early)
os.kill(executor.pid, signal.SIGKILL)
while executor.pid == early.process.pid or not executor.is_ready:
    executor.poll()
    time.sleep(0.01)
executor.close()
early.end()
print("replaced")
"""
    done = outcome_of(code, tmp_path)
    assert done.stdout == "replaced\n", done.stderr


def test_none_is_forked_beside_threads_or_mpi(tmp_path: Path) -> None:
    code = """
thread = threading.Thread(target=time.sleep, args=(0.5,))
thread.start()
print(fork_child())
thread.join()
sys.modules["mpi4py.MPI"] = sys
print(fork_child())
"""
    assert outcome_of(code, tmp_path).stdout == "None\nNone\n"


@pytest.mark.parametrize("moment", ["at once", "ready"])
def test_it_ends_with_its_rank(tmp_path: Path, moment: str) -> None:
    code = f"""
early = fork_child()
if {moment == "ready"}:
    executor_of(early)
print(early.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = outcome_of(code, tmp_path)
    assert done.returncode == -signal.SIGKILL
    pid, end = int(done.stdout), time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end, "the compute process outlives its rank"
        time.sleep(0.01)
