"""Read FAST ESA level-2 CDF files in chunks of records."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError, NoRecordsError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.fast_esa_cells import CellTables, RecordShape, has_records
from spectro_mpi.instruments.fast_esa_counts import (
    LEAST_LIVE,
    OVERFLOW,
    count_of_code,
    count_variance,
    live_time,
    step_of_code,
)
from spectro_mpi.instruments.fast_esa_errors import FluxErrors
from spectro_mpi.instruments.fast_esa_moments import MomentVariables
from spectro_mpi.instruments.fast_esa_quantities import (
    FLUXES,
    by_fraction,
    combine_of,
    legend,
    quantity_of,
)
from spectro_mpi.model.channels import channel_edges
from spectro_mpi.model.distribution import (
    FILL_FLOAT,
    Categories,
    Distribution,
    EnergyFlux,
    is_measured,
)
from spectro_mpi.settings.schema import DataSettings

log = logging.getLogger(__name__)

OVERFLOWED, DEAD = 2, 4
"""Bits of `data_quality`: a code 255; a live fraction below 0.1."""

FILL_U1 = 255
"""FILLVAL of `data_quality`. That of `data` is 255 too, but there it is a code: an overflow."""

_CODE_TYPE = "CDF_UINT1"
_PER_RECORD = ("time_unix", "time_start", "time_end", "mode_ind", "nbins", "nenergy", "valid")


class FastEsaFile:
    """An open file, checked. `data.quantity`: one of `fast_esa_quantities.QUANTITIES`.

    Raises `InvalidCdfError` if a variable is missing, shapes do not match, or there are no records.
    """

    weight = "domega"

    def __init__(
        self,
        reader: CdfReader,
        instrument: str,
        data: DataSettings,
        categories: Categories,
        moments: bool = False,
    ) -> None:
        self.quantity = data.quantity
        self.categories = categories
        self.combine = combine_of(data.quantity)
        self._reader = reader
        self._data = data
        self._by_flux = data.quantity in FLUXES
        self._variable = "eflux" if self._by_flux else "data"
        has_domega = "domega" in reader.names
        self._domega = self._by_flux and data.angle_weight == "domega" and has_domega
        self._fraction = by_fraction(data)
        described = quantity_of(data, has_domega)
        self.legend = legend(instrument, data.quantity, described.long_name, not self._fraction)
        self.records = self.most_records = self._check()
        self._shape = bins, channels = reader.shape(self._variable)
        self.energy, self.edges = self._energy_tables()
        self.channels = channels
        self._cells = CellTables(reader, (bins, channels), self.records)
        self._has_quality = has_records(reader, "data_quality", self.records)
        self._has_integration = has_records(reader, "time_integ", self.records)
        self._burst = self._is_burst(instrument)
        self._errors = (
            FluxErrors(reader, (bins, channels), self.records, self._burst)
            if self._by_flux and data.errors
            else None
        )
        self._moments = (
            MomentVariables(reader, (bins, channels), self.records, self._burst, self._has_codes())
            if moments
            else None
        )

    def chunk(self, first: int, last: int) -> Distribution:
        """Read records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""
        mode, nbins, nenergy = (
            self._reader.range(name, first, last) for name in ("mode_ind", "nbins", "nenergy")
        )
        # Counts of a mode without an energy table have no energy.
        valid = (self._reader.range("valid", first, last) == 1) & (mode < len(self.energy))
        valid &= (nbins > 0) & (nbins <= self._shape[0])
        valid &= (nenergy > 0) & (nenergy <= self._shape[1])
        shape = RecordShape(mode, nbins, nenergy, valid)
        codes, eflux = self._codes(first, last), self._eflux(first, last)
        flags = self._flags(first, last, shape, codes)
        if flags is not None and self._data.quality == "drop":
            valid, flags = valid & (flags == 0), None
        angle = self._reader.range("pitch_angle", first, last)
        needs_widths = self._fraction or self._by_flux or self._moments is not None
        widths = self._cells.widths(shape, angle) if needs_widths else None
        values, variance = self._values(first, last, shape, codes, eflux)
        measured = self._cells.measured(shape, first, last)
        flux = None
        if self._moments is not None and eflux is not None and widths is not None:
            flux = self._moments.flux(
                first, shape, EnergyFlux(eflux, angle, widths, measured=measured), codes
            )
        time, start, end = (
            _nan_where_fill(self._reader.range(name, first, last))
            for name in ("time_unix", "time_start", "time_end")
        )
        return Distribution(
            time=time,
            time_start=start,
            time_end=end,
            valid=valid,
            mode=mode,
            nbins=nbins,
            nenergy=nenergy,
            values=values,
            value_fill=FILL_FLOAT if self._by_flux else None,
            pitch_angle=angle,
            weight=self._reader.range("domega", first, last) if self._domega else None,
            width=widths if self._fraction else None,
            ring_width=widths if self._by_flux and not self._domega else None,
            measured=None if self._data.retrace else measured,
            variance=variance,
            quality=flags,
            eflux=flux,
        )

    def _codes(self, first: int, last: int) -> NDArray[np.uint8] | None:
        """(record, bin, channel) telemetry codes; None: not needed, or not in the file."""
        return self._reader.range("data", first, last) if self._reads_codes else None

    def _eflux(self, first: int, last: int) -> NDArray[np.float32] | None:
        """(record, bin, channel) energy flux of the file; None: not needed, or it cannot be read.

        Raises `InvalidCdfError` if it is the quantity and cannot be read.
        """
        if self._by_flux:
            values: NDArray[np.float32] = self._reader.range("eflux", first, last)
            return values
        return None if self._moments is None else self._moments.eflux(first, last)

    @property
    def _reads_codes(self) -> bool:
        if self._variable == "data" or self._data.errors:
            return True
        # A flux does not need the codes: where they are damaged, flags are those of the file.
        return self._data.quality != "ignore" and self._has_codes()

    def _has_codes(self) -> bool:
        """Whether the file has codes of all cells of its `eflux`."""
        reader = self._reader
        return "data" in reader.names and all(
            of("data") == of(self._variable) for of in (reader.records, reader.shape)
        )

    def _values(
        self,
        first: int,
        last: int,
        shape: RecordShape,
        codes: NDArray[np.uint8] | None,
        eflux: NDArray[np.float32] | None,
    ) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
        """Values (record, bin, channel), and the square of their uncertainty or None."""
        if eflux is not None and self._by_flux:
            return self._fluxes(first, last, shape, codes, eflux)
        assert codes is not None
        if self.quantity == "codes":
            return codes, None  # Codes are no measure of anything that has an uncertainty.
        counts = count_of_code(self._burst)
        variance = None
        if self._data.errors:
            squares = count_variance(counts, step_of_code(self._burst)).astype(np.float32)
            variance = _looked_up(squares, codes, shape)
        if self.quantity == "counts":
            return _looked_up(counts, codes, shape), variance
        per_second = (1 / self._integration(first, last))[:, None, None]
        rate = _looked_up(counts.astype(np.float32), codes, shape)
        rate *= per_second
        if variance is not None:
            variance *= per_second**2
        return rate, variance

    def _fluxes(
        self,
        first: int,
        last: int,
        shape: RecordShape,
        codes: NDArray[np.uint8] | None,
        eflux: NDArray[np.float32],
    ) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
        """`eflux` of the file, for the number flux divided by energy; as `_values`."""
        values = eflux
        variance: NDArray[np.float32] | None = None
        if self._errors is not None and codes is not None:
            integ = self._integration(first, last)
            variance = self._errors.of_chunk(first, shape, codes, values, integ).variance(shape)
        if self.quantity == "flux":
            energy = self.energy[np.minimum(shape.mode, len(self.energy) - 1)][:, None, :]
            values = np.where(is_measured(values), values, np.float32(np.nan)) / energy
            variance = None if variance is None else variance / energy**2
        return values, variance

    def _integration(self, first: int, last: int) -> NDArray[np.float64]:
        """(record,) integration time of a channel, s; NaN where it is missing or not above 0."""
        integ = _nan_where_fill(self._reader.range("time_integ", first, last))
        return np.where(integ > 0, integ, np.nan)

    def _flags(
        self, first: int, last: int, shape: RecordShape, codes: NDArray[np.uint8] | None
    ) -> NDArray[np.uint8] | None:
        """(record,) `data_quality` of the file, with the flags of overflow and dead time."""
        if self._data.quality == "ignore":
            return None
        flags = np.zeros(last - first, np.uint8)
        if self._has_quality:
            reported = self._reader.range("data_quality", first, last)
            flags[:] = np.where(reported == FILL_U1, 0, reported)
        if codes is None:
            return flags
        greatest = np.zeros(last - first, np.uint8)
        for cells in shape.blocks():
            greatest[cells[0]] = codes[cells].max(axis=(1, 2), initial=0)
        flags[shape.valid & (greatest == OVERFLOW)] |= OVERFLOWED
        if self._has_integration:
            counts = count_of_code(self._burst)[greatest]
            live = live_time(counts, self._integration(first, last))
            flags[shape.valid & (live < LEAST_LIVE)] |= DEAD
        return flags

    def _is_burst(self, instrument: str) -> bool:
        """Whether codes are those of burst files: by `data_name`, else by the file's name."""
        by_name = instrument.endswith("b")
        if "data_name" not in self._reader.names or self._reader.shape("data_name"):
            return by_name
        text = self._reader.static("data_name").reshape(-1)[0]
        reported = (
            text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        ).lower()
        says = "burst" in reported or ("survey" not in reported and by_name)
        if says != by_name:
            log.warning(
                '%s: is decoded as its data_name says, "%s", not as its name',
                self._reader.path,
                reported,
            )
        return says

    def _check(self) -> int:
        """Check variables, records and shapes, and return the number of records."""
        reader, path = self._reader, self._reader.path
        cells = [self._variable, "pitch_angle", *(["domega"] if self._domega else [])]
        cells += ["data"] if self._by_flux and self._reads_codes else []
        integ = ["time_integ"] if self.quantity == "rate" else []
        varying = (*_PER_RECORD, *integ, *cells)
        missing = [name for name in (*varying, "energy") if name not in reader.names]
        if missing:
            raise InvalidCdfError(f"{path}: has no variable {', '.join(missing)}")
        records = reader.records("time_unix")
        if records == 0:
            raise NoRecordsError(f"{path}: the file has no records")
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
        for name in cells[1:]:
            if reader.shape(name) != shape:
                raise InvalidCdfError(
                    f"{path}: {name} has shape {reader.shape(name)}, expected {shape}, as "
                    f"{self._variable} has"
                )
        if self._reads_codes and reader.kind("data") != _CODE_TYPE:
            raise InvalidCdfError(
                f"{path}: data has the type {reader.kind('data')}, expected {_CODE_TYPE}, as "
                "telemetry codes have"
            )
        self._check_tables(shape[1])
        return records

    def _check_tables(self, channels: int) -> None:
        reader, path = self._reader, self._reader.path
        energy = reader.shape("energy")
        if "denergy" in reader.names and reader.shape("denergy") != energy:
            raise InvalidCdfError(
                f"{path}: denergy has shape {reader.shape('denergy')}, expected {energy}, as "
                "energy has"
            )
        if len(energy) != 3 or energy[2] != channels:
            raise InvalidCdfError(
                f"{path}: energy has shape {energy}, expected (mode, bin, {channels})"
            )

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


def _looked_up(table: Any, codes: NDArray[np.uint8], shape: RecordShape) -> NDArray[Any]:
    """Entries of `table` (256,) for the codes of valid records, 0 elsewhere."""
    values: NDArray[Any] = np.zeros(codes.shape, table.dtype)
    for cells in shape.blocks():
        values[cells] = table[codes[cells]]
    return values


def _nan_where_fill(values: NDArray[Any]) -> NDArray[np.float64]:
    """The values as float64, with NaN for fill values."""
    return np.where(is_measured(values), values, np.nan).astype(np.float64)
