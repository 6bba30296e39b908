"""A run is found by its directory, its settings or its id; `runs` lists all of a directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spectro_mpi.operations.runs import run_directory, runs_in
from tests.conftest import NO_REPORT, spectro_mpi


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings, a finished run, and one that cannot be read."""
    home = tmp_path_factory.mktemp("home")
    (home / "fa_esa_l2_ees_19991213000000_13312_v01.cdf").write_bytes(b"this is no CDF file")
    (home / "spectro-mpi.toml").write_text(f'input = "."\noutput = "out"\n{NO_REPORT}')
    assert spectro_mpi("run", "spectro-mpi.toml", cwd=home).code == 3
    shutil.copytree(home / "out" / "fast", home / "out" / "damaged")
    (home / "out" / "damaged" / "config.toml").write_text("run_id = [")
    (home / "out" / "no run").mkdir()
    return home


@pytest.mark.parametrize("word", ["out/fast", "fast", "spectro-mpi.toml", "out/fast/config.toml"])
def test_every_command_finds_the_run(home: Path, word: str) -> None:
    for command in ("status", "report", "verify", "cancel"):
        done = spectro_mpi(command, word, cwd=home)
        assert done.code == 0, done.err
        assert f"{Path('out', 'fast')}" in done.out


def test_a_folder_that_is_no_run_does_not_hide_the_run_of_that_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    Path("fast").mkdir()
    try:
        assert run_directory("fast") == home / "out" / "fast"
        assert run_directory("./fast/") == Path("fast")  # a path, not a run id
    finally:
        Path("fast").rmdir()


def test_a_moved_run_is_found_by_its_own_settings(home: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(home / "out" / "fast", tmp_path / "moved"))
    assert run_directory(moved / "config.toml") == moved


def test_what_is_no_run_is_one_sentence(home: Path) -> None:
    done = spectro_mpi("status", "nowhere", cwd=home)
    assert done.code == 2
    assert done.err.startswith("spectro-mpi: nowhere: is neither a run directory nor a settings")
    assert f"spectro-mpi runs {home / 'out'}" in done.err
    assert done.err.count("\n") == 1


def test_runs_lists_the_runs_of_the_settings_here(home: Path) -> None:
    done = spectro_mpi("runs", cwd=home)
    assert done.code == 0, done.err
    damaged, fast = sorted(done.out.splitlines())
    assert fast.startswith(
        "fast: finished; reduce: 0 of 1 item done, 1 failed; plot: 0 of 1 item done, "
        "1 not possible (an earlier phase failed); 1 item with failures; "
    )
    assert "config.toml: is not valid TOML" in damaged
    assert spectro_mpi("runs", "spectro-mpi.toml", cwd=home).out == done.out
    for run in ("fast", "fast/config.toml"):
        assert spectro_mpi("runs", home / "out" / run).out.startswith("fast: finished; ")
    assert spectro_mpi("runs", ".", cwd=home / "out" / "fast").out.startswith("fast: finished; ")
    assert spectro_mpi("runs", home / "out" / "no run").out.endswith("there are no runs\n")
    nowhere = spectro_mpi("runs", home / "nowhere")
    assert (nowhere.code, nowhere.err.count("\n")) == (2, 1)


def test_sizes_and_times_are_those_of_all_files(home: Path) -> None:
    for run in runs_in(home / "out"):
        files = [path.stat() for path in run.run_dir.rglob("*") if path.is_file()]
        assert run.size == sum(file.st_size for file in files)
        assert run.changed >= max(file.st_mtime for file in files)
