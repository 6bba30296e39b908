"""An item of several files is drawn as one; of each file, the best version that can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spectro_mpi
from tests.conftest import spectro_mpi as command
from tests.istp_files import ENERGY, TIME, epoch, flux, variables, write
from tests.outputs import snapshot

SETTINGS = """\
run_id = "day"
input = "data"
[data]
preset = "istp"
[plot]
scales = [["log", "log"]]
limits = ["raw"]
dpi = 50
[[instrument]]
name = "tst"
file = "tst_{date}_*_v{version}.cdf"
value = "Flux"
"""


def two_hours(folder: Path, name: str, later: float) -> Path:
    """A file of twelve records, `later` seconds after the first one."""
    folder.mkdir(exist_ok=True)
    given = variables()
    time = given["Epoch"]
    given["Epoch"] = replace(time, data=epoch("CDF_TIME_TT2000", TIME + later))
    return write(folder / name, given)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A folder with settings and the files of a day, of which one has a newer, cut version."""
    data = tmp_path / "data"
    (tmp_path / "spectro-mpi.toml").write_text(SETTINGS)
    two_hours(data, "tst_20170101_00_v1.0.0.cdf", 0)
    whole = two_hours(data, "tst_20170101_02_v1.0.0.cdf", 48).read_bytes()
    (data / "tst_20170101_02_v1.1.0.cdf").write_bytes(whole[: len(whole) // 2])
    (data / "other.cdf").write_bytes(whole)
    return tmp_path


def test_the_files_of_a_day_are_one_item_and_nothing_is_lost_unnamed(day: Path) -> None:
    planned = command("plan", "spectro-mpi.toml", "-v", cwd=day)
    assert planned.code == 0, planned.err
    assert "1 item, 2 files" in planned.out
    assert "tst_20170101_02_v1.0.0.cdf; used: " in planned.out
    assert "other.cdf; unknown file name" in planned.out

    done = command("run", "spectro-mpi.toml", cwd=day)
    assert done.code == 0, done.err
    run = spectro_mpi.open_run(day / "runs" / "day")
    stored = run.spectrogram("20170101", "tst")
    assert stored.source == "tst_20170101_00_v1.0.0.cdf, tst_20170101_02_v1.0.0.cdf"
    # Records 0 to 3 of the second file are at times of the first one.
    np.testing.assert_array_equal(stored.time, np.append(TIME, TIME[4:] + 48))
    cut = np.cos(np.deg2rad(np.arange(0, 181, 30)))
    solid_angle = (cut[:-1] - cut[1:])[:, None]
    values, known = flux().astype(np.float64), flux() >= 0
    mean = (values * known * solid_angle).sum(axis=1) / (known * solid_angle).sum(axis=1)
    np.testing.assert_allclose(stored.values[0], np.append(mean, mean[4:], axis=0), rtol=1e-6)
    np.testing.assert_allclose(stored.energy, [1e3 * ENERGY])
    assert stored.notes == (
        "tst_20170101_02_v1.0.0.cdf is drawn, since tst_20170101_02_v1.1.0.cdf cannot be read",
        "tst_20170101_02_v1.0.0.cdf: 4 records at times of tst_20170101_00_v1.0.0.cdf left out",
    )
    page = (day / "runs" / "day" / "report" / "index.html").read_text()
    assert "files left out" in page
    assert "other.cdf" in page
    before = snapshot(run.path / "plots")
    assert command("run", "spectro-mpi.toml", cwd=day).code == 0
    assert snapshot(run.path / "plots") == before


def test_a_part_that_cannot_be_read_costs_only_itself(day: Path) -> None:
    (day / "data" / "tst_20170101_02_v1.0.0.cdf").unlink()
    done = command("run", "spectro-mpi.toml", cwd=day)
    assert done.code == 3
    run = spectro_mpi.open_run(day / "runs" / "day")
    np.testing.assert_array_equal(run.spectrogram("20170101", "tst").time, TIME)
    (failure,) = run.errors["20170101"]
    assert (failure.instrument, failure.reason) == ("tst", "invalid-cdf")
    assert "v1.1.0" in failure.message
    assert len(run.figures("20170101")) == 2


def test_a_part_that_arrives_later_is_added(day: Path) -> None:
    assert command("run", "spectro-mpi.toml", cwd=day).code == 0
    two_hours(day / "data", "tst_20170101_04_v1.0.0.cdf", 7200)
    done = command("run", "spectro-mpi.toml", cwd=day)
    assert done.code == 0, done.err
    stored = spectro_mpi.open_run(day / "runs" / "day").spectrogram("20170101", "tst")
    assert stored.time[-1] == TIME[-1] + 7200


def test_a_stub_of_the_same_name_does_not_hide_the_file(day: Path) -> None:
    (day / "data" / "a").mkdir()
    (day / "data" / "a" / "tst_20170101_00_v1.0.0.cdf").write_bytes(b"")
    done = command("run", "spectro-mpi.toml", cwd=day)
    assert done.code == 0, done.err
    stored = spectro_mpi.open_run(day / "runs" / "day").spectrogram("20170101", "tst")
    assert stored.time[0] == TIME[0]
    name = "tst_20170101_00_v1.0.0.cdf"
    assert f"data/{name} is drawn, since a/{name} cannot be read" in stored.notes
