"""Output that cannot be written, and input that goes away: a clean stop, and on from there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.diagnosis.verdict import diagnose
from tests.conftest import BIN, Finished, spectro_mpi_here
from tests.faults.plant import plant
from tests.faults.runs import Bench, processes_of, progress_of
from tests.outputs import same_output


class Disk:
    """A file system of a few megabytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    def mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.path)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.path)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.unmount()


def stopped_cleanly(done: Finished, run_dir: Path, why: str) -> None:
    """One sentence that names a path of the run and why; nobody hangs, nothing is left."""
    assert done.code == 1, done
    assert "Traceback" not in done.err
    assert "Error" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("spectro-mpi: ")]
    assert len(lines) == 1, done.err
    assert str(run_dir) in lines[0]
    assert why in lines[0]
    assert "run again to go on" in lines[0]
    assert processes_of(run_dir, seconds=2) == []


@pytest.mark.parametrize(
    ("kilobytes", "ranks"), [(40, 3), (700, 3), (2100, 1), (2100, 3), (4200, 3)]
)
def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(
    bench: Bench, disk: Disk, kilobytes: int, ranks: int
) -> None:
    disk.mount(f"size={kilobytes}k")
    name = f"full-{kilobytes}-{ranks}"
    output = ("-s", f"output={disk.path}")
    done = bench.run(name, *output, ranks=ranks)
    stopped_cleanly(done, disk.path / name, "No space left on device")
    diagnosis = diagnose(disk.path / name)
    assert diagnosis is not None
    assert diagnosis.cause == "disk-full"
    disk.remount("size=100m")
    assert bench.run(name, *output, ranks=ranks).code == 3
    same_output(bench.whole, disk.path / name)
    assert spectro_mpi_here("verify", disk.path / name).code == 0


def test_a_read_only_output_is_told_before_anything_starts(bench: Bench, disk: Disk) -> None:
    disk.mount("size=100m")
    output = ("-s", f"output={disk.path}")
    assert bench.run("read-only", *output, "--only", "reduce").code == 3
    disk.remount("ro")
    done = bench.run("read-only", *output)
    stopped_cleanly(done, disk.path, "Read-only file system")
    disk.remount("rw")
    assert bench.run("read-only", *output).code == 3
    same_output(bench.whole, disk.path / "read-only")


def test_permission_that_is_lost_stops_the_run(bench: Bench) -> None:
    # Root may write anywhere; without that capability it is as everybody.
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] * (os.geteuid() == 0)
    if bound and (shutil.which("setpriv") is None or subprocess.run([*bound, "true"]).returncode):
        pytest.skip("root's right to write anywhere cannot be taken away here")
    run_dir = bench.run_dir("denied")
    assert bench.run("denied", "--only", "reduce").code == 3
    (run_dir / "plots").mkdir(mode=0o555)
    command = [*bound, str(BIN / "mpirun"), "-n", "3", str(BIN / "spectro-mpi")]
    done = subprocess.run(
        [*command, *bench.arguments("denied")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    finished = Finished(done.returncode, done.stdout, done.stderr)
    stopped_cleanly(finished, run_dir, "Permission denied")
    (run_dir / "plots").chmod(0o755)
    assert bench.run("denied").code == 3
    bench.same_as_whole("denied")


def test_a_file_in_place_of_a_folder_stops_the_run(bench: Bench) -> None:
    run_dir = bench.run_dir("in-place")
    assert bench.run("in-place", "--only", "reduce").code == 3
    (run_dir / "plots").write_text("not a folder")
    stopped_cleanly(bench.run("in-place"), run_dir, "Not a directory")
    (run_dir / "plots").unlink()
    assert bench.run("in-place").code == 3
    bench.same_as_whole("in-place")


@pytest.mark.parametrize("what", ["directory", "contents", "data", "plots"])
def test_output_that_is_removed_in_mid_run_is_missed_or_made_again(
    bench: Bench, tmp_path: Path, what: str
) -> None:
    name = f"removed-{what}"
    # One item holds the plot phase up, so that there is something to come after the removal.
    environment = plant(tmp_path, {"13322": "sleeps"}, "plot", once=True)
    run = bench.start(name, "-s", "run.instrument_timeout_seconds=2", env=environment)
    run.wait_for(lambda: list(tmp_path.glob("mended*")))
    if what == "directory":
        shutil.rmtree(run.run_dir)
    elif what == "contents":
        for path in run.run_dir.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        shutil.rmtree(run.run_dir / what)
    ended = run.end(60)
    assert "Traceback" not in ended.err
    if what in ("directory", "contents"):
        stopped_cleanly(ended, run.run_dir, "No such file or directory")
        assert not (run.run_dir / "progress.json").exists()
    elif what == "plots":
        # Nobody looks at each figure again while a run goes on; the next run does.
        assert "is missing" in spectro_mpi_here("verify", run.run_dir).out
    else:
        assert ended.code == 3  # reduced again by the same run
    assert bench.run(name).code == 3
    bench.same_as_whole(name)
    assert spectro_mpi_here("verify", run.run_dir).code == 0


def test_input_that_goes_away_in_mid_run_is_recorded_and_done_when_it_is_back(
    bench: Bench, demo: DemoSummary, tmp_path: Path
) -> None:
    data = tmp_path / "FAST_data"
    shutil.copytree(demo.directory / "FAST_data", data)
    # The first item waits until the input of all others has gone.
    environment = plant(tmp_path, {"13312": "sleeps", "13313": "sleeps"}, once=True)
    run = bench.start(
        "no-input", "-s", f"input={data}", "-s", "run.instrument_timeout_seconds=2", env=environment
    )
    run.wait_for(lambda: list(tmp_path.glob("mended1*")))
    data.rename(tmp_path / "away")
    ended = run.end()
    assert ended.code == 3, ended.err
    errors = progress_of(run.run_dir)["errors"]
    assert errors["13322"]["reason"] == "generic"
    assert re.search(r"No such file.*13322", errors["13322"]["message"])
    (tmp_path / "away").rename(data)
    assert bench.run("no-input", "-s", f"input={data}", "--retry").code == 3
    same_output(bench.whole, run.run_dir)


def test_a_stop_while_the_disk_is_full_ends_the_run_too(
    bench: Bench, disk: Disk, tmp_path: Path
) -> None:
    disk.mount("size=2100k")
    run = bench.start("full-stop", "-s", f"output={disk.path}")
    run = replace(run, run_dir=disk.path / "full-stop")
    run.wait_for((run.run_dir / "run.lock").exists)
    run.launcher.send_signal(signal.SIGUSR1)
    assert run.end(30).code in (1, 75)
    assert processes_of(run.run_dir, seconds=2) == []
