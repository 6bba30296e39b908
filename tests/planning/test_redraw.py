"""Changed settings draw from the store those figures that they change, and no others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.rundir.digests import load_digests
from spectro_mpi.rundir.journal import load_progress
from tests.conftest import BIN, NO_REPORT, Finished, slow_figures_path, spectro_mpi
from tests.outputs import pictures, same_output, snapshot

EVENTS = "orbit,instrument,start,end\n13313,ies,2,40\n"


@pytest.fixture(scope="module")
def whole(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, with its input of two orbits. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "FAST_data").mkdir()
    for path in sorted((demo.directory / "FAST_data").rglob("fa_esa_l2_*_1331[23]_v*.cdf")):
        shutil.copy(path, folder / "FAST_data")
    (folder / "events.csv").write_text(EVENTS)
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'[plot]\ndpi = 40\npanel_size = [4, 1]\nevents = "events.csv"\n{NO_REPORT}'
    )
    assert spectro_mpi("run", settings).code == 0
    return folder


@pytest.fixture
def finished(whole: Path, tmp_path: Path) -> Path:
    """Settings of a copy of the finished run and its input."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path / "spectro-mpi.toml"


def spoil(settings: Path) -> None:
    """Make the input unreadable, with the names and sizes that it had."""
    for path in (settings.parent / "FAST_data").iterdir():
        path.write_bytes(b"\0" * path.stat().st_size)


def restore(settings: Path, whole: Path) -> None:
    shutil.copytree(whole / "FAST_data", settings.parent / "FAST_data", dirs_exist_ok=True)


def times(run_dir: Path) -> dict[str, int]:
    """Figure → when it was written."""
    plots = run_dir / "plots"
    return {path.name: path.stat().st_mtime_ns for path in plots.rglob("*.png")}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    """The figures that were written between."""
    return {name for name, when in after.items() if before.get(name) != when}


def run(settings: Path, *options: str, code: int = 0) -> Finished:
    done = spectro_mpi("run", settings, *options)
    assert done.code == code, done.err
    return done


def override(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-s", setting)]


def is_given(name: str) -> bool:
    return "given_extrema" in name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "is_redrawn", "total"),
    [
        (['plot.scales=[["log","log"],["linear","log"]]'], lambda n: "y-linear" in n, 28),
        (["plot.colormap=magma"], lambda n: True, 14),
        (["plot.dpi=50"], lambda n: True, 14),
        (["plot.panel_size=[5, 1]"], lambda n: True, 14),
        (["plot.z_label=Number"], lambda n: True, 14),
        (["plot.y_label=Energy per charge"], lambda n: True, 14),
        (["plot.event_label=crossing"], lambda n: "13313" in n, 14),
        (["plot.gap_factor=9"], lambda n: True, 14),
        (["plot.category_limits=instrument"], lambda n: is_given(n) and "pitch-angle" in n, 14),
        (["plot.zoom_minutes=3"], lambda n: "13313" in n, 14),
        (
            ["axes.ees.z_max=123"],
            lambda n: is_given(n) and ("_ees_" in n or "grid" in n),
            14,
        ),
        (["axes.ies.parallel.z_max=123"], lambda n: is_given(n) and "_ies_" in n, 14),
        (["extrema.max_percentile=70"], is_given, 14),
        (["extrema.min_percentile=40"], is_given, 14),
        (["extrema.energy_coverage=0.5"], lambda n: True, 14),
    ],
)
def test_a_changed_setting_redraws_what_it_changes_and_nothing_else(
    whole: Path, finished: Path, change: list[str], is_redrawn: object, total: int
) -> None:
    run_dir = finished.parent / "runs" / "fast"
    data = {path.name: path.stat().st_mtime_ns for path in (run_dir / "data").iterdir()}
    before = times(run_dir)
    assert len(before) == 14
    spoil(finished)
    done = run(finished, *override(*change))
    assert "nothing is read from CDF" in done.out
    after = times(run_dir)
    assert changed(before, after) == {name for name in after if is_redrawn(name)}  # type: ignore[operator]
    assert len(after) == total
    assert {path.name: path.stat().st_mtime_ns for path in (run_dir / "data").iterdir()} == data
    restore(finished, whole)
    run(finished, "-s", "run_id=new", *override(*change))
    same_output(run_dir, run_dir.with_name("new"))
    again = run(finished, *override(*change))
    assert "drawn" not in again.out
    assert times(run_dir) == after


