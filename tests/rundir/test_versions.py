"""Run directories of an earlier, of today's and of a newer version of the program."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.errors import UserError
from spectro_mpi.previews.packs import packed_file
from tests.conftest import NO_REPORT, Finished, spectro_mpi, spectro_mpi_here
from tests.version_1 import CODES, EXTREMA, write_version_1


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Path → time of its last change, and content, of every folder and file."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A run directory of version 0.1."""
    write_version_1(tmp_path / "runs" / "old")
    return tmp_path / "runs" / "old"


@pytest.fixture
def to_old(settings: Path) -> Path:
    """Settings of today for a run in the directory of version 0.1."""
    settings.write_text(f'run_id = "old"\n{settings.read_text()}')
    return settings


@pytest.fixture(scope="module")
def today(demo: DemoSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings file of a finished run of one orbit, beside its folder `runs`."""
    path = tmp_path_factory.mktemp("today") / "spectro-mpi.toml"
    path.write_text(
        f'input = "{demo.directory / "FAST_data"}"\n[select]\norbits = "13312"\n'
        f"[plot]\ndpi = 40\npanel_size = [4.0, 1.5]\n{NO_REPORT}"
    )
    assert spectro_mpi("run", path, "--no-progress").code == 0
    return path


def test_a_run_of_version_1_is_shown_checked_and_read(old: Path) -> None:
    before = seen(old)
    status = spectro_mpi_here("status", old, "--json")
    assert json.loads(status.out)["state"] == "finished", status.err
    checked = spectro_mpi_here("verify", old)
    assert (checked.code, checked.err) == (0, ""), checked.out
    run = open_run(old)
    spectrogram = run.spectrogram("13312", "ees")
    assert (spectrogram.quantity, spectrogram.legend.z_label) == ("counts", "Counts")
    np.testing.assert_array_equal(spectrogram.values, CODES)
    assert run.extrema == EXTREMA
    limits = run.limits("13312", "ees", "upgoing")
    assert limits is not None
    assert (limits.y_min, limits.y_max, limits.z_min, limits.z_max) == (0, 400, 1, 50)
    dataset = run.xarray("13312", "ees")
    np.testing.assert_array_equal(dataset.counts.values, CODES)
    assert list(dataset.category.values) == ["all", "downgoing", "upgoing"]
    assert seen(old) == before
    report = spectro_mpi_here("report", old)
    assert (report.code, report.err) == (0, "")
    assert packed_file(old, "2000/01", "13312.jpg")
    assert {path: seen(old)[path] for path in before if path != str(old)} == {
        path: before[path] for path in before if path != str(old)
    }


def test_settings_of_version_1_keep_the_meaning_and_defaults_they_had(old: Path) -> None:
    config = open_run(old).config
    data = config.data
    assert (data.quantity, data.retrace, data.quality, data.errors) == (
        "codes",
        True,
        "ignore",
        False,
    )
    assert (data.angle_borders, data.angle_weight) == ("centre", "domega")
    assert config.extrema.min_percentile == 0
    assert (config.plot.z_label, config.plot.event_label) == ("Counts", "cusp")
    assert config.pitch_angles == {  # version 1 wrote `perpendicular = []`: it was removed
        "all": ((0, 360),),
        "downgoing": ((0, 30), (330, 360)),
        "upgoing": ((150, 210),),
    }
    (old / "config.toml").write_text('run_id = "old"\n')
    config = open_run(old).config
    assert config.data.quantity == "codes"
    assert config.plot.scales == (("linear", "log"),)
    assert config.pitch_angles["perpendicular"] == ((40, 140), (210, 330))
    assert list(config.pitch_angles) == ["all", "downgoing", "upgoing", "perpendicular"]


def test_the_label_of_the_colour_bar_stays_that_of_the_data(tmp_path: Path) -> None:
    """In version 1 "Counts" meant any quantity's own label, and only other words overrode it."""
    write_version_1(tmp_path / "flux", "eflux")
    assert "energy flux" in _quantity_of_report(tmp_path / "flux")
    config = tmp_path / "flux" / "config.toml"
    config.write_text(config.read_text().replace('z_label = "Counts"', 'z_label = "Mine"'))
    assert open_run(tmp_path / "flux").config.plot.z_label == "Mine"


def _quantity_of_report(run_dir: Path) -> str:
    from spectro_mpi.report.facts import _quantity

    return _quantity(open_run(run_dir).config)


@pytest.mark.parametrize(
    ("quantity", "preset", "why"),
    [
        ("counts", "fast-esa", "whose counts are sums of telemetry codes"),
        ("eflux", "fast-esa", "whose energy flux is averaged over other cells, with other weights"),
        ("counts", "istp", "which reduced data by other rules"),
    ],
)
def test_a_run_refuses_a_directory_of_version_1_and_touches_nothing(
    settings: Path, quantity: str, preset: str, why: str
) -> None:
    old = settings.parent / "runs" / "old"
    write_version_1(old, quantity, preset)
    before = seen(old.parent)
    done = spectro_mpi("run", settings, "--retry", "-s", "run_id=old")
    told = f"spectro-mpi: {old} was made by 0.1, {why}; use --fresh or another run_id\n"
    assert (done.code, done.err) == (2, told)
    assert seen(old.parent) == before


def test_all_that_would_continue_a_run_of_version_1_is_refused(old: Path, to_old: Path) -> None:
    part = to_old.parent / "part"
    write_version_1(part)
    before = seen(to_old.parent)
    for done in (
        spectro_mpi("run", to_old, ranks=3),
        spectro_mpi("run", old / "config.toml"),
        spectro_mpi("assets", to_old),
        spectro_mpi_here("submit", to_old, "--local", "--ranks", "1"),
        spectro_mpi_here("join", to_old, part),
        spectro_mpi_here("verify", old, "--repair"),
    ):
        assert done.code == 2
        assert re.fullmatch(r"spectro-mpi: .*/old was made by 0\.1, whose .*\n", done.err), done
    assert seen(to_old.parent) == before


def test_a_directory_without_its_settings_is_of_the_version_of_its_progress(
    old: Path, to_old: Path
) -> None:
    (old / "config.toml").unlink()
    before = seen(old)
    done = spectro_mpi("run", to_old)
    assert done.code == 2
    assert "was made by 0.1, which this version does not continue; use --fresh" in done.err
    assert seen(old) == before


def test_shares_of_version_1_can_be_joined_under_its_settings(old: Path, tmp_path: Path) -> None:
    before = seen(old)
    frozen = (old / "config.toml").read_text().replace('run_id = "old"', 'run_id = "whole"')
    settings = tmp_path / "whole.toml"
    settings.write_text(frozen)  # without a version: settings of today
    refused = spectro_mpi_here("join", settings, old)
    assert refused.code == 2
    assert "data.quantity, data.retrace" in refused.err
    settings.write_text(f"settings_version = 1\n{frozen}")
    assert spectro_mpi_here("join", settings, old).code == 0
    values = open_run(tmp_path / "runs" / "whole").spectrogram("13312", "ees").values
    np.testing.assert_array_equal(values, CODES)
    assert seen(old) == before


def test_fresh_replaces_a_run_of_version_1_by_one_of_today(old: Path, to_old: Path) -> None:
    done = spectro_mpi("run", to_old, "--fresh", "--no-progress", "-s", "select.orbits=13312")
    assert done.code == 0, done.err
    assert (old / "config.toml").read_text().startswith("settings_version = 2\n")
    assert json.loads((old / "progress.json").read_bytes())["schema_version"] == 3
    assert not [path for path in old.rglob("*.damaged")]
    (data,) = (old / "data").rglob("*.h5")
    for path in (data, old / "spectrograms.h5", old / "resources.h5"):
        with h5py.File(path) as file:
            assert file.attrs["schema_version"] == 3
    extrema = json.loads((old / "extrema.json").read_bytes())
    assert {type(value) for value in extrema.values()} == {float}


def _raise_json(path: Path) -> None:
    table: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**table, "schema_version": 4, "new": 1}))


