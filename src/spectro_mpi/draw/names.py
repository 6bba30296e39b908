"""The figures of an item and their file names; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from spectro_mpi.draw.kinds import FigureKind, kinds_of
from spectro_mpi.settings.schema import Config, ScalePair

KEYWORD = "spectro-mpi"
"""Of the text chunk in every PNG that says what the figure shows."""
DRAWING = 2
"""Version of the drawing, in every PNG: raised when the pixels or texts of a figure change for the
same data and settings, and only then, so that no other change of the program changes a figure."""


def figure_name(
    config: Config,
    item_id: str,
    kind: FigureKind,
    instrument: str,
    scales: ScalePair,
    limits: str,
    marked: bool,
) -> str:
    """Return the file name of a figure; `marked`: whether its item has events."""
    cusp = "_cusp" if marked and kind.has_events_in_name else ""
    scale_names = f"y-{scales[0]}_z-{scales[1]}"
    colormap = config.plot.colormap_of(scales)
    return f"{item_id}{cusp}_{kind.stem(config, instrument)}_{scale_names}_{limits}-{colormap}.png"


def figure_names(
    config: Config, item_id: str, instruments: Iterable[str], marked: bool
) -> Iterator[str]:
    """Yield the file names of all figures of an item that has data of `instruments`."""
    for kind, instrument in kinds_of(config.plot, instruments):
        for scales, limits in product(config.plot.scales, config.plot.limits):
            yield figure_name(config, item_id, kind, instrument, scales, limits, marked)
