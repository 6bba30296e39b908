"""Convert spectrograms to xarray: arrays with named dimensions and coordinates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import BOUNDS, EPOCH, Dataset, Group
from spectro_mpi.model.moments import ERROR, Moments
from spectro_mpi.model.plain import plain_units
from spectro_mpi.model.spectrogram import Spectrogram

if TYPE_CHECKING:
    import xarray

CONVENTIONS = "CF-1.11"
_Variable = tuple[Any, Any, dict[str, str]]
"""Dimensions, values and attributes."""


def as_xarray(
    spectrogram: Spectrogram, others: Iterable[Dataset] = (), item: str = ""
) -> xarray.Dataset:
    """Convert a spectrogram to an `xarray.Dataset` of dimensions category, time and channel.

    It follows the CF conventions, and its `to_netcdf` writes it with h5netcdf:

    - `energy` (or `frequency`, or `y`), (time, channel), holds the energy table in use at each
      time, and `energy_edges`, (time, channel, bound), which its attribute `bounds` names, the
      lower and upper edges of its channels;
    - `category_intervals`, (category, interval, bound), holds the pitch angles of the categories
      in degrees, if they are known; `quality`, (time), and `QUANTITY_error` are the flags of the
      records and the uncertainties, if the run stored them;
    - units are those of the store, in the form of UDUNITS, which cf-xarray and pint read ("1" if
      there are none);
    - missing values are NaN, or NaT, also in a file (`_FillValue`);
    - `alt`, `ilat`, `mlt` and the other variables of the ephemeris are coordinates of `time`;
    - `angles`, (band, time, angle), are the pitch-angle spectrograms, if the run stored them, with
      the coordinates `angle` and `band_edges`;
    - the moments, if the run stored them, as in the group `moments` of the store: `density`,
      `number_flux` (direction, time) and so on;
    - attributes tell the mission, the instrument, the item and how the values were made.

    `others` are datasets of user-defined phases. Their dimensions are these, or further ones, which
    bring their coordinates; a dataset of which one has another size is left out.
    Raises `UserError` if xarray is not installed.
    """
    package = _xarray("Run.spectrogram, which gives numpy arrays")
    coordinates = {
        **_times(spectrogram),
        **_ephemeris(spectrogram),
        **_categories(spectrogram),
        **_channels(spectrogram),
    }
    data: xarray.Dataset = package.Dataset(
        _values(spectrogram), coordinates, _attributes(spectrogram, item)
    )
    if spectrogram.by_angle is not None:
        angles = _angles(spectrogram.by_angle)
        data = data.assign(angles=angles).assign_coords(_bands(spectrogram))
    if spectrogram.moments is not None:
        moments = spectrogram.moments
        names = list(moments.directions)
        direction = ("direction", names, {"long_name": "Direction of a flux"})
        beside = {name: of for name, of in _moments(moments).items() if name not in data}
        data = data.assign(beside).assign_coords(direction=direction)
    for other in others:
        data = _with(data, other)
    for variable in data.variables.values():
        if variable.dtype.kind == "f":
            variable.encoding["_FillValue"] = variable.dtype.type(np.nan)
        elif variable.dtype.kind == "M":
            variable.encoding |= {"units": EPOCH, "dtype": "f8", "_FillValue": np.nan}
    return data


def group_as_xarray(group: Group, attributes: Mapping[str, Any]) -> xarray.Dataset:
    """Convert a group in which coordinates are datasets named as their dimension.

    Raises `UserError` if xarray is not installed.
    """
    package = _xarray("h5py, which reads the same file")
    variables = {}
    for name, dataset in group.datasets.items():
        texts = {"long_name": dataset.long_name, "units": dataset.units}
        bounds = f"{name}{BOUNDS}"
        texts["bounds"] = bounds if bounds in group.datasets else ""
        given = {key: text for key, text in texts.items() if text}
        variables[name] = (dataset.dims, dataset.values, given)
    coordinates = {name: each for name, each in variables.items() if each[0] == (name,)}
    data = {name: each for name, each in variables.items() if name not in coordinates}
    return cast("xarray.Dataset", package.Dataset(data, coordinates, dict(attributes)))


def _xarray(instead: str) -> Any:
    """The package. Raises `UserError` if it is not installed; `instead`: what else to use."""
    try:
        import xarray
    except ImportError:
        raise UserError(
            f"xarray is not installed: run pip install 'spectro-mpi[xarray]', or use {instead}"
        ) from None
    return xarray


def _with(data: xarray.Dataset, other: Dataset) -> xarray.Dataset:
    """`data` with another dataset, if it fits."""
    dims = tuple("time" if dim == "record" else dim for dim in other.dims)
    sizes = dict(zip(dims, other.values.shape, strict=True))
    if other.name in data.variables or any(
        data.sizes.get(dim, size) != size for dim, size in sizes.items()
    ):
        return data
    points = {
        dim: (dim, each, {"long_name": dim.replace("_", " ")})
        for dim, each in other.coordinates.items()
        if dim in dims and dim not in data.coords
    }
    known = {"long_name": other.long_name or other.name.replace("_", " ")}
    if other.units:
        known["units"] = plain_units(other.units)
    return data.assign_coords(points).assign({other.name: (dims, other.values, known)})


def _attributes(spectrogram: Spectrogram, item: str) -> dict[str, str | int]:
    """The global attributes; text that is not known is left out."""
    legend, made = spectrogram.legend, spectrogram.provenance
    package = made.software.partition(",")[0]
    attributes = {
        "Conventions": CONVENTIONS,
        "title": ", ".join(filter(None, (legend.title or spectrogram.instrument, item))),
        "mission": legend.mission,
        "instrument": spectrogram.instrument,
        "item": item,
        "source": spectrogram.source,
        "source_sha256": made.sha256,
        "history": f"reduced from {spectrogram.source}{package and f' by {package}'}",
        "angle_weight": made.weight,
        "angle_borders": made.borders,
        "cadence": made.cadence,
        "ephemeris": made.ephemeris,
        "settings": made.settings,
        "software": made.software,
    }
    known = {name: text for name, text in attributes.items() if text}
    return {**known, "source_size": spectrogram.source_size}


def _values(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The data variables: values, the mode, and flags of the records and uncertainties if any."""
    legend, quantity = spectrogram.legend, spectrogram.quantity
    dims, units = ("category", "time", "channel"), plain_units(legend.units)
    beside: dict[str, _Variable] = {}
    if spectrogram.errors.size:
        text = {"long_name": f"Uncertainty: {legend.long_name}", "units": units}
        beside[f"{quantity}_error"] = (dims, spectrogram.errors, text)
    if spectrogram.quality.size:
        text = {"long_name": "Flags of the record, 0: good", "units": "1"}
        beside["quality"] = ("time", spectrogram.quality, text)
    attributes = {"long_name": legend.long_name, "units": units}
    if beside:
        attributes["ancillary_variables"] = " ".join(beside)
    mode = {"long_name": "Row of the energy table in use", "units": "1"}
    return {
        quantity: (dims, spectrogram.values, attributes),
        "mode": ("time", spectrogram.mode, mode),
        **beside,
    }


