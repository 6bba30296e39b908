"""When the data of an item were measured, and where: what a search for items asks.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spectro_mpi.model.cadence import stray, time_order
from spectro_mpi.model.ephemeris import HEMISPHERE
from spectro_mpi.model.spectrogram import Spectrogram

_HOURS, _DEGREES = 24, 90
_LONGEST = 3600.0
"""Edges of a record farther than this from its time are damaged, s."""


class Track(NamedTuple):
    """A stretch of an orbit in one hour of MLT."""

    mlt: int | None
    """Full hour, 0 to 23; None: not known."""
    low: int | None
    """Invariant latitude from, full degrees, negative in the south; None: not known."""
    high: int | None
    """Invariant latitude to, full degrees: one more than `low`, or further."""


@dataclass(frozen=True)
class Coverage:
    """When and where the data of an item were measured."""

    begin: float
    """Start of the first record, s since 1970 UTC."""
    end: float
    """End of the last record, s since 1970 UTC."""
    tracks: tuple[Track, ...] = ()
    """Where it was, in order of MLT and latitude; empty: not known."""


def coverage_of(spectrograms: Iterable[Spectrogram]) -> Coverage | None:
    """The coverage of all spectrograms of an item; None: they have no times.

    Stray times (`cadence.stray`) do not count.
    """
    begins, ends = [], []
    cells: set[tuple[int, int]] = set()
    for spectrogram in spectrograms:
        span = _span(spectrogram)
        if span is not None:
            begins.append(span[0])
            ends.append(span[1])
        cells |= _cells(spectrogram)
    if not begins:
        return None
    return Coverage(min(begins), max(ends), tuple(_tracks(sorted(cells))))


def _span(spectrogram: Spectrogram) -> tuple[float, float] | None:
    order = time_order(spectrogram.time)
    before, after = stray(spectrogram.time[order])
    order = order[before : len(order) - after]
    if not len(order):
        return None
    first, last = order[0], order[-1]
    begin = _near(spectrogram.time_start[first], spectrogram.time[first])
    end = _near(spectrogram.time_end[last], spectrogram.time[last])
    return round(begin, 3), round(end, 3)


def _near(edge: float, time: float) -> float:
    return float(edge if abs(edge - time) <= _LONGEST else time)  # NaN: the time


_UNKNOWN = -1


def _cells(spectrogram: Spectrogram) -> set[tuple[int, int]]:
    """The hours of MLT and degrees of latitude, each by its lower border, of all records."""
    at = {variable.name: variable.values for variable in spectrogram.ephemeris}
    given = [at[name] for name in ("mlt", "ilat") if name in at]
    if not given:
        return set()
    known = np.isfinite(given).all(axis=0)
    count = int(known.sum())
    hours = np.full(count, _UNKNOWN)
    degrees = np.full(count, _DEGREES)
    if "mlt" in at:
        hours = np.floor(at["mlt"][known]).astype(np.intp) % _HOURS
    if "ilat" in at:
        latitude = at["ilat"][known]
        north = at.get(HEMISPHERE, at["ilat"])[known]
        is_south = np.where(np.isfinite(north), north, latitude) < 0
        size = np.floor(np.minimum(np.abs(latitude), _DEGREES - 1)).astype(np.intp)
        degrees = np.where(is_south, -1 - size, size)
    return set(zip(hours.tolist(), degrees.tolist(), strict=True))


def _tracks(cells: list[tuple[int, int]]) -> Iterator[Track]:
    """Join cells of one hour and adjacent degrees; a track does not cross the equator."""
    at = 0
    while at < len(cells):
        hour, low = cells[at]
        stop = at + 1
        while stop < len(cells) and cells[stop] == (hour, low + stop - at) and cells[stop][1]:
            stop += 1
        mlt = None if hour == _UNKNOWN else hour
        known = low != _DEGREES
        yield Track(mlt, low if known else None, low + stop - at if known else None)
        at = stop
