"""The cells of records, summed over their bins with the weights of moments.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import (
    FILL_FLOAT,
    Distribution,
    EnergyFlux,
    Rows,
    blocks,
    is_measured,
)
from spectro_mpi.model.ring_moments import ring_weights
from spectro_mpi.model.scratch import Scratch

WEIGHTS = ("whole", "along", "against", "square")
"""Weights of rings (`RingWeights`) that values are multiplied with."""
_PAIRS = {
    "whole": ("whole", "net", "square"),
    "net": ("net", "square"),
    "square": ("square",),
    "along": ("along",),
    "against": ("against",),
}
PAIRS = tuple((one, other) for one, others in _PAIRS.items() for other in others)
"""Weights of rings whose products the variances are multiplied with."""

_CELLS_AT_ONCE = 1 << 16
"""Few enough that intermediate arrays stay in the cache."""


@dataclass(frozen=True)
class CellSums:
    """Sums over the bins of each channel that count; 0 where none is summed."""

    values: NDArray[np.float32]
    """(record, WEIGHTS, channel) Σ C w."""
    spreads: NDArray[np.float32]
    """(record, PAIRS, channel) Σ σ² w w'; NaN: not known. Of size 0: there are no uncertainties."""
    seen: NDArray[np.float32]
    """(record, channel) Σ w, the solid angle of the bins, sr."""
    measures: NDArray[np.bool_]
    """(record, channel) whether any bin of a channel is a measurement at all."""

    def of(self, rows: Rows, channels: slice) -> CellSums:
        """The sums of some records and channels."""
        return CellSums(
            self.values[rows, :, channels],
            self.spreads[rows, :, channels] if len(self.spreads) else self.spreads,
            self.seen[rows, channels],
            self.measures[rows, channels],
        )


