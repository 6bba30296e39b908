"""FAST ESA level-2 CDF files: their names and variables, read in chunks of records.

Variables and fill values are defined in NASA's master files (fa_esa_l2_*_00000000_v01.cdf).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.preset import NamedFile, Quantity
from spectro_mpi.model.channels import channel_edges
from spectro_mpi.model.distribution import (
    FILL_FLOAT,
    Categories,
    Combine,
    Distribution,
    is_measured,
)
from spectro_mpi.model.spectrogram import Legend
from spectro_mpi.settings.schema import Config

MISSION = "FAST ESA"
LONG_NAMES = {
    "ees": "electron survey",
    "eeb": "electron burst",
    "ies": "ion survey",
    "ieb": "ion burst",
}
QUANTITIES = {
    "counts": (
        "Raw Counts (telemetry codes), sum over the category's angle bins",
        "counts",
        "Counts",
    ),
    "eflux": (
        "Differential energy flux, mean over the category's angle bins weighted by solid angle",
        "eV cm-2 s-1 sr-1 eV-1",
        "Energy flux (eV / cm² s sr eV)",
    ),
    "codes": (
        "Raw Counts (telemetry codes), sum over the category's angle bins",
        "counts",
        "Counts",
    ),
}
"""Quantity → (long name, units, label of the colour bar)."""
FILL_U1 = 255
"""FILLVAL of the variable `data`, which is uint8."""

_NAME = re.compile(
    r"fa_esa_l2_(?P<instrument>ees|eeb|ies|ieb)_(?P<start>\d{14})_(?P<orbit>\d{5,6})"
    r"_v(?P<version>\d{2,3})\.cdf",
    re.IGNORECASE,
)
_PER_RECORD = ("time_unix", "time_start", "time_end", "mode_ind", "nbins", "nenergy", "valid")


class FastEsa:
    """FAST ESA level 2: electron and ion spectrometers, survey and burst."""

    files = f"{MISSION} level-2 file"
    example = "fa_esa_l2_ees_20000101001737_13312_v01.cdf"

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def quantity(self) -> Quantity:
        """The quantity in the setting `data.quantity`."""
        name = self._config.data.quantity
        long_name, units, label = QUANTITIES[name]
        return Quantity(name, long_name, units, label)

    def names(self, file: str) -> Iterator[NamedFile]:
        """The instrument, orbit, version and start in a file name; none if it is no input file."""
        match = _NAME.fullmatch(file)
        if match is None:
            return
        with contextlib.suppress(ValueError):
            start = datetime.strptime(match["start"], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
            orbit, version = str(int(match["orbit"])), (int(match["version"]),)
            yield NamedFile(match["instrument"].lower(), orbit, version, start)

    def is_companion(self, file: str) -> bool:
        """Whether the file has key parameters (k0), such as the ephemeris."""
        return file.startswith("fa_k0_")

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` if it lacks variables or records."""
        config = self._config
        return FastEsaFile(reader, instrument, config.data.quantity, config.pitch_angles)


def legend(instrument: str, quantity: str) -> Legend:
    """Titles, labels and units of an instrument. `quantity`: one of `QUANTITIES`."""
    long_name, units, z_label = QUANTITIES[quantity]
    name = LONG_NAMES.get(instrument, instrument)
    return Legend(
        mission=MISSION,
        title=f"{MISSION} {name} ({instrument})",
        name=name,
        long_name=long_name,
        units=units,
        z_label=z_label,
        is_whole=quantity != "eflux",
    )


