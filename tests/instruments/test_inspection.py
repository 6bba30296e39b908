"""`spectro-mpi inspect FILE` says what can be drawn, and prints settings that draw it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.instruments.inspection import pattern_of
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.file_pattern import FilePattern
from tests.conftest import real_file, spectro_mpi
from tests.instruments.test_istp import PSP, expected, read_back, ring_weights, weighted_mean
from tests.istp_files import TIME, Variable, flux, variables, write


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
    assert "the preset fast-esa needs no tables" in text
    assert 'pitch_angle = "pitch_angle"' in text
    (tmp_path / "spectro-mpi.toml").write_text(text)
    chosen = ("-s", "select.orbits=13313", "-s", "plot.dpi=40", "--only", "reduce")
    done = spectro_mpi("run", "--no-progress", *chosen, cwd=tmp_path)
    assert done.code == 0, done.err
    assert open_run(tmp_path / "runs" / "fa_esa_l2_ees").items == ["13313"]


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
