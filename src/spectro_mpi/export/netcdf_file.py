"""Write a spectrogram as netCDF by the CF conventions, with xarray and h5netcdf."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import EPOCH, Dataset
from spectro_mpi.model.as_xarray import as_xarray
from spectro_mpi.model.spectrogram import Spectrogram

if TYPE_CHECKING:
    import xarray

_STANDARD_NAMES = {"alt": "altitude"}
"""Name in the store → standard name of CF; a footprint is no place of the data, and has none."""
_COMPRESSION = {"zlib": True, "complevel": 4, "shuffle": True}


def check_installed() -> None:
    """Raise `UserError` if a package is missing that writes netCDF."""
    missing = [name for name in ("xarray", "h5netcdf") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format netcdf needs {' and '.join(missing)}: pip install 'spectro-mpi[xarray]'"
        )


def netcdf_bytes(
    spectrogram: Spectrogram, others: Iterable[Dataset], item: str, about: Mapping[str, str]
) -> bytes:
    """The content of a netCDF file: `as_xarray`, with what CF expects of a file.

    Times are seconds since 1970-01-01 in the standard calendar; the bounds of a record are
    `time_bounds` if all are known, else the coordinates `time_start` and `time_end`. `about`:
    further global attributes. The records of `spectrogram` are in order of time.
    """
    data = as_xarray(spectrogram, others, item)
    data = _with_bounds(data)
    for name, standard in _STANDARD_NAMES.items():
        if name in data.variables:
            data[name].attrs |= {"standard_name": standard, "positive": "up"}
    data["time"].attrs["units_metadata"] = "leap_seconds: none"
    bounds = {each.attrs["bounds"] for each in data.variables.values() if "bounds" in each.attrs}
    for name, variable in data.variables.items():
        _encode(variable, has_missing=name not in data.dims and name not in bounds)
        if name in bounds:  # what they are is said by the variable that they are bounds of
            variable.attrs.clear()
    data.attrs |= about
    return bytes(data.to_netcdf(engine="h5netcdf", format="NETCDF4"))


def _with_bounds(data: xarray.Dataset) -> xarray.Dataset:
    """The times with their bounds, if all are known."""
    start, end = data["time_start"], data["time_end"]
    if not data.sizes["time"] or bool(start.isnull().any()) or bool(end.isnull().any()):
        return data
    bounds = np.stack([start.values, end.values], axis=1)
    data = data.drop_vars(["time_start", "time_end"])
    data["time"].attrs["bounds"] = "time_bounds"
    return data.assign_coords(time_bounds=(("time", "bound"), bounds))


def _encode(variable: Any, has_missing: bool) -> None:
    """How a variable is stored: compressed; `has_missing`: it may have a fill value, NaN."""
    kind = variable.dtype.kind
    if kind == "M":
        variable.encoding |= {"units": EPOCH, "calendar": "standard", "dtype": "f8"}
    if kind in "fM":
        variable.encoding["_FillValue"] = np.nan if has_missing else None
    if kind in "fiuM" and variable.ndim > 0:
        variable.encoding |= _COMPRESSION
