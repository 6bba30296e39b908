"""The store gives back what was put in, to this program and to xarray."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, timezone
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from spectro_mpi.instruments.fast_esa import legend
from spectro_mpi.model.artifacts import Dataset, Group
from spectro_mpi.model.items import Item
from spectro_mpi.model.spectrogram import Provenance, Spectrogram
from spectro_mpi.rundir.item_file import ItemFile, make_item_file
from spectro_mpi.rundir.layout import data_path, next_shard_number, shard_path
from spectro_mpi.rundir.names import is_data_file, stamp_of
from spectro_mpi.rundir.store import (
    instruments_of,
    read_item,
    read_spectrogram,
    sources_of,
    stamp_of_file,
    write_links,
)
from spectro_mpi.system.atomic import write_atomic
from tests.earlier_layout import write_shard

ITEM = Item("13312", datetime(2000, 1, 1, tzinfo=timezone.utc), ())


def put(run_dir: Path, made: ItemFile) -> Path:
    """Write the file of an item as it is; returns its path."""
    path = data_path(run_dir, made.data_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, made.content.tobytes())
    return path


@pytest.fixture
def spectrogram() -> Spectrogram:
    time = 946685857.25 + 2.5 * np.arange(6, dtype=np.float64)
    values = np.arange(2 * 6 * 4, dtype=np.float32).reshape(2, 6, 4)
    values[0, 3] = np.nan
    energy = np.array([[40, 30, 20, 10], [35, 25, np.nan, np.nan]], np.float32)
    mode = np.array([0, 0, 1, 1, 0, 0], np.uint8)
    return Spectrogram(
        "ees",
        "counts",
        ("all", "upgoing"),
        time,
        time - 1.25,
        time + 1.25,
        mode,
        energy,
        values,
        "fa_esa_l2_ees.cdf",
        12345,
        legend("ees", "counts"),
        provenance=Provenance("ab" * 32, "0123456789abcdef", "none", "centre", "numpy 2.0"),
    )


@pytest.mark.parametrize("is_earlier", [False, True])
def test_a_spectrogram_comes_back_as_it_was(
    tmp_path: Path, spectrogram: Spectrogram, is_earlier: bool
) -> None:
    shard = shard_path(tmp_path, 3)
    ions = replace(spectrogram, instrument="ies", quantity="eflux", legend=legend("ies", "eflux"))
    write_shard(shard, {"13312": [spectrogram, ions]})
    if not is_earlier:
        shard = put(tmp_path, make_item_file("reduce", ITEM, [spectrogram, ions]))
    for back, given in zip(read_item(shard, "13312"), (spectrogram, ions), strict=True):
        for one in fields(Spectrogram):
            np.testing.assert_array_equal(getattr(back, one.name), getattr(given, one.name))
    assert read_spectrogram(shard, "13312", "ies").quantity == "eflux"
    assert instruments_of(shard, "13312") == ["ees", "ies"]
    assert instruments_of(shard, "13313") == []
    assert list(read_item(shard, "13313")) == []
    assert next_shard_number(tmp_path) == 4


def test_intervals_flags_and_uncertainties_come_back_where_there_are_any(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    intervals = np.array([[[0, 360], [np.nan, np.nan]], [[0, 30], [330, 360]]], np.float32)
    whole = replace(
        spectrogram,
        intervals=intervals,
        quality=np.arange(6, dtype=np.uint8),
        errors=np.sqrt(spectrogram.values),
    )
    shard = shard_path(tmp_path, 0)
    write_shard(shard, {"1": [whole], "2": [spectrogram]})
    back, earlier = (read_spectrogram(shard, item, "ees") for item in "12")
    for name in ("intervals", "quality", "errors"):
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))
        assert getattr(back, name).dtype == getattr(whole, name).dtype
        assert getattr(earlier, name).size == 0
    with xarray.open_dataset(shard, group="1/ees") as data:
        assert data.category_intervals.dims == ("category", "interval", "bound")
        assert data.category_intervals.attrs["units"] == "degrees"
        assert data.data_quality.dims == ("record",)
        assert data.counts_error.dims == data.counts.dims
        assert data.counts.attrs["ancillary_variables"] == "counts_error"
    with h5py.File(shard) as file:
        datasets = {"category_intervals", "data_quality", "counts_error"}
        assert set(file["1/ees"]) - set(file["2/ees"]) == datasets | {"interval"}


def test_xarray_opens_a_group_in_one_line(tmp_path: Path, spectrogram: Spectrogram) -> None:
    put(tmp_path, make_item_file("reduce", ITEM, [spectrogram]))
    with xarray.open_dataset(tmp_path / "data/2000/01/13312.h5", group="ees") as data:
        assert data.counts.dims == ("category", "record", "channel")
        assert data.energy.dims == ("table", "channel")
        assert {"time", "mode", "category", "energy"} <= set(data.coords)
        assert data.counts.attrs["units"] == "counts"
        assert data.energy.attrs["units"] == "eV"
        assert str(data.time.values[0]) == "2000-01-01T00:17:37.250000000"
        assert data.attrs["source_size"] == 12345
        assert data.attrs["source_sha256"] == "ab" * 32
        assert data.counts.sel(category="upgoing").values[1, 2] == spectrogram.values[1, 1, 2]


def test_a_group_of_an_earlier_version_has_the_edges_between_its_centres(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    wide = np.stack([0.9 * spectrogram.energy, 1.1 * spectrogram.energy], axis=-1)
    shard = shard_path(tmp_path, 0)
    write_shard(shard, {"1": [replace(spectrogram, edges=wide)]})
    np.testing.assert_array_equal(read_spectrogram(shard, "1", "ees").edges, wide)
    with h5py.File(shard, "r+") as file:
        assert file["1/ees/energy_edges"].attrs["units"] == "eV"
        del file["1/ees/energy_edges"]
    old = read_spectrogram(shard, "1", "ees").edges
    np.testing.assert_allclose(old[0, 1], np.sqrt(np.array([20 * 30, 30 * 40.0])), rtol=1e-6)


def test_the_provenance_is_two_attributes_that_earlier_versions_did_not_write(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    shard = shard_path(tmp_path, 0)
    write_shard(shard, {"1": [spectrogram]})
    assert sources_of(shard) == {"1": {"ees": ("fa_esa_l2_ees.cdf", 12345, "ab" * 32)}}
    with h5py.File(shard, "r+") as file:
        attributes = file["1/ees"].attrs
        assert attributes["source_sha256"] == "ab" * 32
        assert json.loads(attributes["provenance"]) == {
            "settings": "0123456789abcdef",
            "weight": "none",
            "borders": "centre",
            "cadence": "",
            "ephemeris": "",
            "ephemeris_sha256": "",
            "software": "numpy 2.0",
        }
        del attributes["source_sha256"], attributes["provenance"]
    assert read_spectrogram(shard, "1", "ees").provenance == Provenance()
    assert sources_of(shard) == {"1": {"ees": ("fa_esa_l2_ees.cdf", 12345, "")}}


def test_links_lead_to_every_item_also_of_the_earlier_layout(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    write_shard(shard_path(tmp_path, 0), {"0": [spectrogram], "2": [spectrogram]})
    made = make_item_file("reduce", replace(ITEM, id="1"), [spectrogram])
    put(tmp_path, made)
    write_links(tmp_path, {"0": "shard-00000.h5", "1": made.data_file, "2": "shard-00000.h5"})
    with h5py.File(tmp_path / "spectrograms.h5") as file:
        assert list(file) == ["0", "1", "2"]
        for item in file:
            np.testing.assert_array_equal(file[f"{item}/ees/counts"][:], spectrogram.values)


def test_the_file_of_an_item_is_whole_by_itself_and_equal_results_are_equal_bytes(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    made = make_item_file("reduce", ITEM, [spectrogram])
    again = make_item_file("reduce", ITEM, [spectrogram])
    assert made.content.tobytes() == again.content.tobytes()
    assert made.data_file == again.data_file
    assert made.data_file.startswith("2000/01/13312.h5#")
    assert made.sources == {"ees": ("fa_esa_l2_ees.cdf", 12345, "ab" * 32)}
    path = put(tmp_path / "run", made)
    assert stamp_of_file(path) == stamp_of(made.data_file)
    alone = path.rename(tmp_path / "13312.h5")
    with h5py.File(alone) as file:
        assert list(file) == ["ees"]
        assert (file.attrs["item"], file.attrs["phase"]) == ("13312", "reduce")
        counts = file["ees/counts"]
        np.testing.assert_array_equal(counts[:], spectrogram.values)
        assert [dim[0].name for dim in counts.dims] == [
            "/ees/category",
            "/ees/record",
            "/ees/channel",
        ]


def test_of_phases_and_items_without_a_date_there_are_folders_as_of_figures() -> None:
    group = Group("ees", {"counts": Dataset("counts", np.zeros(1), ("record",))})
    undated = make_item_file("own", Item("a b", None, ()), [group])
    assert undated.data_file.startswith("own/undated/00/a b.h5#")
    assert is_data_file(undated.data_file)
    assert not undated.sources and not undated.digests


def test_a_file_of_another_item_is_not_taken_for_this_one(
    tmp_path: Path, spectrogram: Spectrogram
) -> None:
    path = put(tmp_path, make_item_file("reduce", ITEM, [spectrogram]))
    assert list(read_item(path, "13313")) == []
    with pytest.raises(KeyError):
        read_spectrogram(path, "13313", "ees")
