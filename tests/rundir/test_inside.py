"""Links in a stranger's run directory lead nowhere; pipes in it keep nothing waiting."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.errors import UserError
from spectro_mpi.rundir.inside import refuse_links_out
from spectro_mpi.rundir.layout import item_folders
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.system.atomic import make_below, opened_new, sweep, write_atomic
from tests.conftest import NO_REPORT, spectro_mpi, spectro_mpi_here

MONTH = "plots/2000/01"
ITEM = f"{MONTH}/13312"


@pytest.fixture
def run_dir(sampled: Path, tmp_path: Path) -> Path:
    """A copy of a run directory, for the test to spoil."""
    shutil.copytree(sampled, tmp_path / "fast")
    return tmp_path / "fast"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with files that are nobody's business; `unchanged` tells whether they still are."""
    folder = tmp_path / "outside"
    (folder / "13312").mkdir(parents=True)
    for name in ("a.png", "x.part", "13312/x.part", "13312/empty"):
        (folder / name).write_text("" if name.endswith("empty") else "precious")
    return folder


def unchanged(outside: Path) -> bool:
    files = {str(path.relative_to(outside)): path for path in outside.rglob("*")}
    contents = {name: path.read_text() for name, path in files.items() if path.is_file()}
    return contents == {
        "a.png": "precious",
        "x.part": "precious",
        "13312/x.part": "precious",
        "13312/empty": "",
    }


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


FOLDERS = ["plots/2000", MONTH, "data/2000", "files/my/2000", "report/items/2000", "assets/frames"]
FILES = ["logs/rank-0000.log", "live.json", "STOP", "jobs/jobs.json", "resources/rank-0000.lines"]


@pytest.mark.parametrize("name", [*FOLDERS, *FILES, "progress.json.part", "report/index.html"])
def test_a_link_that_leads_out_is_refused_at_every_level(
    run_dir: Path, outside: Path, name: str
) -> None:
    link(run_dir / name, outside if name in FOLDERS else outside / "a.png")
    for words in (("status",), ("report",), ("verify", "--repair")):
        done = spectro_mpi_here(words[0], run_dir, *words[1:])
        assert done.code == 2
        told = f"spectro-mpi: {run_dir / name}: is a link that leads out of the run directory; "
        assert done.err.startswith(told)
    assert unchanged(outside)


def test_links_that_stay_inside_and_names_that_are_not_ours_are_let_through(
    run_dir: Path, outside: Path
) -> None:
    refuse_links_out(run_dir)
    (run_dir / "notes").symlink_to(outside)
    (run_dir / "jobs").mkdir()
    (run_dir / "jobs" / "latest.log").symlink_to("../logs/rank-0000.log")
    refuse_links_out(run_dir)
    (run_dir / "jobs" / "self").symlink_to("self")
    with pytest.raises(UserError, match="jobs/self: is a link that leads out"):
        refuse_links_out(run_dir)


def test_the_folder_of_an_item_that_is_a_link_is_neither_read_nor_changed(
    run_dir: Path, outside: Path
) -> None:
    link(run_dir / ITEM, outside / "13312")
    link(run_dir / "files/my/2000/01/13312", outside / "13312")
    assert "13312" not in item_folders(run_dir, "plot")
    assert sweep(run_dir / ITEM) == []
    with pytest.raises(OSError, match="13312 is a link"):
        make_below(run_dir, run_dir / ITEM)
    for words in (("report",), ("verify",), ("verify", "--repair")):
        done = spectro_mpi_here(words[0], run_dir, *words[1:])
        assert "Traceback" not in done.err
        assert unchanged(outside)


def test_a_run_writes_nothing_where_links_lead(demo: DemoSummary, tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_text("precious")
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13312"\n'
        f"[plot]\ndpi = 40\n{NO_REPORT}"
    )
    assert spectro_mpi("run", settings, "--no-progress").code == 0
    run_dir = tmp_path / "runs" / "fast"
    figures = open_run(run_dir).figures("13312")
    for figure in figures:  # half-written ones, as a stranger may leave them
        figure.with_name(f"{figure.name}.part").symlink_to(outside)
    again = spectro_mpi("run", settings, "--no-progress", "-s", "plot.dpi=50")
    assert again.code == 0, again.err
    assert outside.read_text() == "precious"
    assert not any(figure.is_symlink() for figure in figures)
    (run_dir / ITEM).rename(tmp_path / "elsewhere")
    (run_dir / ITEM).symlink_to(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    refused = spectro_mpi("run", settings, "--no-progress", "-s", "plot.dpi=40")
    assert refused.code == 1
    assert "13312 is a link, which may lead out of the run directory" in refused.err
    assert before == {path: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}


@pytest.mark.parametrize("kind", ["link", "pipe", "second name"])
def test_what_is_in_place_of_a_new_file_is_removed(tmp_path: Path, kind: str) -> None:
    good, path = tmp_path / "good", tmp_path / "x"
    good.write_bytes(b"precious")
    part = tmp_path / "x.part"
    if kind == "link":
        part.symlink_to(good)
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        os.link(good, part)
    write_atomic(path, b"new")
    assert (path.read_bytes(), good.read_bytes()) == (b"new", b"precious")
    assert not part.exists()
    with opened_new(path) as file:
        file.write(b"newer")
    assert path.read_bytes() == b"newer"


PIPES = ["logs/rank-0000.log", "progress.json", "progress.journal", "report/index.html"]


@pytest.mark.parametrize("name", [*PIPES, "jobs/x.log", "resources/rank-0000.lines", "figure"])
def test_pipes_keep_nothing_waiting(run_dir: Path, name: str) -> None:
    path = open_run(run_dir).figures("13312")[0] if name == "figure" else run_dir / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    (run_dir / "resources").mkdir(exist_ok=True)
    (run_dir / "resources" / "rank-x.lines").write_text("[]")
    for words in (("status",), ("report",), ("verify", "--repair")):
        done = spectro_mpi(words[0], run_dir, *words[1:], timeout=60)
        assert done.code in (0, 1, 2)
        assert "Traceback" not in done.err
        assert len(done.err.splitlines()) <= 1