@pytest.mark.slow
def test_events_added_and_removed_redraw_their_orbits_from_the_store(
    whole: Path, finished: Path
) -> None:
    run_dir, table = finished.parent / "runs" / "fast", finished.with_name("events.csv")
    for number, (rows, orbits) in enumerate(
        [
            (f"{EVENTS}13312,ees,2,5\n", {"13312"}),
            ("orbit,instrument,start,end\n13312,ees,2,5\n", {"13313"}),
            ("orbit,instrument,start,end\n13312,ees,2,6\n", {"13312"}),
        ]
    ):
        before = times(run_dir)
        spoil(finished)
        table.write_text(rows)
        assert "nothing is read from CDF" in run(finished).out
        after = times(run_dir)
        assert changed(before, after) == {n for n in after if n.split("_")[0] in orbits}
        assert len(after) == 14
        restore(finished, whole)
        run(finished, "-s", f"run_id=new-{number}")
        same_output(run_dir, run_dir.with_name(f"new-{number}"))


@pytest.mark.slow
def test_figures_that_were_deleted_are_drawn_again_and_no_others(
    whole: Path, finished: Path
) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before = times(run_dir)
    gone = {next(n for n in before if n.startswith(f"{item}_")) for item in ("13312", "13313")}
    for name in gone:
        next((run_dir / "plots").rglob(name)).unlink()
    spoil(finished)
    for command in ("plan", "run"):
        done = spectro_mpi(command, finished)
        assert "2 figures no longer on disk" in done.out
        assert "2 figures will be drawn from the store; nothing is read from CDF" in done.out
    assert changed(before, times(run_dir)) == gone
    same_output(run_dir, whole / "runs" / "fast")
    assert "on disk" not in run(finished).out


@pytest.mark.slow
def test_one_line_says_what_is_drawn_again_in_run_and_plan(finished: Path) -> None:
    line = "14 figures will be drawn again from the store; nothing is read from CDF"
    assert line in spectro_mpi("plan", finished, "-s", "plot.dpi=50").out
    assert "drawn again" not in spectro_mpi("plan", finished).out
    assert line in run(finished, "-s", "plot.dpi=50").out
    percentile = ["-s", "plot.dpi=50", "-s", "extrema.max_percentile=70"]
    line = "7 figures will be drawn again from the store; nothing is read from CDF"
    assert line in spectro_mpi("plan", finished, *percentile).out
    assert line in run(finished, *percentile).out
    refused = spectro_mpi("plan", finished, "-s", "data.quantity=rate")
    assert "run will be refused" in refused.out
    assert "data.quantity" in refused.out


@pytest.mark.slow
def test_a_changed_reduction_is_refused_and_changes_nothing(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before = snapshot(run_dir)
    change = override("data.quantity=rate", "pitch_angles.all=[[0,180]]", "plot.dpi=50")
    done = run(finished, *change, code=2)
    for words in ("data.quantity, pitch_angles.all;", "--fresh", "run_id", "ignore_progress"):
        assert words in done.err
    assert "plot.dpi" not in done.err
    assert snapshot(run_dir) == before


@pytest.mark.slow
def test_a_new_orbit_rewrites_only_figures_whose_drawn_limits_change(
    whole: Path, finished: Path
) -> None:
    run_dir = finished.parent / "runs" / "fast"
    data = finished.parent / "FAST_data"
    for path in data.glob("*_13313_*"):
        path.rename(path.with_suffix(".late"))
    run(finished, "--fresh")
    before, pngs, limits = times(run_dir), pictures(run_dir), drawn_limits(run_dir)
    for path in data.glob("*.late"):
        path.rename(path.with_suffix(".cdf"))
    line = "  up to 2 figures will be drawn again, if their common limits change\n"
    assert line in spectro_mpi("plan", finished).out
    both = "  4 figures will be drawn again from the store\n"
    assert both in spectro_mpi("plan", finished, "-s", "plot.dpi=50").out
    more = (
        "  1 figure will be drawn from the store, and up to 2 more if their common limits change\n"
    )
    raw = next((run_dir / "plots").rglob("13312_pitch*_raw-*.png"))
    raw.rename(raw.with_suffix(".kept"))
    assert more in spectro_mpi("plan", finished).out
    raw.with_suffix(".kept").rename(raw)
    assert line in run(finished).out
    rewritten = {name for name in changed(before, times(run_dir)) if "13312" in name}
    after = drawn_limits(run_dir)
    assert rewritten == {name for name in limits if limits[name] != after[name]}
    assert {name for name in before if "_raw-" in name}.isdisjoint(rewritten)
    assert load_progress(run_dir, "fast").completed("plot") == ["13312", "13313"]
    assert len(pngs) == len(before) == 4
    same_output(run_dir, whole / "runs" / "fast")


def drawn_limits(run_dir: Path) -> dict[str, str]:
    """Figure of 13312 → the limits of its panels, as the text chunk of the picture has them."""
    from PIL import Image

    limits = {}
    for path in (run_dir / "plots").rglob("13312_*.png"):
        with Image.open(path) as picture:
            panels = json.loads(picture.info["spectro-mpi"])["panels"]
        limits[path.name] = repr([(panel["energy"], panel["z"]) for panel in panels])
    return limits


@pytest.mark.slow
def test_what_is_no_longer_listed_stays_until_it_is_pruned(whole: Path, finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before = times(run_dir)
    change = override('plot.limits=["raw"]')
    run(finished, *change)
    assert times(run_dir) == before
    done = run(finished, "--prune", *change)
    left = {name: when for name, when in before.items() if "_raw-" in name}
    assert times(run_dir) == left
    assert "removed 2 figures: pitch-angle_ESA_ees_y-log_z-log_given_extrema" in done.out
    assert "removed 2 figures: instrument-grid_ESA_y-log_z-log_given_extrema" in done.out
    spoil(finished)
    assert "7 figures will be drawn from the store" in run(finished).out
    same_output(run_dir, whole / "runs" / "fast")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 3])
