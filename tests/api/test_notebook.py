"""Functions for notebooks and scripts: every documented example works, and places things right."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import xarray
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

import spectro_mpi
from spectro_mpi import UserError
from spectro_mpi.api.axes import make_spectrogram, plot_spectrogram_set
from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.figure import FigureContent, Painter, Panel, Style
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.schema import ScaleName
from tests.conftest import NO_REPORT
from tests.conftest import spectro_mpi as command
from tests.outputs import pictures, same_output

DOCS = Path(__file__).parents[2] / "docs"


def examples(page: str) -> list[str]:
    """The Python examples of a page."""
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.M | re.S)


@pytest.mark.slow
def test_the_examples_of_the_notebook_page_work(tmp_path: Path) -> None:
    # As a notebook: one cell after the other in one namespace, no file, no main guard.
    cells = [*examples("notebook.md"), CHECKS]
    script = "\n".join(
        ["import matplotlib; matplotlib.use('Agg'); space = {'__name__': '__main__'}"]
        + [f"exec({cell!r}, space)" for cell in cells]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert {"sample", "runs", "extrema.json", "electrons.png", "categories.png", "days"} <= names
    assert json.loads((tmp_path / "extrema.json").read_text())["ees_linear_log_y_max"] > 0
    for name in ("electrons.png", "categories.png", "days/2000-01-01.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    # What is said in its comments.
    assert sorted(path.name for path in (tmp_path / "days").glob("*.png")) == [
        "2000-01-01.png",
        "2000-01-02.png",
    ]


CHECKS = """
import spectro_mpi, sys
run = spectro_mpi.open_run("runs/first")
assert run.items == ['13312', '13313'] and run.errors == {}
assert run.completed("plot") == run.items
assert done.completed("figures") == ['2000-01-01', '2000-01-02']
assert done.errors["2000-01-03"][0].message == '2000-01-03: no data'
assert sum(stack.percent for stack in stacks) == 100
assert "mpi4py.MPI" not in sys.modules
"""


def test_importing_the_package_is_light() -> None:
    code = "import sys, spectro_mpi; print(*sys.modules); dir(spectro_mpi)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "matplotlib", "h5py", "mpi4py", "pydantic"} & set(done.stdout.split())
    for name in spectro_mpi.__all__:
        assert getattr(spectro_mpi, name).__doc__, name


@pytest.fixture(scope="module")
def local(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the sample data, with its damaged files, on two workers without MPI."""
    return spectro_mpi.plot_directory(
        demo.directory / "FAST_data",
        tmp_path_factory.mktemp("local") / "run",
        max_workers=2,
        settings={"plot": {"dpi": 50}, "report": {"at_end": False}},
        show_progress=False,
    )


@pytest.mark.slow
def test_a_local_run_gives_the_same_bytes_as_one_under_mpirun(
    local: Run, demo: DemoSummary
) -> None:
    settings = local.path.parent / "spectro-mpi.toml"
    given = f'input = "{demo.directory / "FAST_data"}"\noutput = "."\nrun_id = "mpi"\n'
    settings.write_text(f"{given}[plot]\ndpi = 50\n{NO_REPORT}")
    assert command("run", settings, ranks=3).code == 3
    same_output(local.path, local.path.with_name("mpi"))
    assert len(local.errors) == 7


