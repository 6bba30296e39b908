"""What `status` says of a run is so at every moment, and `cancel` ends just this run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.operations.status import read_status
from spectro_mpi.rundir.counts import PhaseCount
from spectro_mpi.rundir.lock import read_owner
from tests.conftest import BIN, NO_REPORT, slow_figures_path, spectro_mpi


def wait_until(what: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def start(settings: Path, run_id: str) -> Path:
    """Submit a run to this machine and wait until something of it is on disk."""
    words = ("-s", f"run_id={run_id}", "-s", "run.flush_batch_size=1")
    env = {"PYTHONPATH": slow_figures_path(settings.parent, 2)}
    done = spectro_mpi("submit", settings, "--local", "--ranks", "3", *words, env=env)
    assert done.code == 0, done.err
    run_dir = settings.parent / "runs" / run_id
    assert f"spectro-mpi status {run_dir}" in done.out
    wait_until(lambda: any(run_dir.glob("data/*/*/*.h5")))
    return run_dir


def submitted(run_dir: Path) -> int:
    """Process id of the local mpirun."""
    pid: int = json.loads((run_dir / "jobs" / "jobs.json").read_text())["local"]
    return pid


def test_a_run_in_which_every_item_failed_is_finished(tmp_path: Path) -> None:
    for orbit in (13312, 13313):
        name = f"fa_esa_l2_ees_19991213000000_{orbit}_v01.cdf"
        (tmp_path / name).write_bytes(b"this is no CDF file")
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(f'input = "."\n{NO_REPORT}')
    assert spectro_mpi("run", settings).code == 3
    status = read_status(tmp_path / "runs" / "fast")
    assert status.state == "finished"
    assert status.phases == (PhaseCount("reduce", 0, 2, 2), PhaseCount("plot", 0, 0, 2, 2))


@pytest.mark.slow
def test_a_local_run_is_running_then_cancelled_then_goes_on_to_the_end(settings: Path) -> None:
    run_dir = start(settings, "asked")
    status = read_status(run_dir)
    assert status.state in ("running", "draining")
    assert str(os.getpid()) not in status.owner
    done = spectro_mpi("cancel", run_dir)
    assert done.code == 0
    assert "is asked to stop by the file STOP" in done.out
    wait_until(lambda: read_status(run_dir).state not in ("running", "draining"))
    assert read_status(run_dir).state == "stopped"
    assert not (run_dir / "STOP").exists()
    assert "run again to continue" in (run_dir / "logs" / "local.log").read_text()
    assert "nothing is running" in spectro_mpi("cancel", run_dir).out
    assert spectro_mpi("run", run_dir / "jobs" / "settings.toml", ranks=3).code == 3
    assert read_status(run_dir).state == "finished"


@pytest.mark.slow
def test_cancel_now_names_and_ends_the_processes_of_this_run_and_no_other(settings: Path) -> None:
    other, run_dir = start(settings, "other"), start(settings, "at-once")
    mpirun = submitted(run_dir)
    ranks = psutil.Process(mpirun).children(recursive=True)
    done = spectro_mpi("cancel", run_dir, "--now")
    assert done.code == 0
    for process in (mpirun, *(rank.pid for rank in ranks if "spectro_mpi run" in str(rank))):
        assert f"process {process} is killed" in done.out
    gone, alive = psutil.wait_procs(ranks, timeout=10)
    assert not alive
    assert len(gone) >= 3
    assert read_status(run_dir).state == "dead"
    assert str(read_owner(run_dir)) in spectro_mpi("status", run_dir).out
    assert submitted(other) in psutil.pids()
    assert read_status(other).state != "dead"
    spectro_mpi("cancel", other, "--now")
    assert spectro_mpi("run", run_dir / "jobs" / "settings.toml", ranks=3).code == 3
    assert read_status(run_dir).state == "finished"


def test_right_after_a_crash_a_run_is_dead(settings: Path) -> None:
    run_dir = start(settings, "crash")
    owner = read_owner(run_dir)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(submitted(run_dir)) or _is_zombie(submitted(run_dir)))
    assert read_status(run_dir).state == "dead"


def test_ctrl_c_while_a_run_starts_ends_it_without_a_traceback(settings: Path) -> None:
    module = [sys.executable, "-m", "spectro_mpi", "run", str(settings), "--no-progress"]
    for launcher in ([], [str(BIN / "mpirun"), "-n", "3"]):
        process = subprocess.Popen(
            [*launcher, *module, "-s", f"run_id=early-{len(launcher)}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        wait_until(lambda p=process.pid, n=3 if launcher else 1: _listening(p) == n)  # type: ignore[misc]
        os.killpg(process.pid, signal.SIGINT)
        out = process.communicate(timeout=60)[0]
        assert "Traceback" not in out
        assert "stopped early" in out
        # A launcher that has been interrupted may end ranks that have told so and are about to go.
        assert process.returncode == 75 or (launcher and process.returncode != 0), out


def test_a_first_signal_ends_a_run_that_waits_for_the_lock(settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    run_dir.mkdir(parents=True)
    (run_dir / "config.toml").write_text('settings_version = 2\nrun_id = "fast"\n')
    lock = run_dir / "run.lock"
    lock.write_text('{"host": "elsewhere", "pid": 7, "started": "", "job": ""}')
    os.utime(lock, (1 << 33, 1 << 33))  # its server's clock was wrong
    process = subprocess.Popen(
        [str(BIN / "spectro-mpi"), "run", str(settings), "--no-progress"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "held by process 7 on elsewhere; waiting up to 60 s" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 75
    assert rest.splitlines() == [f"spectro-mpi: {run_dir}: stopped while it waited for the lock"]
    assert lock.exists()


def test_what_an_encoding_does_not_have_is_told_in_the_nearest_letters(
    demo: DemoSummary, settings: Path
) -> None:
    strange = settings.parent / "data" / os.fsdecode(b"fa_\xff_\xe2\x80\xa6.cdf")
    strange.parent.mkdir()
    strange.write_bytes(b"")
    sound = next(demo.directory.glob("FAST_data/**/fa_esa_*_13312_v*.cdf"))
    strange.with_name(sound.name).symlink_to(sound)
    for encoding in ("ascii", "latin-1", "utf-8"):
        env = {"PYTHONIOENCODING": encoding}
        for words in (["--help"], ["plan", "--help"], ["plan", str(settings)]):
            done = subprocess.run(
                [sys.executable, "-m", "spectro_mpi", *words, *_input(words, strange.parent)],
                env={**os.environ, **env},
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            done.stdout.decode(encoding)
        assert rb"fa_\xff_" in done.stdout


def _input(words: list[str], folder: Path) -> list[str]:
    return [] if "--help" in words else ["-s", f'input="{folder}"']


def _listening(pid: int) -> int:
    """How many of a process and those below it collect the signals that ask for a stop."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum("python" in process.name() and _catches_usr1(process.pid) for process in family)


def _catches_usr1(pid: int) -> bool:
    try:
        content = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = next(line.split()[1] for line in content.splitlines() if line.startswith("SigCgt"))
    return bool(int(mask, 16) >> (signal.SIGUSR1 - 1) & 1)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
