"""The uncertainty of the energy flux in FAST ESA files, from telemetry codes and responses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.fast_esa_cells import RecordShape, RowIndex, has_records, tables
from spectro_mpi.instruments.fast_esa_counts import (
    count_of_code,
    eflux_relative_error,
    one_count_level,
    step_of_code,
)
from spectro_mpi.model.distribution import is_measured


class FluxErrors:
    """The responses in an open file. `shape`: (bins, channels) of a record.

    Raises `InvalidCdfError` if the file lacks what uncertainties need.
    """

    def __init__(
        self, reader: CdfReader, shape: tuple[int, int], records: int, burst: bool
    ) -> None:
        varying = ("time_integ", "geom_factor")
        missing = [name for name in varying if not has_records(reader, name, records)]
        gf, eff = (tables(reader, name, shape, 0) for name in ("gf", "eff"))
        if missing or gf is None or eff is None:
            missing += [name for name, table in (("gf", gf), ("eff", eff)) if table is None]
            raise InvalidCdfError(
                f"{reader.path}: has no {', '.join(missing)}, which data.errors needs; set "
                "data.errors = false"
            )
        self._reader, self._burst, self._gf, self._eff = reader, burst, gf, eff
        self._gf_row = RowIndex(reader, "gf_ind", len(gf), records)

    def variance(
        self,
        first: int,
        shape: RecordShape,
        codes: NDArray[np.uint8],
        eflux: NDArray[np.float32],
        time_integ: NDArray[np.float64],
    ) -> NDArray[np.float32]:
        """Square of the uncertainty of `eflux`, (record, bin, channel).

        `first` is the number of the first record in the file. The uncertainty of a bin without
        counts is the one-count level. NaN where the file does not have the response: a single `gf`
        lacks the channels that the first mode does not have.
        """
        records = len(codes)
        geom_factor = self._reader.range("geom_factor", first, first + records).reshape(-1)
        geom_factor = np.where(is_measured(geom_factor), geom_factor, np.nan)
        gf_row = self._gf_row.range(first, first + records)
        counts, steps = count_of_code(self._burst), step_of_code(self._burst)
        relative = eflux_relative_error(counts, steps, time_integ[:, None])
        mode = np.minimum(shape.mode, len(self._eff) - 1)
        variance = np.full(codes.shape, np.nan, np.float32)
        for rows, bins, channels in shape.blocks():
            code = codes[rows, bins, channels]
            known = np.take_along_axis(relative[rows], code.reshape(len(code), -1), axis=1)
            level = one_count_level(
                geom_factor[rows, None, None],
                self._gf[gf_row[rows], bins, channels],
                self._eff[mode[rows], bins, channels],
                time_integ[rows, None, None],
            )
            level[~np.isfinite(level) | (gf_row[rows] < 0)[:, None, None]] = np.nan
            sigma = np.where(
                code == 0, level, eflux[rows, bins, channels] * known.reshape(code.shape)
            )
            with np.errstate(over="ignore"):  # of fill values, which do not count
                variance[rows, bins, channels] = sigma**2
        return variance
