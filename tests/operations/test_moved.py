"""A run directory can be moved: it is complete by itself, and a moved project goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from tests.conftest import spectro_mpi, spectro_mpi_here
from tests.outputs import pictures, same_output, snapshot

PHASE = """
from pathlib import Path
import spectro_mpi

Path(__file__).with_name("imported").touch()


class Peak(spectro_mpi.Phase):
    name = "peak"
    needs = (spectro_mpi.Artifact("spectrograms", dims=("category", "record", "channel")),)
    gives = (spectro_mpi.Artifact("peak", dims=("record",), dataset="peak"),)

    def run(self, item, inputs, context):
        return spectro_mpi.Outputs()
"""


@pytest.fixture(scope="module")
def project(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input, settings, events, a phase and a finished run. Not to be changed."""
    project = tmp_path_factory.mktemp("original") / "project"
    (project / "FAST_data").mkdir(parents=True)
    for pattern in ("13312_v", "13313_v", "13318_v", "13319_v"):
        for path in (demo.directory / "FAST_data").rglob(f"fa_esa_l2_*_{pattern}*.cdf"):
            shutil.copy(path, project / "FAST_data")
    (project / "FAST_data" / "other.cdf").write_bytes(b"")
    shutil.copy(demo.directory / "events.csv", project)
    (project / "peak.py").write_text(PHASE)
    (project / "spectro-mpi.toml").write_text(
        'phases = ["reduce", "plot", "peak.py:Peak"]\n[plot]\ndpi = 50\nevents = "events.csv"\n'
    )
    assert spectro_mpi("assets", project / "spectro-mpi.toml").code == 3
    assert spectro_mpi("run", project / "spectro-mpi.toml", ranks=3).code == 3
    (project / "imported").unlink()
    return project


