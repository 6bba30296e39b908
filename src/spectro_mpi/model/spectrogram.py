"""The reduced data of one instrument of one item, as it travels, is stored and is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Legend:
    """What the numbers of a spectrogram are, in words: for the store and the figures."""

    mission: str = ""
    """As in the title of a figure of several instruments: "FAST ESA"."""
    title: str = ""
    """As in the title of a figure of its own: "FAST ESA electron survey (ees)"."""
    name: str = ""
    """As beside a panel among those of other instruments: "electron survey"."""
    long_name: str = ""
    """Of the quantity."""
    units: str = ""
    """Of the quantity; empty: it has none."""
    z_label: str = ""
    """Label of the colour bar."""
    axis: str = "energy"
    """Name of the channels' dataset: "energy", "frequency", or "y" for anything else."""
    axis_units: str = "eV"
    y_label: str = "Energy (eV)"
    """Label of the channels' axis."""
    rows: str = ""
    """What the row shows where there are no pitch angles: "mean of 80 bins"."""
    is_whole: bool = False
    """Whether the values are whole numbers: their percentiles are then exact."""


@dataclass(frozen=True)
class Spectrogram:
    """Reduced data: (time, pitch angle, energy) → (category, time, energy).

    Records stand as in the file: times may repeat or go backward. Missing is NaN.
    """

    instrument: str
    quantity: str
    """Name of the values: of FAST "counts" (sum over a category's bins) or "eflux" (mean)."""
    category: tuple[str, ...]
    time: NDArray[np.float64]
    """(record,) centre, s since 1970 UTC."""
    time_start: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not tell."""
    time_end: NDArray[np.float64]
    """(record,) s since 1970 UTC; NaN where the file does not tell."""
    mode: NDArray[np.unsignedinteger[Any]]
    """(record,) row of `energy` that holds for the record; a value beyond its rows: none."""
    energy: NDArray[np.float32]
    """(mode, channel) channel centres, eV (or as `legend` says); NaN where there is no channel."""
    values: NDArray[np.float32]
    """(category, record, channel)"""
    source: str
    """Name of the file it was read from."""
    source_size: int
    """Bytes of that file."""
    legend: Legend = Legend()

    @property
    def name(self) -> str:
        """Of its group in the store."""
        return self.instrument
