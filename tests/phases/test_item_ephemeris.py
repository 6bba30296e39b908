"""The ephemeris of an item is stored by record, and decides what its directions are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.demo.orbits import plan_orbit
from spectro_mpi.model.as_xarray import energy_of_records
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run
from tests.conftest import NO_REPORT, spectro_mpi
from tests.outputs import same_output

NAMES = ["alt", "ilat", "mlt", "flat", "flng", "hemisphere", "loss_cone"]
CATEGORIES = """
[pitch_angles]
down = { toward = "earth", within = 30 }
up = { away = "earth", within = 30 }
cone = { losscone = "down" }
hole = { losscone = "up" }
"""


def run_of(folder: Path, source: Path, more: str = "", code: int = 0) -> tuple[Run, str]:
    """A run of two sound orbits, with categories by direction."""
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{source}"\n[select]\norbits = "13312-13313"\n[plot]\ndpi = 50\n'
        f"{NO_REPORT}{CATEGORIES}{more}"
    )
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == code, done.err
    return open_run(folder / "runs" / "fast"), done.out


@pytest.fixture(scope="module")
def run(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("places")
    run, out = run_of(folder, demo.directory / "FAST_data")
    assert "ephemeris" not in out
    return run


def test_each_record_has_the_place_that_the_orbit_gives_it(run: Run) -> None:
    for item in run.items:
        data = run.spectrogram(item, "ees")
        assert [each.name for each in data.ephemeris] == NAMES
        at = {each.name: each.values for each in data.ephemeris}
        where = plan_orbit(int(item), seed=1).track.conditions(data.time)
        sign = np.where(where.north, 1.0, -1.0)
        np.testing.assert_allclose(at["alt"], where.altitude, atol=2.0)
        np.testing.assert_allclose(at["ilat"], sign * where.invariant_latitude, atol=0.3)
        np.testing.assert_allclose(at["loss_cone"], where.loss_cone, atol=0.1)
        np.testing.assert_array_equal(at["hemisphere"], sign)
        hours = (at["mlt"] - where.local_time + 12) % 24 - 12
        np.testing.assert_allclose(hours, 0, atol=0.3)
        assert data.provenance.ephemeris == f"fa_k0_orb_{item}_v01.cdf, dipole"


def test_it_is_in_the_store_and_in_xarray(run: Run) -> None:
    with h5py.File(data_path(run.path, run.progress.data_files["13312"])) as file:
        group = file["ees"]
        for name in NAMES:
            assert group[name].dims[0].label == "record"
            assert group[name].dims[0][0].name.endswith("/record")
        assert group["alt"].attrs["units"] == "km"
        assert group["mlt"].attrs["units"] == "h"
    data = run.xarray("13312", "ees")
    assert set(NAMES) <= set(data.coords)
    assert data["alt"].dims == ("time",)
    assert data["counts"].coords["ilat"].dims == ("time",)
    assert data.attrs["ephemeris"] == "fa_k0_orb_13312_v01.cdf, dipole"


def test_directions_follow_the_hemisphere(run: Run) -> None:
    data = run.spectrogram("13312", "ees")
    rows = dict(zip(data.category, data.values, strict=True))
    at = {each.name: each.values for each in data.ephemeris}
    north = at["hemisphere"] > 0
    assert north.any()
    along, against = rows["parallel"], rows["antiparallel"]
    np.testing.assert_array_equal(rows["down"][north], along[north])
    np.testing.assert_array_equal(rows["up"][north], against[north])
    np.testing.assert_array_equal(rows["down"][~north], against[~north])
    above = energy_of_records(data) > 100  # below, electrons of the atmosphere go up
    cone, hole = (float(np.nansum(rows[name][above])) for name in ("cone", "hole"))
    assert cone > 2 * hole


def test_the_title_of_a_row_says_what_it_shows(run: Run) -> None:
    labels = _labels(run, "13312")
    assert "down (within 30° of earthward)" in labels
    assert "hole (loss cone, away from earth)" in labels


def test_without_it_such_rows_are_missing_and_say_so(demo: DemoSummary, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(demo.directory / "FAST_data", source)
    for path in source.rglob("fa_k0_orb_13313*"):
        path.unlink()
    broken = max(source.rglob("fa_k0_orb_13312*"))
    broken.write_bytes(broken.read_bytes()[:2000])
    run, out = run_of(tmp_path, source)
    assert "1 of 2 items have no ephemeris" in out
    assert "rows down, up, cone, hole" in out
    for item in ("13312", "13313"):
        data = run.spectrogram(item, "ees")
        assert data.ephemeris == ()
        rows = dict(zip(data.category, data.values, strict=True))
        assert np.isnan(rows["down"]).all()
        assert np.isfinite(rows["all"]).any()
    assert any("fa_k0_orb_13312_v01.cdf: the file is truncated" in note for note in _notes(run))
    assert "down (within 30° of earthward, no ephemeris)" in _labels(run, "13313")


def test_one_that_asks_for_any_amount_of_memory_costs_only_itself(
    demo: DemoSummary, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    shutil.copytree(demo.directory / "FAST_data", source)
    broken = max(source.rglob("fa_k0_orb_13312*"))
    content = bytearray(broken.read_bytes())
    content[8:] = b"x" * (len(content) - 8)  # every offset and size is absurd
    broken.write_bytes(content)
    run, _ = run_of(tmp_path, source)
    assert np.isfinite(run.spectrogram("13312", "ees").values).any()
    assert any("fa_k0_orb_13312_v01.cdf: is damaged" in note for note in _notes(run))


def _notes(run: Run) -> tuple[str, ...]:
    return run.spectrogram("13312", "ees").notes


def _labels(run: Run, item: str) -> list[str]:
    (figure,) = (f for f in run.figures(item) if "_ees_" in f.name and "raw" in f.name)
    opened: Any = Image.open(figure)
    return [panel["label"] for panel in json.loads(opened.text["spectro-mpi"])["panels"]]


def test_an_ephemeris_that_comes_later_is_noticed(demo: DemoSummary, tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(demo.directory / "FAST_data", source)
    (late,) = source.rglob("fa_k0_orb_13312*")
    late.rename(tmp_path / late.name)
    run_of(tmp_path, source)
    (tmp_path / late.name).rename(late)
    run, out = run_of(tmp_path, source)
    assert "the input of phase reduce has changed" in out
    assert [each.name for each in run.spectrogram("13312", "ees").ephemeris] == NAMES


@pytest.mark.parametrize("ranks", [2, 4])
def test_any_number_of_ranks_gives_the_same_figures_and_values(
    run: Run, tmp_path: Path, ranks: int
) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text((run.path.parents[1] / "spectro-mpi.toml").read_text())
    assert spectro_mpi("run", settings, "--no-progress", ranks=ranks).code == 0
    same_output(run.path, tmp_path / "runs" / "fast")
