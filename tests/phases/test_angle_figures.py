"""Figures of kind "angle": pitch angle against time, by energy band, with the loss cones."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.angles import CELLS, reduce_angles
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run
from tests.conftest import NO_REPORT, spectro_mpi

BANDS = {"ees": [(100.0, 1000.0), (1000.0, 40000.0)], "ies": [(50.0, 1000.0), (1000.0, 30000.0)]}
LONG_NAME = "Differential energy flux by pitch angle, mean over an energy band"


@pytest.fixture(scope="module")
def run(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("angles")
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13312-13313"\n'
        '[data]\nquantity = "eflux"\n[plot]\nkinds = ["angle"]\n'
        "dpi = 100\n[report]\nat_end = false\n"
    )
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 0, done.err
    return open_run(folder / "runs" / "fast")


def figure(run: Run, item: str, instrument: str, limits: str) -> tuple[NDArray[Any], Any]:
    """(row, column, rgb) and the description of a figure."""
    name = f"angle_ESA_{instrument}_y-log_z-log_{limits}-inferno.png"
    (path,) = (path for path in run.figures(item) if path.name.endswith(name))
    image: Any = Image.open(io.BytesIO(path.read_bytes()))
    return np.asarray(image.convert("RGB")), json.loads(image.text["spectro-mpi"])


def test_the_store_has_what_the_files_have(run: Run, demo: DemoSummary) -> None:
    for item in run.items:
        data = run.spectrogram(item, "ees")
        path = max(demo.directory.rglob(f"fa_esa_l2_ees_*_{item}_v*.cdf"))
        file = preset_of(run.config).open("ees", CdflibReader(path))
        expected = reduce_angles(file.chunk(0, file.records), file.edges, BANDS["ees"])
        np.testing.assert_array_equal(data.angles, expected)
        assert data.bands.tolist() == [[100, 1000], [1000, 40000]]


def test_the_store_and_xarray_have_coordinates(run: Run) -> None:
    with h5py.File(data_path(run.path, run.progress.data_files["13312"])) as file:
        angles = file["ees/angles"]
        assert [dim.label for dim in angles.dims] == ["band", "record", "angle"]
        assert angles.dims[0][0][:].tolist() == [b"100-1000", b"1000-40000"]
        np.testing.assert_allclose(angles.dims[2][0][:], (np.arange(CELLS) + 0.5) * 5.625)
        assert angles.attrs["units"] == "eV/(cm^2 s sr eV)"
        assert angles.attrs["long_name"] == LONG_NAME  # a category's bins are not combined here
    data = run.xarray("13312", "ees")
    assert data["angles"].attrs["long_name"] == LONG_NAME
    assert data["angles"].dims == ("band", "time", "angle")
    assert data["band"].values.tolist() == ["100-1000", "1000-40000"]
    assert data["band_edges"].values.tolist() == [[100, 1000], [1000, 40000]]


def test_the_limits_of_a_band_are_common_to_all_items(run: Run) -> None:
    values = [run.spectrogram(item, "ees").angles[0] for item in run.items]
    positive = np.concatenate([each[each > 0] for each in values]).astype(np.float64)
    extrema = run.extrema
    assert extrema["ees-angles-100-1000_log_log_z_max"] == pytest.approx(
        np.percentile(positive, 95), rel=1e-3
    )
    panels = [figure(run, item, "ees", "given_extrema")[1]["panels"] for item in run.items]
    assert panels[0][0]["z"] == panels[1][0]["z"]
    assert panels[0][0]["z"] != panels[0][1]["z"]
    own = [figure(run, item, "ees", "raw")[1]["panels"][0]["z"] for item in run.items]
    assert own[0] != own[1]


@pytest.mark.parametrize("instrument", ["ees", "ies"])
def test_a_figure_has_a_row_for_each_band(run: Run, instrument: str) -> None:
    item = next(item for item in run.items if instrument in run.instruments(item))
    _, described = figure(run, item, instrument, "given_extrema")
    labels = {"ees": ["0.1–1 keV", "1–40 keV"], "ies": ["0.05–1 keV", "1–30 keV"]}
    panels = [panel for panel in described["panels"] if "zoom" not in panel["label"]]
    assert [panel["label"] for panel in panels] == labels[instrument]
    for panel in panels:
        assert panel["energy"] == [0.0, 360.0]
        assert (panel["y_scale"], panel["y_units"]) == ("linear", "degrees")
        assert panel["instrument"] == f"{instrument}-angles"
    assert described["kind"] == "angle"
    assert any("earthward solid, away from earth dashed" in note for note in described["notes"])


def test_the_edges_of_both_loss_cones_are_lines(run: Run) -> None:
    image, described = figure(run, "13312", "ees", "given_extrema")
    data = run.spectrogram("13312", "ees")
    at = {each.name: each.values for each in data.ephemeris}
    left, top, right, bottom = described["panels"][0]["box"]
    begin, end = described["panels"][0]["time"]
    solid = 0
    for record in range(20, len(data.time), 25):
        if not np.isfinite(data.angles[0, record]).any() or at["hemisphere"][record] < 0:
            continue
        column = left + int((data.time[record] - begin) / (end - begin) * (right - left))
        strip = image[top:bottom, column]
        for angle in (at["loss_cone"][record], 360 - at["loss_cone"][record]):
            row = round((1 - angle / 360) * (bottom - top))
            near = strip[max(0, row - 3) : row + 3]
            assert (near == 255).all(axis=1).any()
            assert (near == 0).all(axis=1).any()
            solid += 1
    assert solid > 4


def test_values_for_the_pointer_are_those_of_the_figure(run: Run) -> None:
    (script,) = (path for path in (run.path / "report").rglob("13312*.js") if "-" not in path.stem)
    text = script.read_text()
    assert '"ees-angles"' in text
    assert '"100-1000"' in text


def test_folded_figures_show_half_of_the_circle(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "folded.png"
    done = spectro_mpi(
        "draw", run.path, "13312", "--kind", "angle", "-o", target, "-s", "plot.fold_angles=true"
    )
    assert done.code == 0, done.err
    image: Any = Image.open(target)
    (first, *_) = json.loads(image.text["spectro-mpi"])["panels"]
    assert first["energy"] == [0.0, 180.0]


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_vector_files_have_the_lines_too(run: Run, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"x.{suffix}"
    done = spectro_mpi("draw", run.path, "13312", "--kind", "angle", "-o", target)
    assert done.code == 0, done.err
    if suffix == "svg":
        assert "Lines: edges of the loss cones" in target.read_text()


def test_a_matplotlib_figure_has_them(run: Run) -> None:
    axes = run.figure("13312", "ees", kind="angle").axes
    assert len(axes[0].lines) == 8  # four edges, white on black
    assert axes[0].get_ylim() == (0, 360)


def test_a_cdf_file_can_be_drawn_without_a_run(demo: DemoSummary, tmp_path: Path) -> None:
    path = max(demo.directory.rglob("fa_esa_l2_ees_*_13313_v*.cdf"))
    done = spectro_mpi("draw", path, "--kind", "angle", "-o", tmp_path / "x.png")
    assert done.code == 0, done.err
    image: Any = Image.open(tmp_path / "x.png")
    described = json.loads(image.text["spectro-mpi"])
    assert [panel["label"] for panel in described["panels"]] == ["0.1–1 keV", "1–40 keV"]


def test_a_run_without_them_says_what_to_do(demo: DemoSummary, tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    text = (
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13313"\n'
        f"[plot]\ndpi = 50\n{NO_REPORT}"
    )
    settings.write_text(text)
    assert spectro_mpi("run", settings, "--no-progress").code == 0
    run_dir = tmp_path / "runs" / "fast"
    done = spectro_mpi("draw", run_dir, "13313", "--kind", "angle", "-o", tmp_path / "x.png")
    assert done.code != 0
    assert "no pitch-angle spectrograms" in done.err
    settings.write_text(text.replace("dpi = 50", 'dpi = 50\nkinds = ["angle"]'))
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 2
    assert "plot.kinds" in done.err
    assert "--fresh" in done.err


def test_bands_of_a_run_are_settings(demo: DemoSummary, tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13313"\n'
        "[data]\ncadence = '60 s'\n"
        "[angles.bands]\nees = [[30, 100]]\n"
        f"[plot]\nkinds = ['angle']\ndpi = 50\n{NO_REPORT}"
    )
    assert spectro_mpi("run", settings, "--no-progress").code == 0
    run = open_run(tmp_path / "runs" / "fast")
    assert all("_angle_ESA_ees_" in path.name for path in run.figures("13313"))
    assert len(run.figures("13313")) == 2
    data = run.spectrogram("13313", "ees")
    assert data.angles.shape == (1, len(data.time), CELLS)
    assert np.isfinite(data.angles).mean() > 0.8
    assert run.spectrogram("13313", "ies").by_angle is None