class FastEsaFile:
    """An open file, checked. `quantity`: "counts" or "codes" (variable `data`), or "eflux".

    Raises `InvalidCdfError` if a variable is missing, shapes do not match, or there are no records.
    """

    weight = "domega"

    def __init__(
        self, reader: CdfReader, instrument: str, quantity: str, categories: Categories
    ) -> None:
        self.quantity = quantity
        self.categories = categories
        self.combine: Combine = "mean" if quantity == "eflux" else "sum"
        self.legend = legend(instrument, quantity)
        self._reader = reader
        self._variable = "eflux" if quantity == "eflux" else "data"
        self._weighted = quantity == "eflux" and "domega" in reader.names
        self.records = self.most_records = self._check()
        self.energy, self.edges = self._energy_tables()
        self.channels = self.energy.shape[1]

    def chunk(self, first: int, last: int) -> Distribution:
        """Read records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""

        def records(name: str) -> NDArray[Any]:
            return self._reader.range(name, first, last)

        mode = records("mode_ind")
        return Distribution(
            time=_nan_where_fill(records("time_unix")),
            time_start=_nan_where_fill(records("time_start")),
            time_end=_nan_where_fill(records("time_end")),
            # Counts of a mode without an energy table have no energy.
            valid=(records("valid") == 1) & (mode < len(self.energy)),
            mode=mode,
            nbins=records("nbins"),
            nenergy=records("nenergy"),
            values=records(self._variable),
            value_fill=FILL_U1 if self._variable == "data" else FILL_FLOAT,
            pitch_angle=records("pitch_angle"),
            weight=records("domega") if self._weighted else None,
        )

    def _check(self) -> int:
        """Check variables, records and shapes, and return the number of records."""
        reader, path = self._reader, self._reader.path
        weight = ("domega",) if self._weighted else ()
        varying = (*_PER_RECORD, self._variable, "pitch_angle", *weight)
        missing = [name for name in (*varying, "energy") if name not in reader.names]
        if missing:
            raise InvalidCdfError(f"{path}: has no variable {', '.join(missing)}")
        records = reader.records("time_unix")
        if records == 0:
            raise InvalidCdfError(f"{path}: the file has no records")
        for name in varying:
            if reader.records(name) != records:
                raise InvalidCdfError(
                    f"{path}: {name} has {reader.records(name)} records, expected {records}, as "
                    "time_unix has"
                )
        shape = reader.shape(self._variable)
        if len(shape) != 2:
            raise InvalidCdfError(
                f"{path}: {self._variable} has shape {shape}, expected (bin, channel)"
            )
        for name in ("pitch_angle", *weight):
            if reader.shape(name) != shape:
                raise InvalidCdfError(
                    f"{path}: {name} has shape {reader.shape(name)}, expected {shape}, as "
                    f"{self._variable} has"
                )
        energy = reader.shape("energy")
        if "denergy" in reader.names and reader.shape("denergy") != energy:
            raise InvalidCdfError(
                f"{path}: denergy has shape {reader.shape('denergy')}, expected {energy}, as "
                "energy has"
            )
        if len(energy) != 3 or energy[2] != shape[1]:
            raise InvalidCdfError(
                f"{path}: energy has shape {energy}, expected (mode, bin, {shape[1]})"
            )
        return records

    def _energy_tables(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Centres (mode, channel) and edges (mode, channel, 2), float32, eV.

        In the file all bins of a mode have the same energies. A channel extends by half its
        `denergy` to either side; where that is 0 or missing, its edges follow from the centres.
        """
        energy = self._reader.static("energy")
        valid = is_measured(energy) & (energy > 0)
        first_valid_bin = valid.argmax(axis=1)[:, None, :]

        def by_mode(values: NDArray[Any]) -> NDArray[np.float32]:
            table = np.take_along_axis(values, first_valid_bin, axis=1)[:, 0, :]
            return np.where(valid.any(axis=1), table, np.nan).astype(np.float32)

        centres, half = by_mode(energy), None
        if "denergy" in self._reader.names:
            width = by_mode(self._reader.static("denergy"))
            half = np.where(is_measured(width) & (width >= 0), width, np.nan) / 2
        return centres, channel_edges(centres, half, half, is_log=True)


def _nan_where_fill(values: NDArray[Any]) -> NDArray[np.float64]:
    """The values as float64, with NaN for fill values."""
    return np.where(is_measured(values), values, np.nan).astype(np.float64)
