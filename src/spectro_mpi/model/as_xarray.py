"""Convert spectrograms to xarray: arrays with named dimensions and coordinates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.spectrogram import Spectrogram

if TYPE_CHECKING:
    import xarray


def as_xarray(spectrogram: Spectrogram, others: Iterable[Dataset] = ()) -> xarray.Dataset:
    """Convert a spectrogram to an `xarray.Dataset` of dimensions category, time and channel.

    `energy` (or `frequency`, or `y`), (time, channel), holds the energy table in use at each time,
    and `energy_edges`, (time, channel, bound), the lower and upper edges of its channels.
    `others` are datasets of user-defined phases; those whose dimensions are among these are added.
    Raises `UserError` if xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise UserError(
            "xarray is not installed: run pip install 'spectro-mpi[xarray]', "
            "or use Run.spectrogram, which gives numpy arrays"
        ) from None
    legend = spectrogram.legend
    data = xarray.Dataset(
        {
            spectrogram.quantity: (
                ("category", "time", "channel"),
                spectrogram.values,
                {"long_name": legend.long_name, "units": legend.units},
            ),
            "mode": ("time", spectrogram.mode, {"long_name": "Row of the energy table in use"}),
        },
        {
            "category": (
                "category",
                list(spectrogram.category),
                {"long_name": "Pitch-angle category"},
            ),
            "time": (
                "time",
                _datetimes(spectrogram.time),
                {"long_name": "Centre of the record, UTC"},
            ),
            "time_start": ("time", _datetimes(spectrogram.time_start)),
            "time_end": ("time", _datetimes(spectrogram.time_end)),
            **_channels(spectrogram),
        },
        {
            "source": spectrogram.source,
            "source_size": spectrogram.source_size,
            "instrument": spectrogram.instrument,
        },
    )
    for other in others:
        sizes = dict(zip(other.dims, other.values.shape, strict=True))
        if all(data.sizes.get(dim) == size for dim, size in sizes.items()):
            attributes = {"long_name": other.long_name, "units": other.units}
            given = {name: text for name, text in attributes.items() if text}
            data[other.name] = (other.dims, other.values, given)
    return data


def _channels(spectrogram: Spectrogram) -> dict[str, Any]:
    """The coordinates of the channels: their centres and edges at each time."""
    axis, units = spectrogram.legend.axis, spectrogram.legend.axis_units
    return {
        axis: (
            ("time", "channel"),
            energy_of_records(spectrogram),
            {"long_name": "Centre of the channel", "units": units},
        ),
        f"{axis}_edges": (
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
