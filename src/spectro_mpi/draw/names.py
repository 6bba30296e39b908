"""The figures of an item and their file names; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from spectro_mpi.settings.schema import Config, PlotSettings, ScalePair


def kinds_of(plot: PlotSettings, instruments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (kind, instrument) of each figure; the instrument of the grid is empty."""
    for kind in plot.kinds:
        if kind == "pitch-angle":
            yield from ((kind, instrument) for instrument in instruments)
        else:
            yield kind, ""


def figure_name(
    config: Config, item_id: str, instrument: str, scales: ScalePair, limits: str, marked: bool
) -> str:
    """Return the file name of a figure.

    `instrument` is empty for the grid; `marked` is true for an item with events.
    """
    cusp = "_cusp" if marked else ""
    word = f"_{config.preset.figure_word}" if config.preset.figure_word else ""
    if instrument:
        rows = "pitch-angle" if config.has_pitch_angles(instrument) else "spectrogram"
        what = f"{cusp}_{rows}{word}_{instrument}"
    else:
        what = f"_instrument-grid{word}"
    scale_names = f"y-{scales[0]}_z-{scales[1]}"
    return f"{item_id}{what}_{scale_names}_{limits}-{config.plot.colormap_of(scales)}.png"


def figure_names(
    config: Config, item_id: str, instruments: Iterable[str], marked: bool
) -> Iterator[str]:
    """Yield the file names of all figures of an item that has data of `instruments`."""
    for _, instrument in kinds_of(config.plot, instruments):
        for scales, limits in product(config.plot.scales, config.plot.limits):
            yield figure_name(config, item_id, instrument, scales, limits, marked)
