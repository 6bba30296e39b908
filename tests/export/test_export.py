"""Items are exported as CDF and netCDF: the values of the store, told apart by name, once."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cdflib
import numpy as np
import pytest
import xarray
from numpy.typing import NDArray

from spectro_mpi.export.cdf_file import cdf_bytes, tt2000
from spectro_mpi.instruments.times import TimeUnit, unix_seconds
from spectro_mpi.model.as_istp import as_istp
from spectro_mpi.model.records import in_time_order
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run, open_run
from tests.conftest import BIN, spectro_mpi, spectro_mpi_here
from tests.model.spectrograms import random_flux

EES = "fast-esa_ees_eflux_20000101003405_13312_v01"


def export(run_dir: Path, folder: Path, *words: str, kind: str = "cdf") -> Any:
    return spectro_mpi_here("export", run_dir, "--format", kind, "-o", folder, *words)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole run as CDF and netCDF."""
    folder = tmp_path_factory.mktemp("files")
    for kind in ("cdf", "netcdf"):
        done = export(run.path, folder, kind=kind)
        assert (done.code, done.err) == (0, "")
        assert "6 files written; " in done.out and " s per item" in done.out
    return folder


def values_of(cdf: Any, name: str) -> NDArray[Any]:
    """The values of a variable, NaN where they are its FILLVAL."""
    values = np.asarray(cdf.varget(name))
    if values.dtype.kind == "f":
        values = np.where(values == np.float32(-1e31), np.nan, values)
    return values


def test_a_cdf_holds_the_values_of_the_store(run: Run, folder: Path) -> None:
    paths = sorted(folder.glob("*.cdf"))
    assert len(paths) == 6
    for path in paths:
        name, item = path.stem.split("_")[1], path.stem.split("_")[4]
        one, cdf = run.spectrogram(item, name), cdflib.CDF(path)
        times = unix_seconds(cdf.varget("Epoch"), TimeUnit("CDF_TIME_TT2000"))
        np.testing.assert_allclose(times, one.time, rtol=0, atol=1e-6)
        energy = one.energy[one.mode]
        np.testing.assert_array_equal(values_of(cdf, f"{name}_energy"), energy)
        for row, category in enumerate(one.category):
            values = values_of(cdf, f"{name}_eflux_{category}")
            np.testing.assert_array_equal(values, one.values[row])
            errors = values_of(cdf, f"{name}_eflux_error_{category}")
            np.testing.assert_array_equal(errors, one.errors[row])
        low = energy - values_of(cdf, f"{name}_energy_delta_minus")
        high = energy + values_of(cdf, f"{name}_energy_delta_plus")
        np.testing.assert_allclose(low, one.edges[one.mode][..., 0], rtol=1e-5)
        np.testing.assert_allclose(high, one.edges[one.mode][..., 1], rtol=1e-5)
        bands = ["100_1000", "1000_40000"] if name == "ees" else ["50_1000", "1000_30000"]
        for row, band in enumerate(bands):
            np.testing.assert_array_equal(
                values_of(cdf, f"{name}_eflux_angle_{band}"), one.angles[row]
            )
        for each in one.ephemeris:
            np.testing.assert_array_equal(values_of(cdf, f"{name}_{each.name}"), each.values)