@pytest.fixture
def away(project: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the run alone, under another name; the project is gone meanwhile."""
    copy = Path(shutil.copytree(project / "runs" / "fast", tmp_path / "copy"))
    project.rename(project.with_name("hidden"))
    yield copy
    project.with_name("hidden").rename(project)


def texts(run_dir: Path) -> Iterator[tuple[str, str]]:
    """(name, content) of all files but logs; of HDF5 files all attributes and datasets."""
    for path in sorted(run_dir.rglob("*")):
        name = str(path.relative_to(run_dir))
        if path.is_file() and not name.startswith("logs") and not name.endswith(".h5"):
            yield name, path.read_bytes().decode(errors="replace")
    for path in run_dir.rglob("*.h5"):
        found: list[str] = []

        def add(_: str, node: h5py.Group | h5py.Dataset, found: list[str] = found) -> None:
            found.append(repr(list(node.attrs.items())))
            if isinstance(node, h5py.Dataset) and node.dtype.kind == "O":
                found.append(repr(node[()].tolist() if node.shape else node[()]))

        with h5py.File(path) as file:
            file.visititems(add)
        yield str(path.relative_to(run_dir)), " ".join(found)


def test_only_the_record_of_the_input_is_an_absolute_path(project: Path) -> None:
    run_dir = project / "runs" / "fast"
    named = {
        name: [line for line in content.splitlines() if str(project) in line]
        for name, content in texts(run_dir)
        if str(project) in content
    }
    rank_logs = [name for name in named if "rank-" in name]  # pages with excerpts of logs
    assert all(name.startswith("report/parts/rank-") for name in rank_logs)
    input_line = f"# input was '{project / 'FAST_data'}'"
    assert named.pop("config.toml") == [input_line]
    page = named.pop("report/index.html")
    assert [line.replace("&#39;", "'") for line in page] == [input_line]
    assert set(named) == set(rank_logs)
    failures = json.loads((run_dir / "progress.json").read_text())["errors"]
    assert failures["13319"]["message"].startswith("fa_esa_l2_ies_")


def test_all_that_reads_works_on_a_copy_without_input_and_runs_none_of_its_code(
    project: Path, away: Path
) -> None:
    before = pictures(away)
    shutil.copy(project.with_name("hidden") / "peak.py", away.parent / "peak.py")
    report = spectro_mpi_here("report", away)
    assert report.code == 0, report.err
    status = spectro_mpi_here("status", away)
    assert "finished" in status.out
    assert spectro_mpi_here("verify", away).code == 0
    assert "copy: finished" in spectro_mpi_here("runs", away.parent).out
    run = open_run(away)
    assert run.items == ["13312", "13313", "13319"]
    values = run.spectrogram("13313", "ees").values
    np.testing.assert_array_equal(run.xarray("13313", "ees")["counts"].values, values)
    assert run.limits("13313", "ees") is not None
    assert len(run.figures("13313")) > 0
    assert pictures(away) == before
    assert not list(away.parent.rglob("imported"))
    refused = spectro_mpi_here("verify", away, "--inputs")
    assert (refused.code, refused.err.count("\n")) == (2, 1)


def test_deleted_figures_are_drawn_again_from_a_copy_to_the_same_bytes(
    project: Path, away: Path
) -> None:
    before, total = pictures(away), open_run(away).progress.items_total
    shutil.rmtree(away / "plots")
    shutil.copy(project.with_name("hidden") / "peak.py", away / "peak.py")
    settings = away / "config.toml"
    phases = 'phases=["reduce", "plot"]'
    plan = spectro_mpi("plan", settings, "-s", phases)
    assert plan.code == 0, plan.err
    assert "3 items without input: drawn from the store" in plan.out
    whole = spectro_mpi("run", settings, "-s", phases)
    assert whole.code == 2
    assert "`run --only plot` draws from the store" in whole.err
    done = spectro_mpi("run", settings, "--only", "plot", "-s", phases, ranks=3)
    assert done.code == 3, done.err  # what failed is still recorded
    assert pictures(away) == before
    progress = open_run(away).progress
    assert progress.items_total == total
    assert set(progress.failures) == {"13318", "13319"}
    assert spectro_mpi_here("verify", away).code == 0


def test_a_moved_project_goes_on(project: Path, demo: DemoSummary, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(project, tmp_path / "moved"))
    run_dir, settings = moved / "runs" / "fast", moved / "spectro-mpi.toml"
    before = {name: look for name, look in snapshot(run_dir).items() if name.startswith("plots")}
    inventory = (run_dir / "assets" / "inventory.json").read_bytes()
    project.rename(project.with_name("hidden"))
    try:
        same = spectro_mpi("run", settings)
        assert same.code == 3, same.err
        assert "as listed in" in same.out
        assert "done again" not in same.out
        now = snapshot(run_dir)
        assert {name: now[name] for name in before} == before
        (new,) = (demo.directory / "FAST_data").rglob("fa_esa_l2_ees_*_13315_v*.cdf")
        shutil.copy(new, moved / "FAST_data")
        done = spectro_mpi("assets", settings)
        assert done.code == 3, done.err
        done = spectro_mpi("run", settings)
        assert done.code == 3, done.err
        assert "13315" in open_run(run_dir).completed("plot")
        assert (run_dir / "assets" / "inventory.json").read_bytes() != inventory
        fresh = spectro_mpi("run", settings, "-s", "run_id=new")
        assert fresh.code == 3, fresh.err
        same_output(moved / "runs" / "new", run_dir)
    finally:
        project.with_name("hidden").rename(project)


def test_events_are_kept_and_used_when_the_table_is_gone(project: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(project, tmp_path / "moved"))
    run_dir, settings = moved / "runs" / "fast", moved / "spectro-mpi.toml"
    table = (moved / "events.csv").read_bytes()
    assert (run_dir / "events.csv").read_bytes() == table
    before = pictures(run_dir)
    assert any("13312_" in name and "_cusp_" not in name for name in before)
    (moved / "events.csv").unlink()
    done = spectro_mpi("run", settings)
    assert done.code == 3, done.err
    assert "events.csv is not there: events as in" in done.out
    assert pictures(run_dir) == before
    (moved / "events.csv").write_text("orbit,instrument,start,end\n")
    assert spectro_mpi("run", settings).code == 3
    assert (run_dir / "events.csv").read_text() == "orbit,instrument,start,end\n"
    assert pictures(run_dir) != before
    assert spectro_mpi("run", settings, "-s", "plot.events=''").code == 3
    assert not (run_dir / "events.csv").exists()


@pytest.mark.parametrize("name", ["fast (1)", "Früh", "fast"])
def test_a_copy_may_have_any_name_to_be_read_and_that_of_a_run_to_go_on(
    project: Path, tmp_path: Path, name: str
) -> None:
    copy = Path(shutil.copytree(project / "runs" / "fast", tmp_path / "Zwei Läufe" / name))
    for command in ("status", "verify", "report"):
        done = spectro_mpi_here(command, copy)
        assert done.code == 0, done.err
    assert f"{name}: finished" in spectro_mpi_here("runs", copy.parent).out
    assert open_run(copy).items == ["13312", "13313", "13319"]
    done = spectro_mpi(
        "run", copy / "config.toml", "--only", "plot", "-s", 'phases=["reduce","plot"]'
    )
    if name == "fast":
        assert done.code == 3, done.err
        return
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert f"{copy}: can be read, but not continued under this name; rename it" in done.err


def test_a_run_directory_that_is_a_symbolic_link_goes_on_by_either_path(
    project: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(project, tmp_path / "moved"))
    real = Path(shutil.move(moved / "runs" / "fast", tmp_path / "scratch" / "real"))
    (moved / "runs" / "fast").symlink_to(real)
    before = pictures(real)
    for settings in (moved / "spectro-mpi.toml", real / "config.toml"):
        done = spectro_mpi("run", settings)
        assert done.code == 3, done.err
        assert "without input" not in done.out
    assert pictures(real) == before
