"""The uncertainty of the energy flux in FAST ESA files, from telemetry codes and responses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
from spectro_mpi.model.distribution import Rows, is_measured
from spectro_mpi.model.scratch import Scratch


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

    def of_chunk(
        self,
        first: int,
        shape: RecordShape,
        codes: NDArray[np.uint8],
        eflux: NDArray[np.floating[Any]],
        time_integ: NDArray[np.float64],
    ) -> ChunkErrors:
        """The uncertainties of a chunk, whose first record has the number `first` in the file."""
        last = first + len(codes)
        geom_factor = self._reader.range("geom_factor", first, last).reshape(-1)
        geom_factor = np.where(is_measured(geom_factor), geom_factor, np.nan)
        counts, steps = count_of_code(self._burst), step_of_code(self._burst)
        times, which_time = np.unique(time_integ, return_inverse=True)
        relative = eflux_relative_error(counts, steps, times[:, None]).astype(np.float32)
        relative[:, 0] = 0
        mode = np.minimum(shape.mode.astype(np.intp), len(self._eff) - 1)
        row = self._gf_row.range(first, last)
        pairs, which_level = np.unique(np.stack([row, mode], axis=1), axis=0, return_inverse=True)
        levels = [self._level(*pair) for pair in pairs.tolist()]
        return ChunkErrors(
            codes,
            eflux,
            relative,
            which_time.reshape(-1),
            np.stack(levels) if levels else np.empty((0, *codes.shape[1:]), np.float32),
            which_level.reshape(-1),
            (1 / (geom_factor * time_integ)).astype(np.float32),
        )

    def _level(self, row: int, mode: int) -> NDArray[np.float32]:
        """(bin, channel) energy flux of one count, times GF·Δt; NaN without response."""
        level = one_count_level(1.0, self._gf[row], self._eff[mode], 1.0)
        return np.where(np.isfinite(level) & (row >= 0), level, np.nan).astype(np.float32)


@dataclass(frozen=True)
class ChunkErrors:
    """What the uncertainties of some records follow from."""

    codes: NDArray[np.uint8]
    """(record, bin, channel)"""
    eflux: NDArray[np.floating[Any]]
    """(record, bin, channel)"""
    relative: NDArray[np.float32]
    """(integration time, code) of the energy flux; 0 where the count is 0."""
    time: NDArray[np.intp]
    """(record,) row of `relative`."""
    levels: NDArray[np.float32]
    """(level, bin, channel) one-count level, times GF·Δt."""
    level: NDArray[np.intp]
    """(record,) row of `levels`."""
    per_level: NDArray[np.float32]
    """(record,) 1/(GF·Δt)."""
    scratch: Scratch = field(default_factory=Scratch)

    def sigma(self, rows: Rows, bins: slice, channels: slice) -> NDArray[np.float32]:
        """Uncertainty of `eflux` of some records, bins and channels.

        The array is used again by the next call. That of a bin without counts is the one-count
        level. NaN where the file does not have the response: a single `gf` lacks the channels that
        the first mode does not have.
        """
        codes = self.codes[rows, bins, channels]
        time, level = self.time[rows], self.level[rows]
        sigma = self.scratch.take("sigma", codes.shape)
        if (time == time[0]).all():
            self.relative[time[0]].take(codes, out=sigma, mode="clip")
        else:
            self.relative.take(codes + 256 * time[:, None, None], out=sigma, mode="clip")
        sigma *= self.eflux[rows, bins, channels]
        # That of code 0 is 0 so far.
        is_same = (level == level[0]).all()
        levels = self.levels[level[:1] if is_same else level, bins, channels]
        per_level = self.per_level[rows][:, None, None]
        if np.isfinite(levels).all() and np.isfinite(per_level).all():
            one_count = self.scratch.take("one count", codes.shape)
            np.multiply(levels, codes == 0, out=one_count)
            one_count *= per_level
        else:
            one_count = np.where(codes == 0, levels * per_level, np.float32(0))
        sigma += one_count
        return sigma

    def variance(self, shape: RecordShape) -> NDArray[np.float32]:
        """Square of the uncertainty, (record, bin, channel); NaN: not known, or no valid cell."""
        variance = np.full(self.codes.shape, np.nan, np.float32)
        for cells in shape.blocks():
            with np.errstate(over="ignore"):  # of fill values, which do not count
                variance[cells] = self.sigma(*cells) ** 2
        return variance
