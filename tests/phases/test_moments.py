"""Moments from input files to the store, xarray and Python."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from spectro_mpi import open_run
from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.joined import join_spectrograms
from spectro_mpi.model.moments import Moments
from spectro_mpi.model.spectrogram import data_digest
from spectro_mpi.operations.compact import compact
from spectro_mpi.phases.reduce import at_cadence, reduce_file, with_moments
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run
from spectro_mpi.rundir.store import read_spectrogram
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import Config
from tests import fast_files, istp_files, straight
from tests.conftest import NO_REPORT, spectro_mpi
from tests.model import straight_moments
from tests.model.straight_moments import ELECTRON

ORBITS = '[select]\norbits = "13312-13313"\ninstruments = ["ees", "ies"]\n'


def settings_of(folder: Path, source: Path, more: str = "") -> Path:
    settings = folder / "spectro-mpi.toml"
    text = f'input = "{source}"\n{ORBITS}[plot]\ndpi = 50\n{NO_REPORT}{more}'
    settings.write_text(text)
    return settings


def reduced(folder: Path, source: Path, more: str = "", *arguments: str) -> Run:
    settings = settings_of(folder, source, more)
    computed = () if "[moments]" in more else ("-s", "moments.compute=true")
    done = spectro_mpi("run", settings, "--only", "reduce", "--no-progress", *computed, *arguments)
    assert done.code in (0, 75), done.err
    return open_run(folder / "runs" / "fast")


@pytest.fixture(scope="module")
def source(demo: DemoSummary) -> Path:
    return demo.directory / "FAST_data"


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return reduced(tmp_path_factory.mktemp("moments"), source)


def config(**tables: Any) -> Config:
    moments = {"compute": True, **tables.pop("moments", {})}
    return config_from({**tables, "moments": moments}, Path("/"))


def of_file(path: Path, settings: Config, instrument: str = "ees") -> Moments | None:
    file = InputPath(instrument, str(path), path.stat().st_size, 1)
    spectrogram = reduce_file(file, CdflibReader(path), settings)
    return with_moments(spectrogram).moments


def the_moments(path: Path, settings: Config, instrument: str = "ees") -> Moments:
    moments = of_file(path, settings, instrument)
    assert moments is not None
    return moments


def test_they_are_those_of_the_file_by_loops(source: Path, run: Run) -> None:
    path = next(source.rglob("fa_esa_l2_ees_*_13312_v01.cdf"))
    file = straight._variables(path)
    moments = run.moments("13312", "ees")
    north = run.spectrogram("13312", "ees").ephemeris
    sign = next(each.values for each in north if each.name == "hemisphere")
    for record in (0, 100, 300, len(sign) - 1):
        bins, used = int(file["nbins"][record]), int(file["nenergy"][record])
        mode = int(file["mode_ind"][record])
        cells = np.s_[record, :bins, :used]
        sigma = [straight._sigma(file, "eflux", record, channel) for channel in range(used)]
        expected = straight_moments.moments(
            file["eflux"][cells],
            file["pitch_angle"][cells],
            360 / bins,
            file["energy"][mode, 0, :used],
            file["denergy"][mode, 0, :used],
            ELECTRON,
            energies=(25.0, 40_000.0),
            shift=ELECTRON.charge * (float(file["sc_pot"][record]) + 1.05),
            sigma=np.stack(sigma, axis=1),
        )
        for name in ("density", "temperature", "temperature_parallel", "omnidirectional_flux"):
            assert moments[name][record] == pytest.approx(expected[name], rel=1e-4), name
            error = moments[f"{name}_error"][record]
            assert error == pytest.approx(expected[f"{name}_error"], rel=1e-3), name
        order = (0, 1) if sign[record] > 0 else (1, 0)
        for name in ("number_flux", "energy_flux"):
            for row, place in enumerate(order):
                value = sign[record] * expected[f"{name} {place}"]
                assert moments[name][row, record] == pytest.approx(value, rel=1e-4)
                error = moments[f"{name}_error"][row, record]
                assert error == pytest.approx(expected[f"{name} {place}_error"], rel=1e-3)


def test_more_electrons_go_down_than_up(run: Run) -> None:
    for item in run.items:
        moments = run.moments(item, "ees")
        down, up, net = moments["energy_flux"]
        assert np.nanmin(down) >= 0
        assert np.nanmax(up) <= 0
        np.testing.assert_allclose(net, down + up, rtol=1e-4, atol=1e-6)
        hemisphere = run.xarray(item, "ees")["hemisphere"].to_numpy()
        for sign in (1, -1):
            if (hemisphere == sign).sum() > 100:
                assert np.nanmean(net[hemisphere == sign]) > 0


def test_the_store_describes_them(run: Run) -> None:
    path = data_path(run.path, run.progress.data_files["13313"])
    with xarray.open_dataset(path, group="ies/moments", engine="h5netcdf") as data:
        assert data["density"].dims == ("time",)
        assert data["number_flux"].dims == ("direction", "time")
        assert data["direction"].to_numpy().tolist() == ["down", "up", "net"]
        assert data["density"].attrs["units"] == "cm-3"
        assert data["energy_flux_100km"].attrs["units"] == "erg cm-2 s-1"
        assert "positive earthward" in data["velocity"].attrs["long_name"]
        assert data.attrs["species"] == "proton"
        assert data.attrs["energy_range"] == "20 30000"
        assert data.attrs["field_model"] == "dipole"
        whole = run.xarray("13313", "ies")
        apart = np.abs(data["time"].to_numpy() - whole["time"].to_numpy())
        assert apart.max() < np.timedelta64(1, "us")
        np.testing.assert_array_equal(data["density"], whole["density"])
    assert whole["number_flux"].dims == ("direction", "time")
    assert whole["number_flux"].attrs["ancillary_variables"] == "number_flux_error"
    assert whole["number_flux"].sel(direction="down").shape == whole["time"].shape
    for name, values in run.moments("13313", "ies").values.items():
        assert values.dtype == np.float32, name


def test_quantity_and_chunks_do_not_matter(source: Path, run: Run, tmp_path: Path) -> None:
    more = '[data]\nquantity = "flux"\nchunk_records = 97\nquality = "ignore"\n'
    other = reduced(tmp_path, source, more)
    for instrument in ("ees", "ies"):
        first, second = (each.moments("13313", instrument) for each in (run, other))
        assert first.values.keys() == second.values.keys()
        for name in first.values:
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_settings_of_moments_cannot_change(source: Path, tmp_path: Path) -> None:
    run = reduced(tmp_path, source, "[moments]\n")  # by default there are none
    with pytest.raises(KeyError, match="item 13312 has no moments of ees: they were not computed"):
        run.moments("13312", "ees")
    assert "density" not in run.xarray("13312", "ees")
    settings = settings_of(tmp_path, source, "[moments]\ncompute = true\n")
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 2
    assert "was made with other settings of moments (they are not in the data)" in done.err
    settings = settings_of(tmp_path, source, "[moments]\ncompute = false\npotential_scale = 1.2\n")
    assert spectro_mpi("run", settings, "--only", "reduce", "--no-progress").code in (0, 75)


def test_they_are_computed_where_something_asks_for_them() -> None:
    def computes(**tables: Any) -> bool:
        return config_from(tables, Path("/")).has_moments

    assert not computes()
    assert computes(plot={"kinds": ["summary"]})
    assert not computes(plot={"kinds": ["summary"], "summary": ["ees.all"]})
    assert computes(moments={"potential_scale": 1.2})
    assert not computes(moments={"potential_scale": 1.2, "compute": False})
    assert computes(moments={"compute": True})


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"energies": {"ees": [30, 20]}}, "moments.energies.ees = [30, 20]: the range must ascend"),
        ({"energies": {"xes": [3, 20]}}, "moments.energies.xes: no instrument is called xes"),
        ({"species": {"ees": "muon"}}, "moments.species.ees"),
        ({"potential_scale": "big"}, "moments.potential_scale"),
    ],
)
def test_mistakes_are_named(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Exception, match=r"moments\.") as raised:
        config(moments=table)
    assert sentence in str(raised.value)


def test_without_ephemeris_they_are_along_the_field(source: Path, run: Run, tmp_path: Path) -> None:
    other = reduced(tmp_path, source, '[ephemeris]\nfile = "none"\n')
    moments, known = other.moments("13312", "ees"), run.moments("13312", "ees")
    assert moments.positive == "along B"
    assert moments.directions == ("parallel", "antiparallel", "net")
    assert "number_flux_100km" not in moments
    assert "positive along B" in moments.about("number_flux")[0]
    np.testing.assert_array_equal(moments["density"], known["density"])
    np.testing.assert_allclose(
        np.abs(moments["number_flux"][2]), np.abs(known["number_flux"][2]), rtol=1e-6
    )


def test_one_file_of_all_items_has_them(run: Run, tmp_path: Path) -> None:
    compact(run.path, tmp_path / "one.h5")
    copied = read_spectrogram(tmp_path / "one.h5", "13313", "ies")
    stored = run.stored("13313", "ies")
    assert copied.moments is not None
    assert stored.moments is not None
    assert data_digest(copied) == data_digest(stored)
    assert data_digest(replace(stored, moments=None)) != data_digest(stored)
    assert copied.moments.attributes == stored.moments.attributes


NAME = "fa_esa_l2_ees_20000101001737_13312_v01.cdf"


def test_the_potential_of_the_file_shifts_energies(tmp_path: Path) -> None:
    given = fast_files.content([0, 2, 1, 0])
    without = the_moments(fast_files.write(tmp_path / NAME, given), config())
    assert "potential" not in without
    given["sc_pot"] = np.array([12.0, 8.0, 0.0, -1e31], "f4")
    path = fast_files.write(tmp_path / NAME, given)
    moments = the_moments(path, config())
    np.testing.assert_array_equal(
        moments["potential"], np.array([12, 8, np.nan, np.nan], np.float32)
    )
    np.testing.assert_array_equal(moments["density"][2:], without["density"][2:])
    assert (moments["omnidirectional_flux"][:2] < without["omnidirectional_flux"][:2]).all()
    off = the_moments(path, config(moments={"potential_scale": 0.0, "potential_offset": 0.0}))
    np.testing.assert_array_equal(off["density"], without["density"])


def test_a_file_without_energy_flux_is_reduced_without_moments(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = fast_files.content([0, 0])
    del given["eflux"]
    assert of_file(fast_files.write(tmp_path / NAME, given), config()) is None
    assert "no moments: it has no eflux" in caplog.text


def test_a_file_without_responses_has_moments_without_uncertainties(tmp_path: Path) -> None:
    given = fast_files.content([0, 0])
    del given["eff"]
    moments = the_moments(fast_files.write(tmp_path / NAME, given), config())
    assert np.isfinite(moments["density"]).all()
    assert not any(name.endswith("_error") for name in moments.values)


def test_modes_and_records_of_no_use(tmp_path: Path) -> None:
    given = fast_files.content([0, 1, 2, 0, 2])
    given["valid"][3] = 0
    given["time_integ"][1] = np.nan
    moments = the_moments(fast_files.write(tmp_path / NAME, given), config())
    np.testing.assert_array_equal(np.isfinite(moments["density"]), [1, 1, 1, 0, 1])
    # The only table of responses is that of mode 0.
    np.testing.assert_array_equal(np.isfinite(moments["density_error"]), [1, 0, 0, 0, 0])


def test_averages_are_those_of_the_mean_distribution(tmp_path: Path) -> None:
    given = fast_files.content([0] * 6)
    path = fast_files.write(tmp_path / NAME, given)
    settings = config(data={"cadence": "5 s"})
    file = InputPath("ees", str(path), path.stat().st_size, 1)
    each = reduce_file(file, CdflibReader(path), settings)
    averaged = with_moments(at_cadence(join_spectrograms([each]), settings)).moments
    singles = with_moments(each).moments
    assert averaged is not None
    assert singles is not None
    # Records begin 17 min 37 s after the hour: the first is alone.
    groups = [
        np.flatnonzero((each.time // 5).astype(int) == five)
        for five in np.unique((each.time // 5).astype(int))
    ]
    assert {len(group) for group in groups} >= {2}
    for place, group in enumerate(groups):
        for name in ("density", "number_flux", "energy_flux", "pressure_perpendicular"):
            mean = singles[name][..., group].mean(axis=-1)
            np.testing.assert_allclose(averaged[name][..., place], mean, rtol=1e-5)
            error = np.sqrt((singles[f"{name}_error"][..., group] ** 2).sum(axis=-1)) / len(group)
            np.testing.assert_allclose(averaged[f"{name}_error"][..., place], error, rtol=1e-4)
        across = averaged["pressure_perpendicular"][place] / averaged["density"][place]
        assert averaged["temperature_perpendicular"][place] == pytest.approx(across, rel=1e-5)


TABLE = {
    "name": "tst",
    "file": "tst_{date}_v{version}.cdf",
    "value": "Flux",
    "energy_edges": [45.0, 22.0, 11.0, 5.6, 2.8, 1.4],
}


def istp(species: bool = True, **table: Any) -> Config:
    given = {key: value for key, value in {**TABLE, **table}.items() if key != "energy_edges"}
    moments = {"species": {"tst": "proton"}, "energies": {"tst": [0, 1e9]}} if species else {}
    return config(data={"preset": "istp"}, instrument=[given], moments=moments)


def test_an_instrument_of_ones_own_has_moments_if_its_species_is_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tst_20170101_v1.cdf"
    given = istp_files.variables()
    istp_files.write(path, given)
    assert of_file(path, istp(species=False), "tst") is None
    moments = the_moments(path, istp(), "tst")
    assert caplog.text == ""
    # Rings of 30°, and energies in keV whose edges are geometric means.
    energy = istp_files.ENERGY.astype(np.float64) * 1e3
    step = np.sqrt(2.0)
    width = energy * (step - 1 / step)
    cut = np.radians(np.arange(0, 181, 30))
    flux = np.where(istp_files.flux() > 0, istp_files.flux(), 0).astype(np.float64) / 1e3
    omni = (flux * (2 * np.pi * -np.diff(np.cos(cut)))[:, None]).sum(axis=1) @ width
    along = np.pi * np.diff(np.sin(cut) ** 2)[:, None]
    record = [0, 1, 5, 11]
    np.testing.assert_allclose(moments["omnidirectional_flux"][record], omni[record], rtol=1e-4)
    down = (flux * np.maximum(along, 0)).sum(axis=1) @ width
    up = (flux * np.minimum(along, 0)).sum(axis=1) @ width
    np.testing.assert_allclose(moments["number_flux"][0][record], down[record], rtol=1e-4)
    np.testing.assert_allclose(moments["number_flux"][1][record], up[record], rtol=1e-4)
    assert not any(name.endswith("_error") for name in moments.values)


@pytest.mark.parametrize(
    ("units", "depends", "sentence"),
    [
        ("counts/s", None, 'no moments of Flux: its units, "counts/s", '),
        ("1/(cm^2 s)", None, "are not those of a differential flux such as 1/(cm^2 s sr eV)"),
        (None, "Number", "no moments of Flux: it has no axis of pitch angles"),
    ],
)
def test_what_allows_no_moments_is_named_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    units: str | None,
    depends: str | None,
    sentence: str,
) -> None:
    caplog.set_level(logging.WARNING)
    path = tmp_path / "tst_20170101_v1.cdf"
    given = istp_files.variables()
    attributes = dict(given["Flux"].attributes)
    if units is not None:
        attributes["UNITS"] = units
    if depends is not None:
        del attributes["DEPEND_1"]
        del given["Pitch"]
    given["Flux"] = replace(given["Flux"], attributes=attributes)
    istp_files.write(path, given)
    assert of_file(path, istp(), "tst") is None
    assert sentence in caplog.text
    assert len(caplog.records) == 1
