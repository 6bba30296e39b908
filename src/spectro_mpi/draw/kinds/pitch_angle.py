"""Figures of one instrument each: a row for each pitch-angle category."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from spectro_mpi.draw.kinds.base import FigureKind, Row, with_word
from spectro_mpi.model.ephemeris import HEMISPHERE, LOSS_CONE
from spectro_mpi.model.extrema import WHOLE
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count


class PitchAngle(FigureKind):
    """One instrument, by pitch angle where it has any."""

    name = "pitch-angle"
    names_missing = False
    has_events_in_name = True

    def figures(self, config: Config, instruments: Sequence[str]) -> Iterable[str]:
        return instruments

    def stem(self, config: Config, instrument: str) -> str:
        rows = "pitch-angle" if config.has_pitch_angles(instrument) else "spectrogram"
        return f"{with_word(config, rows)}_{instrument}"

    def label(self, config: Config, instrument: str) -> str:
        rows = "pitch angles" if config.has_pitch_angles(instrument) else "spectrogram"
        return f"{instrument}: {rows}"

    def limits_of(self, config: Config, instruments: Sequence[str]) -> Iterable[tuple[str, str]]:
        for name in instruments:
            by_angle = config.has_pitch_angles(name)
            yield from ((name, each) for each in (config.pitch_angles if by_angle else (WHOLE,)))

    def row_count(self, config: Config, instrument: str, instruments: Sequence[str]) -> int:
        return len(config.pitch_angles) if config.has_pitch_angles(instrument) else 1

    def title(
        self, config: Config, item: str, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> str:
        angles = ": pitch angles" if config.has_pitch_angles(instrument) else ""
        return f"{spectrograms[instrument].legend.title}, {item}{angles}"

    def rows(
        self, config: Config, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> list[Row]:
        spectrogram = spectrograms[instrument]
        return [
            Row(label_of(config, place, spectrogram), spectrogram, place)
            for place in range(len(spectrogram.category))
        ]


def label_of(config: Config, place: int, spectrogram: Spectrogram) -> str:
    """What a row shows: a category with its intervals as they are stored, or how bins combine."""
    if not config.has_pitch_angles(spectrogram.instrument):
        return spectrogram.legend.rows or spectrogram.legend.name
    category = spectrogram.category[place]
    intervals = config.pitch_angles.get(category, ())
    if isinstance(intervals, Direction):
        meaning = ", ".join((str(intervals), *_without_direction(spectrogram, intervals)))
        return f"{category} ({meaning})"
    if len(spectrogram.intervals):
        stored = spectrogram.intervals[place]
        intervals = tuple(map(tuple, stored[np.isfinite(stored).all(axis=1)].tolist()))
    words = ", ".join(f"{low:g}°–{high:g}°" for low, high in intervals)
    return f"{category} ({words})" if words else category


def _without_direction(spectrogram: Spectrogram, direction: Direction) -> Iterator[str]:
    """How many records with values have no such direction, because the ephemeris lacks it."""
    has_values = spectrogram.has_values.any(axis=0)
    known = np.zeros(has_values.shape, bool)
    needed = {HEMISPHERE, LOSS_CONE} if direction.losscone else {HEMISPHERE}
    by_name = {variable.name: variable.values for variable in spectrogram.ephemeris}
    if needed <= by_name.keys():
        known = np.logical_and.reduce([np.isfinite(by_name[name]) for name in sorted(needed)])
    missing = int((has_values & ~known).sum())
    if missing and not known.any():
        yield "no ephemeris"
    elif missing:
        yield f"{count(missing, 'record')} without ephemeris"
