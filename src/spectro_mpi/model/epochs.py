"""The times of events to which records are related, for superposed epoch analysis.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.marks import Event, Mark, Marks, place
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.superpose import SuperposeSettings


@dataclass(frozen=True)
class TimeBins:
    """Bins of time from an event; the event lies between two of them."""

    width: float
    """s"""
    before: int
    """Number of bins before the event."""
    after: int
    """Number of bins after it."""

    @property
    def count(self) -> int:
        """Number of bins."""
        return self.before + self.after

    @property
    def edges(self) -> NDArray[np.float64]:
        """(bin, 2) where each begins and ends, s from the event."""
        ends = np.arange(-self.before, self.after + 1) * self.width
        return np.stack([ends[:-1], ends[1:]], axis=1)

    def bin_of(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """The bins in which times from the event lie, as numbers from 0; others are outside."""
        numbers: NDArray[np.int64] = np.floor(seconds / self.width).astype(np.int64) + self.before
        return numbers


def time_bins(settings: SuperposeSettings) -> TimeBins:
    """The bins of a window, which is extended to whole bins."""
    width = settings.bin_seconds
    # As many as are needed, although 0.3 / 0.1 is a little less than 3 and 0.6 / 0.2 a little more.
    before, after = (
        math.ceil(seconds / width - 1e-9)
        for seconds in (settings.before_seconds, settings.after_seconds)
    )
    return TimeBins(width, before, after)


@dataclass(frozen=True)
class Epochs:
    """The times 0 of events, ascending."""

    time: NDArray[np.float64]
    """(event,) s since 1970 UTC"""
    identity: NDArray[np.int64]
    """(event,) the same number for the same event in all items."""

    def near(self, first: float, last: float, bins: TimeBins) -> Epochs:
        """The events whose windows overlap the time from `first` to `last`, s since 1970 UTC."""
        width = bins.width
        low, high = first - bins.after * width, last + bins.before * width
        rows = slice(*np.searchsorted(self.time, [low, np.nextafter(high, np.inf)]))
        return Epochs(self.time[rows], self.identity[rows])

    def joined(self, other: Epochs) -> Epochs:
        """These events and `other` ones."""
        time = np.concatenate([self.time, other.time])
        order = np.argsort(time, kind="stable")
        return Epochs(time[order], np.concatenate([self.identity, other.identity])[order])


def epochs_in_time(marks: Marks, instrument: str, settings: SuperposeSettings) -> Epochs:
    """The events of all items that are given by time, as far as they are of an instrument.

    Which events these are is decided for each item as for its figures: those of the instrument and
    those without one; if there are none, those of other instruments. Overlapping events of a label
    are one. An event that is listed for several items is one event.
    """
    found: set[tuple[float, float, str]] = set()
    for of_item in marks.values():
        timed = [mark for mark in _chosen(of_item, instrument, settings) if is_timed(mark)]
        found |= {(e.start, e.end, e.label) for e in place(timed, {}, prefer=instrument)}
    return _epochs((Event(*event) for event in found), "", settings.zero)


def epochs_by_index(
    marks: Iterable[Mark],
    spectrograms: Mapping[str, Spectrogram],
    instrument: str,
    item: str,
    settings: SuperposeSettings,
) -> Epochs:
    """The events of an item that are given by index of a record: nothing else knows their time."""
    indexed = [mark for mark in _chosen(marks, instrument, settings) if not is_timed(mark)]
    return _epochs(place(indexed, spectrograms, prefer=instrument), item, settings.zero)


def _chosen(marks: Iterable[Mark], instrument: str, settings: SuperposeSettings) -> list[Mark]:
    labels: Collection[str] = settings.labels
    known = [mark for mark in marks if not labels or mark.label in labels]
    return [m for m in known if m.instrument in ("", instrument.lower())] or known


def is_timed(mark: Mark) -> bool:
    """Whether a mark is given by times alone, which any item can place."""
    return not (isinstance(mark.start, int) or isinstance(mark.end, int))


def _epochs(events: Iterable[Event], item: str, zero: str) -> Epochs:
    listed = sorted((_zero_of(event, zero), _identity(event, item)) for event in events)
    times, identities = zip(*listed, strict=True) if listed else ((), ())
    return Epochs(np.array(times, np.float64), np.array(identities, np.int64))


def _zero_of(event: Event, zero: str) -> float:
    if zero == "middle":
        return event.start + (event.end - event.start) / 2
    return event.start if zero == "start" else event.end


def _identity(event: Event, item: str) -> int:
    """63 bits of a digest; `item` is empty for an event that all items know."""
    text = repr((item, event.start, event.end, event.label))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
