"""One figure of all instruments of an item: a row for each, or for those that share a panel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from spectro_mpi.draw.kinds.base import FigureKind, Row, missions_of, with_word
from spectro_mpi.draw.kinds.missing import missing_note
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import WHOLE
from spectro_mpi.model.panels import notes_on_panels, panels_of
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import Config


class InstrumentGrid(FigureKind):
    """All instruments, one below the other."""

    name = "instrument-grid"
    names_missing = True
    has_events_in_name = False

    def figures(self, config: Config, instruments: Sequence[str]) -> Iterable[str]:
        return ("",)

    def stem(self, config: Config, instrument: str) -> str:
        return with_word(config, "instrument-grid")

    def label(self, config: Config, instrument: str) -> str:
        return "instrument grid"

    def limits_of(self, config: Config, instruments: Sequence[str]) -> Iterable[tuple[str, str]]:
        return ((name, WHOLE) for name in instruments)

    def row_count(self, config: Config, instrument: str, instruments: Sequence[str]) -> int:
        tables = {table.name: table for table in config.instrument}
        panels = [tables[name].panel if name in tables else "" for name in instruments]
        return len(set(filter(None, panels))) + panels.count("")

    def title(
        self, config: Config, item: str, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> str:
        missions = missions_of(spectrograms.values())
        angles = any(map(config.has_pitch_angles, spectrograms))
        return f"{missions}, {item}: instruments{f', {WHOLE} pitch angles' if angles else ''}"

    def rows(
        self, config: Config, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> list[Row]:
        rows = []
        for panel in panels_of(spectrograms.values(), config.instrument):
            (first, category), *beside = [(each, each.category.index(WHOLE)) for each in panel]
            rows.append(Row(" + ".join(map(_label, panel)), first, category, tuple(beside)))
        return rows

    def notes(
        self,
        config: Config,
        spectrograms: Mapping[str, Spectrogram],
        failures: Iterable[Failure],
    ) -> Iterator[str]:
        yield from missing_note(config, spectrograms, failures)
        yield from notes_on_panels(spectrograms.values(), config.instrument)


def _label(spectrogram: Spectrogram) -> str:
    rows = f" ({spectrogram.legend.rows})" if spectrogram.legend.rows else ""
    return f"{spectrogram.instrument}: {spectrogram.legend.name}{rows}"
