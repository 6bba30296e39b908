"""`plot.formats`: PDF and SVG files beside the PNG files of a run, kept and checked as these."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np

from tests.conftest import BIN, slow_figures_path, spectro_mpi
from tests.phases.test_shared_panels import SETTINGS, run_of

FEW = ("-s", "select.orbits=13312", "-s", "plot.kinds=['pitch-angle']")
BOTH = ("-s", "plot.formats=['png', 'pdf']")


def contents(run_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run_dir.glob("plots/*/*/13312/*"))}


def test_files_of_other_formats_lie_beside_the_png_files(settings: Path) -> None:
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("run", settings, *FEW, "--no-progress").code == 0
    alone = contents(run_dir)
    assert alone and all(name.endswith(".png") for name in alone)
    done = spectro_mpi("run", settings, *FEW, *BOTH, "--no-progress")
    assert done.code == 0 and f"{len(alone)} figures will be drawn again" in done.out
    both = contents(run_dir)
    assert both == alone | {name: both[name] for name in both if name.endswith(".pdf")}
    assert {name.removesuffix(".pdf") for name in both if name not in alone} == {
        name.removesuffix(".png") for name in alone
    }
    assert spectro_mpi("verify", run_dir).code == 0

    lost, cut = sorted(run_dir.glob("plots/*/*/13312/*.pdf"))[:2]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    problems = spectro_mpi("verify", run_dir, "--repair").out
    assert f"{lost.name}: is missing" in problems
    assert f"{cut.name}: is damaged (it is cut off)" in problems
    assert spectro_mpi("run", settings, *FEW, *BOTH, "--no-progress", ranks=3).code == 0
    assert contents(run_dir) == both

    assert spectro_mpi("run", settings, *FEW, "--no-progress").code == 0
    assert contents(run_dir) == alone


def test_png_files_are_always_made(settings: Path) -> None:
    refused = spectro_mpi("run", settings, "-s", "plot.formats=['pdf']")
    assert refused.code == 2
    assert 'plot.formats: lacks "png"' in refused.err


def all_figures(run_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run_dir.glob("plots/*/*/*/*"))}


def test_a_killed_run_is_resumed_to_the_same_files_of_both_formats(
    settings: Path, tmp_path: Path
) -> None:
    two = ("-s", "select.orbits=13312-13313", *BOTH, "--no-progress")
    assert spectro_mpi("run", settings, *two, "-s", "run_id='whole'").code == 0
    run_dir = settings.parent / "runs" / "fast"
    env = {**os.environ, "PYTHONPATH": slow_figures_path(tmp_path, 3.0)}
    run = subprocess.Popen([BIN / "spectro-mpi", "run", settings, *two], env=env)
    while not any(run_dir.glob("plots/*/*/*/*.png")):
        assert run.poll() is None
        time.sleep(0.05)
    run.kill()
    run.wait()
    assert spectro_mpi("run", settings, *two).code == 0
    whole = all_figures(settings.parent / "runs" / "whole")
    assert {name[-4:] for name in whole} == {".png", ".pdf"}
    assert all_figures(run_dir) == whole
    for name in list(whole)[::2]:
        (path,) = run_dir.glob(f"plots/*/*/*/{name}")
        path.unlink()
    assert spectro_mpi("run", settings, *two).code == 0
    assert all_figures(run_dir) == whole
    assert spectro_mpi("verify", run_dir).code == 0


def test_a_shared_panel_and_a_cadence_are_drawn_in_all_formats(tmp_path: Path) -> None:
    high = 64 * 2.0 ** np.arange(5, dtype=np.float32)
    formats = ("-s", "plot.formats=['png', 'pdf', 'svg']", "-s", "data.cadence='20 s'")
    run = run_of(tmp_path, high, *formats, settings=SETTINGS)
    names = [path.name for path in run.path.glob("plots/*/*/*/*")]
    grids = [name for name in names if "grid" in name]
    assert sorted(name[-4:] for name in grids) == [".pdf", ".pdf", ".png", ".png", ".svg", ".svg"]
    assert len(names) == 18
    assert spectro_mpi("verify", run.path).code == 0
