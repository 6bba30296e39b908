"""Phase "superpose": the same bytes for any number of ranks and after kills; what it shows."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.model.epochs import Epochs, time_bins
from spectro_mpi.model.superposed import STATISTICS, superposed
from spectro_mpi.model.superposition import superpose
from spectro_mpi.settings.superpose import SuperposeSettings
from tests.conftest import BIN, NO_REPORT, spectro_mpi

PHASES = ("-s", 'phases=["reduce", "superpose"]')


def results(run_dir: Path) -> dict[str, bytes]:
    """All that the phase writes: name → content."""
    folder = run_dir / "results"
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items()} | {
        "superposed.json": (run_dir / "superposed.json").read_bytes()
    }


@pytest.fixture(scope="module")
def runs(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Runs on 1, 2 and 4 ranks: ranks → run directory."""
    folder = tmp_path_factory.mktemp("superposed")
    settings = folder / "spectro-mpi.toml"
    events = folder / "events.csv"
    rows = [f"{orbit},{start},{start + 20}" for orbit in range(13312, 13324) for start in (30, 90)]
    rows.append("13312,2000-01-01T00:44:10.777Z,2000-01-01T00:48:20.777Z")
    events.write_text("\n".join(["orbit,start,end", *rows]) + "\n")
    settings.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[plot]\nevents = "{events}"\ndpi = 60\n'
        f'formats = ["png", "pdf"]\n{NO_REPORT}'
    )
    for ranks in (1, 2, 4):
        done = spectro_mpi("run", settings, *PHASES, "-s", f"run_id=n{ranks}", ranks=ranks)
        assert done.code == 3, done.err
    return {ranks: folder / "runs" / f"n{ranks}" for ranks in (1, 2, 4)}


def test_it_gives_the_same_bytes_for_any_number_of_ranks(runs: dict[int, Path]) -> None:
    whole = results(runs[1])
    assert {"superpose.h5", "superposed.json"} < whole.keys()
    assert sum(name.endswith(".png") for name in whole) >= 2
    assert sum(name.endswith(".pdf") for name in whole) >= 2
    for ranks in (2, 4):
        assert results(runs[ranks]) == whole


def test_a_killed_run_continues_to_the_same_bytes(runs: dict[int, Path]) -> None:
    folder = runs[1].parents[1]
    (folder / "held.py").write_text(
        "import os, time\n"
        "from spectro_mpi.phases.superpose import SuperposePhase\n"
        "class Held(SuperposePhase):\n"
        "    def run(self, item, inputs, context):\n"
        f"        while item.id == '13320' and not os.path.exists({str(folder / 'go')!r}):\n"
        "            time.sleep(0.01)\n"
        "        return super().run(item, inputs, context)\n"
    )
    settings, run_dir = folder / "spectro-mpi.toml", folder / "runs" / "killed"
    words = ["-s", 'phases=["reduce", "held.py:Held"]', "-s", "run_id=killed"]
    words += ["-s", "run.flush_batch_size=1"]
    command = [BIN / "mpirun", "-n", "4", BIN / "spectro-mpi", "run", settings, *words]
    run = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        progress = open_run(run_dir).progress if (run_dir / "config.toml").exists() else None
        if progress is not None and len(progress.settled["superpose"]) > 2:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the run did not get there")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    settled = len(open_run(run_dir).progress.settled["superpose"])
    assert 2 < settled < 10
    assert not (run_dir / "superposed.json").exists()
    done = spectro_mpi("run", settings, *PHASES, "-s", "run_id=killed", ranks=3)
    assert done.code == 3, done.err
    assert results(run_dir) == results(runs[1])


def test_python_and_xarray_read_it(runs: dict[int, Path]) -> None:
    run = open_run(runs[1])
    result = run.superposed("ees")
    said = json.loads((runs[1] / "superposed.json").read_text())["instruments"]["ees"]
    assert (result.event_count, result.record_count) == (said["events"], said["records"])
    assert result.events.max() == result.event_count > 4
    with xarray.open_dataset(runs[1] / "results" / "superpose.h5", group="ees") as data:
        assert data["median"].dims == ("category", "time_from_event", "energy")
        assert data["median"].attrs["units"] == "counts"
        assert data["time_from_event"].attrs == {
            "units": "s", "long_name": "Time from the event, middle",
        }  # fmt: skip
        for name in (*STATISTICS, "records", "events"):
            np.testing.assert_array_equal(data[name].values, getattr(result, name))
        at_zero = data["mean"].sel(category="all", time_from_event=5)
        assert at_zero.dims == ("energy",)
    spectrogram = result.spectrogram("mean")
    assert spectrogram.values.shape == result.mean.shape
    with pytest.raises(KeyError, match=r"instrument xyz is not superposed; it has .*ees"):
        run.superposed("xyz")
    with pytest.raises(ValueError, match="expected one of mean, median"):
        result.spectrogram("mode")  # type: ignore[arg-type]


