"""Whole runs under mpirun, as a user starts them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from tests.conftest import BIN, NO_REPORT, Finished, spectro_mpi
from tests.outputs import pictures, same_output, snapshot
from tests.straight import reduced


@pytest.fixture(scope="module")
def runs(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Run directories made by 1, 2, 3, 4 and 8 ranks from the same damaged input."""
    folder = tmp_path_factory.mktemp("runs")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 50\n'
        'kinds = ["pitch-angle", "instrument-grid", "angle"]\n'
        'scales = [["linear", "log"], ["log", "linear"]]\n'
        f'events = "{demo.directory / "events.csv"}"\n[run]\nflush_batch_size = 3\n{NO_REPORT}'
    )
    for ranks in (1, 2, 3, 4, 8):
        done = spectro_mpi("run", settings, "-s", f"run_id=n{ranks}", ranks=ranks)
        assert done.code == 3, done.err
    return {ranks: folder / "runs" / f"n{ranks}" for ranks in (1, 2, 3, 4, 8)}


@pytest.mark.parametrize("ranks", [2, 3, 4, 8])
def test_any_number_of_ranks_gives_the_same_bytes(runs: dict[int, Path], ranks: int) -> None:
    same_output(runs[1], runs[ranks])


def test_every_damaged_file_is_recorded_and_every_good_item_complete(
    runs: dict[int, Path], demo: DemoSummary
) -> None:
    expected = {
        (str(file.orbit), file.path.name.split("_")[3])
        for file in demo.damaged
        if file.expected == "error"
    }
    for run_dir in runs.values():
        progress = json.loads((run_dir / "progress.json").read_text())
        found = {(item, error["instrument"]) for item, error in progress["errors"].items()}
        assert found == expected
        for error in progress["errors"].values():
            assert error["phase"] == "reduce"
            assert error["reason"] in ("invalid-cdf", "no-data")
            assert error["message"]
        good = {str(13312 + k) for k in range(12)} - {item for item, _ in expected}
        assert set(progress["completed"]["reduce"]) == good
        assert set(progress["completed"]["plot"]) == good
        assert progress["items_total"] == 12


def test_the_good_instrument_of_a_damaged_orbit_is_drawn_too(runs: dict[int, Path]) -> None:
    # Orbit 13314 has an empty ees file and a good ies file.
    names = [path.name for path in (runs[3] / "plots").rglob("13314_*.png")]
    assert any("_pitch-angle_ESA_ies_" in name for name in names)
    assert not any("_pitch-angle_ESA_ees_" in name for name in names)


def test_names_and_places_of_figures(runs: dict[int, Path], demo: DemoSummary) -> None:
    events = (demo.directory / "events.csv").read_text().splitlines()[1:]
    orbit = events[0].split(",")[0]
    folder = runs[4] / "plots" / "2000" / "01" / orbit
    names = {path.name for path in folder.iterdir()}
    for limits in ("given_extrema", "raw"):
        for scales, colormap in (("y-linear_z-log", "cividis"), ("y-log_z-linear", "plasma")):
            assert f"{orbit}_instrument-grid_ESA_{scales}_{limits}-{colormap}.png" in names
            assert f"{orbit}_cusp_pitch-angle_ESA_ees_{scales}_{limits}-{colormap}.png" in names