def cell_sums(
    distribution: Distribution, usable: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> CellSums:
    """Sum the cells of the records that are `usable` (record,).

    Of the channels, at least those are summed that are `inside` (mode, channel).
    """
    flux = distribution.eflux
    assert flux is not None
    records, _, channels = flux.values.shape
    rows_of_spreads = records if flux.sigma is not None else 0
    sums = CellSums(
        np.zeros((records, len(WEIGHTS), channels), np.float32),
        np.zeros((rows_of_spreads, len(PAIRS), channels), np.float32),
        np.zeros((records, channels), np.float32),
        np.zeros((records, channels), bool),
    )
    nbins, nenergy = distribution.nbins, distribution.nenergy
    scratch = Scratch()
    for rows, bins, used in blocks(usable, nbins, nenergy, _CELLS_AT_ONCE):
        summed = np.flatnonzero(inside[distribution.mode[rows], :used].any(axis=0))
        if not len(summed):
            continue
        span = slice(int(summed[0]), int(summed[-1]) + 1)
        cells = _Cells(flux, (rows, slice(bins), span), scratch)
        sums.values[rows, :, span] = cells.sums_of_values()
        if flux.sigma is not None:
            sums.spreads[rows, :, span] = cells.sums_of_spreads(flux.sigma(rows, slice(bins), span))
        sums.seen[rows, span] = cells.seen()
        sums.measures[rows, span] = cells.measures
    return sums


class _Cells:
    """Some records with equal numbers of bins; `chosen` are these, their bins and channels."""

    def __init__(
        self, flux: EnergyFlux, chosen: tuple[Rows, slice, slice], scratch: Scratch
    ) -> None:
        def part(array: NDArray[Any]) -> NDArray[Any]:
            """The array of these records, bins and channels; an axis of length 1 is kept."""
            return array[
                tuple(
                    index if length > 1 else slice(None)
                    for index, length in zip(chosen, array.shape, strict=True)
                )
            ]

        values = flux.values[chosen]
        self._values = scratch.take("values", values.shape)
        np.copyto(self._values, values, casting="same_kind")
        self._scratch = scratch
        self._ones = np.ones((1, values.shape[1]), np.float32)
        self._counts: NDArray[Any] | None = None
        """(record, bin, channel) whether a cell counts; None: all do."""
        self.measures: Any = np.ones((1, 1), bool)
        """(record or 1, channel or 1) whether any bin of a channel is a measurement at all."""
        if flux.measured is not None:
            measured = part(flux.measured)
            self.measures = measured.any(axis=1)
            if measured.shape[1] > 1 and not bool(measured.all()):
                self._require(measured)
        angle, width = scratch.take("angle", values.shape), part(flux.width)
        np.copyto(angle, part(flux.pitch_angle))
        if not _are_measured(angle):
            known = is_measured(angle)
            self._require(known)
            angle = np.where(known, angle, np.float32(0))
        if not (width > 0).all():
            self._require(width > 0)
            width = np.where(width > 0, width, 0)
        if (width == width[0, 0, 0]).all():
            width = width[:1, :1, :1]  # which is much faster
        self._weights = ring_weights(angle, width, 2 / flux.passes, scratch)._asdict()

    def sums_of_values(self) -> NDArray[np.float32]:
        """Σ C w over the bins, (record, WEIGHTS, channel)."""
        records, _, channels = self._values.shape
        sums = np.empty((records, len(WEIGHTS), channels), np.float32)
        self._dot(self._weights[WEIGHTS[0]], self._values, sums[:, :1])
        # A fill value, or none, is seen in the sum: energy fluxes are not negative.
        if self._counts is not None or not _are_measured(sums[:, 0]):
            known = self._require(is_measured(self._values))
            self._values = np.where(known, self._values, np.float32(0))
            self._dot(self._weights[WEIGHTS[0]], self._values, sums[:, :1])
        for place, name in enumerate(WEIGHTS[1:], 1):
            self._dot(self._weights[name], self._values, sums[:, place : place + 1])
        return sums

    def sums_of_spreads(self, sigma: NDArray[Any]) -> NDArray[np.float32]:
        """Σ σ² w w' over the bins, (record, PAIRS, channel); call `sums_of_values` before.

        `sigma` (record, bin, channel) are the uncertainties of the cells.
        """
        records, _, channels = self._values.shape
        sums = np.empty((records, len(PAIRS), channels), np.float32)
        if self._counts is not None:
            sigma = np.where(self._counts, sigma, np.float32(0))
        variance = np.square(sigma, out=self._scratch.take("variance", sigma.shape))
        weighted = self._scratch.take("weighted", sigma.shape)
        for place, (name, other) in enumerate(PAIRS):
            if place == 0 or name != PAIRS[place - 1][0]:
                np.multiply(self._weights[name], variance, out=weighted)
            self._dot(weighted, self._weights[other], sums[:, place : place + 1])
        return sums

    def seen(self) -> NDArray[np.float32]:
        """Solid angle of the bins that count, (record, channel), sr.

        Call `sums_of_values` before, which sees what is missing.
        """
        whole = self._weights["whole"]
        if self._counts is not None:
            whole = whole * self._counts
        return np.asarray(np.matmul(self._ones, whole)[:, 0])

    def _require(self, counting: Any) -> NDArray[Any]:
        """Let only those cells count that also are `counting`; returns which do."""
        counting = np.broadcast_to(counting, self._values.shape)
        self._counts = counting if self._counts is None else self._counts & counting
        return self._counts

    def _dot(self, one: NDArray[Any], other: NDArray[Any], into: NDArray[np.float32]) -> None:
        """Σ one · other over the bins: (record, bin, channel) → (record, 1, channel)."""
        product = np.multiply(one, other, out=self._scratch.take("product", one.shape))
        np.matmul(self._ones, product, out=into)  # einsum takes longer


def _are_measured(values: NDArray[Any]) -> bool:
    """Whether all values are finite and no fill values."""
    return bool(values.min() > FILL_FLOAT / 10 and np.isfinite(values.max()))
