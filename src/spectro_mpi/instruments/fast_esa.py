"""FAST ESA level-2 CDF files: names, variables, and reading them in chunks of records.

Variables and fill values are those of NASA's master files (fa_esa_l2_*_00000000_v01.cdf).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments import FILL_FLOAT, Distribution, is_measured

LONG_NAMES = {
    "ees": "electron survey",
    "eeb": "electron burst",
    "ies": "ion survey",
    "ieb": "ion burst",
}
FILL_U1 = 255

_NAME = re.compile(
    r"fa_esa_l2_(?P<instrument>ees|eeb|ies|ieb)_(?P<start>\d{14})_(?P<orbit>\d{5,6})"
    r"_v(?P<version>\d{2,3})\.cdf",
    re.IGNORECASE,
)
_PER_RECORD = ("time_unix", "time_start", "time_end", "mode_ind", "nbins", "nenergy", "valid")


@dataclass(frozen=True)
class FileName:
    """What the name of a file says."""

    instrument: str
    orbit: int
    version: int
    start: datetime


def parse_name(name: str) -> FileName | None:
    """Read a file name; None if it is not of this kind."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        start = datetime.strptime(match["start"], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return FileName(match["instrument"].lower(), int(match["orbit"]), int(match["version"]), start)


class FastEsaFile:
    """One open file; `quantity` is "counts" (variable `data`) or "eflux".

    Raises `InvalidCdfError` where the file cannot be read as CDF or lacks what is needed,
    `OSError` where it cannot be opened.
    """

    def __init__(self, path: Path, quantity: str) -> None:
        self.path = path
        self._variable = "data" if quantity == "counts" else "eflux"
        if path.stat().st_size == 0:
            raise InvalidCdfError(f"{path}: the file is empty (0 bytes)")
        with path.open("rb"):
            pass  # no permission, a stale handle: those are OSErrors, not the CDF's fault
        import cdflib

        self._cdf = self._guarded("its header", lambda: cdflib.CDF(path))
        info = self._guarded("its header", self._cdf.cdf_info)
        self._names = {*info.zVariables, *info.rVariables}
        self._weighted = quantity == "eflux" and "domega" in self._names
        self.records = self._check()
        self.energy = self._energy_tables()

    def chunk(self, first: int, last: int) -> Distribution:
        """Records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""

        def records(name: str) -> NDArray[Any]:
            return self._records(name, first, last)

        mode = records("mode_ind")
        return Distribution(
            time=_nan_where_fill(records("time_unix")),
            time_start=_nan_where_fill(records("time_start")),
            time_end=_nan_where_fill(records("time_end")),
            # A mode the tables do not know gives its counts no energy.
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
        """The number of records, once all that is needed is there in matching shapes."""
        weight = ("domega",) if self._weighted else ()
        varying = (*_PER_RECORD, self._variable, "pitch_angle", *weight)
        missing = [name for name in (*varying, "energy") if name not in self._names]
        if missing:
            raise InvalidCdfError(f"{self.path}: has no variable {', '.join(missing)}")
        records = self._inquire("time_unix").Last_Rec + 1
        if records == 0:
            raise InvalidCdfError(f"{self.path}: the file holds no records")
        for name in varying:
            found = self._inquire(name).Last_Rec + 1
            if found != records:
                raise InvalidCdfError(
                    f"{self.path}: {name} has {found} records, time_unix has {records}"
                )
        shape = self._shape(self._variable)
        if len(shape) != 2:
            raise InvalidCdfError(
                f"{self.path}: {self._variable} has shape {shape}, (bin, channel) is expected"
            )
        for name in ("pitch_angle", *weight):
            if self._shape(name) != shape:
                raise InvalidCdfError(
                    f"{self.path}: {name} has shape {self._shape(name)}, "
                    f"{self._variable} has {shape}"
                )
        energy = self._shape("energy")
        if len(energy) != 3 or energy[2] != shape[1]:
            raise InvalidCdfError(
                f"{self.path}: energy has shape {energy}, (mode, bin, {shape[1]}) is expected"
            )
        return int(records)

    def _energy_tables(self) -> NDArray[np.float32]:
        """(mode, bin, channel) → (mode, channel): all bins of a mode have the same energies."""
        energy = np.asarray(self._guarded("energy", lambda: self._cdf.varget("energy")))
        energy = energy.reshape(self._shape("energy"))
        valid = is_measured(energy) & (energy > 0)
        first_valid_bin = valid.argmax(axis=1)[:, None, :]
        table = np.take_along_axis(energy, first_valid_bin, axis=1)[:, 0, :]
        return np.where(valid.any(axis=1), table, np.nan).astype(np.float32)

    def _records(self, name: str, first: int, last: int) -> NDArray[Any]:
        """Records `first` (inclusive) to `last` (exclusive) of a variable: (record, …)."""
        values = self._guarded(
            name, lambda: self._cdf.varget(name, startrec=first, endrec=last - 1)
        )
        shape = (last - first, *self._shape(name))
        array = np.asarray(values)
        if array.size != np.prod(shape):
            raise InvalidCdfError(
                f"{self.path}: {name} holds {array.size} values in records {first} to {last - 1}, "
                f"{np.prod(shape)} are expected"
            )
        return array.reshape(shape)

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(size) for size in self._inquire(name).Dim_Sizes)

    def _inquire(self, name: str) -> Any:
        return self._guarded(name, lambda: self._cdf.varinq(name))

    def _guarded(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (MemoryError, TimeoutError):
            raise
        except Exception as error:  # on damaged files cdflib raises nine kinds
            raise InvalidCdfError(
                f"{self.path}: {what} cannot be read: {type(error).__name__}: {error}"
            ) from error


def _nan_where_fill(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(is_measured(values), values, np.nan).astype(np.float64)
