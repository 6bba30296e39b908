"""What moments of FAST ESA files are computed from: energy flux, its uncertainty, the potential."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.fast_esa_cells import RecordShape
from spectro_mpi.instruments.fast_esa_errors import FluxErrors
from spectro_mpi.model.distribution import EnergyFlux, is_measured

log = logging.getLogger(__name__)

_FLUX, _POTENTIAL = "eflux", "sc_pot"


class MomentVariables:
    """The variables of an open file that moments need besides those of its quantity.

    `shape` is (bins, channels) of a record, `has_codes` whether the file has telemetry codes of
    this shape. What is missing or damaged is named in the log, and never fails the file.
    """

    def __init__(
        self,
        reader: CdfReader,
        shape: tuple[int, int],
        records: int,
        burst: bool,
        has_codes: bool,
    ) -> None:
        self._reader, self._records = reader, records
        self.usable = self._has(_FLUX) and reader.shape(_FLUX) == shape
        """Whether there are moments; False once a variable could not be read."""
        self.errors: FluxErrors | None = None
        if not self.usable:
            log.warning("%s: no moments: it has no eflux of its records and cells", reader.path)
        elif has_codes and self._has("time_integ"):
            try:
                self.errors = FluxErrors(reader, shape, records, burst)
            except InvalidCdfError as error:
                log.info("%s: moments without uncertainties: %s", reader.path, error)

    def eflux(self, first: int, last: int) -> NDArray[np.float32] | None:
        """(record, bin, channel) energy flux of records `first` to `last`; None: no moments."""
        if not self.usable:
            return None
        try:
            values: NDArray[np.float32] = self._reader.range(_FLUX, first, last)
        except InvalidCdfError as error:
            self._give_up(error)
            return None
        return values

    def flux(
        self, first: int, shape: RecordShape, flux: EnergyFlux, codes: NDArray[np.uint8] | None
    ) -> EnergyFlux | None:
        """The energy flux with its uncertainty and the potential; None: no moments.

        `first` is the number of its first record, `codes` the telemetry codes if they are read.
        """
        if not self.usable:
            return None
        try:
            last = first + len(flux.values)
            sigma = None
            if self.errors is not None:
                codes = self._reader.range("data", first, last) if codes is None else codes
                integ = self._reader.range("time_integ", first, last)
                integ = np.where(is_measured(integ) & (integ > 0), integ, np.nan)
                chunk = self.errors.of_chunk(first, shape, codes, flux.values, integ)
                sigma = chunk.sigma
            return replace(flux, sigma=sigma, potential=self._potential(first, last))
        except InvalidCdfError as error:
            self._give_up(error)
            return None

    def _potential(self, first: int, last: int) -> NDArray[np.floating[Any]] | None:
        """(record,) potential of the spacecraft, V; NaN: fill. None: the file has none."""
        if not self._has(_POTENTIAL) or self._reader.shape(_POTENTIAL):
            return None
        values = self._reader.range(_POTENTIAL, first, last).reshape(-1)
        return np.where(is_measured(values), values, np.nan)

    def _give_up(self, error: InvalidCdfError) -> None:
        log.warning("%s: no moments: %s", self._reader.path, error)
        self.usable = False

    def _has(self, name: str) -> bool:
        return name in self._reader.names and self._reader.records(name) == self._records
