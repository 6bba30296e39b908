"""The potential of the spacecraft, as a line over the energies of particles; nothing is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from spectro_mpi.draw.content import Curve
from spectro_mpi.draw.kinds import Row


def potential_over(row: Row) -> tuple[Curve, ...]:
    """The potential Φ in the energies of a row: a particle of charge q gains −qΦ on its way in.

    The line is at qΦ for q < 0, below which electrons are those of the spacecraft, and at −qΦ for
    q > 0, the least energy of ions. There is none where that is not above 0.
    """
    if row.over is None:
        return ()
    values = row.over.values[0, :, 0].astype(np.float64)
    energy = np.where(values > 0, values, np.nan)
    return (Curve(energy),) if np.isfinite(energy).any() else ()


def notes_on_potential(rows: Iterable[Row]) -> Iterator[str]:
    """A note on what the line over energies is."""
    if any(potential_over(row) for row in rows):
        yield "Line over energies: potential of the spacecraft"
