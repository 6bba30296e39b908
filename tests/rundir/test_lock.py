"""One run at a time in a run directory, and a dead one does not stand in the way."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectro_mpi.errors import RunError
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.lock import RunLock, is_running, read_owner


def test_a_living_owner_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    lock = RunLock(tmp_path)
    lock.acquire()
    assert is_running(tmp_path)
    with pytest.raises(RunError, match=rf"process {os.getpid()} on .*, job 4711"):
        RunLock(tmp_path).acquire()
    lock.release()
    assert not is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_dead_owner_on_this_host_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from spectro_mpi.rundir.lock import RunLock\n"
        "RunLock(Path(sys.argv[1])).acquire()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert read_owner(tmp_path) is not None
    assert not is_running(tmp_path)
    RunLock(tmp_path).acquire()
    owner = read_owner(tmp_path)
    assert owner is not None
    assert owner.pid == os.getpid()


def test_an_owner_on_another_host_that_shows_a_sign_of_life_is_named(tmp_path: Path) -> None:
    path = _lock_of_elsewhere(tmp_path)
    with _beating(path), pytest.raises(RunError, match="process 1 on elsewhere"):
        RunLock(tmp_path).acquire()


def test_an_owner_on_another_host_is_dead_a_minute_after_its_last_heartbeat(
    tmp_path: Path,
) -> None:
    _lock_of_elsewhere(tmp_path, seconds_ago=58)
    began = time.monotonic()
    RunLock(tmp_path).acquire()  # waits for the minute to be over
    assert 1 < time.monotonic() - began < 30
    assert is_running(tmp_path)
    _lock_of_elsewhere(tmp_path, seconds_ago=61)
    RunLock(tmp_path).acquire()
    assert is_running(tmp_path)


def test_an_owner_in_another_container_of_this_name_is_judged_by_its_heartbeat(
    tmp_path: Path,
) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    path = tmp_path / LOCK
    owner = json.loads(path.read_text())
    boot, _, ticks = owner["started"].split()
    path.write_text(json.dumps(owner | {"started": f"{boot} pid:[1] {ticks}"}))
    with _beating(path), pytest.raises(RunError, match="another run is writing here"):
        RunLock(tmp_path).acquire()


def test_the_earlier_start_of_a_requeued_job_is_dead_on_whatever_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "fir")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    for restarts, cluster in ((1, "fir"), (0, "oak")):  # a step of the same start; another's job
        path = _lock_of_elsewhere(tmp_path, job="4711", restarts=restarts, cluster=cluster)
        with _beating(path), pytest.raises(RunError, match="on elsewhere"):
            RunLock(tmp_path).acquire()
    _lock_of_elsewhere(tmp_path, job="4711", restarts=0, cluster="fir")
    began = time.monotonic()
    RunLock(tmp_path).acquire()
    assert time.monotonic() - began < 30  # did not wait for the minute to be over
    assert is_running(tmp_path)


def test_of_many_that_want_a_dead_owners_lock_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / LOCK
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "", "job": ""}))
    os.utime(path, (0, 0))
    code = (
        "import sys, time; from pathlib import Path\n"
        "from spectro_mpi.rundir.lock import RunLock; from spectro_mpi.errors import RunError\n"
        "try: RunLock(Path(sys.argv[1])).acquire()\n"
        "except RunError: sys.exit(3)\n"
        "sys.stdin.read()\n"
    )
    claims = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE)
        for _ in range(6)
    ]
    # Those that lose end by themselves; whoever holds the lock waits for its input to end.
    losers = 0
    while losers < len(claims) - 1:
        losers = sum(claim.poll() == 3 for claim in claims)
        assert sum(claim.poll() is None for claim in claims) >= 1
    for claim in claims:
        claim.communicate(timeout=30)
    assert sorted(claim.returncode for claim in claims) == [0, 3, 3, 3, 3, 3]


def test_a_lock_that_is_gone_or_anothers_is_noticed_and_not_removed(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    lock.check()
    path = tmp_path / LOCK
    path.unlink()
    with pytest.raises(RunError, match="the lock of this run was removed"):
        lock.check()
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "", "job": "7"}))
    with pytest.raises(RunError, match="is now held by process 1 on elsewhere, job 7"):
        lock.check()
    lock.release()
    assert path.exists()


def test_heartbeats_are_dated_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _lock_of_elsewhere(tmp_path)
    late = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: late)
    with _beating(path), pytest.raises(RunError, match="process 1 on elsewhere"):
        RunLock(tmp_path).acquire()


def _lock_of_elsewhere(run_dir: Path, seconds_ago: float = 0, **more: object) -> Path:
    """The lock of an owner on another host, with its last heartbeat so long ago."""
    path = run_dir / LOCK
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": "", "job": "", **more}))
    then = path.stat().st_mtime - seconds_ago
    os.utime(path, (then, then))
    return path


@contextlib.contextmanager
def _beating(path: Path) -> Iterator[None]:
    """While inside, the owner of a lock shows that it is alive."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.2):
            path.touch()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
