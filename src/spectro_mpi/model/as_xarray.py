"""Spectrograms as xarray has them: arrays with names and coordinates on their axes."""

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
    """A spectrogram as `xarray.Dataset`: dimensions category, time and channel.

    `energy` (or `frequency`, or `y`) (time, channel) holds the table in use at each time. Of
    `others`, datasets of own phases, those are added whose dimensions are among these. Raises
    `UserError` where xarray is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise UserError(
            "xarray is not installed: pip install 'spectro-mpi[xarray]', "
            "or take Run.spectrogram, whose arrays are numpy's"
        ) from None
    one, legend = spectrogram, spectrogram.legend
    data = xarray.Dataset(
        {
            one.quantity: (
                ("category", "time", "channel"),
                one.values,
                {"long_name": legend.long_name, "units": legend.units},
            ),
            "mode": ("time", one.mode, {"long_name": "Row of the energy table in use"}),
        },
        {
            "category": ("category", list(one.category), {"long_name": "Pitch-angle category"}),
            "time": ("time", _datetimes(one.time), {"long_name": "Centre of the record, UTC"}),
            "time_start": ("time", _datetimes(one.time_start)),
            "time_end": ("time", _datetimes(one.time_end)),
            legend.axis: (
                ("time", "channel"),
                energy_of_records(one),
                {"long_name": "Centre of the channel", "units": legend.axis_units},
            ),
        },
        {"source": one.source, "source_size": one.source_size, "instrument": one.instrument},
    )
    for other in others:
        sizes = dict(zip(other.dims, other.values.shape, strict=True))
        if all(data.sizes.get(dim) == size for dim, size in sizes.items()):
            attributes = {"long_name": other.long_name, "units": other.units}
            told = {name: text for name, text in attributes.items() if text}
            data[other.name] = (other.dims, other.values, told)
    return data


def energy_of_records(spectrogram: Spectrogram) -> NDArray[np.float32]:
    """(record, channel) eV; NaN where a record's mode has no table, or the table no channel."""
    tables = spectrogram.energy
    none = np.full_like(tables[:1], np.nan)
    found: NDArray[np.float32] = np.vstack([tables, none])[
        np.minimum(spectrogram.mode, len(tables))
    ]
    return found


def _datetimes(seconds: NDArray[np.float64]) -> NDArray[Any]:
    """s since 1970 UTC → datetime64[ns]; what is no time becomes NaT."""
    good = np.isfinite(seconds) & (np.abs(seconds) < 9e9)
    whole = np.floor(np.where(good, seconds, 0))
    rest = np.where(good, seconds, 0) - whole
    nanoseconds = whole.astype(np.int64) * 1_000_000_000 + np.round(rest * 1e9).astype(np.int64)
    return np.where(good, nanoseconds.astype("datetime64[ns]"), np.datetime64("NaT", "ns"))
