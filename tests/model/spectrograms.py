"""Spectrograms of random values, for tests of limits and tallies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.spectrogram import Legend, Spectrogram

ENERGY = np.array([[500, 40, 30, 20, 10], [55, 45, 35, 25, np.nan]], np.float32)
"""(table, channel) eV."""
COUNTS, FLUX = Legend(is_whole=True), Legend()


def with_values(
    values: NDArray[Any],
    legend: Legend = FLUX,
    mode: NDArray[np.integer[Any]] | None = None,
    time: NDArray[np.float64] | None = None,
) -> Spectrogram:
    """A spectrogram of `values` (category, record, channel); channels as those of `ENERGY`."""
    categories, records, channels = values.shape
    energy = np.full((2, channels), np.nan, np.float32)
    known = min(channels, ENERGY.shape[1])
    energy[:, :known] = ENERGY[:, :known]
    unknown = np.full(records, np.nan)
    return Spectrogram(
        instrument="ees",
        quantity="counts" if legend.is_whole else "flux",
        category=("all", "upgoing", "third", "fourth")[:categories],
        time=np.arange(records, dtype=np.float64) if time is None else time,
        time_start=unknown,
        time_end=unknown,
        mode=np.zeros(records, np.uint8) if mode is None else mode.astype(np.uint8),
        energy=energy,
        values=values.astype(np.float32),
        source="x.cdf",
        source_size=1,
        legend=legend,
    )


def random_counts(seed: int, records: int = 40) -> Spectrogram:
    """Whole numbers around 30, a fifth of them missing, and zeros."""
    return _random(seed, records, COUNTS)


def random_flux(seed: int, records: int = 40) -> Spectrogram:
    """Values over some decades, a fifth of them missing, and zeros."""
    return _random(seed, records, FLUX)


def _random(seed: int, records: int, legend: Legend) -> Spectrogram:
    rng = np.random.default_rng(seed)
    shape = (2, records, 5)
    values: NDArray[Any] = (
        rng.poisson(30, shape) if legend.is_whole else rng.lognormal(15, 3, shape)
    )
    values = values.astype(np.float64)
    values[rng.random(shape) < 0.2] = np.nan
    values[:, :, 0][:, records // 5 :] = 0
    mode = rng.integers(0, 2, records)
    values[:, mode == 1, 4] = np.nan
    return with_values(values, legend, mode)