def test_store_and_extrema_are_those_of_the_files(runs: dict[int, Path], demo: DemoSummary) -> None:
    run = open_run(runs[3])
    assert run.items == [str(orbit) for orbit in range(13312, 13324) if orbit not in (13316, 13318)]
    pool = [
        run.spectrogram(item, "ees").values[0]
        for item in run.items
        if "ees" in run.instruments(item)
    ]
    values = np.concatenate([one.ravel() for one in pool], dtype=np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    # Counts above 65,535 are tallied in bins of 0.1 %.
    z_max = np.percentile(values, 95)
    assert run.extrema["ees_linear_log_z_max"] == pytest.approx(z_max, rel=1e-3)
    assert run.extrema["ees_linear_log_z_min"] == np.percentile(values, 0.1)
    one = run.spectrogram("13313", "ees")
    path = next(demo.directory.glob(f"FAST_data/*/*/{one.source}"))
    assert one.source_size == path.stat().st_size
    expected = reduced(path, "counts", run.config.intervals, every=11)
    np.testing.assert_array_equal(one.values[:, ::11], expected.astype(np.float32))


def test_a_second_run_has_nothing_to_do_and_touches_no_file(runs: dict[int, Path]) -> None:
    before = snapshot(runs[4])
    for ranks in (0, 4):
        done = spectro_mpi(
            "run", runs[4].parents[1] / "spectro-mpi.toml", "-s", "run_id=n4", ranks=ranks
        )
        assert done.code == 3
        assert "13314 ees reduce invalid-cdf" in done.out
    assert snapshot(runs[4]) == before


def test_without_isolation_the_output_is_the_same(runs: dict[int, Path]) -> None:
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    done = spectro_mpi("run", settings, "-s", "run_id=inline", "-s", "run.isolation=none", ranks=3)
    assert done.code == 3
    same_output(runs[1], runs[1].with_name("inline"))


def test_a_run_in_parts_ends_with_the_same_bytes(runs: dict[int, Path]) -> None:
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    parts = runs[1].with_name("parts")

    def part(*arguments: str, ranks: int) -> int:
        return spectro_mpi("run", settings, "-s", "run_id=parts", *arguments, ranks=ranks).code

    assert part("-s", "select.orbits=13312-13315", "--only", "reduce", ranks=2) == 3
    assert not (parts / "plots").exists()
    # Figures of a few orbits, on axes of those few: drawn again when the others are known.
    assert part("-s", "select.orbits=13312-13315", ranks=1) == 3
    assert pictures(parts)
    assert part(ranks=4) == 3
    same_output(runs[1], parts)


def test_extrema_of_finished_items_come_from_the_store(
    runs: dict[int, Path], demo: DemoSummary, tmp_path: Path
) -> None:
    run_dir = tmp_path / "runs" / "n4"
    shutil.copytree(runs[4], run_dir)
    (run_dir / "extrema.json").unlink()
    for path in (run_dir / "plots").rglob("*.png"):
        path.unlink()
    # The same names with nothing in them: reading a CDF again would be an error.
    hollow = tmp_path / "FAST_data"
    for path in demo.directory.glob("FAST_data/*/*/fa_esa_*.cdf"):
        (hollow / path.name).parent.mkdir(exist_ok=True)
        (hollow / path.name).touch()
    frozen = run_dir / "config.toml"
    frozen.write_text(
        frozen.read_text()
        .replace(str(demo.directory / "FAST_data"), str(hollow))
        .replace(str(runs[4].parent), str(run_dir.parent))
    )
    assert spectro_mpi("run", frozen, ranks=3).code == 3
    assert (run_dir / "extrema.json").read_bytes() == (runs[4] / "extrema.json").read_bytes()


@pytest.mark.slow
def test_retry_takes_a_mended_file_and_keeps_the_rest(demo: DemoSummary, tmp_path: Path) -> None:
    data = tmp_path / "FAST_data"
    data.mkdir()
    good = next(demo.directory.glob("FAST_data/*/*/*ees*13313*.cdf"))
    shutil.copy(good, data / good.name)
    broken = data / good.name.replace("13313", "13314")
    broken.write_bytes(bytes(good.stat().st_size))
    (tmp_path / "spectro-mpi.toml").write_text(f"[plot]\ndpi = 50\n{NO_REPORT}")
    assert spectro_mpi(cwd=tmp_path).code == 3
    shutil.copy(good, broken)  # by name and size it is as it was
    assert spectro_mpi(cwd=tmp_path).code == 3
    assert spectro_mpi("run", "--retry", cwd=tmp_path, ranks=3).code == 0
    progress = json.loads((tmp_path / "runs/fast/progress.json").read_text())
    assert progress["completed"] == {phase: ["13313", "13314"] for phase in ("reduce", "plot")}
    assert progress["errors"] == {}


def test_changed_settings_are_refused_by_name_and_fresh_starts_over(
    settings: Path,
) -> None:
    few = ("-s", "select.orbits=13312")
    assert spectro_mpi("run", settings, *few).code == 0
    run_dir = settings.parent / "runs" / "fast"
    before = snapshot(run_dir)
    changed = ("-s", "plot.dpi=60", "-s", "data.quantity=eflux", "-s", "run.flush_batch_size=2")
    refused = spectro_mpi("run", settings, *few, *changed)
    assert refused.code == 2
    assert "other settings of data.quantity;" in refused.err
    assert "flush_batch_size" not in refused.err
    for mistake in ('select.instruments=["ees"]', "plot.events=none.csv"):
        fresh = ("--fresh",) if "events" in mistake else ()
        assert spectro_mpi("run", settings, *few, "-s", mistake, *fresh).code == 2
    assert "Traceback" not in refused.err
    assert snapshot(run_dir) == before
    assert spectro_mpi("run", settings, *few, *changed, "--fresh").code == 0
    group = open_run(run_dir).spectrogram("13312", "ees")
    assert group.quantity == "eflux"


def test_a_stopped_run_exits_75_and_the_next_one_ends_with_the_same_bytes(
    runs: dict[int, Path],
) -> None:
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    run_dir = runs[1].with_name("stopped")
    command = [str(BIN / "mpirun"), "-n", "3", str(BIN / "spectro-mpi"), "run", str(settings)]
    process = subprocess.Popen([*command, "-s", "run_id=stopped", "-s", "run.flush_batch_size=1"])
    while not any((run_dir / "data").glob("*/*/*.h5")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(60) == 75
    left = json.loads((run_dir / "progress.json").read_text())
    assert len(left["completed"]["reduce"]) > 0
    assert len(left["completed"]["plot"]) < 10
    assert spectro_mpi("run", run_dir / "config.toml", ranks=4).code == 3
    same_output(runs[1], run_dir)


@pytest.mark.slow
def test_a_stop_file_stops_a_run(settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    run_dir.mkdir(parents=True)
    (run_dir / "STOP").touch()
    few = ("-s", "select.orbits=13312-13314")
    assert spectro_mpi("run", settings, *few, ranks=3).code == 75
    assert not (run_dir / "STOP").exists()
    assert spectro_mpi("run", settings, *few, ranks=3).code == 3


@pytest.mark.slow
@pytest.mark.parametrize("role", ["coordinator.Coordinator", "worker.Worker", "writer.Writer"])
@pytest.mark.parametrize("ranks", [1, 3])
def test_an_exception_on_any_rank_ends_the_job_at_once(
    settings: Path, tmp_path: Path, role: str, ranks: int
) -> None:
    module, name = role.split(".")
    # Python runs this file in every process: the role's third message finds a bug.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if any(word.endswith('spectro-mpi') for word in sys.orig_argv):\n"
        f"    from spectro_mpi.mpi.{module} import {name} as role\n"
        "    handle, seen = role.handle, []\n"
        "    def planted(self, message):\n"
        "        seen.append(message)\n"
        "        if len(seen) == 3: raise ArithmeticError('planted')\n"
        "        handle(self, message)\n"
        "    role.handle = planted\n"
    )
    began = time.monotonic()
    done = spectro_mpi("run", settings, ranks=ranks, env={"PYTHONPATH": str(tmp_path)}, timeout=40)
    assert time.monotonic() - began < 20
    assert done.code not in (0, 3, 75)
    rank = {"coordinator": 0, "worker": min(1, ranks - 1), "writer": ranks - 1}[module]
    assert f"rank {rank} of {ranks}" in done.err
    assert "ArithmeticError: planted" in done.err
    assert processes_of(settings) == []


def processes_of(settings: Path) -> list[int]:
    """Processes of runs of these settings that are still there."""
    end = time.monotonic() + 10
    while True:
        found = [
            process.pid
            for process in psutil.process_iter()
            if str(settings.parent) in _environment_and_arguments(process)
        ]
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


def _environment_and_arguments(process: psutil.Process) -> str:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        return " ".join([*process.cmdline(), process.environ().get("PYTHONPATH", "")])
    except psutil.Error:
        return ""


def test_a_launcher_that_does_not_match_the_mpi_is_refused(settings: Path) -> None:
    # What Open MPI's mpirun sets, and the MPICH in this environment does not heed.
    done = spectro_mpi("run", settings, env={"OMPI_COMM_WORLD_SIZE": "4"})
    assert done.code == 2
    assert "started 4 ranks" in done.err
    assert "launch with the mpirun of MPICH" in done.err
    assert not (settings.parent / "runs").exists()


@pytest.mark.slow
def test_two_runs_at_once_in_one_directory_are_refused(settings: Path) -> None:
    command = [str(BIN / "spectro-mpi"), "run", str(settings)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lock = settings.parent / "runs" / "fast" / "run.lock"
    while not lock.exists():
        assert first.poll() is None
    second = spectro_mpi("run", settings)
    assert second.code == 1
    assert f"process {first.pid}" in second.err
    first.communicate(timeout=60)
    assert first.returncode == 3


def test_progress_is_told_in_lines_where_there_is_no_terminal(settings: Path) -> None:
    told = spectro_mpi("run", settings, ranks=3)
    lines = told.out.splitlines()
    assert [line for line in lines if line.startswith("reduce: 5 of 12 items done, 7 failed; ")]
    # At the end, the same words; of every phase the numbers add up to all items.
    assert "reduce: 5 of 12 items done, 7 failed" in lines
    assert "plot: 10 of 12 items done, 2 not possible (an earlier phase failed)" in lines
    few = ("-s", "select.orbits=13312-13314")
    quiet = spectro_mpi("run", settings, *few, "--fresh", "--no-progress", ranks=3)
    assert quiet.code == 3
    assert "items/s" not in quiet.out
    logs = settings.parent / "runs" / "fast" / "logs"
    assert sorted(path.name for path in logs.iterdir()) == [
        f"rank-{rank:04d}.log" for rank in range(3)
    ]
    assert "ERROR" in (logs / "rank-0001.log").read_text()


MISTAKES = [
    (["none.toml"], "there is no such settings file"),
    (["SETTINGS", "-s", "input=nowhere"], "does not exist"),
    (["SETTINGS", "-s", "plot.dip=3"], "did you mean plot.dpi?"),
    (["SETTINGS", "-s", "output=/proc/nowhere"], "cannot be written"),
    (["SETTINGS", "-s", "select.orbits=1-2"], "it has 12 items, 13312 to 13323"),
    (["SETTINGS", "-s", "plot.events=none.csv"], "cannot be read: No such file or directory\n"),
    (["SETTINGS", "-s", "plot.colormap=jett"], "jett"),
    (["SETTINGS", "--only", "plot"], "has no output yet"),
]
"""Arguments of a run → what is said of them."""


@pytest.mark.parametrize(
    ("ranks", "arguments", "told"),
    [
        *((0, ["run", *words], told) for words, told in MISTAKES),
        *(
            pytest.param(3, ["run", *words], told, marks=pytest.mark.slow)
            for words, told in MISTAKES
        ),
        (0, ["plan", "SETTINGS", "-s", "plot.colormap=jett"], "jett"),
        (0, ["plan", "SETTINGS", "-s", "plot.events=none.csv"], "cannot be read"),
        (0, ["status", "."], "is not a run directory"),
        (0, ["plan", "none.toml"], "there is no such settings file"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(
    settings: Path, ranks: int, arguments: list[str], told: str
) -> None:
    done: Finished = spectro_mpi(
        *[str(settings) if word == "SETTINGS" else word for word in arguments],
        ranks=ranks,
        cwd=settings.parent,
    )
    assert done.code == 2
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_on_a_terminal_there_are_bars_and_a_line_for_each_worker(settings: Path) -> None:
    ours, theirs = pty.openpty()
    command = [str(BIN / "mpirun"), "-n", "4", str(BIN / "spectro-mpi"), "run", str(settings)]
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 65536)
        except OSError:
            break  # the other end is closed: mpirun has ended
    assert process.wait(60) == 3
    assert "━" in shown.decode()
    assert b"5 of 12 items done, 7 failed; " in shown
    assert b"rank    1  reduce" in shown
    assert b"rank    2  reduce" in shown