def _raise_toml(path: Path) -> None:
    text = path.read_text().replace("settings_version = 2", "settings_version = 3\nnew = 1")
    path.write_text(text)


def _raise_journal(path: Path) -> None:
    path.write_text('{"schema_version": 2, "note": {"items_total": 1}}\n{"schema_version": 4}\n')


def _raise_hdf5(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 4


READERS: dict[str, Callable[[Path, Path], Finished]] = {
    "run": lambda settings, run: spectro_mpi("run", settings),
    "fresh": lambda settings, run: spectro_mpi("run", settings, "--fresh"),
    "submit": lambda settings, run: spectro_mpi_here("submit", settings, "--local", "--ranks", "1"),
    "status": lambda settings, run: spectro_mpi_here("status", run),
    "report": lambda settings, run: spectro_mpi_here("report", run),
    "verify": lambda settings, run: spectro_mpi_here("verify", run),
    "cancel": lambda settings, run: spectro_mpi_here("cancel", run),
}


@pytest.mark.parametrize(
    ("name", "change", "readers"),
    [
        ("config.toml", _raise_toml, (*READERS,)),
        ("progress.json", _raise_json, ("run", "fresh", "submit", "status", "report", "verify")),
        ("progress.journal", _raise_journal, ("run", "status", "report", "verify")),
        ("run.lock", _raise_json, ("run", "status", "report", "verify", "cancel")),
        ("live.json", _raise_json, ("run",)),
        ("jobs/jobs.json", _raise_json, ("run", "status", "report", "cancel")),
        ("data/2000/01/13312.h5", _raise_hdf5, ("run",)),
        ("spectrograms.h5", _raise_hdf5, ("run", "verify")),
        ("resources.h5", _raise_hdf5, ("run", "status", "report")),
        ("assets/inventory.json", _raise_json, ("run",)),
    ],
)
def test_a_file_of_a_newer_version_is_named_and_nothing_is_touched(
    today: Path, tmp_path: Path, name: str, change: Callable[[Path], None], readers: tuple[str, ...]
) -> None:
    shutil.copytree(today.parent / "runs", tmp_path / "runs")
    settings = Path(shutil.copy(today, tmp_path))
    run_dir = tmp_path / "runs" / "fast"
    change(run_dir / name)
    before = seen(tmp_path)
    for reader in readers:
        done = READERS[reader](settings, run_dir)
        assert done.code == 2, (reader, done)
        assert re.fullmatch(
            rf"spectro-mpi: {run_dir / name}: has (settings_version 3|schema_version 4), and this "
            r"program reads up to (2|3); use the newer spectro-mpi that wrote it\n",
            done.err,
        ), (reader, done.err)
        assert seen(tmp_path) == before, reader


@pytest.mark.parametrize("name", ["config.toml", "progress.json"])
def test_a_newer_run_is_not_opened_by_a_script(today: Path, tmp_path: Path, name: str) -> None:
    run_dir = tmp_path / "fast"
    shutil.copytree(today.parent / "runs" / "fast", run_dir)
    (_raise_toml if name == "config.toml" else _raise_json)(run_dir / name)
    with pytest.raises(
        UserError, match=rf"{name}: has \w+ [34], and this program reads up to [23]"
    ):
        open_run(run_dir)


def test_newer_data_is_not_read_by_a_script(today: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "fast"
    shutil.copytree(today.parent / "runs" / "fast", run_dir)
    _raise_hdf5(run_dir / "data/2000/01/13312.h5")
    with pytest.raises(UserError, match=r"13312\.h5: has schema_version 4"):
        open_run(run_dir).spectrogram("13312", "ees")


def test_a_finished_run_of_today_is_resumed(today: Path) -> None:
    again = spectro_mpi("run", today, "--no-progress")
    assert again.code == 0
    assert "aside" not in again.out
    assert spectro_mpi_here("verify", today.parent / "runs" / "fast").code == 0
