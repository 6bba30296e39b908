"""The reduced data of one instrument of one item, as it travels, is stored and is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTITIES = {
    "counts": ("Raw Counts (telemetry codes), sum over the category's angle bins", "counts"),
    "eflux": (
        "Differential energy flux, mean over the category's angle bins weighted by solid angle",
        "eV cm-2 s-1 sr-1 eV-1",
    ),
}
"""Quantity → (long name, units)."""


@dataclass(frozen=True)
class Spectrogram:
    """Reduced data: (time, pitch angle, energy) → (category, time, energy).

    Records stand as in the file: times may repeat or go backward. Missing is NaN.
    """

    instrument: str
    quantity: str
    """"counts" (sum over a category's bins) or "eflux" (mean, eV/(cm² s sr eV))."""
    category: tuple[str, ...]
    time: NDArray[np.float64]
    """(record,) centre, s since 1970 UTC."""
    time_start: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not tell."""
    time_end: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not tell."""
    mode: NDArray[np.uint8]
    """(record,) row of `energy` that holds for the record; a value beyond its rows: none."""
    energy: NDArray[np.float32]
    """(mode, channel) channel centres, eV; NaN where the mode has no such channel."""
    values: NDArray[np.float32]
    """(category, record, channel)"""
    source: str
    """Name of the file it was read from."""
    source_size: int
    """Bytes of that file."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays: what sending or holding it costs."""
        return sum(
            array.nbytes
            for array in (
                self.time,
                self.time_start,
                self.time_end,
                self.mode,
                self.energy,
                self.values,
            )
        )
