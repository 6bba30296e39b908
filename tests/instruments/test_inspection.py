"""`spectro-mpi inspect FILE` says what can be drawn, and prints settings that draw it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.inspection import pattern_of
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.schema import Config
from tests.conftest import real_file, spectro_mpi
from tests.instruments.test_istp import PSP, expected, read_back, ring_weights, weighted_mean
from tests.istp_files import ENERGY, TIME, Variable, flux, variables, write

if sys.version_info >= (3, 11):
    from tomllib import loads
else:
    from tomli import loads


def proposed(path: Path, *variables: str) -> str:
    found = spectro_mpi("inspect", path, *variables)
    assert found.code == 0, found.err
    return found.out


@pytest.mark.slow
def test_what_it_prints_for_psp_epilo_draws_it(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / PSP).symlink_to(real_file(PSP))
    settings = tmp_path / "spectro-mpi.toml"
    settings.write_text(proposed(folder / PSP))
    done = spectro_mpi("run", "--no-progress", ranks=2, cwd=tmp_path)
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "psp_isois-epilo_l2-ic")
    assert run.instruments("20190401") == ["h_countrate_chant", "h_counts_chant"]
    rate = run.spectrogram("20190401", "h_countrate_chant")
    import cdflib

    cdf = cdflib.CDF(folder / PSP)
    measured = cdf.varget("H_CountRate_ChanT")[:, :, :32]
    np.testing.assert_allclose(rate.values[0, :, :32], measured.mean(1), rtol=1e-6)
    counts = run.spectrogram("20190401", "h_counts_chant")
    summed = cdf.varget("H_Counts_ChanT")[:, :, :32].sum(1)
    np.testing.assert_array_equal(counts.values[0, :, :32], summed)
    assert rate.legend.y_label == "Energy (eV/nuc)"
    assert rate.legend.z_label == "H CountRate ChanT (counts/sec)"
    np.testing.assert_allclose(rate.energy[0, :32], 1e3 * cdf.varget("H_ChanT_Energy")[0, :32])
    (picture,) = (tmp_path / "runs").glob("*/plots/2019/04/20190401/*given_extrema*.png")
    agreed, pixels = read_back(picture, rate)
    assert agreed > 0.97 * pixels  # but for those on the edges of records and channels


def test_what_it_prints_has_categories_where_there_are_pitch_angles(tmp_path: Path) -> None:
    path = write(tmp_path / "tst_20170101_v1.cdf", variables())
    text = proposed(path)
    assert "#   Flux: 12 records of Pitch (6) x Energy (5)*, cm⁻² s⁻¹ sr⁻¹ keV⁻¹" in text
    (tmp_path / "spectro-mpi.toml").write_text(text)
    done = spectro_mpi("run", "--no-progress", "-s", "plot.dpi=40", cwd=tmp_path)
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "tst")
    spectrogram = run.spectrogram("20170101", "flux")
    rows = dict(zip(spectrogram.category, spectrogram.values, strict=True))
    assert set(rows) == {"all", "parallel", "perpendicular", "antiparallel"}
    np.testing.assert_allclose(rows["parallel"], expected([0]), rtol=1e-6)
    # From 40 to 140: two thirds of the rings from 30 to 60 and from 120 to 150.
    weights = ring_weights(np.arange(30, 151, 30.0)) * [2 / 3, 1, 1, 2 / 3]
    across = weighted_mean(flux()[:, 1:5], weights)
    np.testing.assert_allclose(rows["perpendicular"], across, rtol=1e-6)
    np.testing.assert_allclose(rows["antiparallel"], expected([5]), rtol=1e-6)
    np.testing.assert_array_equal(spectrogram.time, TIME)
    assert {path.name for path in run.path.glob("plots/2017/01/20170101/*")} == {
        f"20170101_pitch-angle_flux_y-log_z-log_{limits}-inferno.png"
        for limits in ("given_extrema", "raw")
    }


@pytest.mark.slow
def test_fast_files_have_virtual_axes_and_are_drawn_by_what_these_are_made_of(
    demo: DemoSummary, tmp_path: Path
) -> None:
    path = next(demo.directory.glob("FAST_data/*/*/*_ees_*_13313_*.cdf"))
    text = proposed(path, "data")
    assert "the preset fast-esa draws it without tables" in text
    assert 'pitch_angle = "pitch_angle"' in text
    (tmp_path / "spectro-mpi.toml").write_text(text)
    chosen = ("-s", "select.orbits=13313", "-s", "plot.dpi=40", "--only", "reduce")
    done = spectro_mpi("run", "--no-progress", *chosen, cwd=tmp_path)
    assert done.code == 0, done.err
    assert open_run(tmp_path / "runs" / "fa_esa_l2_ees").items == ["13313"]


def test_fast_files_are_drawn_by_their_preset(demo: DemoSummary, tmp_path: Path) -> None:
    folder = demo.directory / "FAST_data"
    text = proposed(folder)
    assert loads(text) == {
        "run_id": "fast",
        "input": str(folder.resolve()),
        "data": {"preset": "fast-esa"},
    }
    path = next(folder.glob("*/*/*_ees_*_13313_*.cdf"))
    of_a_file = loads(proposed(path))
    assert of_a_file["select"] == {"instruments": ["ees"]}
    (tmp_path / path.name).symlink_to(path)
    write(tmp_path / "tst_20170101_v1.cdf", variables())
    mixed = proposed(tmp_path)
    assert loads(mixed)["data"] == {"preset": "fast-esa"}
    assert "# tst_20170101_v1.cdf is left out" in mixed


def test_every_other_variable_has_its_reason(tmp_path: Path) -> None:
    given = variables()
    plain = {"DEPEND_0": "Epoch", "VAR_TYPE": "data"}
    given["Density"] = Variable("Density", np.ones(12, np.float32), {**plain, "UNITS": "cm-3"})
    given["V"] = Variable("V", np.ones((12, 3), np.float32), {**plain, "UNITS": "km/s"})
    given["Ghost"] = Variable(
        "Ghost", flux()[:0], {**given["Flux"].attributes, "VIRTUAL": "TRUE", "COMPONENT_0": "Flux"}
    )
    found = spectro_mpi("inspect", write(tmp_path / "x.cdf", given), "--json")
    assert found.code == 0, found.err
    table = json.loads(found.out)
    assert [one["name"] for one in table["drawable"]] == ["Flux"]
    assert table["drawable"][0]["table"]["pitch_angle"] == "Pitch"
    assert table["others"]["Density"] == "is one number per record"
    assert table["others"]["Epoch"] == "is a time"
    assert "no axis in units of energy or frequency (no DEPEND_1)" in table["others"]["V"]
    assert table["others"]["Ghost"] == "has no records (it is virtual, computed from Flux)"


def test_a_file_with_nothing_to_draw_or_nothing_to_read_is_told_in_a_sentence(
    tmp_path: Path,
) -> None:
    given = variables()
    given["Flux"] = replace(given["Flux"], attributes={})
    nothing = spectro_mpi("inspect", write(tmp_path / "x.cdf", given))
    assert nothing.code == 1
    assert "nothing in it can be drawn" in nothing.err
    assert "Flux: has no DEPEND_0" in nothing.out
    damaged = tmp_path / "damaged.cdf"
    (tmp_path / "empty").mkdir()
    damaged.write_bytes((tmp_path / "x.cdf").read_bytes()[:700])
    for path, told in (
        (tmp_path / "none.cdf", "cannot be read: No such file"),
        (tmp_path / "empty", "holds no CDF file"),
        (damaged, "is truncated"),
    ):
        found = spectro_mpi("inspect", path)
        assert found.code == 2
        assert told in found.err
        assert "Traceback" not in found.err
    assert "has no variable Flx" in spectro_mpi("inspect", tmp_path / "x.cdf", "Flx").err


@pytest.mark.parametrize(
    ("name", "pattern", "item"),
    [
        ("psp_epilo_l2-ic_20190401_v0.0.0", "psp_epilo_l2-ic_{date}_v{version}", "20190401"),
        ("fa_l2_ees_20000101001737_13312_v01", "fa_l2_ees_{date}_{orbit}_v{version}", "13312"),
        ("mms1_des_20150901120000_v3.4.0", "mms1_des_{date}_v{version}", "20150901120000"),
        ("mvn_swe_l2_20141123_v04_r06", "mvn_swe_l2_{date}_v{version}", "20141123"),
        (
            "C1_PEA__20010201_000000_20010202_000000_V01",
            "C1_PEA__{date}_{time}_*_*_V{version}",
            "20010201_000000",
        ),
        ("noaa_2005-01-02", "noaa_{date:%Y-%m-%d}", "20050102"),
        ("wi_2005032_v2", "wi_{date:%Y%j}_v{version}", "20050201"),
        ("sample_one", "{item}", "sample_one"),
    ],
)
def test_the_pattern_of_a_name_finds_it_again(name: str, pattern: str, item: str) -> None:
    assert pattern_of(f"{name}.cdf") == f"{pattern}.cdf"
    match = FilePattern(f"{pattern}.cdf").match(f"{name}.cdf")
    assert match is not None
    assert match.item == item


PLAIN = {"DEPEND_0": "Epoch", "DEPEND_1": "Energy", "VAR_TYPE": "data"}
"""Attributes of a flux without angles."""


def spectra(scale: float = 1) -> np.ndarray[Any, Any]:
    return (scale * np.abs(flux()[:, 0])).astype(np.float32)


def mixed() -> dict[str, Variable]:
    """Variables that a scientist would draw in another order than that of their names."""
    given = variables()
    for name, units, text in (
        ("A_counts", "counts", "Oxygen counts"),
        ("B_O_flux", "1/(cm^2 s sr keV)", "Oxygen flux"),
        ("C_P_flux_err", "1/(cm^2 s sr keV)", "Proton flux"),
        ("D_empty_flux", "1/(cm^2 s sr keV)", "Electron flux of another sensor"),
        ("E_P_rate", "counts/s", "Proton rate"),
        ("Y_P_flux", "1/(cm^2 s sr keV)", "Proton flux"),
        ("Z_E_flux", "1/(cm^2 s sr keV)", "Electron flux"),
    ):
        data = spectra(0 if "empty" in name else 1)
        given[name] = Variable(name, data, {**PLAIN, "UNITS": units, "CATDESC": text})
    given["X_more"] = Variable(
        "X_more", spectra(), {**PLAIN, "UNITS": "counts", "VAR_TYPE": "support_data"}
    )
    return given


def active(text: str) -> list[str]:
    """The variables that the proposed settings draw."""
    return [table["value"] for table in loads(text).get("instrument", [])]


def test_what_a_scientist_would_draw_comes_first(tmp_path: Path) -> None:
    text = proposed(write(tmp_path / "tst_20170101_v1.cdf", mixed()))
    assert active(text) == ["Z_E_flux", "Y_P_flux", "Flux", "B_O_flux"]
    commented = re.findall(r'^# value = "(.*)"$', text, re.MULTILINE)
    assert commented == ["E_P_rate", "A_counts", "C_P_flux_err", "D_empty_flux"]
    assert "D_empty_flux: 12 records of Energy (5)*, 1/(cm² s sr keV) (no value above 0)" in text
    assert "X_more" not in text
    assert 'value = "X_more"' in proposed(tmp_path / "tst_20170101_v1.cdf", "--all")


def test_if_there_is_nothing_better_uncertainties_are_drawn(tmp_path: Path) -> None:
    given = {**variables()}
    given["Flux_sigma"] = replace(given.pop("Flux"), name="Flux_sigma")
    assert active(proposed(write(tmp_path / "x_20170101.cdf", given))) == ["Flux_sigma"]


def test_pitch_angles_without_units_have_the_default_categories(tmp_path: Path) -> None:
    given = variables()
    given["Pitch"] = replace(given["Pitch"], attributes={"LABLAXIS": "Pitch angle"})
    text = proposed(write(tmp_path / "tst_20170101_v1.cdf", given))
    assert 'pitch_angle = "Pitch"' in text
    table = loads(text)["pitch_angles"]
    defaults = {name: pairs for name, pairs in Config().pitch_angles.items() if name != "all"}
    assert {name: tuple(map(tuple, pairs)) for name, pairs in table.items()} == defaults


def test_a_file_without_attributes_varies_with_time(tmp_path: Path) -> None:
    bare = {
        "Epoch": replace(variables()["Epoch"], attributes={}),
        "FLUX": Variable("FLUX", spectra(), {}),
        "ENERGY": Variable("ENERGY", np.tile(ENERGY, (12, 1)), {}),
        "TABLE": Variable("TABLE", ENERGY, {}, varies=False),
    }
    path = write(tmp_path / "tst_20170101_v1.cdf", bare)
    text = proposed(path)
    assert active(text)[0] == "FLUX"
    assert loads(text)["instrument"][0]["time"] == "Epoch"
    assert loads(text)["instrument"][0]["energy"] == "ENERGY"
    assert "set energy_units" in text
    assert "TABLE: has no DEPEND_0: it does not vary with time" in proposed(path, "--all")
    (tmp_path / "spectro-mpi.toml").write_text(text)
    done = spectro_mpi("run", "--no-progress", "-s", "plot.dpi=40", cwd=tmp_path)
    assert done.code == 0, done.err
    drawn = open_run(tmp_path / "runs" / "tst").spectrogram("20170101", "flux")
    np.testing.assert_array_equal(drawn.values[0], spectra())
    two = {**bare, "Start": replace(bare["Epoch"], name="Start")}
    two["Stop"] = replace(two.pop("Epoch"), name="Stop")
    found = spectro_mpi("inspect", write(tmp_path / "y.cdf", two))
    assert found.code == 1
    assert "FLUX: has no DEPEND_0: it varies, but the file does not say with which" in found.out


def test_a_master_beside_a_file_without_attributes_is_used(tmp_path: Path) -> None:
    given = variables()
    write(
        tmp_path / "tst_20170101_v1.cdf",
        {name: replace(given[name], attributes={}) for name in ("Epoch", "Flux")},
    )
    master = write(
        tmp_path / "tst_00000000_v2.cdf",
        {
            name: replace(one, data=one.data[: 0 if one.varies else None])
            for name, one in given.items()
        },
    )
    text = proposed(tmp_path)
    assert loads(text)["instrument"][0]["master"] == str(master)
    (tmp_path / "spectro-mpi.toml").write_text(text)
    done = spectro_mpi("run", "--no-progress", "-s", "plot.dpi=40", cwd=tmp_path)
    assert done.code == 0, done.err
    drawn = open_run(tmp_path / "runs" / "tst").spectrogram("20170101", "flux")
    np.testing.assert_allclose(drawn.values[0], expected(), rtol=1e-6)


def test_several_files_are_one_proposal_with_names_that_differ(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a_north_20170101_v1", "a_north_20170102_v1", "a_south_20170101_v1"):
        write(tmp_path / "data" / f"{name}.cdf", variables())
    (tmp_path / "data" / "a_north_20170101_v0.cdf").write_bytes(b"")
    for given in (["data"], sorted((tmp_path / "data").glob("*.cdf"))):
        found = spectro_mpi("inspect", *given, cwd=tmp_path)
        assert found.code == 0, found.err
        table = loads(found.out)
        assert table["input"] == str(tmp_path / "data")
        assert [one["name"] for one in table["instrument"]] == ["flux_north", "flux_south"]
        assert "(3 files like it)" in found.out
    table = json.loads(spectro_mpi("inspect", "data", "Flux", "--json", cwd=tmp_path).out)
    assert [one["like"] for one in table["files"]] == [3, 1]


def test_a_damaged_file_of_a_folder_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "tst_20170101_v1.cdf", variables())
    damaged = tmp_path / "data" / "a_copy.cdf"
    damaged.write_bytes(b"no CDF")
    found = spectro_mpi("inspect", "data", cwd=tmp_path)
    assert found.code == 0, found.err
    assert [one["value"] for one in loads(found.out)["instrument"]] == ["Flux"]
    assert "# a_copy.cdf: left out: " in found.out
    assert spectro_mpi("inspect", "data", damaged, cwd=tmp_path).code == 2
    (tmp_path / "data" / "tst_20170101_v1.cdf").unlink()
    alone = spectro_mpi("inspect", "data", cwd=tmp_path)
    assert alone.code == 2
    assert "a_copy.cdf" in alone.err


def test_text_of_a_file_is_never_syntax(tmp_path: Path) -> None:
    given = variables()
    evil = 'a"]\nrun_id = "stolen"\r\x1b[2J\u202e\x7f\u2028'
    given["Flux"] = replace(
        given["Flux"], attributes={**given["Flux"].attributes, "LABLAXIS": evil, "UNITS": evil}
    )
    folder = tmp_path / 'x"\\ y'
    folder.mkdir()
    text = proposed(write(folder / "tst_20170101_v1.cdf", given, source=f"T>{evil}"))
    assert loads(text)["run_id"] == "tst"
    assert loads(text)["input"] == str(folder)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    unfit = folder.rename(tmp_path / "x\x7fy")
    refused = spectro_mpi("inspect", unfit / "tst_20170101_v1.cdf")
    assert refused.code == 2
    assert "settings cannot hold this path" in refused.err


def test_an_energy_unit_is_taken_from_a_description(tmp_path: Path) -> None:
    given = variables()
    labels = np.array(["f 6.4-8.6", "f 8.6-11.2", "f 11.2-13.4", "f 13.4-17.9", "f 17.9-25. 1"])
    given["Label"] = Variable("Label", labels, {}, varies=False)
    attributes = {
        "DEPEND_0": "Epoch",
        "LABL_PTR_1": "Label",
        "UNITS": "1/(cm2 sr s MeV/nucleon)",
        "CATDESC": "C intensity, at 5 energies 6.4-25.1 MeV/nuc",
    }
    given["Flux"] = Variable("Flux", spectra(), attributes)
    text = proposed(write(tmp_path / "tst_20170101_v1.cdf", given))
    assert 'energy_units = "MeV/nuc"' in text
    (tmp_path / "spectro-mpi.toml").write_text(text)
    chosen = ("-s", "plot.dpi=40", "--only", "reduce")
    done = spectro_mpi("run", "--no-progress", *chosen, cwd=tmp_path)
    assert done.code == 0, done.err
    edges = open_run(tmp_path / "runs" / "tst").spectrogram("20170101", "flux").edges[0]
    border = 1e6 * np.array([6.4, 8.6, 11.2, 13.4, 17.9, 25.1])
    np.testing.assert_allclose(edges, np.stack([border[:-1], border[1:]], axis=-1), rtol=1e-6)
