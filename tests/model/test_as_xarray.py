"""Datasets of xarray follow the CF conventions, and netCDF files give them back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.as_xarray import as_xarray
from spectro_mpi.model.spectrogram import Legend, Provenance, Spectrogram

TIME = 946685857.25 + 2.5 * np.arange(6, dtype=np.float64)
LEGEND = Legend(
    mission="FAST ESA",
    title="FAST ESA electron survey (ees)",
    long_name="Differential energy flux",
    units="eV/(cm^2 s sr eV)",
)


@pytest.fixture
def spectrogram() -> Spectrogram:
    """Two categories, six records of two modes, one without a start, four channels."""
    values = np.arange(2 * 6 * 4, dtype=np.float32).reshape(2, 6, 4)
    values[0, 3] = np.nan
    return Spectrogram(
        instrument="ees",
        quantity="eflux",
        category=("all", "parallel"),
        time=TIME,
        time_start=np.where(np.arange(6) == 2, np.nan, TIME - 1.25),
        time_end=TIME + 1.25,
        mode=np.array([0, 0, 1, 1, 0, 0], np.uint8),
        energy=np.array([[40, 30, 20, 10], [35, 25, np.nan, np.nan]], np.float32),
        values=values,
        source="fa_esa_l2_ees.cdf",
        source_size=12345,
        legend=LEGEND,
        intervals=np.array([[[0, 360], [np.nan, np.nan]], [[0, 30], [330, 360]]], dtype=np.float32),
        quality=np.array([0, 2, 0, 4, 6, 0], np.uint8),
        errors=values / np.float32(4),
        provenance=Provenance(
            "ab" * 32, "0123456789abcdef", "pitch-angle", "fraction", "spectro-mpi 9.0, numpy 8.0"
        ),
    )


def test_a_netcdf_file_gives_the_same_dataset(spectrogram: Spectrogram, tmp_path: Path) -> None:
    given = as_xarray(spectrogram, item="13312")
    given.to_netcdf(tmp_path / "13312.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "13312.nc") as back:
        xarray.testing.assert_equal(back, given)
        assert back.attrs == given.attrs
        for name, variable in given.variables.items():
            # In a file, the units of bounds are those of their variable (CF conventions, 7.1).
            units = {"units"} if name == "energy_edges" else set()
            kept = {key: text for key, text in variable.attrs.items() if key not in units}
            assert back[name].attrs == kept
        np.testing.assert_array_equal(back.eflux, spectrogram.values)
        assert str(back.time.values[1]) == "2000-01-01T00:17:39.750000000"
        assert np.isnat(back.time_start.values).tolist() == [False, False, True] + [False] * 3


def test_missing_values_are_nan_in_the_file(spectrogram: Spectrogram, tmp_path: Path) -> None:
    as_xarray(spectrogram).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with h5py.File(tmp_path / "x.nc") as file:
        floats = [name for name in file if file[name].dtype.kind == "f" and file[name].attrs]
        stored = [name for name in floats if "_FillValue" in file[name].attrs]
        assert {"eflux", "eflux_error", "energy", "time", "time_start"} <= set(stored)
        assert all(np.isnan(file[name].attrs["_FillValue"]).all() for name in stored)
        assert file["time"].dtype == "f8"
        np.testing.assert_array_equal(file["time"][:], TIME)


def test_it_tells_what_it_is_and_where_it_is_from(spectrogram: Spectrogram) -> None:
    data = as_xarray(spectrogram, item="13312")
    assert data.attrs == {
        "Conventions": "CF-1.11",
        "title": "FAST ESA electron survey (ees), 13312",
        "mission": "FAST ESA",
        "instrument": "ees",
        "item": "13312",
        "source": "fa_esa_l2_ees.cdf",
        "source_size": 12345,
        "source_sha256": "ab" * 32,
        "history": "reduced from fa_esa_l2_ees.cdf by spectro-mpi 9.0",
        "settings": "0123456789abcdef",
        "angle_weight": "pitch-angle",
        "angle_borders": "fraction",
        "software": "spectro-mpi 9.0, numpy 8.0",
    }
    assert data.eflux.attrs["units"] == "eV/(cm^2 s sr eV)"
    assert data.eflux.attrs["ancillary_variables"] == "eflux_error quality"
    assert data.energy.attrs["bounds"] == "energy_edges"
    assert data.energy_edges.dims == ("time", "channel", "bound")
    np.testing.assert_array_equal(data.energy_edges[0], spectrogram.edges[0])
    np.testing.assert_array_equal(data.energy_edges[2], spectrogram.edges[1])
    parallel = data.category_intervals.sel(category="parallel")
    assert parallel.values.tolist() == [[0, 30], [330, 360]]
    assert parallel.attrs["units"] == "degree"


def test_what_is_not_known_is_left_out(spectrogram: Spectrogram) -> None:
    none = np.empty((0, 0, 2), np.float32)
    plain = replace(
        spectrogram,
        legend=Legend(),
        intervals=none,
        quality=np.empty(0, np.uint8),
        errors=np.empty((0, 0, 0), np.float32),
        provenance=Provenance(),
    )
    data = as_xarray(plain)
    assert set(data.attrs) == {
        "Conventions", "title", "instrument", "source", "source_size", "history"
    }  # fmt: skip
    assert set(data.data_vars) == {"eflux", "mode"}
    assert "category_intervals" not in data
    assert data.eflux.attrs["units"] == "1"


def test_powers_in_units_are_those_of_udunits(spectrogram: Spectrogram) -> None:
    legend = replace(LEGEND, units="cm⁻² s⁻¹ sr⁻¹ keV⁻¹", axis="y", axis_units="")
    data = as_xarray(replace(spectrogram, legend=legend))
    assert data.eflux.attrs["units"] == "cm-2 s-1 sr-1 keV-1"
    ster = replace(LEGEND, units="s⁻¹ cm⁻² ster⁻¹ keV⁻¹")
    assert as_xarray(replace(spectrogram, legend=ster)).eflux.attrs["units"] == (
        "s-1 cm-2 sr-1 keV-1"
    )
    assert data.y.attrs["units"] == data.y_edges.attrs["units"] == "1"


def test_datasets_of_other_phases_are_added_where_they_fit(spectrogram: Spectrogram) -> None:
    fitting = Dataset("density", np.arange(6.0), ("time",), "cm-3", "Density", {})
    other = Dataset("other", np.arange(5.0), ("time",), "", "", {})
    data = as_xarray(spectrogram, [fitting, other])
    assert data.density.values.tolist() == [0, 1, 2, 3, 4, 5]
    assert data.density.attrs == {"long_name": "Density", "units": "cm-3"}
    assert "other" not in data


def test_cf_xarray_and_pint_read_its_axes_bounds_and_units(spectrogram: Spectrogram) -> None:
    pytest.importorskip("pint")
    units = pytest.importorskip("cf_xarray.units").units
    data = as_xarray(spectrogram)
    assert data.cf.bounds == {"energy": ["energy_edges"]}
    assert data.cf["T"].name == "time"
    expected = (units.centimeter**2 * units.second * units.steradian) ** -1
    assert units.Unit(data.eflux.attrs["units"]) == expected
    for name in ("energy", "mode", "category_intervals"):
        units.Unit(data[name].attrs["units"])
