"""Kinds of input files: one module for each, reading a file in chunks of `Distribution`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import Categories, Combine, Distribution
from spectro_mpi.model.spectrogram import Legend


class InputFile(Protocol):
    """An open input file of one instrument, checked to hold what its kind promises."""

    records: int
    channels: int
    most_records: int
    """Records that may be read at once: a bound on memory."""
    quantity: str
    categories: Categories
    """The rows it can be reduced to."""
    combine: Combine
    legend: Legend

    def chunk(self, first: int, last: int) -> Distribution:
        """Records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""
        ...

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) channel centres, eV or as `legend` says; NaN where there is no channel.

        Complete once all chunks have been read.
        """
        ...
