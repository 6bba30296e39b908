"""What figures show besides the spectrograms of the store: pitch angles, and lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spectro_mpi.draw.kinds.angle import angles_shown
from spectro_mpi.model.series import series_of
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.summary import sources_of


def with_derived(config: Config, spectrograms: Iterable[Spectrogram]) -> Iterator[Spectrogram]:
    """Spectrograms, each followed by what is derived from it that figures show.

    These are its pitch-angle spectrograms, and the moments that summaries draw as lines.
    """
    has_lines = "summary" in config.plot.kinds
    sources = list(sources_of(config.summary)) if has_lines else []
    for spectrogram in spectrograms:
        yield spectrogram
        by_angle = angles_shown(config, spectrogram) if config.has_angles else None
        if by_angle is not None:
            yield by_angle
        lines = (s.series for s in sources if s.instrument == spectrogram.instrument and s.series)
        for name in dict.fromkeys(lines):
            series = series_of(spectrogram, name)
            if series is not None:
                yield series
