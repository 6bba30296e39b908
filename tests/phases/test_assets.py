"""What is prepared ahead of a run is used by it, and changes none of its output."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.palette import BLACK
from tests.conftest import spectro_mpi
from tests.outputs import same_output, snapshot


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [0, 3])
def test_a_run_uses_its_assets_and_makes_none(settings: Path, ranks: int) -> None:
    prepared = settings.parent / "runs" / "prepared"
    done = spectro_mpi("assets", settings, "-s", "run_id=prepared", ranks=ranks)
    assert done.code == 3
    assert (prepared / "extrema.json").exists()
    assert not (prepared / "plots").exists()
    frames = snapshot(prepared / "assets" / "frames")
    assert frames
    done = spectro_mpi("run", settings, "-s", "run_id=prepared", ranks=3)
    assert "assets` searches again" in done.out
    assert "reduce: 12/12" not in done.out
    assert snapshot(prepared / "assets" / "frames") == frames
    assert spectro_mpi("run", settings, "-s", "run_id=plain", ranks=3).code == 3
    assert not (prepared.with_name("plain") / "assets").exists()
    same_output(prepared, prepared.with_name("plain"))


def test_frames_of_assets_are_what_figures_are_drawn_on(settings: Path) -> None:
    few = ("-s", "select.orbits=13313")
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("assets", settings, *few).code == 0
    marked = sorted((run_dir / "assets" / "frames").glob("*.npy"))
    for path in marked:
        # A pixel of the title's line, blank in every frame, becomes black.
        content = bytearray(path.read_bytes())
        content[128] = BLACK
        path.write_bytes(content)
    assert spectro_mpi("run", settings, *few).code == 0
    from PIL import Image

    pixels = {
        path.name: Image.open(path).convert("L").getpixel((0, 0)) for path in run_dir.rglob("*.png")
    }
    assert {value for name, value in pixels.items() if "given" in name} == {0}
    assert {value for name, value in pixels.items() if "raw" in name} == {255}


@pytest.mark.slow
def test_a_spoilt_frame_is_drawn_anew(settings: Path) -> None:
    few = ("-s", "select.orbits=13313")
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("assets", settings, *few).code == 0
    for path in (run_dir / "assets" / "frames").glob("*.npy"):
        np.save(path, np.zeros((3, 3)))
    assert spectro_mpi("run", settings, *few).code == 0
    assert spectro_mpi("run", settings, *few, "-s", "run_id=plain").code == 0
    same_output(run_dir, run_dir.with_name("plain"))


@pytest.mark.slow
def test_an_inventory_of_another_selection_is_not_used(settings: Path, demo: DemoSummary) -> None:
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("assets", settings, "-s", "select.orbits=13312").code == 0
    kept = json.loads((run_dir / "assets" / "inventory.json").read_text())
    assert [item[0] for item in kept["items"]] == ["13312"]
    done = spectro_mpi("run", settings)
    assert "12 items" in done.out
    assert "searches again" not in done.out
