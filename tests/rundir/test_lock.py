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
from dataclasses import replace
from pathlib import Path

import pytest

from spectro_mpi.errors import RunError, StoppedError
from spectro_mpi.rundir.layout import LIVE, LOCK, TAKEOVER
from spectro_mpi.rundir.lock import LockWatch, RunLock, is_running, read_owner
from spectro_mpi.system.atomic import name_parts_for, part_path, sweep


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


@pytest.mark.parametrize("hours", [0, -1000, 5])
def test_an_owner_on_another_host_is_dead_a_minute_after_its_last_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    clock = _Clock(monkeypatch)
    _lock_of_elsewhere(tmp_path, seconds_ago=-3600 * hours)
    RunLock(tmp_path).acquire()
    assert 60 <= clock.now < 62  # whatever the date of the last heartbeat
    owner = read_owner(tmp_path)
    assert owner is not None
    assert owner.pid == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("kind", ["empty", "no JSON", "dangling link", "pipe", "wrong types"])
def test_what_is_no_lock_is_removed_after_a_minute_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    clock = _Clock(monkeypatch)
    path = tmp_path / LOCK
    if kind == "dangling link":
        path.symlink_to(tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        wrong = '{"host": ["a"], "pid": "x", "started": 1, "job": {}}'
        path.write_text({"empty": "", "no JSON": "host", "wrong types": wrong}[kind])
    if not path.is_symlink():
        os.utime(path, (1 << 33, 1 << 33))  # in the year 2242
    RunLock(tmp_path).acquire()
    assert 60 <= clock.now < 62
    assert "names no owner; waiting up to 60 s" in caplog.text
    assert is_running(tmp_path)


def test_a_directory_in_place_of_the_lock_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Clock(monkeypatch)
    (tmp_path / LOCK).mkdir()
    with pytest.raises(RunError, match=r"run\.lock: cannot be removed"):
        RunLock(tmp_path).acquire()


def test_a_first_stop_while_it_waits_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    _lock_of_elsewhere(tmp_path, seconds_ago=-1e5)
    with pytest.raises(StoppedError) as raised:
        RunLock(tmp_path).acquire(lambda: clock.now > 7)
    assert raised.value.exit_code == 75
    assert clock.now < 9
    assert (tmp_path / LOCK).exists()


def test_what_dead_processes_left_is_swept_by_whoever_gets_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock(monkeypatch)
    _lock_of_elsewhere(tmp_path)
    for name in (f"{LOCK}.oldhost.17", TAKEOVER, LIVE, f"{LIVE}.part"):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, (1 << 33, 1 << 33))
    (tmp_path / "progress.json").write_text("")
    RunLock(tmp_path).acquire()
    assert clock.now < 130  # a minute for the lock, and one for the token
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, "progress.json"}


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
    code = (
        "import sys, time; from pathlib import Path; from spectro_mpi.rundir import lock\n"
        "lock.DEAD_AFTER_SECONDS = 3\n"
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


def test_all_ranks_notice_that_the_lock_is_not_that_of_their_run_any_more(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    watch = LockWatch(tmp_path, lock.owner)
    watch.check()
    (tmp_path / LOCK).unlink()
    with pytest.raises(RunError, match="was removed"):
        watch.check()
    _lock_of_elsewhere(tmp_path)
    with pytest.raises(RunError, match="is now held by process 1 on elsewhere"):
        watch.check()
    watch.beat()  # only now and then


def test_temporary_names_carry_the_owner_and_fit_into_a_name(tmp_path: Path) -> None:
    path, long = tmp_path / "13312.h5", tmp_path / ("ä" * 126)
    try:
        names = set()
        for owner in (RunLock(tmp_path).owner, replace(RunLock(tmp_path).owner, host="elsewhere")):
            name_parts_for(owner.tag)
            assert part_path(path).name == f"13312.h5.{owner.tag}.part"
            part_path(long).touch()
            names |= {part_path(path), part_path(long)}
        assert len(names) == 4
        assert len(sweep(tmp_path)) == 2
    finally:
        name_parts_for("")
    assert part_path(path).name == "13312.h5.part"


def test_heartbeats_are_dated_by_the_clock_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _lock_of_elsewhere(tmp_path)
    late = time.time() + 7200
    monkeypatch.setattr(time, "time", lambda: late)
    with _beating(path), pytest.raises(RunError, match="process 1 on elsewhere"):
        RunLock(tmp_path).acquire()


class _Clock:
    """Replaces the monotonic clock: time passes only in pauses, and at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


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
