"""The result of the superposed epoch analysis: spectrograms against time from the event.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.histograms import statistics_of
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.model.superposition import CHANNEL_BITS, Superposition, unpacked
from spectro_mpi.system.words import count

Values = NDArray[np.float32]
StatisticName = Literal["mean", "median", "lower_quartile", "upper_quartile"]
STATISTICS: tuple[StatisticName, ...] = get_args(StatisticName)
_PERCENTS = (25.0, 50.0, 75.0)


@dataclass(frozen=True)
class Superposed:
    """Mean, median and quartiles of one instrument around events."""

    instrument: str
    quantity: str
    """Name of the values, such as "counts"."""
    legend: Legend
    category: tuple[str, ...]
    intervals: Values
    """(category, interval, 2) as of `Spectrogram`."""
    time_edges: NDArray[np.float64]
    """(bin, 2) begin and end of the bins of time, s from the event."""
    edges: Values
    """(channel, 2) lower and upper edges of the energy bins, ascending, in the unit of the axis;
    there may be gaps between them."""
    mean: Values
    """(category, bin, channel) in the units of the quantity, like the next three; NaN: no value."""
    median: Values
    lower_quartile: Values
    upper_quartile: Values
    records: NDArray[np.int64]
    """(category, bin, channel) number of records with a value, each counted for each event."""
    events: NDArray[np.int32]
    """(category, bin, channel) number of events with a value."""
    event_count: int
    """Number of events with any value."""
    record_count: int
    """Number of records with any value; one in the windows of two events counts twice."""
    width: float
    """Median and quartiles are off by less than this, relative to the values they lie between."""
    modes: tuple[int, ...] = field(default_factory=tuple)
    """Modes of the records."""

    def __repr__(self) -> str:
        sizes = "category {}, time_from_event {}, energy {}".format(*self.mean.shape)
        begin, end = self.time_edges[0, 0], self.time_edges[-1, 1]
        return (
            f"<Superposed {self.instrument} {self.quantity} ({self.legend.units or 'no unit'}): "
            f"{sizes}; {begin:g} to {end:g} s from {count(self.event_count, 'event')}, "
            f"{count(self.record_count, 'record')}>"
        )

    @property
    def time(self) -> NDArray[np.float64]:
        """(bin,) middles of the bins of time, s from the event."""
        middles: NDArray[np.float64] = self.time_edges.mean(axis=1)
        return middles

    @property
    def energy(self) -> Values:
        """(channel,) middles of the energy bins: geometric where both edges are positive."""
        low, high = self.edges.astype(np.float64).T
        is_positive = bool((self.edges > 0).all())
        middle = np.sqrt(low * high) if is_positive else (low + high) / 2
        energy: Values = middle.astype(np.float32)
        return energy

    def spectrogram(self, statistic: StatisticName = "median") -> Spectrogram:
        """One of the statistics as a spectrogram, whose times are s from the event."""
        if statistic not in STATISTICS:
            raise ValueError(f"statistic = {statistic!r}: expected one of {', '.join(STATISTICS)}")
        bins = len(self.time_edges)
        return Spectrogram(
            instrument=self.instrument,
            quantity=self.quantity,
            category=self.category,
            time=self.time,
            time_start=self.time_edges[:, 0],
            time_end=self.time_edges[:, 1],
            mode=np.zeros(bins, np.uint8),
            energy=self.energy[None],
            values=getattr(self, statistic),
            source="",
            source_size=0,
            legend=self.legend,
            edges=self.edges[None],
            intervals=self.intervals,
        )


def superposed(instrument: str, whole: Superposition) -> Superposed:
    """The statistics of what all items contribute.

    Energy bins are the pieces that the edges of all channels cut the axis into, without those that
    no channel covers. A value counts in each energy bin that its channel covers.
    """
    ends = np.unique(whole.channels)
    cover = np.searchsorted(ends, whole.channels)
    covered = np.zeros(max(0, len(ends) - 1), bool)
    for first, stop in cover.tolist():
        covered[first:stop] = True
    used = np.flatnonzero(covered)
    # Of each channel, the first energy bin and one past the last.
    cover = np.append(0, np.cumsum(covered))[cover]
    shape = len(whole.category), whole.bins.count, len(used)
    records = np.zeros(shape, np.int64)
    found = np.full((4, *shape), np.nan, np.float32)
    whole.settle()
    for row in range(shape[0]):
        for at in range(shape[1]):
            cell = row * shape[1] + at
            part = whole.histograms.part(cell << CHANNEL_BITS, (cell + 1) << CHANNEL_BITS)
            if not len(part.keys):
                continue
            channel = part.cells & ((1 << CHANNEL_BITS) - 1)
            entry, bins = _copies(cover[channel])
            of_cell = statistics_of(part.repeated(entry, bins), shape[2], _PERCENTS)
            records[row, at] = of_cell.count
            found[0, row, at], found[1:, row, at] = of_cell.mean, of_cell.percentiles
    lower, median, upper = found[1:]
    return Superposed(
        instrument=instrument,
        quantity=whole.quantity,
        legend=whole.legend,
        category=whole.category,
        intervals=whole.intervals,
        time_edges=whole.bins.edges,
        edges=np.stack([ends[:-1][used], ends[1:][used]], axis=1),
        mean=found[0],
        median=median,
        lower_quartile=lower,
        upper_quartile=upper,
        records=records,
        events=_events(whole, cover, len(used)),
        event_count=len(whole.identity),
        record_count=whole.records,
        width=whole.histograms.width,
        modes=tuple(sorted(whole.modes)),
    )


def _copies(cover: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Ranges [first, stop), one after the other, as (number of the range, element)."""
    sizes = cover[:, 1] - cover[:, 0]
    entry = np.repeat(np.arange(len(sizes)), sizes)
    offset = np.cumsum(sizes) - sizes
    return entry, np.arange(len(entry)) - (offset - cover[:, 0])[entry]


def _events(whole: Superposition, cover: NDArray[np.intp], bins: int) -> NDArray[np.int32]:
    """Number of events with a value, (category, bin of time, energy bin)."""
    rows, channels = len(whole.category), len(whole.channels)
    covers = np.zeros((channels, bins), np.int32)
    for channel, (first, stop) in enumerate(cover.tolist()):
        covers[channel, first:stop] = 1
    events: NDArray[np.int32] = whole.events @ covers
    spread = whole.spread
    for place, at in enumerate(spread.bin.tolist()):
        cells = unpacked(spread.cells[place : place + 1], (rows, channels))[0]
        events[:, at] += cells @ covers > 0
    return events