@pytest.mark.slow
def test_called_again_it_has_nothing_to_do_and_ignore_progress_starts_over(
    demo: DemoSummary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def plot(ignore_progress: bool) -> dict[Path, int]:
        run = spectro_mpi.plot_directory(
            demo.directory / "FAST_data",
            tmp_path / "run",
            max_workers=1,
            ignore_progress=ignore_progress,
            settings={
                "plot": {"dpi": 40},
                "select": {"orbits": "13312"},
                "report": {"at_end": False},
            },
        )
        assert run.errors == {}
        return {path: path.stat().st_mtime_ns for path in run.figures("13312")}

    first = plot(False)
    assert "plot: 1 of 1 item done" in capsys.readouterr().out
    assert plot(False) == first
    again = plot(True)
    assert again.keys() == first.keys()
    assert again != first


@pytest.mark.slow
def test_called_with_other_arguments_it_draws_what_they_change_from_the_store(
    demo: DemoSummary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in (demo.directory / "FAST_data").rglob("fa_esa_l2_ees_*_1331[23]_v*.cdf"):
        shutil.copy(path, data)
    files = {path: path.read_bytes() for path in data.iterdir()}
    plot: dict[str, Any] = {"dpi": 50}

    def drawn(output: str, **arguments: Any) -> tuple[Run, dict[str, int]]:
        settings = {"plot": dict(plot), "report": {"at_end": False}}
        run = spectro_mpi.plot_directory(data, tmp_path / output, settings=settings, **arguments)
        return run, {p.name: p.stat().st_mtime_ns for p in (run.path / "plots").rglob("*.png")}

    run, before = drawn("run")
    for change, arguments, number in (
        ({}, {"z_scale": "linear"}, 8),
        ({"colormap": "magma"}, {"z_scale": "linear"}, 8),
    ):
        plot |= change
        for path, content in files.items():
            path.write_bytes(bytes(len(content)))
        capsys.readouterr()
        run, after = drawn("run", **arguments)
        assert f"{number} figures will be drawn" in capsys.readouterr().out
        written = {name for name in after if after[name] != before.get(name)}
        assert written == {name for name in after if "z-linear" in name}
        assert len(written) == number
        for path, content in files.items():
            path.write_bytes(content)
        fresh, _ = drawn(f"fresh-{len(plot)}", **arguments)
        pngs = pictures(run.path)
        assert {name: pngs[name] for name in pngs if "z-linear" in name} == pictures(fresh.path)
        assert {name for name in before if "z-log" in name} <= after.keys()
        before = after
    assert run.config.plot.colormap == "magma"


@pytest.mark.slow
def test_a_notebooks_stop_button_stops_cleanly_and_the_next_call_goes_on(
    demo: DemoSummary, tmp_path: Path
) -> None:
    script = (
        # As a notebook does; what a shell has started in the background ignores it.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import spectro_mpi\n"
        f"spectro_mpi.plot_directory({str(demo.directory / 'FAST_data')!r}, 'run', max_workers=2,"
        " flush_batch_size=1, settings={'plot': {'dpi': 50}, 'report': {'at_end': False}})\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while not any((tmp_path / "run" / "data").glob("*/*/*.h5")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in told
    left = spectro_mpi.open_run(tmp_path / "run")
    assert len(left.progress.settled["reduce"]) > 0
    assert len(left.progress.settled["plot"]) < 10
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False).returncode == 0
    left.refresh()
    assert len(left.progress.settled["plot"]) == 10


def test_a_killed_rank_ends_a_local_run_at_once_with_a_sentence(
    demo: DemoSummary, tmp_path: Path
) -> None:
    import psutil

    script = (
        "import spectro_mpi\n"
        "try:\n"
        f"    spectro_mpi.plot_directory({str(demo.directory / 'FAST_data')!r}, 'run',"
        " max_workers=2, flush_batch_size=1)\n"
        "except spectro_mpi.RunError as error:\n"
        "    print('told:', error)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    while not any((tmp_path / "run" / "data").glob("*/*/*.h5")):
        assert process.poll() is None
        time.sleep(0.01)
    (first,) = psutil.Process(process.pid).children()
    ranks = [one for one in first.children() if "spawn_main" in " ".join(one.cmdline())]
    family = first.children(recursive=True)
    ranks[0].kill()
    out, _ = process.communicate(timeout=30)
    assert "told: rank 1 was killed by signal 9" in out
    assert not [one for one in psutil.wait_procs(family, timeout=10)[1]]


def test_extrema_are_those_of_a_run_and_only_the_file_asked_for_is_left(
    local: Run, demo: DemoSummary, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "extrema.json"
    found = spectro_mpi.compute_global_extrema(
        demo.directory / "FAST_data",
        instrument_order=["ees"],
        extrema_json_path=path,
        max_workers=1,
    )
    assert found == {key: value for key, value in local.extrema.items() if key.startswith("ees")}
    assert json.loads(path.read_text()) == found
    kept = tmp_path / "kept"
    for _ in range(2):
        spectro_mpi.compute_global_extrema(
            demo.directory / "FAST_data", instrument_order=["ees"], output=kept, max_workers=1
        )
    assert (kept / "extrema.json").exists()


def test_items_and_stacks_are_those_of_a_run(demo: DemoSummary) -> None:
    items = spectro_mpi.collect_items(demo.directory / "FAST_data", skip=[13312])
    assert "13312" not in [item.id for item in items]
    stacks = spectro_mpi.create_stacks(items, 3, skip=["13313"])
    dealt = [item.id for stack in stacks for item in stack.items]
    assert sorted(dealt) == [item.id for item in items if item.id != "13313"]
    assert sum(stack.percent for stack in stacks) == pytest.approx(100)
    assert max(stack.percent for stack in stacks) < 40
    few = spectro_mpi.create_stacks(items[:2], 5)
    assert [len(stack.items) for stack in few] == [1, 1]
    assert spectro_mpi.create_stacks([], 5) == []


def test_a_dataset_holds_what_the_store_holds(local: Run) -> None:
    one, data = local.spectrogram("13312", "ees"), local.xarray("13312", "ees")
    assert isinstance(data, xarray.Dataset)
    np.testing.assert_array_equal(data["counts"].values, one.values)
    record = 200
    np.testing.assert_array_equal(data["energy"].values[record], one.energy[one.mode[record]])
    back = data["time"].values.astype("datetime64[ns]").astype(np.int64) / 1e9
    np.testing.assert_allclose(back, one.time, atol=1e-6, rtol=0)
    assert data["counts"].attrs["units"] == "counts"
    assert list(data["category"].values) == list(one.category)
    with pytest.raises(KeyError, match="has no item 99999"):
        local.xarray("99999", "ees")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: spectro_mpi.plot_directory("nowhere"), "does not exist"),
        (lambda: spectro_mpi.plot_directory(".", max_workers=0), "max_workers = 0"),
        (lambda: spectro_mpi.plot_directory(".", y_scale="cubic"), "plot.scales"),  # type: ignore[arg-type]
        (
            lambda: spectro_mpi.plot_directory(".", settings={"plot": {"dip": 3}}),
            "did you mean plot.dpi?",
        ),
        (lambda: spectro_mpi.plot_directory(".", orbit_timeout_seconds=-1), "orbit_timeout"),
        (lambda: spectro_mpi.plot_directory(".", "a run"), "run_id"),
        (lambda: spectro_mpi.compute_global_extrema(".", max_percentile=101), "max_percentile"),
        (lambda: spectro_mpi.compute_global_extrema(".", min_percentile=95), "min_percentile"),
        (lambda: spectro_mpi.compute_global_extrema(".", instrument_order=["esa"]), "instruments"),
        (lambda: spectro_mpi.collect_items("nowhere"), "does not exist"),
        (lambda: spectro_mpi.create_stacks([], 0), "workers = 0"),
        (lambda: spectro_mpi.open_run("nowhere"), "is not a run directory"),
        (lambda: spectro_mpi.batch_plot([], "out", list), "there are none"),
        (lambda: spectro_mpi.batch_plot(["a/b"], "out", list), "cannot be a file name"),
        (lambda: spectro_mpi.batch_plot(["a", "a"], "out", list), "two are named 'a'"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(
    call: object, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(told)):
        call()  # type: ignore[operator]


ROW = {"x": np.arange(5.0), "y": np.arange(1.0, 4.0), "data": np.ones((5, 3))}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "rows is empty"),
        ([ROW, {**ROW, "colour": 1}], "row 1 has unknown keys colour"),
        ([{"x": ROW["x"]}], "row 0 lacks y, data"),
        ([{**ROW, "data": np.ones((5, 3, 2))}], "the axis of them (0, 1, 2) to collapse"),
        ([{**ROW, "data": np.ones((5, 3, 2)), "axis": 0}], "row 0: values have shape (3, 2)"),
        ([{**ROW, "y": np.ones(4)}], "row 0: energy has shape (4,)"),
        ([{**ROW, "axis": 0, "data": np.ones((2, 5, 3)), "collapse": "max"}], "collapse = 'max'"),
        ([{**ROW, "x": np.array(["a"] * 5)}], "row 0: time is of type <U1"),
    ],
)
def test_rows_that_do_not_fit_are_told_by_number(rows: list[dict[str, object]], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        plot_spectrogram_set(rows)


def test_a_third_axis_is_collapsed_over_what_is_there() -> None:
    data = np.full((2, 5, 3), np.nan)
    data[0], data[1, 0] = 2.0, 4.0
    for how, expected in (("mean", (3.0, 2.0)), ("sum", (6.0, 2.0))):
        row = {**ROW, "data": data, "axis": 0, "collapse": how, "vmin": 0.0, "vmax": 8.0}
        figure = plot_spectrogram_set([row], z_scale="linear", y_scale="linear")
        mesh = figure.axes[0].collections[0]
        values = np.asarray(mesh.get_array())
        assert (values[0, 0], values[0, 2]) == expected
        assert mesh.norm.vmax == 8.0


@pytest.fixture
def odd() -> Spectrogram:
    """Two energy tables that change within, a gap, uneven records, a repeated channel, NaN."""
    generator = np.random.default_rng(5)
    time = 946685857.0 + np.concatenate([np.arange(20) * 2.5, 100 + np.arange(15) * 2.5])
    energy = np.full((2, 6), np.nan, np.float32)
    energy[0] = [900, 500, 200, 90, 20, 20]
    energy[1, :4] = [30, 60, 300, 700]
    values = generator.uniform(1, 1000, (1, 35, 6)).astype(np.float32)
    values[0, 7] = np.nan
    mode = np.repeat([0, 1, 0], [10, 15, 10]).astype(np.uint8)
    start, end = time - 1.25, time + 1.25
    end[5] = time[5] + 0.5
    start[6] = time[6] - 0.5
    return Spectrogram("ees", "counts", ("all",), time, start, end, mode, energy, values, "f", 1)


@pytest.mark.parametrize("y_scale", ["log", "linear"])
@pytest.mark.parametrize("z_scale", ["log", "linear"])
def test_make_spectrogram_places_values_as_the_fast_drawing_does(
    odd: Spectrogram, y_scale: str, z_scale: str
) -> None:
    limits = Limits(10.0, 1000.0, 1.0, 1000.0)
    scales = (y_scale, z_scale)
    content = FigureContent(
        item="1",
        kind="pitch-angle",
        title="",
        notes=(),
        panels=(Panel("all", odd, 0, limits, "Counts"),),
        scales=scales,
        limits="given_extrema",
        sources=("f",),
        events=(),
    )
    style = Style(dpi=200, panel_size=(12.0, 3.0), colormap="gray", zoom_minutes=6.0)
    fast = np.asarray(Image.open(io.BytesIO(Painter().draw(content, style))).convert("RGB"))
    text = Image.open(io.BytesIO(Painter().draw(content, style))).info["spectro-mpi"]
    panel = json.loads(text)["panels"][0]
    left, top, right, bottom = panel["box"]
    slow = _drawn(odd, panel, (right - left, bottom - top), y_scale, z_scale)
    same = np.abs(fast[top:bottom, left:right].astype(int) - slow.astype(int)).max(axis=2) <= 6
    # But for the pixels that an edge runs through, all show the same value.
    assert same.mean() > 0.97
    inner = np.lib.stride_tricks.sliding_window_view(slow, (3, 3, 3))[:, :, 0]
    flat = (inner.max(axis=(2, 3, 4)) == inner.min(axis=(2, 3, 4))) & True
    assert same[1:-1, 1:-1][flat].mean() > 0.999


def _drawn(
    one: Spectrogram, panel: dict[str, list[float]], size: tuple[int, int], y: str, z: str
) -> NDArray[np.uint8]:
    """A panel of so many pixels by make_spectrogram, filled by its data area alone."""
    figure = Figure(figsize=(size[0] / 100, size[1] / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    with mpl.rc_context({"axes.linewidth": 0}):
        make_spectrogram(
            one.time,
            one.energy[one.mode],
            one.values[0],
            time_start=one.time_start,
            time_end=one.time_end,
            ax=axes,
            y_scale=y,  # type: ignore[arg-type]
            z_scale=z,  # type: ignore[arg-type]
            y_min=panel["energy"][0],
            y_max=panel["energy"][1],
            z_min=panel["z"][0],
            z_max=panel["z"][1],
            colormap="gray",
            colorbar=False,
        )
    axes.set_xlim(panel["time"][0] / 86400, panel["time"][1] / 86400)
    axes.set_axis_off()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return np.asarray(Image.open(content).convert("RGB"))


@pytest.mark.parametrize(
    ("values", "z_scale", "extend"),
    [
        ([5.0, 50.0], "log", "min"),
        ([0.0, -4.0], "log", "min"),
        ([0.0, 101.0], "log", "both"),
        ([5.0, 50.0], "linear", "neither"),
        ([-4.0, 101.0], "linear", "both"),
    ],
)
def test_make_spectrogram_shows_values_beyond_its_colours(
    values: list[float], z_scale: Any, extend: str
) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    data = np.array(values)[:, None] * np.ones(3)
    make_spectrogram(
        [0.0, 1.0], [1.0, 10.0, 100.0], data, ax=axes, z_scale=z_scale, z_min=1, z_max=100
    )
    mesh: Any
    (mesh,) = (child for child in axes.get_children() if isinstance(child, QuadMesh))
    assert mesh.colorbar.extend == extend
    shown = mesh.to_rgba(mesh.get_array())[::2, ::2]
    grey = np.abs(shown[..., :3] - 208 / 255).max(axis=-1) < 1e-6
    below = (data < 1) & (z_scale == "log")
    assert (grey == below.T).all()
    assert (shown[..., 3] == 1).all()


@pytest.mark.slow
def test_batch_plot_goes_on_where_it_was_and_outlives_crashes_and_hangs(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def load_rows(item: int) -> list[dict[str, object]]:
        if item == 1 and not (tmp_path / "mended").exists():
            os._exit(5)
        if item == 2 and not (tmp_path / "mended").exists():
            time.sleep(100)
        return [{"x": np.arange(5.0), "y": np.arange(1.0, 4.0), "data": np.ones((5, 3)) + item}]

    def plot(retry: bool = False) -> Run:
        return spectro_mpi.batch_plot(
            range(5),
            folder,
            load_rows,
            name=lambda item: f"item-{item}",
            dpi=40,
            max_workers=2,
            item_timeout_seconds=6,
            retry=retry,
            show_progress=False,
        )

    run = plot()
    assert run.completed("figures") == ["item-0", "item-3", "item-4"]
    assert run.errors["item-1"][0].reason == "killed"
    assert run.errors["item-2"][0].reason == "timeout"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert len(before) == 3
    (tmp_path / "mended").touch()
    assert len(plot().errors) == 2
    assert plot(retry=True).errors == {}
    after = {path: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert len(after) == 5
    assert before.items() <= after.items()


def test_an_item_without_rows_is_recorded_as_such(tmp_path: Path) -> None:
    def load_rows(item: str) -> list[dict[str, object]]:
        return [dict(ROW)] * (item != "empty")

    def load_others(item: str) -> list[dict[str, object]]:
        nothing: dict[str, object] = {**ROW, "data": np.full(np.shape(ROW["data"]), np.nan)}
        return [nothing, dict(ROW) if item == "half" else nothing]

    run = spectro_mpi.batch_plot(
        ["empty", "full"], tmp_path / "out", load_rows, dpi=40, max_workers=1, show_progress=False
    )
    assert run.errors["empty"][0].reason == "no-data"
    assert run.completed("figures") == ["full"]
    run = spectro_mpi.batch_plot(
        ["blank", "half"], tmp_path / "two", load_others, dpi=40, max_workers=1, show_progress=False
    )
    assert run.errors["blank"][0].reason == "no-data"
    assert run.errors["blank"][0].message == "none of the 2 rows has a value"
    assert run.completed("figures") == ["half"]


def test_plot_directory_takes_what_people_pass_today(demo: DemoSummary, tmp_path: Path) -> None:
    def plot(**more: Any) -> Run:
        return spectro_mpi.plot_directory(
            demo.directory / "FAST_data",
            tmp_path / "run",
            y_scale="linear",
            z_scale="log",
            flush_batch_size=3,
            log_flush_batch_size=4,
            max_workers=1,
            orbit_timeout_seconds=50,
            instrument_timeout_seconds=20,
            colormap="viridis",
            zoom_minutes=5,
            install_signal_handlers=True,
            settings={"select": {"orbits": "13312"}, "plot": {"dpi": 40}},
            show_progress=False,
            **more,
        )

    config = plot(max_processing_percentile=97.5).config
    assert config.extrema.max_percentile == 97.5
    assert config.plot.scales == (("linear", "log"),)
    assert (config.plot.colormap, config.plot.zoom_minutes, config.plot.dpi) == ("viridis", 5, 40)
    run = config.run
    assert (run.flush_batch_size, run.log_flush_batch_size) == (3, 4)
    assert (run.orbit_timeout_seconds, run.instrument_timeout_seconds) == (50, 20)
    before = figure_times(tmp_path / "run")
    assert figure_times(plot(max_percentile=97.5).path) == before  # nothing to do
    again = figure_times(plot(max_percentile=97.5, ignore_progress_json=True).path)
    assert again.keys() == before.keys()
    assert all(again[path] > before[path] for path in before)
    with pytest.raises(UserError, match="mean the same: give one"):
        plot(max_percentile=95, max_processing_percentile=95)


def figure_times(run_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (run_dir / "plots").rglob("*.png")}


def test_a_likely_slip_is_a_warning_in_the_notebook(
    demo: DemoSummary, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="max_percentile = -1: expected more than 0"):
        spectro_mpi.plot_directory(demo.directory, tmp_path / "run", max_percentile=-1)
    spectro_mpi.compute_global_extrema(
        demo.directory, max_percentile=0.5, max_workers=1, settings={"select": {"orbits": "13312"}}
    )
    assert "warning: extrema.max_percentile = 0.5: is 0 to 100" in capsys.readouterr().err


T_DAY = 15_000 * 86400.0


def test_make_spectrogram_leaves_gaps_blank_by_the_gap_factor() -> None:
    time = T_DAY + np.delete(10.0 * np.arange(60), [30, 31])  # a step of three widths
    values = np.full((58, 4), 30.0)
    energy = np.geomspace(10, 1000, 4)
    for factor, is_gap in ((2.5, True), (3.5, False)):
        axes = make_spectrogram(time, energy, values, gap_factor=factor, colorbar=False)
        mesh = axes.collections[0]
        assert isinstance(mesh, QuadMesh)
        edges = (np.asarray(mesh.get_coordinates())[0, :, 0] * 86400 - T_DAY).round(3)
        before, after = edges[2 * 29 + 1], edges[2 * 30]
        assert (before, after) == ((295.0, 315.0) if is_gap else (305.0, 305.0))
    with pytest.raises(ValueError, match="gap_factor = 1: expected a number above 1"):
        make_spectrogram(time, energy, values, gap_factor=1)


@pytest.mark.parametrize("z_scale", ["log", "linear"])
@pytest.mark.parametrize(("low", "high"), [(1, 50), (-20, 50), (-170, -120)])
def test_make_spectrogram_takes_its_colour_limits_from_what_it_can_show(
    low: float, high: float, z_scale: ScaleName
) -> None:
    values = np.random.default_rng(1).uniform(low, high, (60, 4)).astype(np.float32)
    axes = make_spectrogram(np.arange(60.0), [1, 2, 3, 4], values, z_scale=z_scale, colorbar=False)
    mesh = axes.collections[0]
    shown = values if z_scale == "linear" and low < 0 else values[values > 0]
    expected = np.percentile(shown, [1, 99]).tolist() if len(shown) else [1, 10]
    assert [mesh.norm.vmin, mesh.norm.vmax] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"y_min": -1}, "y_min = -1: expected a value above 0, since that axis is logarithmic"),
        ({"z_min": 0}, "z_min = 0: expected a value above 0"),
        ({"z_max": 0}, "z_max = 0: expected a value above 0"),
        ({"y_max": np.nan}, "y_max = nan: expected a finite number"),
        ({"z_min": 5, "z_max": 2}, "z_min = 5 is not below z_max = 2"),
        ({"y_min": 100, "y_max": 5}, "y_min = 100 is not below y_max = 5"),
        ({"y_min": 5, "y_max": 5}, "y_min = 5 is not below y_max = 5"),
    ],
)
def test_limits_that_an_axis_cannot_have_are_refused(limits: dict[str, Any], told: str) -> None:
    row = {**ROW, **limits}
    with pytest.raises(ValueError, match=re.escape(f"row 0: {told}")):
        plot_spectrogram_set([row])
    with pytest.raises(ValueError, match=f"^{re.escape(told)}"):
        make_spectrogram(ROW["x"], ROW["y"], ROW["data"], **limits)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"y_min": 500.0}, (500, 5000)),
        ({"y_max": 0.02}, (0.002, 0.02)),
        ({"y_min": 2.0}, (2, 64)),
    ],
)
def test_a_limit_of_make_spectrogram_is_kept_and_moves_the_other_end(
    limits: dict[str, Any], expected: tuple[float, float]
) -> None:
    edges = [[1, 4], [4, 16], [16, 64]]
    axes = make_spectrogram(
        ROW["x"], [2, 8, 32], ROW["data"], energy_edges=edges, **limits, colorbar=False
    )
    assert axes.get_ylim() == pytest.approx(expected, rel=1e-5)


EDGES = np.array([[4, 8], [8, 14], [14, 30], [30, 33_000], [33_000, 36_252]], np.float32)


@pytest.mark.parametrize("y_scale", ["log", "linear"])
@pytest.mark.parametrize("by_record", [True, False])
def test_the_energy_axis_is_of_the_channels_that_are_measured(
    y_scale: ScaleName, by_record: bool
) -> None:
    energy = EDGES.mean(axis=1)
    values = np.full((50, 5), 30.0)
    values[:, 4] = np.nan  # the retrace
    given = (np.tile(EDGES, (50, 1, 1)), np.tile(energy, (50, 1))) if by_record else (EDGES, energy)

    def axis(shown: NDArray[np.float64], edges: NDArray[np.float32]) -> tuple[float, float]:
        row = {"x": np.arange(50.0), "y": given[1], "data": shown, "energy_edges": edges}
        return plot_spectrogram_set([row], y_scale=y_scale).axes[0].get_ylim()

    low = 4 if y_scale == "log" else 0
    assert axis(values, given[0]) == pytest.approx((low, 33_000))
    # Edges in either order.
    assert axis(values, given[0][..., ::-1]) == pytest.approx((low, 33_000))
    # One cell of 150 is beyond the 99 % of the cells that the axis covers.
    few = values.copy()
    few[1:, 3] = np.nan
    assert axis(few, given[0]) == pytest.approx((low, 30))
    # Without any value, all channels.
    assert axis(np.full((50, 5), np.nan), given[0]) == pytest.approx((low, 36_252))


def test_make_spectrogram_warns_of_records_that_it_leaves_out() -> None:
    time = T_DAY + 10.0 * np.arange(60)
    time[5] = 0
    with pytest.warns(UserWarning, match="1 record at 1970-01-01 left out"):
        axes = make_spectrogram(time, np.geomspace(10, 1000, 4), np.full((60, 4), 30.0))
    low, high = axes.get_xlim()
    assert (high - low) * 86400 == pytest.approx(600, abs=0.1)
