"""Kinds of figures (`plot.kinds`): which figures an item has of each, and what their rows show.

A kind is a class that keeps `FigureKind` (base.py), an entry here, and its name in
`settings.schema.KindName`. Nothing is drawn here: kinds are asked by whoever draws, verifies,
lists or counts figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from spectro_mpi.draw.kinds.angle import Angle
from spectro_mpi.draw.kinds.base import FigureKind, Row
from spectro_mpi.draw.kinds.instrument_grid import InstrumentGrid
from spectro_mpi.draw.kinds.pitch_angle import PitchAngle
from spectro_mpi.draw.kinds.summary import Summary
from spectro_mpi.settings.schema import Config, KindName

__all__ = ["KINDS", "FigureKind", "Row", "kinds_of"]

KINDS: Mapping[KindName, FigureKind] = {
    "pitch-angle": PitchAngle(),
    "instrument-grid": InstrumentGrid(),
    "angle": Angle(),
    "summary": Summary(),
}


def kinds_of(config: Config, instruments: Iterable[str]) -> Iterator[tuple[FigureKind, str]]:
    """Yield (kind, instrument) of each figure of an item; instrument "": of all of them."""
    instruments = tuple(instruments)
    for name in config.plot.kinds:
        kind = KINDS[name]
        yield from ((kind, instrument) for instrument in kind.figures(config, instruments))