def test_its_attributes_say_what_is_what_and_where_it_comes_from(run: Run, folder: Path) -> None:
    cdf = cdflib.CDF(folder / f"{EES}.cdf")
    about = cdf.varattsget("ees_eflux_downgoing")
    assert about["DEPEND_0"] == "Epoch" and about["DEPEND_1"] == "ees_energy"
    assert about["DELTA_PLUS_VAR"] == about["DELTA_MINUS_VAR"] == "ees_eflux_error_downgoing"
    assert (about["DISPLAY_TYPE"], about["SCALETYP"]) == ("spectrogram", "log")
    assert about["UNITS"] == "eV/(cm^2 s sr eV)" and about["SI_CONVERSION"].startswith("1e4>")
    assert about["LABLAXIS"] == "ees downgoing"
    assert "within 30 degrees of earthward" in about["VAR_NOTES"]
    limits = run.limits("13312", "ees", "downgoing")
    assert limits is not None
    assert (about["SCALEMIN"], about["SCALEMAX"]) == pytest.approx((limits.z_min, limits.z_max))
    energy = cdf.varattsget("ees_energy")
    assert (energy["UNITS"], energy["SCALETYP"]) == ("eV", "log")
    angle = cdf.varattsget("ees_eflux_angle_100_1000")
    assert angle["DEPEND_1"] == "ees_angle" and len(cdf.varget("ees_angle")) == 64
    made = run.spectrogram("13312", "ees")
    texts = cdf.globalattsget()
    assert texts["Parents"] == [f"CDF>{made.source}"]
    assert texts["Parents_sha256"] == [made.provenance.sha256]
    assert texts["Settings_digest"] == [made.provenance.settings]
    assert texts["Generated_by"][0].startswith("spectro-mpi 0.")
    assert texts["Ephemeris"] == ["fa_k0_orb_13312_v01.cdf, dipole"]
    assert texts["Logical_file_id"] == [EES] and texts["Run_id"] == ["fast"]
    for name in (*texts, *cdf.cdf_info().zVariables):
        assert name.isascii() and name.isidentifier()


def test_datasets_of_phases_are_exported_by_their_dimensions(run: Run, folder: Path) -> None:
    cdf = cdflib.CDF(folder / f"{EES}.cdf")
    records = np.arange(len(run.spectrogram("13312", "ees").time))
    np.testing.assert_array_equal(cdf.varget("ees_thickness"), records)
    about = cdf.varattsget("ees_thickness")
    assert about["DELTA_PLUS_VAR"] == "ees_thickness_error" and about["UNITS"] == "km"
    assert about["DISPLAY_TYPE"] == "time_series"
    np.testing.assert_array_equal(cdf.varget("ees_flow_down"), records)
    np.testing.assert_array_equal(cdf.varget("ees_flow_up"), -records)
    assert cdf.varattsget("ees_histogram")["DEPEND_1"] == "ees_bin"
    np.testing.assert_array_equal(cdf.varget("ees_bin"), [0.5, 1.5, 2.5])
    with xarray.open_dataset(folder / f"{EES}.nc") as data:
        np.testing.assert_array_equal(data.flow.sel(way="up"), -records)
        assert data.thickness.attrs["units"] == "km" and data.histogram.dims == ("time", "bin")
    assert set(run.xarray("13312", "ees").data_vars) >= {"thickness", "flow", "histogram"}


def test_moments_are_exported_with_their_errors(run: Run, folder: Path) -> None:
    cdf, moments = cdflib.CDF(folder / f"{EES}.cdf"), run.moments("13312", "ees")
    np.testing.assert_array_equal(values_of(cdf, "ees_density"), moments["density"])
    for row, direction in enumerate(moments.directions):
        flux = values_of(cdf, f"ees_energy_flux_{direction}")
        np.testing.assert_array_equal(flux, moments["energy_flux"][row])
    about = cdf.varattsget("ees_energy_flux_down")
    assert about["UNITS"] == "erg cm-2 s-1" and about["SI_CONVERSION"] == "1e-3>W m^-2"
    assert about["DELTA_PLUS_VAR"] == "ees_energy_flux_error_down"
    assert "positive earthward" in about["CATDESC"]
    with xarray.open_dataset(folder / f"{EES}.nc") as data:
        np.testing.assert_array_equal(data.density, moments["density"])
        np.testing.assert_array_equal(data.energy_flux, moments["energy_flux"])