def _times(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The coordinates of the records: their centres, starts and ends."""
    centre = {"long_name": "Centre of the record, UTC", "standard_name": "time", "axis": "T"}
    return {
        "time": ("time", _datetimes(spectrogram.time), centre),
        "time_start": (
            "time",
            _datetimes(spectrogram.time_start),
            {"long_name": "Start of the record, UTC"},
        ),
        "time_end": (
            "time",
            _datetimes(spectrogram.time_end),
            {"long_name": "End of the record, UTC"},
        ),
    }


def _angles(by_angle: Spectrogram) -> _Variable:
    """The pitch-angle spectrograms."""
    legend = by_angle.legend
    text = {"long_name": legend.long_name, "units": plain_units(legend.units)}
    return ("band", "time", "angle"), by_angle.values, text


def _moments(moments: Moments) -> dict[str, _Variable]:
    """Moments of the distribution."""
    variables: dict[str, _Variable] = {}
    for name, values in moments.values.items():
        long_name, units = moments.about(name)
        text = {"long_name": long_name, "units": units}
        if name + ERROR in moments:
            text["ancillary_variables"] = name + ERROR
        variables[name] = moments.dims(name), values, text
    return variables


def _bands(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The coordinates of the pitch-angle spectrograms."""
    whole = spectrogram.by_angle
    assert whole is not None
    units = plain_units(spectrogram.legend.axis_units)
    return {
        "band": ("band", list(whole.category), {"long_name": "Energy band"}),
        "band_edges": (
            ("band", "bound"),
            spectrogram.bands,
            {"long_name": "Lower and upper end of the band", "units": units},
        ),
        "angle": ("angle", whole.energy[0], {"long_name": "Pitch angle", "units": "degree"}),
    }


def _ephemeris(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The coordinates that say where the spacecraft was."""
    return {
        each.name: (
            "time",
            each.values,
            {"long_name": each.long_name, "units": plain_units(each.units)},
        )
        for each in spectrogram.ephemeris
    }


def _categories(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The coordinates of the rows: names of the categories, and their pitch angles."""
    names = list(spectrogram.category)
    coordinates: dict[str, _Variable] = {
        "category": ("category", names, {"long_name": "Pitch-angle category"})
    }
    if spectrogram.intervals.size:
        coordinates["category_intervals"] = (
            ("category", "interval", "bound"),
            spectrogram.intervals,
            {"long_name": "Lower and upper pitch angle of the category", "units": "degree"},
        )
    return coordinates


def _channels(spectrogram: Spectrogram) -> dict[str, _Variable]:
    """The coordinates of the channels: their centres and edges at each time."""
    axis, units = spectrogram.legend.axis, plain_units(spectrogram.legend.axis_units)
    edges = f"{axis}_edges"
    return {
        axis: (
            ("time", "channel"),
            energy_of_records(spectrogram),
            {"long_name": "Centre of the channel", "units": units, "bounds": edges},
        ),
        edges: (
            ("time", "channel", "bound"),
            edges_of_records(spectrogram),
            {"long_name": "Lower and upper edge of the channel", "units": units},
        ),
    }


def energy_of_records(spectrogram: Spectrogram) -> NDArray[np.float32]:
    """Channel centres of each record, (record, channel) eV; NaN without a table or a channel."""
    return _of_records(spectrogram, spectrogram.energy)


def edges_of_records(spectrogram: Spectrogram) -> NDArray[np.float32]:
    """Channel edges of each record, (record, channel, 2) eV; NaN without a table or a channel."""
    return _of_records(spectrogram, spectrogram.edges)


def _of_records(spectrogram: Spectrogram, tables: NDArray[np.float32]) -> NDArray[np.float32]:
    none = np.full((1, *tables.shape[1:]), np.nan, np.float32)
    chosen = np.minimum(spectrogram.mode, len(tables))
    of_records: NDArray[np.float32] = np.concatenate([tables, none])[chosen]
    return of_records


def _datetimes(seconds: NDArray[np.float64]) -> NDArray[Any]:
    """s since 1970 UTC → datetime64[ns]; what is not a valid time becomes NaT."""
    good = np.isfinite(seconds) & (np.abs(seconds) < 9e9)
    whole = np.floor(np.where(good, seconds, 0))
    rest = np.where(good, seconds, 0) - whole
    nanoseconds = whole.astype(np.int64) * 1_000_000_000 + np.round(rest * 1e9).astype(np.int64)
    return np.where(good, nanoseconds.astype("datetime64[ns]"), np.datetime64("NaT", "ns"))
