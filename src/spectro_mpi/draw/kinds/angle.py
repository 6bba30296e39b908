"""Pitch-angle spectrograms of one instrument: a row for each energy band."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from spectro_mpi.draw.kinds.base import FigureKind, Row, with_word
from spectro_mpi.errors import UserError
from spectro_mpi.model.spectrogram import Spectrogram, band_name
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.schema import Config

_KILO = 1000.0


class Angle(FigureKind):
    """One instrument: pitch angle against time, by energy band."""

    name = "angle"
    names_missing = False
    has_events_in_name = True
    has_angles = True

    def figures(self, config: Config, instruments: Sequence[str]) -> Iterable[str]:
        return [name for name in instruments if config.bands(name)]

    def stem(self, config: Config, instrument: str) -> str:
        return f"{with_word(config, 'angle')}_{instrument}"

    def label(self, config: Config, instrument: str) -> str:
        return f"{instrument}: by pitch angle"

    def limits_of(self, config: Config, instruments: Sequence[str]) -> Iterable[tuple[str, str]]:
        for name in instruments:
            yield from ((name + BY_ANGLE, band_name(band)) for band in config.bands(name))

    def row_count(self, config: Config, instrument: str, instruments: Sequence[str]) -> int:
        return len(config.bands(instrument))

    def title(
        self, config: Config, item: str, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> str:
        return f"{spectrograms[instrument].legend.title}, {item}: by pitch angle"

    def rows(
        self, config: Config, instrument: str, spectrograms: Mapping[str, Spectrogram]
    ) -> list[Row]:
        shown = angles_shown(config, spectrograms[instrument])
        if shown is None:
            raise UserError(
                f"{instrument}: the data have no pitch-angle spectrograms; they are stored if "
                'plot.kinds has "angle" when the input is reduced'
            )
        units = spectrograms[instrument].legend.axis_units
        bands = spectrograms[instrument].bands.tolist()
        return [Row(label_of_band(band, units), shown, place) for place, band in enumerate(bands)]


def angles_shown(config: Config, spectrogram: Spectrogram) -> Spectrogram | None:
    """The pitch-angle spectrograms of an instrument as figures show them; None: there are none."""
    return spectrogram.by_folded_angle if config.plot.fold_angles else spectrogram.by_angle


def label_of_band(band: Sequence[float], units: str) -> str:
    """A band as the label of its row: "0.1–1 keV"."""
    if units == "eV" and band[1] >= _KILO:
        band, units = [end / _KILO for end in band], "keV"
    low, high = (f"{end:g}" for end in band)
    return f"{low}–{high} {units}"
