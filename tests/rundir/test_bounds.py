"""What is read of a stranger's HDF5 files is bounded before it is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from spectro_mpi.resources.archive import read_record
from spectro_mpi.rundir import bounds
from spectro_mpi.rundir.bounds import Scalars, read_texts
from spectro_mpi.rundir.groups import read_datasets
from spectro_mpi.rundir.layout import RESOURCES, TALLIES, data_path
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.rundir.tallies import read_tallies
from tests.conftest import spectro_mpi_here

RECORDS = 8 << 20


@pytest.fixture
def run_dir(sampled: Path, tmp_path: Path) -> Path:
    """A copy of a run directory, for the test to spoil."""
    shutil.copytree(sampled, tmp_path / "fast")
    return tmp_path / "fast"


def _inflating(group: Any) -> None:
    """6 GB of zeros in some kB; every dataset fits the others."""
    shapes = {"counts": (4, RECORDS, 48), **dict.fromkeys(("time", "time_start"), (RECORDS,))}
    for name, shape in {**shapes, "time_end": (RECORDS,), "mode": (RECORDS,)}.items():
        kind = group[name].dtype
        del group[name]
        chunks = (1, RECORDS, 1)[-len(shape) :] if len(shape) > 1 else (RECORDS,)
        group.create_dataset(name, shape, kind, chunks=chunks, compression="gzip")


def _claimed(group: Any) -> None:
    del group["counts"]
    group.create_dataset("counts", (1 << 20, 1 << 20, 48), "f4", chunks=(1, 1024, 48))


def _many(group: Any) -> None:
    """None is too large by itself."""
    for number in range(30):
        group.create_dataset(f"x{number}", (10 << 20,), "f4", chunks=(1 << 20,))


def _attribute(group: Any) -> None:
    group.attrs["notes"] = np.full(100, "x", object)


@pytest.mark.parametrize("spoil", [_inflating, _claimed, _many, _attribute])
def test_absurd_sizes_are_refused_before_they_are_read(
    run_dir: Path, spoil: Callable[[Any], None]
) -> None:
    run = open_run(run_dir)
    item = run.items[0]
    data = data_path(run_dir, run.progress.data_files[item])
    with h5py.File(data, "r+") as file:
        spoil(file["ees"])
    refused = "would take|has shape|not a single value"
    with pytest.raises(ValueError, match=refused):
        run.spectrogram(item, "ees")
    done = spectro_mpi_here("report", run_dir)
    assert done.code == 0, done.err
    checked = spectro_mpi_here("verify", run_dir)
    assert checked.code == 1
    assert f"{data}: is damaged, or has been changed" in checked.out


def test_texts_are_refused_that_take_too_much_memory_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = np.array([f"{number:09999d}" for number in range(40)], object)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=texts.reshape(8, 5))
    with h5py.File(tmp_path / "x.h5") as file:
        allowed = 2 * file.id.get_filesize()
        monkeypatch.setattr(bounds, "allowed_bytes", lambda _: allowed)
        assert (read_texts(file["x"]) == texts.reshape(8, 5)).all()  # one after the other
        monkeypatch.setattr(bounds, "allowed_bytes", lambda _: 399_959)
        with pytest.raises(ValueError, match="take too much memory"):
            read_texts(file["x"])
        monkeypatch.undo()
        assert (read_texts(file["x"]) == texts.reshape(8, 5)).all()  # at once


@pytest.mark.parametrize("name", [RESOURCES, TALLIES])
def test_other_files_of_a_run_are_bounded_alike(run_dir: Path, name: str) -> None:
    with h5py.File(run_dir / name, "r+") as file:
        group = file["samples"] if name == RESOURCES else file["reduce/0000/arrays"]
        first = next(iter(group))
        kind = group[first].dtype
        del group[first]
        group.create_dataset(first, (1 << 30,), kind, chunks=(1 << 20,), compression="gzip")
    if name == TALLIES:
        with pytest.raises(OSError, match="would take"):
            read_tallies(run_dir)
    else:
        assert read_record(run_dir) is None
    done = spectro_mpi_here("status", run_dir)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("name", ["samples", "ranks"])
def test_tables_of_resources_are_not_read_elsewhere(run_dir: Path, name: str) -> None:
    outside = run_dir.parent / "outside.h5"
    shutil.copy(run_dir / RESOURCES, outside)
    with h5py.File(run_dir / RESOURCES, "r+") as file:
        del file[name]
        file[name] = h5py.ExternalLink(str(outside), name)
    assert read_record(run_dir) is None


def test_dimensions_of_datasets_are_not_read_elsewhere(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file["secret"] = [1.0, 2.0]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["links/a"] = h5py.ExternalLink("outside.h5", "/secret")
        group = file.create_group("7/ees")
        group["x"] = [1.0, 2.0]
        group["x"].dims[0].label = "/links/a"
    with h5py.File(tmp_path / "x.h5") as file, pytest.raises(KeyError, match="/links/a"):
        read_datasets(file["7/ees"])


def test_attributes_are_single_values(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["one"], file.attrs["several"] = 1, [1, 2]
        found = Scalars(file)
        assert (found["one"], found.get("none", 7), len(found)) == (1, 7, 2)
        assert "several" in set(found)
        with pytest.raises(ValueError, match="not a single value"):
            found.get("several")
