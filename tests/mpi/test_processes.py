"""A run on processes of this machine leaves no process, whenever and however it ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from spectro_mpi.demo import DemoSummary
from tests.conftest import NO_REPORT, spectro_mpi_here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children"),
]
MARK = "TEST_PROCESSES"
CALLER = """
import sys, spectro_mpi

if __name__ == "__main__":
    spectro_mpi.plot_directory(
        sys.argv[1], sys.argv[2], max_workers=2, show_progress=False,
        settings={"plot": {"dpi": 40}, "report": {"at_end": False}},
    )
"""


def processes(mark: str) -> list[psutil.Process]:
    """Processes that have this mark in their environment and have not ended."""
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                marked.append(process)
        except psutil.Error:
            continue
    return marked


def all_gone(mark: str, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while processes(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def await_(what: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    "moment", ["one process", "three processes", "all processes", "logs", "data", "figures"]
)
def test_no_process_outlives_a_caller_that_is_killed(
    demo: DemoSummary, tmp_path: Path, moment: str
) -> None:
    script, run = tmp_path / "caller.py", tmp_path / "run"
    script.write_text(CALLER)
    mark = str(tmp_path)
    caller = subprocess.Popen(
        [sys.executable, str(script), str(demo.directory / "FAST_data"), str(run)],
        env={**os.environ, MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await_(
        {
            "one process": lambda: len(processes(mark)) > 1,
            "three processes": lambda: len(processes(mark)) > 3,
            "all processes": lambda: len(processes(mark)) > 5,
            "logs": lambda: any(run.glob("logs/*.log")),
            "data": lambda: any(run.glob("data/*/*/*.h5")),
            "figures": lambda: any(run.glob("plots/*/*/*/*.png")),
        }[moment],
        caller,
    )
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert all_gone(mark), [process.cmdline() for process in processes(mark)]


def test_a_rank_that_hangs_when_all_is_done_is_killed(demo: DemoSummary, tmp_path: Path) -> None:
    """The other ranks stop for ever at the end: rank 0 still ends, with the code of the run."""
    (tmp_path / "late.py").write_text(
        "import multiprocessing.util, os, time\n"
        "from spectro_mpi.mpi import pipe_comm\n"
        "pipe_comm._END_SECONDS = 1.0\n"
        "if os.environ.get('HANGS') and multiprocessing.parent_process():\n"
        "    close = pipe_comm.PipeComm.close\n"
        "    def never(self): close(self); time.sleep(1000)\n"
        "    pipe_comm.PipeComm.close = never\n"
    )
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\noutput = "runs"\n[select]\n'
        f'orbits = "13312"\ninstruments = ["ees"]\n[plot]\ndpi = 40\n{NO_REPORT}'
    )
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'spectro_mpi.mpi.session':\n"
        "            sys.meta_path.remove(self)\n"
        "            import late\n"
        "sys.meta_path.insert(0, Late())\n"
    )
    mark = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "spectro_mpi", "run", "-n", "3", str(settings), "--no-progress"],
        env={**os.environ, MARK: mark, "HANGS": "1", "PYTHONPATH": _with(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all_gone(mark)


def _with(folder: Path) -> str:
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))


@pytest.mark.parametrize(
    ("before", "code"), [([], 75), (["nohup"], 3)], ids=["terminal", "under nohup"]
)
def test_a_run_whose_terminal_is_closed_stops_cleanly_or_goes_on(
    demo: DemoSummary, tmp_path: Path, before: list[str], code: int
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\noutput = "runs"\n[plot]\ndpi = 40\n{NO_REPORT}'
    )
    command = [sys.executable, "-m", "spectro_mpi", "run", str(settings), "-n", "3"]
    run = subprocess.Popen(
        [*before, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # The tests may themselves run under nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        env={**os.environ, MARK: str(tmp_path)},
    )
    await_((tmp_path / "runs" / "fast" / "progress.journal").exists, run)
    os.killpg(run.pid, signal.SIGHUP)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == code, errors
    assert b"Traceback" not in errors and b"tracker" not in errors
    assert all_gone(str(tmp_path))
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 3


def test_more_ranks_than_the_machine_allows_are_refused(demo: DemoSummary, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "spectro_mpi",
        "run",
        str(demo.directory / "spectro-mpi.toml"),
        "-n",
        "100",
    ]
    done = subprocess.run(
        ["bash", "-c", f"ulimit -n 80; exec {shlex.join(command)}"],
        capture_output=True,
        text=True,
        env={**os.environ, MARK: str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "spectro-mpi: 100 ranks are too many for processes of this machine"
    )
    assert "Traceback" not in done.stderr
    assert all_gone(str(tmp_path))


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "many", "9" * 5000])
def test_a_number_that_is_none_is_refused_in_plain_words(number: str) -> None:
    done = spectro_mpi_here("run", "-n", number)
    assert done.code == 2
    assert f"expected a whole number of at least 1, not {number}" in done.err