def test_a_netcdf_file_opens_with_the_values_of_the_store(run: Run, folder: Path) -> None:
    one = run.spectrogram("13312", "ees")
    with xarray.open_dataset(folder / f"{EES}.nc", decode_times=False) as data:
        assert data.time.attrs["units"].startswith("seconds since 1970-01-01")
        assert data.time.attrs["standard_name"] == "time"
        np.testing.assert_allclose(data.time, one.time, rtol=0, atol=1e-6)
        bounds = data[data.time.attrs["bounds"]]
        np.testing.assert_allclose(bounds[:, 0], one.time_start, rtol=0, atol=1e-6)
        np.testing.assert_allclose(bounds[:, 1], one.time_end, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(data.eflux, one.values)
        np.testing.assert_array_equal(data.energy, one.energy[one.mode])
        assert data.alt.attrs["standard_name"] == "altitude"
        assert data.attrs["Conventions"].startswith("CF-")
        assert data.attrs["source_sha256"] == one.provenance.sha256


def test_an_exported_cdf_can_be_inspected_and_drawn(folder: Path, tmp_path: Path) -> None:
    found = spectro_mpi_here("inspect", folder / f"{EES}.cdf")
    assert found.code == 0 and "ees_eflux_downgoing" in found.out
    done = spectro_mpi_here("draw", folder / f"{EES}.cdf", "-o", tmp_path / "figure.png")
    assert done.code == 0, done.err


def test_files_of_the_same_data_are_kept_and_others_made_again(run: Run, tmp_path: Path) -> None:
    copy, files = tmp_path / "run", tmp_path / "files"
    shutil.copytree(run.path, copy)
    words = ("--items", "13312-13313", "--instruments", "ees")
    assert "2 files written" in export(copy, files, *words).out
    first, second = sorted(files.iterdir())
    before = {path: path.stat().st_mtime_ns for path in (first, second)}
    done = export(copy, files, *words)
    assert "0 files written, 2 files of the same data kept (--force" in done.out
    first.write_bytes(first.read_bytes()[:-10_000])  # damaged: not one of ours any more
    done = export(copy, files, *words)
    assert done.code == 3 and f"{first}: exists, made by another program; --force" in done.err
    assert export(copy, files, *words, "--force").code == 0
    assert before[second] < second.stat().st_mtime_ns
    assert "2 files of the same data kept" in export(copy, files, *words).out
    # An attribute is a part of the files.
    assert "2 files written" in export(copy, files, *words, "-a", "PI_name=A. Ångström").out
    assert cdflib.CDF(second).globalattsget()["PI_name"] == ["A. Angstrom"]
    # Files of another run are not replaced unawares.
    done = export(copy.rename(tmp_path / "other"), files, *words)
    assert done.code == 3 and "exists, made by run run" in done.err


def test_data_that_were_made_again_are_exported_again(run: Run, tmp_path: Path) -> None:
    copy, files = tmp_path / "run", tmp_path / "files"
    shutil.copytree(run.path, copy)
    words = ("--items", "13312", "--instruments", "ies")
    for kind in ("cdf", "netcdf"):
        export(copy, files, *words, kind=kind)
    state = open_run(copy).progress
    stamp = state.stores["own"]["13312"].rpartition("#")[2]
    progress = copy / "progress.json"
    progress.write_text(progress.read_text().replace(stamp, "0" * 16))
    for kind in ("cdf", "netcdf"):
        assert "1 file written" in export(copy, files, *words, kind=kind).out


def test_only_what_is_on_disk_is_exported_and_the_rest_is_named(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    done = export(copy, tmp_path / "a", "--items", "13312,13314-13316,15000")
    assert done.code == 3 and "4 files written" in done.out
    assert "could not be exported (2):" in done.err
    assert "  13315-13316: the run has no data of it" in done.err
    data_path(copy, run.progress.data_files["13313"]).write_bytes(b"damaged")
    done = export(copy, tmp_path / "b")
    assert done.code == 3 and "4 files written" in done.out
    assert "  item 13313: cannot be read (" in done.err
    done = export(copy, copy / "export", "--items", "13312")
    assert done.code == 0 and len(list((copy / "export").iterdir())) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--items", "999"), "--items 999: "),
        (("--items", "13314-13312"), "--items 13314-13312: "),
        (("--instruments", "ess"), "--instruments ess: the run has ees, eeb, ies, ieb; did you"),
        (("-a", "PI name=x"), "-a PI name=x: expected NAME=TEXT"),
    ],
)
def test_bad_wishes_are_answered_with_a_sentence(
    run: Run, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = export(run.path, tmp_path / "files", *words)
    assert done.code == 2 and sentence in done.err
    assert not (tmp_path / "files").exists()


def test_a_folder_that_cannot_be_written_ends_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = export(run.path, tmp_path / "file")
    assert done.code == 2 and "cannot be made" in done.err
    outside = tmp_path / "outside"
    outside.mkdir()
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    (copy / "export").symlink_to(outside)
    assert spectro_mpi_here("export", copy, "--format", "cdf").code == 2
    assert not list(outside.iterdir())


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_in_place_of_one_costs_that_file_only(
    run: Run, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / f"{EES}.cdf")
    for force in ((), ("--force",)):
        done = export(run.path, tmp_path, *force)
        assert done.code == 3
        assert f"{EES}.cdf: exists and is not a file" in done.err
    assert sum(path.is_file() for path in tmp_path.iterdir()) == 5


def test_a_signal_ends_it_and_the_next_one_continues(run: Run, tmp_path: Path) -> None:
    copy, files = tmp_path / "run", tmp_path / "files"
    shutil.copytree(run.path, copy)
    pipe = data_path(copy, run.progress.data_files["13314"])
    content = pipe.read_bytes()
    command = [str(BIN / "spectro-mpi"), "export", str(copy), "--format", "cdf", "-o", str(files)]
    with subprocess.Popen([*command, "--parallel", "1"], stdout=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not files.exists() or not list(files.iterdir()):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGTERM)
        out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 75 and "run again to continue" in out
    made = {path.name for path in files.iterdir()}
    assert all(path.endswith(".cdf") for path in made) and len(made) < 6
    assert pipe.read_bytes() == content
    done = export(copy, files)
    assert done.code == 0 and f"{len(made)} files of the same data kept" in done.out
    assert len(list(files.iterdir())) == 6


def test_records_are_in_order_of_time_and_those_without_are_left_out() -> None:
    one = dataclasses.replace(random_flux(3), legend=random_flux(3).legend)
    time_of = 1e9 + np.arange(40.0)
    time_of[:10] = time_of[:10][::-1]
    time_of[[5, 30]] = np.nan, 1e15
    shown = dataclasses.replace(one, time=time_of)
    ordered = in_time_order(shown)
    assert len(ordered.time) == 38 and (np.diff(ordered.time) > 0).all()
    where = np.searchsorted(ordered.time, time_of[7])
    np.testing.assert_array_equal(ordered.values[:, where], one.values[:, 7])
    assert ordered.mode[where] == one.mode[7]
    assert in_time_order(ordered) is ordered


def test_leap_seconds_are_counted() -> None:
    before, after = tt2000(np.array([1483228799.0, 1483228800.0]))  # 2016-12-31T23:59:59 UTC
    assert after - before == 2_000_000_000
    assert tt2000(np.array([946728000.0]))[0] == 64_184_000_000  # J2000 is 12:00 TT


def test_a_few_values_of_any_kind_can_be_written(tmp_path: Path) -> None:
    one = random_flux(1, records=3)
    odd = dataclasses.replace(
        one,
        time=1e9 + np.arange(3.0),
        category=("all", "0–30°"),
        instrument="3d plasma",
    )
    path = tmp_path / "odd.cdf"
    path.write_bytes(cdf_bytes(as_istp(odd, tt2000(odd.time)), {"TEXT": ""}))
    names = cdflib.CDF(path).cdf_info().zVariables
    assert "v3d_plasma_flux_0_30_degrees" in names and all(map(str.isidentifier, names))


def test_no_mpi_and_no_matplotlib_is_imported(run: Run, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom spectro_mpi.cli.main import main\n"
        f"main(['export', {str(run.path)!r}, '--format', 'cdf', '-o', {str(tmp_path)!r}, '--items',"
        " '13312'])\nassert not {'mpi4py', 'matplotlib', 'xarray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_it_works_beside_a_run_in_progress(run: Run, tmp_path: Path) -> None:
    """The state is read once; an item that is redone meanwhile has a whole file at any time."""
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    shutil.copy(run.path.parents[1] / "own.py", tmp_path)
    (copy / "run.lock").write_text("{}")
    done = spectro_mpi("export", copy, "--format", "cdf", "-o", tmp_path / "files")
    assert done.code == 0, done.err
    assert (copy / "run.lock").read_text() == "{}"
