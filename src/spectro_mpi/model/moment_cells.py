"""The cells of some records, summed with the weights of moments: first over bins, then channels.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import FILL_FLOAT, EnergyFlux, Rows, is_measured
from spectro_mpi.model.ring_moments import ring_weights, span_of
from spectro_mpi.model.scratch import Scratch

Floats = NDArray[np.float64]
CellSums = Callable[[str, str], Floats]
"""Weight, factors → (record,): "whole", "n" is Σ C n ∫dΩ, and "whole net", "nf" is Σ σ² n f ∫dΩ
∫cos α dΩ."""

_WEIGHTS = ("whole", "along", "against", "square")
_PAIRS = {
    "whole": ("whole", "net", "square"),
    "net": ("net", "square"),
    "square": ("square",),
    "along": ("along",),
    "against": ("against",),
}
"""Weights of rings (`RingWeights`) whose products the variances are multiplied with."""
_ROWS = (*_WEIGHTS, *(f"{one} {other}" for one, others in _PAIRS.items() for other in others))


class MomentCells:
    """Some records with equal numbers of bins."""

    def __init__(
        self, flux: EnergyFlux, rows: Rows, bins: slice, channels: slice, scratch: Scratch
    ) -> None:
        def part(array: NDArray[Any]) -> NDArray[Any]:
            """The array of these records, bins and channels; an axis of length 1 is kept."""
            return array[
                rows if len(array) > 1 else slice(None),
                bins if array.shape[1] > 1 else slice(None),
                channels if array.shape[2] > 1 else slice(None),
            ]

        values = flux.values[rows, bins, channels]
        self._values: NDArray[Any] = scratch.take("values", values.shape)
        np.copyto(self._values, values, casting="same_kind")
        self.potential = None if flux.potential is None else flux.potential[rows]
        self._sigma = None if flux.sigma is None else flux.sigma(rows, bins, channels)
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
        angle, width = part(flux.pitch_angle), part(flux.width)
        if angle.shape != values.shape:
            angle = np.broadcast_to(angle, values.shape)
        span = span_of(angle)
        if not _are_measured(*span):
            known = is_measured(angle)
            self._require(known)
            angle = np.where(known, angle, np.float32(0))
            span = span_of(angle)
        if not (width > 0).all():
            self._require(width > 0)
            width = np.where(width > 0, width, 0)
        if (width == width[0, 0, 0]).all():
            width = width[:1, :1, :1]  # which is much faster
        weights = ring_weights(angle, width, 2 / flux.passes, span, scratch)
        self._weights = weights._asdict()

    @property
    def has_errors(self) -> bool:
        """Whether uncertainties are known, and sums have the spreads."""
        return self._sigma is not None

    def sums(self, factors: Mapping[str, Floats], inside: NDArray[np.bool_]) -> CellSums:
        """Sum the cells, by weights and factors.

        `factors` ("n", "f", "e", "p") are (record or 1, channel), 0 where not `inside`.
        """
        records, _, channels = self._values.shape
        rows = _ROWS if self.has_errors else _WEIGHTS
        summed = np.empty((len(rows), records, channels), np.float32)
        self._sum_values(summed)
        if self.has_errors:
            self._sum_spreads(summed[len(_WEIGHTS) :])
            if not np.isfinite(summed).all():  # uncertainties may be unknown outside
                summed = np.where(inside, summed, np.float32(0))
        cells = dict(zip(rows, summed.astype(np.float64), strict=True))

        def total(name: str, word: str) -> Floats:
            # Record by record, so that the others do not matter.
            factor = math.prod(factors[letter] for letter in word)
            return np.asarray((cells[name] * factor).sum(axis=1))

        return total

    def seen(self) -> Floats:
        """Solid angle of the bins that count, (record, channel or 1), sr; call `sums` before."""
        whole = self._weights["whole"]
        if self._counts is None:  # bins move together from channel to channel
            return np.asarray(whole[:, :, 0].astype(np.float64).sum(axis=1, keepdims=True))
        return np.asarray((whole * self._counts).sum(axis=1), np.float64)

    def _require(self, counting: Any) -> NDArray[Any]:
        """Let only those cells count that also are `counting`; returns which do."""
        counting = np.broadcast_to(counting, self._values.shape)
        self._counts = counting if self._counts is None else self._counts & counting
        return self._counts

    def _sum_values(self, into: NDArray[np.float32]) -> None:
        """Σ C w over the bins, (weight, record, channel)."""
        for place, name in enumerate(_WEIGHTS):
            self._dot(self._weights[name], self._values, into[place])
            # A fill value, or none, is seen in the sum: energy fluxes are not negative.
            if place == 0 and self._counts is None and _are_measured(into[0].min(), into[0].max()):
                continue
            if place == 0:
                known = self._require(is_measured(self._values))
                self._values = np.where(known, self._values, np.float32(0))
                self._dot(self._weights[name], self._values, into[place])

    def _sum_spreads(self, into: NDArray[np.float32]) -> None:
        """Σ σ² w w' over the bins, (pair of weights, record, channel)."""
        sigma: Any = self._sigma
        if self._counts is not None:
            sigma = np.where(self._counts, sigma, np.float32(0))
        variance = np.square(sigma, out=self._scratch.take("variance", sigma.shape))
        weighted = self._scratch.take("weighted", sigma.shape)
        place = 0
        for name, others in _PAIRS.items():
            np.multiply(self._weights[name], variance, out=weighted)
            for other in others:
                self._dot(weighted, self._weights[other], into[place])
                place += 1

    def _dot(self, one: NDArray[Any], other: NDArray[Any], into: NDArray[np.float32]) -> None:
        """Σ one · other over the bins: (record, bin, channel) → (record, channel)."""
        product = np.multiply(one, other, out=self._scratch.take("product", one.shape))
        np.matmul(self._ones, product, out=into[:, None])  # einsum takes longer


def _are_measured(low: Any, high: Any) -> bool:
    """Whether all values between the smallest and the largest are finite and no fill values."""
    return bool(np.all(low > FILL_FLOAT / 10) and np.isfinite(high).all())
