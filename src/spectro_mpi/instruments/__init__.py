"""Readers of input files, one module per preset; they read a file in chunks of `Distribution`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.distribution import Categories, Combine, Distribution
from spectro_mpi.model.spectrogram import Legend


class InputFile(Protocol):
    """An open input file of one instrument, whose variables and shapes have been checked."""

    records: int
    """Number of records."""
    channels: int
    """Number of energy or frequency channels."""
    most_records: int
    """Most records to read at once, which limits the memory."""
    quantity: str
    """Name of the dataset in the store."""
    categories: Categories
    """The pitch-angle categories that the bins are reduced to; `EVERYTHING`: it has no angles."""
    combine: Combine
    """How the bins of a category are combined: "sum" or "mean"."""
    legend: Legend
    """Titles, labels and units for figures and the store."""

    def chunk(self, first: int, last: int) -> Distribution:
        """Read records `first` (inclusive) to `last` (exclusive). Raises `InvalidCdfError`."""
        ...

    @property
    def energy(self) -> NDArray[np.float32]:
        """(mode, channel) channel centres, eV or as in `legend`; NaN: no such channel.

        It is complete once all chunks have been read.
        """
        ...

    @property
    def edges(self) -> NDArray[np.float32]:
        """(mode, channel, 2) lower and upper edges (`model.channels.channel_edges`); NaN: none.

        It is complete once all chunks have been read. Where `channel_edges` is given no distances,
        it computes edges from the centres.
        """
        ...
