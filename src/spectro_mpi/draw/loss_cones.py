"""The edges of the loss cones, as lines over pitch-angle spectrograms; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spectro_mpi.draw.content import Curve, Panel
from spectro_mpi.model.ephemeris import HEMISPHERE, LOSS_CONE
from spectro_mpi.model.spectrogram import Spectrogram


def curves_of(spectrogram: Spectrogram) -> tuple[Curve, ...]:
    """The edges of both loss cones in a pitch-angle spectrogram: earthward ones are solid."""
    known = {variable.name: variable.values for variable in spectrogram.ephemeris}
    if spectrogram.legend.axis != "angle" or not {HEMISPHERE, LOSS_CONE} <= known.keys():
        return ()
    cone, north = known[LOSS_CONE].astype(np.float64), known[HEMISPHERE]
    with np.errstate(invalid="ignore"):
        around_0 = np.where(north > 0, cone, np.where(north < 0, 180.0 - cone, np.nan))
    edges = [Curve(around_0), Curve(180.0 - around_0, is_dashed=True)]
    if spectrogram.edges.max() > 180:
        edges += [Curve(360.0 - around_0), Curve(180.0 + around_0, is_dashed=True)]
    return tuple(edge for edge in edges if np.isfinite(edge.values).any())


def notes_on_curves(panels: Iterable[Panel]) -> Iterator[str]:
    """A note on what the lines of panels are."""
    if any(panel.curves for panel in panels):
        yield "Lines: edges of the loss cones, earthward solid, away from earth dashed"
