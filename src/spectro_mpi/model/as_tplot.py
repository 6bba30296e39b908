"""Convert spectrograms to tplot variables of pySPEDAS."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

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
    stored = _Stored(_tools(), spectrogram, scales, limits or {}, prefix)
    legend, energy = spectrogram.legend, energy_of_records(spectrogram)
    for row, values in zip(spectrogram.category, spectrogram.values, strict=True):
        stored.spectrum(f"{spectrogram.quantity}_{row}", row, values, energy, legend.axis_units)
    if spectrogram.by_angle is not None:
        angles = spectrogram.by_angle.energy[0]
        for row, values in zip(spectrogram.by_angle.category, spectrogram.angles, strict=True):
            name = f"{spectrogram.quantity}_angle_{row}"
            stored.spectrum(name, row, values, angles, "degrees")
    for each in spectrogram.ephemeris:
        stored.line(each.name, each.values, each.units)
    moments = spectrogram.moments.datasets if spectrogram.moments is not None else []
    for dataset in (*moments, *others):
        for part, labels in by_names(records_first(dataset)):
            if part.dims == ("time",) and len(part.values) == len(spectrogram.time):
                stored.line("_".join((dataset.name, *labels)), part.values, part.units)
    return stored.names


class _Stored:
    """The variables that have been stored."""

    def __init__(
        self,
        tools: Any,
        spectrogram: Spectrogram,
        scales: tuple[str, str],
        limits: Mapping[str, Limits],
        prefix: str,
    ) -> None:
        self.names: list[str] = []
        self._tools, self._of, self._prefix = tools, spectrogram, prefix
        self._scales, self._limits = scales, limits

    def spectrum(
        self, name: str, row: str, values: NDArray[Any], axis: NDArray[Any], unit: str
    ) -> None:
        """Store a spectrogram (record, channel); `axis` (channel,) or (record, channel)."""
        y_scale = self._scales[0] if unit != "degrees" else "linear"
        options = {
            "spec": 1,
            "ylog": int(y_scale == "log"),
            "zlog": int(self._scales[1] == "log"),
            "ytitle": f"{self._of.instrument} {row}",
            "ysubtitle": f"[{unit}]",
            "ztitle": f"[{plain_units(self._of.legend.units)}]",
        }
        known = self._limits.get(row)
        if known is not None:
            options |= {"yrange": [known.y_min, known.y_max], "zrange": [known.z_min, known.z_max]}
        self._store(name, {"y": values, "v": axis}, options)

    def line(self, name: str, values: NDArray[Any], units: str) -> None:
        """Store values (record,)."""
        title = f"{self._of.instrument} {name.replace('_', ' ')}"
        options = {"ytitle": title, "ysubtitle": f"[{plain_units(units)}]"}
        self._store(name, {"y": values}, options)

    def _store(
        self, name: str, data: Mapping[str, NDArray[Any]], options: Mapping[str, Any]
    ) -> None:
        full = self._prefix + variable_name(f"{self._of.instrument}_{name}")
        self._tools.store_data(full, data={"x": self._of.time, **data})
        for key, value in options.items():
            self._tools.options(full, key, value)
        self.names.append(full)


def _tools() -> Any:
    """The module with `store_data` and `options`."""
    try:
        return importlib.import_module("pyspedas")
    except ImportError:
        raise UserError(
            "Run.tplot needs pySPEDAS, which is not installed: run pip install pyspedas, or write "
            "files for it with `spectro-mpi export --format cdf`"
        ) from None
