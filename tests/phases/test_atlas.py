"""The phase atlas: the same maps for any number of ranks, after kills and resumes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary, write_demo
from spectro_mpi.instruments.flux_units import measure_of
from spectro_mpi.model.atlas_groups import groups_of
from spectro_mpi.model.atlas_item import AtlasPlan, contribution_of
from spectro_mpi.model.atlas_tally import AtlasTally
from spectro_mpi.phases.order import order_phases
from spectro_mpi.rundir.array_file import read_array_file
from spectro_mpi.settings.loading import config_from_text
from spectro_mpi.settings.schema import SettingsError
from tests.conftest import NO_REPORT, spectro_mpi
from tests.faults.runs import Bench

SETTINGS = """
phases = ["reduce", "atlas"]
input = "FAST_data"
[data]
quantity = "eflux"
[pitch_angles]
down = { toward = "earth", within = 30 }
up = { away = "earth", within = 30 }
cone = { losscone = "up" }
[atlas]
formats = []
[run]
flush_batch_size = 1
"""
MAPS = Path("results") / "atlas.h5"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Five orbits, north and south, and the run that nobody disturbed, on one rank."""
    folder = tmp_path_factory.mktemp("atlas")
    write_demo(folder, orbits=5, seed=1)
    settings = folder / "atlas.toml"
    settings.write_text(SETTINGS + NO_REPORT)
    bench = Bench(settings, folder / "runs" / "whole")
    done = spectro_mpi(*bench.arguments("whole"))
    assert done.code == 0, done.err
    return bench


def result(run_dir: Path) -> tuple[bytes, bytes]:
    return (run_dir / MAPS).read_bytes(), (run_dir / "atlas.json").read_bytes()


def same(bench: Bench, name: str) -> None:
    """The maps of a run are those of the undisturbed one, byte for byte."""
    assert result(bench.run_dir(name)) == result(bench.whole)


def test_it_is_the_straight_sum_of_the_items_in_the_store(bench: Bench) -> None:
    run = open_run(bench.whole)
    plan, whole = AtlasPlan(run.config), AtlasTally()
    for item in reversed(run.items):
        stored = [run.stored(item, name) for name in run.instruments(item)]
        measures = {each.instrument: measure_of(each) for each in stored}
        whole.merge(contribution_of(plan, item, stored, measures, frozenset()))
    kept, attributes = read_array_file(bench.whole / MAPS)
    assert attributes["items"] == 5
    groups = groups_of(plan, whole)
    assert {group.name for group in groups} == kept.keys() >= {"ees", "ees/altitudes", "ies"}
    for group in groups:
        assert kept[group.name].datasets.keys() == group.datasets.keys()
        for name, dataset in group.datasets.items():
            found = kept[group.name].datasets[name]
            np.testing.assert_array_equal(found.values, dataset.values)
            assert (found.dims, found.units) == (dataset.dims, dataset.units)
    # Every record whose place is known and in the grid is counted.
    places = json.loads((bench.whole / "atlas.json").read_text())["instruments"]
    counted = int(kept["ees"].datasets["records"].values.sum())
    assert 0 < counted == places["ees"]["records_in_cells"] <= places["ees"]["records"]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_the_bytes_are_the_same_for_any_number_of_ranks(bench: Bench, ranks: int) -> None:
    assert bench.run(f"ranks-{ranks}", ranks=ranks).code == 0
    same(bench, f"ranks-{ranks}")


@pytest.mark.slow
def test_a_run_that_is_killed_in_the_atlas_is_resumed_to_the_same_maps(bench: Bench) -> None:
    killed = bench.start("killed")

    def some_are_done() -> bool:
        journal = bench.run_dir("killed") / "progress.journal"
        return journal.exists() and journal.read_text().count('"phase": "atlas"') >= 2

    killed.wait_for(some_are_done)
    os.killpg(killed.launcher.pid, signal.SIGKILL)
    killed.end()
    assert not (bench.run_dir("killed") / MAPS).exists()
    assert bench.run("killed", ranks=4).code == 0
    same(bench, "killed")


@pytest.mark.slow
def test_items_that_come_later_and_are_done_again_are_merged_with_what_is_kept(
    bench: Bench,
) -> None:
    few = ("-s", "select.orbits=13312-13314")
    assert bench.run("grown", *few, ranks=2).code == 0
    before = result(bench.run_dir("grown"))
    done = bench.run("grown", ranks=3)
    assert done.code == 0, done.err
    assert result(bench.run_dir("grown")) != before
    same(bench, "grown")
    assert bench.run("grown", "--redo", "atlas", ranks=3).code == 0
    same(bench, "grown")
    (bench.run_dir("grown") / MAPS).unlink()
    (bench.run_dir("grown") / "tallies.h5").unlink()
    assert bench.run("grown", ranks=2).code == 0
    same(bench, "grown")


@pytest.mark.slow
def test_other_percentiles_are_computed_from_what_is_kept(bench: Bench) -> None:
    assert bench.run("other").code == 0
    log = bench.run_dir("other") / "logs" / "rank-0001.log"
    read = log.read_text().count("atlas read back")
    assert bench.run("other", "-s", "atlas.percentiles=[50, 99]").code == 0
    assert log.read_text().count("atlas read back") == read
    kept, _ = read_array_file(bench.run_dir("other") / MAPS)
    assert kept["ees"].datasets["percentile"].values.tolist() == [50, 99]
    # Another grid: all items are counted again, from the store.
    done = bench.run("other", "--only", "atlas", "-s", "atlas.mlt_hours=3", "-s", 'input="gone"')
    assert done.code == 0, done.err
    assert log.read_text().count("atlas read back") == read + 5
    kept, _ = read_array_file(bench.run_dir("other") / MAPS)
    assert kept["ees"].datasets["records"].values.shape == (2, 20, 8)


