"""What the tests share: sample data, and running the command as a user would."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi import cli
from spectro_mpi.demo import DemoSummary, write_demo

BIN = Path(sys.executable).parent
NO_REPORT = "[report]\nat_end = false\n"
"""Settings of runs whose report nobody looks at: it takes as long as they do."""
SLOW_PLACES = [
    Path(__file__).parent / place
    for place in (
        "api/test_notebook.py",
        "faults",
        "fuzz",
        "mpi/test_kill_points.py",
        "operations/test_join.py",
        "operations/test_moved.py",
        "operations/test_verify_figures.py",
        "phases/test_atlas.py",
        "phases/test_formats.py",
        "phases/test_run_figures.py",
        "phases/test_shared_panels.py",
        "phases/test_summary.py",
        "phases/test_superpose.py",
        "planning/test_increment.py",
        "planning/test_item_names.py",
        "previews/test_packs.py",
        "report/test_atlas_page.py",
        "report/test_browser.py",
        "report/test_serve.py",
        "slurm",
        "test_install.py",
    )
]
"""All tests here are slow, and all that use a fixture `runs`: whole runs on several ranks."""
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow as a whole. First come tests on a Slurm: they mostly wait."""
    for item in items:
        uses_runs = "runs" in getattr(item, "fixturenames", ())
        if uses_runs or any(map(item.path.is_relative_to, SLOW_PLACES)):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: _place(item.nodeid) != "slurm")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of a file stay together, and all tests on a Slurm.

    (xdist's own groups do nothing under pytest 9.2, which does not let it rename tests.)
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPlace(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _place(nodeid)

    return ByPlace(config, log)


def _place(nodeid: str) -> str:
    """A test's file, or where it wants to be."""
    path = nodeid.partition("::")[0]
    return "slurm" if "/slurm/" in path else path


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def spectro_mpi(
    *arguments: str | Path,
    ranks: int = 0,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 120,
) -> Finished:
    """Run the command line; with `ranks`, under mpirun."""
    command: Sequence[str] = [str(BIN / "spectro-mpi"), *map(str, arguments)]
    if ranks:
        command = [str(BIN / "mpirun"), "-n", str(ranks), *command]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def spectro_mpi_here(*arguments: str | Path) -> Finished:
    """The command line in this process: for commands that look at files and start no run."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(word) for word in arguments])
        except SystemExit as end:  # of argparse
            code = int(end.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    """Two sound orbits and the ten damaged ones. Not to be changed by a test."""
    return write_demo(tmp_path_factory.mktemp("demo"), orbits=2, seed=1, damaged=True)


@pytest.fixture
def settings(demo: DemoSummary, tmp_path: Path) -> Path:
    """A settings file for the sample data, small figures, output in a folder of the test's own."""
    path = tmp_path / "spectro-mpi.toml"
    path.write_text(
        f'input = "{demo.directory / "FAST_data"}"\noutput = "runs"\n[plot]\ndpi = 50\n{NO_REPORT}'
    )
    return path


@pytest.fixture(scope="session")
def sampled(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run directory of a run on four ranks, sampled often. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("sampled")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n'
        f"[plot]\ndpi = 50\n[run]\nsample_interval_seconds = 0.1\n{NO_REPORT}"
    )
    assert spectro_mpi("run", settings, "--no-progress", ranks=4).code == 3
    return folder / "runs" / "fast"


def slow_figures_path(folder: Path, seconds: float) -> str:
    """A `PYTHONPATH` with which every item's figures take so much longer: time to disturb a run."""
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "def plant():\n"
        "    import spectro_mpi.phases.plot as plot\n"
        "    run = plot.PlotPhase.run\n"
        "    def slow(self, *arguments):\n"
        f"        time.sleep({seconds})\n"
        "        return run(self, *arguments)\n"
        "    plot.PlotPhase.run = slow\n"
        "if 'multiprocessing.spawn' in str(sys.orig_argv):\n"
        "    plant()\n"
        "else:  # a compute process that is forked from its rank\n"
        "    os.register_at_fork(after_in_child=plant)\n"
    )
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)


def real_file(name: str) -> Path:
    """A real CDF file beside the project; skips the test where it is not there."""
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path
