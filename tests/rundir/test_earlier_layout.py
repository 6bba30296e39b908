"""Runs with shards, which earlier versions made, are read, checked and continued."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import open_run
from tests.conftest import NO_REPORT, spectro_mpi, spectro_mpi_here
from tests.earlier_layout import make_earlier
from tests.outputs import pictures, same_output

SOME = ("13312", "13313", "13321", "13322")


@pytest.fixture(scope="module")
def made(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings beside two finished runs: `whole` of five items, and `early` of four, earlier."""
    folder = tmp_path_factory.mktemp("earlier")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "{",".join(SOME)},13323"\n'
        f"[plot]\ndpi = 40\npanel_size = [4.0, 1.5]\n{NO_REPORT}"
    )
    assert spectro_mpi("run", settings, "-s", "run_id=whole").code == 0
    some = ("-s", f'select.orbits="{",".join(SOME)}"')
    assert spectro_mpi("run", settings, "-s", "run_id=early", *some).code == 0
    make_earlier(folder / "runs" / "early")
    return settings


@pytest.fixture
def early(made: Path, tmp_path: Path) -> Path:
    """A copy of the earlier run, beside a copy of the settings."""
    shutil.copy(made, tmp_path)
    shutil.copytree(made.parent / "runs" / "early", tmp_path / "runs" / "early")
    return tmp_path / "runs" / "early"


def go_on(early: Path, *words: str) -> str:
    """Continue it with all five items."""
    settings = early.parents[1] / "spectro-mpi.toml"
    done = spectro_mpi("run", settings, "-s", "run_id=early", *words, ranks=3)
    assert done.code == 0, done.err
    return done.out


def test_it_is_shown_checked_read_and_reported(made: Path, early: Path) -> None:
    status = json.loads(spectro_mpi_here("status", early, "--json").out)
    assert status["state"] == "finished"
    checked = spectro_mpi_here("verify", early)
    assert checked.code == 0, checked.out
    run, whole = open_run(early), open_run(made.parent / "runs" / "whole")
    assert set(run.progress.data_files.values()) == {"shard-00000.h5", "shard-00001.h5"}
    for item in SOME:
        for instrument in run.instruments(item):
            values = run.spectrogram(item, instrument).values
            np.testing.assert_array_equal(values, whole.spectrogram(item, instrument).values)
    assert spectro_mpi_here("report", early, "--no-previews").code == 0


def test_run_continues_it_with_files_of_items_beside_its_shards(made: Path, early: Path) -> None:
    shards = {path: path.stat().st_mtime_ns for path in (early / "data").glob("shard-*.h5")}
    out = go_on(early)
    assert "aside" not in out and "reduced again" not in out
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    run = open_run(early)
    assert run.progress.data_files["13323"].startswith("2000/01/13323.h5#")
    assert run.progress.data_files["13312"] == "shard-00000.h5"
    same_output(made.parent / "runs" / "whole", early)
    assert spectro_mpi_here("verify", early).code == 0
    assert spectro_mpi_here("compact", early, "-o", early.parent / "one.h5").code == 0


def test_what_is_made_again_leaves_its_shard(made: Path, early: Path) -> None:
    go_on(early)
    before = pictures(early)
    go_on(early, "--redo", "reduce")
    run = open_run(early)
    paths = [data_path(early, name) for name in run.progress.data_files.values()]
    assert all(path.parent.name == "01" for path in paths)
    assert pictures(early) == before
    out = go_on(early)  # shards that no item refers to any more are removed
    assert "complete but not in the journal; removed" in out
    assert not list((early / "data").glob("shard-*"))
    same_output(made.parent / "runs" / "whole", early)
    assert spectro_mpi_here("verify", early).code == 0


def test_a_damaged_shard_is_set_aside_and_its_items_get_files(made: Path, early: Path) -> None:
    shard = early / "data" / "shard-00001.h5"
    shard.write_bytes(shard.read_bytes()[:5000])
    assert f"{shard}: " in spectro_mpi_here("verify", early).out
    go_on(early)
    assert shard.with_name("shard-00001.h5.damaged").exists()
    same_output(made.parent / "runs" / "whole", early)