def test_xarray_opens_a_group_in_one_line(bench: Bench) -> None:
    xarray = pytest.importorskip("xarray")
    data = xarray.open_dataset(bench.whole / MAPS, group="ees")
    assert data["energy_flux_mean"].dims == ("category", "band", "hemisphere", "ilat", "mlt")
    assert data["energy_flux_mean"].attrs["units"] == "eV/(cm^2 s sr)"
    assert data["mlt"].attrs == {**data["mlt"].attrs, "units": "h", "bounds": "mlt_bounds"}
    assert data["mlt_bounds"].values[0].tolist() == [0, 1]
    down = data["energy_flux_percentile"].sel(percentile=50, category="down", hemisphere="south")
    assert np.isfinite(down).any()
    deep = xarray.open_dataset(bench.whole / MAPS, group="ees/altitudes")
    assert deep["altitude"].values.tolist() == [750, 2250, 3750]
    ours = open_run(bench.whole).atlas("ees")
    assert ours.sizes == data.drop_vars("item").sizes
    most = ours.isel(ours["records"].argmax(...))
    (item, *_), (records, *_) = most["top_item"].values.tolist(), most["top_records"].values
    assert item in open_run(bench.whole).items and records > 1
    np.testing.assert_array_equal(ours["energy_flux_mean"], data["energy_flux_mean"])
    ours = open_run(bench.whole).atlas("ees", by_altitude=True)
    assert ours.sizes == deep.drop_vars("item").sizes
    with pytest.raises(KeyError, match="has no instrument eex; it has eeb, ees, ieb, ies"):
        open_run(bench.whole).atlas("eex")


def test_its_units_and_names_are_plain_netcdf(bench: Bench) -> None:
    with h5py.File(bench.whole / MAPS) as file:
        assert file.attrs["Conventions"].startswith("CF-1.")
        for group in (file["ees"], file["ees/altitudes"]):
            for name, dataset in group.items():
                if isinstance(dataset, h5py.Group):
                    continue
                for axis, dim in enumerate(dataset.dims):
                    assert dataset.is_scale or group[dim.label] == dim[0], (name, axis)


def test_both_hemispheres_agree_which_way_is_down(bench: Bench) -> None:
    """In the demo more electrons of high energy come down than go up, north and south."""
    kept, _ = read_array_file(bench.whole / MAPS)
    datasets = kept["ees"].datasets
    names = datasets["category"].values.tolist()
    mean = datasets["energy_flux_mean"].values[:, 1]
    down, up = mean[names.index("down")], mean[names.index("up")]
    for hemisphere in range(2):
        both = np.isfinite(down[hemisphere]) & np.isfinite(up[hemisphere])
        assert down[hemisphere][both].sum() > 1.2 * up[hemisphere][both].sum()


def test_what_the_settings_lack_is_said_before_anything_runs(tmp_path: Path) -> None:
    def lacks(text: str) -> str:
        config = config_from_text(f'phases = ["reduce", "atlas"]\n{text}', tmp_path, "")
        with pytest.raises(SettingsError) as error:
            order_phases(config)
        return str(error.value)

    assert "pitch_angles has none: add some, as in downgoing" in lacks("")
    assert "atlas needs an ephemeris" in lacks('[ephemeris]\nfile = "none"')
    few = "[ephemeris.variables]\nmlt = 'mlt'\n"
    assert "atlas needs ilat, alt in ephemeris.variables" in lacks(few)
    table = '[[instrument]]\nname = "a"\nfile = "a_{orbit}.cdf"\nvalue = "x"\n'
    other = f'[data]\npreset = "istp"\n[ephemeris]\nfile = "e_{{orbit}}.cdf"\n{table}'
    assert "atlas has no energy band of a: set atlas.bands, as in { a = [" in lacks(other)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mlt_hours = 0.7", "24 hours must be a whole number of cells"),
        ("ilat = [80, 60]", "atlas.ilat = [80, 60]: must ascend"),
        ("altitudes = [1000]", "at least two that ascend"),
        ("percentiles = [50, 10]", "atlas.percentiles: must ascend"),
        ('instruments = ["eex"]', "no instrument is called eex"),
        ("bands = { ees = [[100, 10]] }", "atlas.bands.ees = [100, 10]: a band must ascend"),
        ('categories = ["dawn"]', "no category is called dawn; choose from all, parallel"),
    ],
)
def test_mistakes_in_its_settings_get_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        config_from_text(f"[atlas]\n{text}\n", tmp_path, "")
    assert sentence in str(error.value)


@pytest.mark.slow
def test_items_without_ephemeris_are_counted_and_said(demo: DemoSummary, tmp_path: Path) -> None:
    settings = tmp_path / "spectro-mpi.toml"
    text = SETTINGS.replace("FAST_data", str(demo.directory / "FAST_data"))
    lost = '[ephemeris]\nfile = "lost_{orbit}_v{version}.cdf"\n[select]\norbits = "13312"\n'
    settings.write_text(text + NO_REPORT + lost)
    done = spectro_mpi("run", settings)
    assert done.code == 0, done.err
    assert "no item has ephemeris" in done.out
    assert "they are not in the atlas" in done.out
    run_dir = tmp_path / "runs" / "fast"
    said = json.loads((run_dir / "atlas.json").read_text())
    assert (said["items"], said["items_with_ephemeris"]) == (1, 0)
    assert "no item has ephemeris" in said["notes"][0]
    assert read_array_file(run_dir / MAPS)[0] == {}