def test_the_figure_says_and_shows_what_it_is_of(runs: dict[int, Path]) -> None:
    (path,) = (runs[1] / "results" / "superpose").glob("superposed_ESA_ees_*.png")
    picture = Image.open(path)
    described = json.loads(picture.text["spectro-mpi"])  # type: ignore[attr-defined]
    result = open_run(runs[1]).superposed("ees")
    assert f"{result.event_count} events superposed" in described["title"]
    assert f"{result.record_count} records in bins of 10 s" in described["notes"][0]
    labels = [panel["label"] for panel in described["panels"]]
    assert labels[:2] == ["all (0°–360°): mean", "all (0°–360°): median"]
    assert len(labels) == 2 * len(result.category)
    assert {tuple(panel["time"]) for panel in described["panels"]} == {(-300.0, 300.0)}
    assert len({(*panel["z"], *panel["energy"]) for panel in described["panels"]}) == 1
    left, top, right, bottom = described["panels"][0]["box"]
    image = np.asarray(picture)[top:bottom]
    middle = round((left + right) / 2)
    line = image[:, middle - 2 : middle + 2].max(axis=1)
    assert (line >= 253).mean() > 0.4  # dashes of a marker's colour at the event
    assert not (image[:, left : left + 20] >= 253).any()


def test_a_window_reaches_into_the_items_beside_its_own(
    runs: dict[int, Path], tmp_path: Path
) -> None:
    run = open_run(runs[1])
    good = [item for item in run.items if "ees" in run.instruments(item)]
    first, second = (run.spectrogram(item, "ees") for item in good[:2])
    zero = round((np.nanmax(first.time) + np.nanmin(second.time)) / 2)
    before = float(zero - np.nanmax(first.time)) + 100
    after = float(np.nanmin(second.time) - zero) + 100
    table = tmp_path / "events.csv"
    iso = datetime.fromtimestamp(zero, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    table.write_text(f"orbit,start,end\n{good[0]},{iso},{iso}\n99999,{iso},{iso}\n")
    run_dir = runs[1].with_name("wide")
    shutil.copytree(runs[1], run_dir)
    settings = runs[1].parents[1] / "spectro-mpi.toml"
    words = [f"superpose.{name}_seconds={value}" for name, value in (
        ("before", before), ("after", after), ("bin", 50.0))]  # fmt: skip
    words += [f'plot.events="{table}"', "run_id=wide"]
    done = spectro_mpi("run", settings, *PHASES, *(w for word in words for w in ("-s", word)))
    assert done.code == 3, done.err
    result = open_run(run_dir).superposed("ees")
    assert result.event_count == 1
    counted = result.records[0].max(axis=1)
    assert counted[0] > 0
    assert counted[-1] > 0
    assert not counted[len(counted) // 2]
    bins = time_bins(SuperposeSettings(before, after, 50.0))
    epochs = Epochs(np.array([float(zero)]), np.array([1]))
    parts = [superpose(each, epochs, bins, 100) for each in (first, second)]
    assert parts[0] is not None
    assert parts[1] is not None
    parts[0].merge(parts[1])
    expected = superposed("ees", parts[0])
    np.testing.assert_array_equal(result.median, expected.median)
    np.testing.assert_array_equal(result.events, expected.events)


def test_changed_settings_are_applied_to_the_store_and_figures_follow_what_they_show(
    runs: dict[int, Path],
) -> None:
    run_dir, settings = runs[1].with_name("changed"), runs[1].parents[1] / "spectro-mpi.toml"
    shutil.copytree(runs[1], run_dir)
    words = (*PHASES, "-s", "run_id=changed")
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*.png")}
    assert len(before) >= 2
    assert spectro_mpi("run", settings, *words).code == 3
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*.png")} == before
    gone = next(iter(before))
    gone.unlink()
    assert spectro_mpi("run", settings, *words).code == 3
    assert results(run_dir) == results(runs[1])
    done = spectro_mpi("run", settings, *words, "-s", "superpose.bin_seconds=60")
    assert done.code == 3, done.err
    assert len(open_run(run_dir).superposed("ees").time) == 10
    assert spectro_mpi("run", settings, *words, "-s", "plot.colormap=gray").code == 3
    names = [path.name for path in (run_dir / "results" / "superpose").iterdir()]
    assert names
    assert all("-gray." in name for name in names)
    assert spectro_mpi("run", settings, *words, ranks=2).code == 3
    assert results(run_dir) == results(runs[1])


def test_without_events_it_says_so(settings: Path, tmp_path: Path) -> None:
    done = spectro_mpi("run", settings, *PHASES)
    assert done.code == 2
    assert 'phases: "superpose" needs a table of events; set plot.events' in done.err
    table = tmp_path / "events.csv"
    table.write_text("orbit,start,end,label\n13312,2013-01-01T00:00,2013-01-01T00:01,cusp\n")
    words = (*PHASES, "-s", f'plot.events="{table}"', "-s", "select.orbits=13312")
    done = spectro_mpi("run", settings, *words)
    assert done.code == 0, done.err
    assert f"no event in {table} has records in its window" in done.out
    run = open_run(settings.parent / "runs" / "fast")
    with pytest.raises(KeyError, match='add "superpose" to `phases`'):
        run.superposed("ees")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("superpose.bin_seconds=0.01", "would have 60,000 bins; the maximum is 10,000"),
        ("superpose={before_seconds=0, after_seconds=0}", "both 0: nothing would be taken"),
        ('superpose.labels=["a", "a"]', "lists the same entry twice"),
        ("superpose.befor_seconds=3", "before_seconds"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    settings: Path, demo: DemoSummary, setting: str, sentence: str
) -> None:
    done = spectro_mpi("plan", settings, "-s", setting)
    assert done.code == 2
    assert sentence in done.err
