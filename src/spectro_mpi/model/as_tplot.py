"""Convert spectrograms to tplot variables of pySPEDAS."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import UserError
from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.as_istp import variable_name
from spectro_mpi.model.as_xarray import energy_of_records
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.names_of_rows import by_names, records_first
from spectro_mpi.model.plain import plain_units
from spectro_mpi.model.spectrogram import Spectrogram


def as_tplot(
    spectrogram: Spectrogram,
    others: Iterable[Dataset] = (),
    scales: tuple[str, str] = ("log", "log"),
    limits: Mapping[str, Limits] | None = None,
    prefix: str = "",
) -> list[str]:
    """Store a spectrogram as tplot variables of pySPEDAS; returns their names.

    The names are those of `export`: a spectrogram for each category (`ees_eflux_downgoing`) and for
    each energy band (`ees_eflux_angle_100_1000`), a line for each variable of the ephemeris
    (`ees_alt`) and for each dataset of `others` along time. The options are set that tplot needs:
    spec, ylog, zlog, titles and units.

    Parameters
    ----------
    spectrogram : Spectrogram
        Its records in order of time, all with a time (`model.records.in_time_order`).
    others : iterable of Dataset
        Further datasets by record, such as those of phases, in the same order.
    scales : (str, str)
        "linear" or "log": scale of the channels' axis, and of the values.
    limits : mapping, optional
        Category or band → limits, which become `yrange` and `zrange`.
    prefix : str
        Put before all names.

    Raises
    ------
    UserError
        If pySPEDAS is not installed.
    """
    tools = _tools()
    of, legend, units = spectrogram, spectrogram.legend, plain_units(spectrogram.legend.units)
    names: list[str] = []

    def store(name: str, data: dict[str, NDArray[Any]], **options: Any) -> None:
        full = prefix + variable_name(f"{of.instrument}_{name}")
        tools.store_data(full, data={"x": of.time, **data})
        for key, value in options.items():
            tools.options(full, key, value)
        names.append(full)

    def spectrum(name: str, row: str, values: NDArray[Any], axis: NDArray[Any], unit: str) -> None:
        y_scale = scales[0] if unit != "degrees" else "linear"
        options = {
            "spec": 1,
            "ylog": int(y_scale == "log"),
            "zlog": int(scales[1] == "log"),
            "ytitle": f"{of.instrument} {row}",
            "ysubtitle": f"[{unit}]",
            "ztitle": f"[{units}]",
        }
        known = (limits or {}).get(row)
        if known is not None:
            options |= {"yrange": [known.y_min, known.y_max], "zrange": [known.z_min, known.z_max]}
        store(name, {"y": values, "v": axis}, **options)

    energy = energy_of_records(of)
    for row, values in zip(of.category, of.values, strict=True):
        spectrum(f"{of.quantity}_{row}", row, values, energy, legend.axis_units)
    if of.by_angle is not None:
        angles = of.by_angle.energy[0]
        for row, values in zip(of.by_angle.category, of.angles, strict=True):
            spectrum(f"{of.quantity}_angle_{row}", row, values, angles, "degrees")
    for each in of.ephemeris:
        store(each.name, {"y": each.values}, ytitle=each.name, ysubtitle=f"[{each.units}]")
    for dataset in others:
        for part, labels in by_names(records_first(dataset)):
            if part.dims == ("time",) and len(part.values) == len(of.time):
                title = " ".join((of.instrument, dataset.name, *labels))
                subtitle = f"[{plain_units(part.units)}]"
                name = "_".join((dataset.name, *labels))
                store(name, {"y": np.asarray(part.values)}, ytitle=title, ysubtitle=subtitle)
    return names


def _tools() -> Any:
    """The module with `store_data` and `options`."""
    try:
        return importlib.import_module("pyspedas")
    except ImportError:
        raise UserError(
            "Run.tplot needs pySPEDAS, which is not installed: run pip install pyspedas, or write "
            "files for it with `spectro-mpi export --format cdf`"
        ) from None
