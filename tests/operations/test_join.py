"""Shares are joined, again after a kill at any point, and only if their data fit together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from tests.conftest import NO_REPORT, Finished, spectro_mpi, spectro_mpi_here

DYING_JOIN = """
import os, signal, sys
from spectro_mpi import cli

left = int(sys.argv[1])

def dying(change):
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **options)
    return wrapped

for name in ("rename", "replace", "link", "unlink", "mkdir", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
code = cli.main(sys.argv[2:])
print(left)
sys.exit(code)
"""
"""`join` that is killed before its n-th change of the file system."""


@pytest.fixture(scope="module")
def shares(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings beside `runs`, with two reduced shares of five items. Not to be changed."""
    folder = tmp_path_factory.mktemp("shares")
    (folder / "FAST_data").mkdir()
    for item in ("13312", "13313", "13316", "13319", "13323"):
        for path in (demo.directory / "FAST_data").rglob(f"fa_esa_l2_*_{item}_v*.cdf"):
            shutil.copy(path, folder / "FAST_data")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(f"[run]\nflush_batch_size = 2\n{NO_REPORT}")
    for share, more in (
        ("1", ()),
        ("2", ("-s", "data.chunk_records=50", "-s", "report.values=false")),
    ):
        words = ["-s", f"run_id=part-{share}", "-s", f"select.share={share}/2", *more]
        assert spectro_mpi("run", settings, "--only", "reduce", *words).code in (0, 3)
    return settings


def parts_of(settings: Path) -> list[Path]:
    return [settings.parent / "runs" / f"part-{share}" for share in (1, 2)]


def join(settings: Path, run_id: str, *more: str) -> Finished:
    return spectro_mpi_here("join", settings, *parts_of(settings), "-s", f"run_id={run_id}", *more)


def content(run_dir: Path) -> dict[str, bytes]:
    """Path → content of all files, without the name of the run."""
    name = run_dir.name.encode()
    found = {
        str(path.relative_to(run_dir)): path.read_bytes().replace(b'"' + name + b'"', b'""')
        for path in run_dir.rglob("*")
        if path.is_file()
    }
    if "sources.lines" in found:  # after a kill, lines are repeated
        found["sources.lines"] = b"\n".join(sorted({*found["sources.lines"].splitlines()}))
    return found


@pytest.mark.slow
def test_a_join_killed_at_any_point_and_repeated_is_as_if_undisturbed(shares: Path) -> None:
    assert join(shares, "whole").code == 0
    runs = shares.parent / "runs"
    whole = content(runs / "whole")
    assert len([name for name in whole if name.startswith("data/")]) >= 2
    before = [content(part) for part in parts_of(shares)]
    for point in range(1000):
        words = map(str, ("join", shares, *parts_of(shares), "-s", "run_id=killed"))
        killed = subprocess.run(
            [sys.executable, "-c", DYING_JOIN, str(point), *words],
            capture_output=True,
            env=dict(os.environ),
            check=False,
        )
        if killed.returncode == 0:
            break
        assert killed.returncode == -9, killed.stderr
        repeated = join(shares, "killed")
        assert repeated.code == 0, (point, repeated.err)
        assert content(runs / "killed") == whole, point
        shutil.rmtree(runs / "killed")
    assert point > 15
    assert [content(part) for part in parts_of(shares)] == before


def test_a_repeated_join_changes_nothing_and_repeats_the_settings_given(shares: Path) -> None:
    done = join(shares, "twice", "-s", "plot.z_label=Counts of it")
    assert done.code == 0, done.err
    hint = f"  spectro-mpi run {shares} -s run_id=twice -s 'plot.z_label=Counts of it'"
    assert done.out.splitlines()[-1] == hint
    run_dir = shares.parent / "runs" / "twice"
    before = content(run_dir)
    again = join(shares, "twice", "-s", "plot.z_label=Counts of it")
    assert (again.code, again.out, again.err) == (0, done.out, "")
    assert content(run_dir) == before
    sets = [set(open_run(part).progress.settled["reduce"]) for part in parts_of(shares)]
    assert open_run(run_dir).progress.settled["reduce"] == set.union(*sets)
    assert open_run(run_dir).progress.items_total == 5


def test_an_item_made_from_another_file_is_refused(shares: Path, tmp_path: Path) -> None:
    assert join(shares, "differs").code == 0
    shutil.copytree(shares.parent / "FAST_data", tmp_path / "FAST_data")
    source, target = (
        next((tmp_path / "FAST_data").glob(f"fa_esa_l2_ees_*_{item}_v*.cdf"))
        for item in ("13313", "13312")
    )
    shutil.copy(source, target)
    (tmp_path / "spectro-mpi.toml").write_text(shares.read_text())
    words = ["--only", "reduce", "-s", "select.orbits=13312"]
    assert spectro_mpi("run", tmp_path / "spectro-mpi.toml", *words).code == 0
    before = content(shares.parent / "runs" / "differs")
    part = tmp_path / "runs" / "fast"
    refused = spectro_mpi_here("join", shares, part, "-s", "run_id=differs")
    assert refused.code == 2
    assert "has item 13312, which the run directory itself has, too" in refused.err
    assert content(shares.parent / "runs" / "differs") == before


def test_parts_reduced_with_other_settings_are_refused(shares: Path) -> None:
    refused = join(shares, "refused", "-s", "data.retrace=true")
    assert refused.code == 2
    assert "was made with other settings of data.retrace; join only" in refused.err