def test_a_redraw_that_is_killed_goes_on_even_with_the_former_settings(
    whole: Path, finished: Path, tmp_path: Path, ranks: int
) -> None:
    run_dir = finished.parent / "runs" / "fast"
    (tmp_path / "slow").mkdir()
    slow = {**os.environ, "PYTHONPATH": slow_figures_path(tmp_path / "slow", 1.5)}
    command = [BIN / "spectro-mpi", "run", finished, *override("plot.dpi=50")]
    command += override("run.flush_batch_size=1")
    if ranks > 1:
        command = [BIN / "mpirun", "-n", str(ranks), *command]
    before = times(run_dir)
    process = subprocess.Popen(
        [*map(str, command)], env=slow, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while process.poll() is None and times(run_dir) == before:
        pass
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < len(changed(before, times(run_dir))) < len(before)
    assert len(load_progress(run_dir, "fast").completed("plot")) < 2
    copy = tmp_path / "copy"
    shutil.copytree(finished.parent / "runs", copy)
    spoil(finished)
    run(finished)  # with the former settings, some figures look otherwise already
    same_output(run_dir, whole / "runs" / "fast")
    run(finished, *override(f"output={json.dumps(str(copy))}", "plot.dpi=50"))
    restore(finished, whole)
    run(finished, *override("run_id=new", "plot.dpi=50"))
    same_output(copy / "fast", run_dir.with_name("new"))


@pytest.mark.slow
def test_a_run_without_digests_is_drawn_again_once_and_says_so(finished: Path) -> None:
    run_dir = finished.parent / "runs" / "fast"
    before, pngs = times(run_dir), pictures(run_dir)
    known = load_digests(run_dir)
    (run_dir / "figures.digests").unlink()
    spoil(finished)
    done = run(finished)
    assert "what the figures were drawn from is not recorded" in done.out
    assert changed(before, times(run_dir)) == set(before)
    assert pictures(run_dir) == pngs
    assert load_digests(run_dir) == known
    assert "drawn again" not in run(finished).out


@pytest.mark.slow
def test_titles_labels_and_scales_of_an_instrument_change_from_the_store(tmp_path: Path) -> None:
    from tests.istp_files import variables, write

    (tmp_path / "data").mkdir()
    for item in ("20170101", "20170102"):
        write(tmp_path / "data" / f"tst_{item}_v1.cdf", variables())
    settings = tmp_path / "spectro-mpi.toml"
    table = '[[instrument]]\nname = "ions"\nfile = "tst_{date}_v{version}.cdf"\nvalue = "Flux"\n'
    plot = '[data]\npreset = "istp"\n[plot]\ndpi = 40\n'

    def write_settings(**keys: str) -> None:
        more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        head = f'run_id = "fast"\ninput = "data"\n{plot}{NO_REPORT}'
        settings.write_text(head + table + more)

    write_settings(title="First", z_scale="linear")
    run(settings)
    files = {path: path.read_bytes() for path in (tmp_path / "data").iterdir()}
    for keys in ({"title": "Second"}, {"label": "Ions"}, {"y_scale": "linear"}, {}):
        write_settings(**keys)
        for path in files:
            path.write_bytes(b"\0" * path.stat().st_size)
        assert "nothing is read from CDF" in run(settings).out
        for path, content in files.items():
            path.write_bytes(content)
        run(settings, "-s", "run_id=new", "--fresh")
        same_output(tmp_path / "runs" / "fast", tmp_path / "runs" / "new")
    write_settings(units="1/s")
    assert "instrument.ions.units" in run(settings, code=2).err
