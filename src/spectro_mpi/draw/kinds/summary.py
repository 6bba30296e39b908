"""One figure of an item as a summary plot: spectrograms, pitch angles, and moments as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from spectro_mpi.draw.kinds.angle import angles_shown, label_of_band
from spectro_mpi.draw.kinds.base import FigureKind, Row, missions_of, with_word
from spectro_mpi.draw.kinds.pitch_angle import label_of
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import WHOLE
from spectro_mpi.model.series import series_of
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.summary import POTENTIAL, Layers, Source, alternatives_of, sources_of

_Layer = tuple[Spectrogram, int]


class _Shown(NamedTuple):
    """What is shown of an entry of `plot.summary`."""

    wanted: Layers
    """The first alternative."""
    chosen: Layers
    """The alternative that is shown; empty: none."""
    sources: Layers
    """What there is of the alternative that is shown; empty: there is none."""
    layers: tuple[_Layer, ...]


class Summary(FigureKind):
    """All that `plot.summary` lists of an item, one panel below the other."""

    name = "summary"
    names_missing = True
    has_events_in_name = False
    has_angles = True
    row_height = 0.45
    has_zooms = False
    labels_at_left = True

    def figures(self, config: Config, instruments: Sequence[str]) -> Iterable[str]:
        return ("",)

    def stem(self, config: Config, instrument: str) -> str:
        return with_word(config, "summary")

    def label(self, config: Config, instrument: str) -> str:
        return "summary"

    def limits_of(self, config: Config, instruments: Sequence[str]) -> Iterable[tuple[str, str]]:
        every = sources_of(config.summary)
        known = (each for each in every if each.series or each.instrument in instruments)
        return dict.fromkeys((each.group, each.category or WHOLE) for each in known)

    def depends_on(self, config: Config) -> tuple[object, ...]:
        return ("summary", config.summary)

    def row_count(self, config: Config, instrument: str, instruments: Sequence[str]) -> int:
        return sum(
            any(source.instrument in instruments for source in sources_of((entry,)))
            for entry in config.summary
        )

    def title(
        self, config: Config, item: str, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> str:
        return f"{missions_of(spectrograms.values())}, {item}: summary"

    def rows(
        self, config: Config, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> list[Row]:
        shown = (_shown(config, entry, spectrograms) for entry in config.summary)
        return [_row(config, each, spectrograms) for each in shown if each.layers]

    def notes(
        self,
        config: Config,
        spectrograms: Mapping[str, Spectrogram],
        failures: Iterable[Failure],
    ) -> Iterator[str]:
        shown = [_shown(config, entry, spectrograms) for entry in config.summary]
        reasons = {failure.instrument: failure.reason for failure in failures}
        yield from _notes_on_lacking(config, shown, spectrograms, reasons)
        yield from _notes_on_replaced(shown)
        yield from _notes_on_categories(config, shown)


def _shown(config: Config, entry: str, spectrograms: Mapping[str, Spectrogram]) -> _Shown:
    """The first alternative of an entry that an item has anything of."""
    alternatives = alternatives_of(entry)
    for alternative in alternatives:
        there = {
            source: layer
            for source in alternative
            if (layer := _layer(config, source, spectrograms)) is not None
        }
        lead = alternative[0]
        if not lead.series and lead not in there:  # a potential alone is no panel
            continue
        if there:
            return _Shown(alternatives[0], alternative, tuple(there), tuple(there.values()))
    return _Shown(alternatives[0], (), (), ())


def _layer(
    config: Config, source: Source, spectrograms: Mapping[str, Spectrogram]
) -> _Layer | None:
    """What a source names, if the item has a value of it."""
    spectrogram = spectrograms.get(source.instrument)
    if spectrogram is None:
        return None
    found: Spectrogram | None = spectrogram
    if source.series:
        found = series_of(spectrogram, source.series)
    elif source.group.endswith(BY_ANGLE):
        found = angles_shown(config, spectrogram)
    category = source.category or (found.category[0] if found is not None else "")
    if found is None or category not in found.category:
        return None
    place = found.category.index(category)
    return (found, place) if found.has_values[place].any() else None


def _row(config: Config, shown: _Shown, spectrograms: Mapping[str, Spectrogram]) -> Row:
    (lead, place), *others = shown.layers
    source = shown.sources[0]
    names = [spectrograms[each.instrument].legend.name for each in shown.sources]
    if source.series:
        several = tuple(names) if len(names) > 1 else ()
        label = lead.legend.name + (f" {source.category}" if source.category else "")
        is_of_one = not several and source.series != POTENTIAL  # which is the spacecraft's
        label = f"{names[0]}: {label}" if is_of_one else label
        sharing = tuple((each.group, each.category or WHOLE) for each in shown.chosen)
        return Row(label, lead, place, tuple(others), several, sharing)
    word = lead.category[place]
    if source.group.endswith(BY_ANGLE):
        bands = spectrograms[source.instrument].bands.tolist()
        word = label_of_band(bands[place], spectrograms[source.instrument].legend.axis_units)
    over = next((layer[0] for layer in others), None)
    return Row(f"{names[0]}: {word}", lead, place, over=over)


def _notes_on_lacking(
    config: Config,
    shown: Sequence[_Shown],
    spectrograms: Mapping[str, Spectrogram],
    reasons: Mapping[str, str],
) -> Iterator[str]:
    """A note on the panels that are left out, and on lines that panels lack."""
    lacking = []
    for each in shown:
        if not each.layers:
            lacking.append(each.wanted[0])
        elif each.sources[0].series:
            kept = {source.instrument for source in each.sources}
            lacking += [source for source in each.wanted if source.instrument not in kept]
    words = []
    for source in lacking:
        name = source.instrument
        if name not in spectrograms:
            words.append(f"{name} ({reasons.get(name, 'no file')})")
        elif source.series and series_of(spectrograms[name], source.series) is None:
            words.append(f"{name} {source.series} (not in the data)")
        elif source.group.endswith(BY_ANGLE) and not spectrograms[name].angles.size:
            words.append(f"{name} by pitch angle (not in the data)")
        elif source.category in config.directions and not spectrograms[name].ephemeris:
            words.append(f"{source} (no ephemeris)")
        else:
            words.append(str(source))
    if words:
        yield f"No data: {', '.join(dict.fromkeys(words))}"


def _notes_on_replaced(shown: Sequence[_Shown]) -> Iterator[str]:
    """A note on what is shown in place of the first alternative of an entry."""
    pairs: dict[str, None] = {}
    for each in shown:
        by_series = {source.series: source for source in each.wanted}
        for source in each.sources:
            wanted = by_series.get(source.series, each.wanted[0])
            if source.series == POTENTIAL and not each.sources[0].series:
                continue
            for got, first in (
                (source.instrument, wanted.instrument),
                (source.category, wanted.category),
                (source.series, wanted.series),
            ):
                is_other_line = got == source.instrument and len(each.wanted) > 1 and source.series
                if got != first and not is_other_line:
                    pairs[f"{got} for {first}"] = None
    if pairs:
        yield f"Shown instead: {', '.join(pairs)}"


def _notes_on_categories(config: Config, shown: Sequence[_Shown]) -> Iterator[str]:
    """What the categories are, once each."""
    labels = (
        label_of(config, place, spectrogram)
        for each in shown
        for source, (spectrogram, place) in zip(each.sources, each.layers, strict=True)
        if not source.series and not source.group.endswith(BY_ANGLE)
        if config.has_pitch_angles(source.instrument)
    )
    meanings = dict.fromkeys(label for label in labels if "(" in label)
    yield from (label.replace(" (", ": ", 1).removesuffix(")") for label in meanings)
