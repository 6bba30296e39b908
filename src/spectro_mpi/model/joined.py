"""Join the spectrograms of several files of one item, such as the two-hour files of a day.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.model.moment_sums import joined_sums
from spectro_mpi.model.spectrogram import SEPARATOR, Spectrogram, narrowest
from spectro_mpi.system.words import count

_MOST_NOTES = 2
"""Most files of which a note each says what is left out."""


def join_spectrograms(parts: Sequence[Spectrogram]) -> Spectrogram:
    """Join spectrograms of one instrument, in order of time.

    Of records at or before the end of an earlier part, those of the earlier part are kept; `notes`
    say how many were left out. Energy tables of all parts are kept as modes. Raises
    `InvalidCdfError` if parts differ in quantity, categories, units or number of channels.
    """
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: (_first_time(part), part.source))
    first = parts[0]
    for part in parts[1:]:
        if difference := _difference(first, part):
            raise InvalidCdfError(
                f"{part.source}: has other {difference} than {first.source}, so the two cannot be "
                "one item; give them different items or instruments"
            )
    chosen, notes = _without_overlaps(parts)
    tables, mode = _tables(parts)
    used = [modes[rows] for modes, rows in zip(mode, chosen, strict=True)]

    def records(name: str, axis: int = 0) -> Any:
        arrays = [getattr(part, name) for part in parts]
        if not all(array.size for array in arrays):
            return np.empty_like(arrays[0], shape=(0,) * arrays[0].ndim)  # a part has none
        taken = [array.compress(rows, axis) for array, rows in zip(arrays, chosen, strict=True)]
        return np.concatenate(taken, axis)

    by_record: dict[str, Any] = {
        name: records(name) for name in ("time", "time_start", "time_end", "quality")
    }
    return replace(
        first,
        **by_record,
        values=records("values", 1),
        errors=records("errors", 1),
        angles=records("angles", 1),
        sums=joined_sums([part.sums for part in parts], chosen),
        mode=narrowest(np.concatenate(used)),
        energy=np.concatenate([parts[n].energy[rows] for n, rows in tables]),
        edges=np.concatenate([parts[n].edges[rows] for n, rows in tables]),
        source=SEPARATOR.join(part.source for part in parts),
        provenance=replace(
            first.provenance, sha256=SEPARATOR.join(part.provenance.sha256 for part in parts)
        ),
        source_size=sum(part.source_size for part in parts),
        notes=(*(note for part in parts for note in part.notes), *notes),
    )


def _first_time(part: Spectrogram) -> float:
    known = part.time[np.isfinite(part.time)]
    return float(known.min()) if len(known) else np.inf


def _difference(one: Spectrogram, other: Spectrogram) -> str:
    """What two spectrograms differ in that joined ones cannot; empty: nothing."""
    of_each = [
        {
            "quantities": part.quantity,
            "categories": part.category,
            "units": (part.legend.units, part.legend.axis, part.legend.axis_units),
            "channels": part.energy.shape[1:],
        }
        for part in (one, other)
    ]
    return next((name for name in of_each[0] if of_each[0][name] != of_each[1][name]), "")


def _without_overlaps(
    parts: Sequence[Spectrogram],
) -> tuple[list[NDArray[np.bool_]], list[str]]:
    """Which records of each part to keep, and a note on each part that loses some.

    Of more parts than a title has lines for, it is one note on all.
    """
    chosen, notes, total = [np.ones(len(parts[0].time), bool)], [], 0
    end, last = np.nanmax(parts[0].time, initial=-np.inf), parts[0]
    for part in parts[1:]:
        with np.errstate(invalid="ignore"):
            late = ~(part.time <= end)
        chosen.append(late)
        if lost := int((~late).sum()):
            total += lost
            notes.append(
                f"{part.source}: {count(lost, 'record')} at times of {last.source} left out"
            )
        this_end = np.nanmax(part.time[late], initial=-np.inf)
        if this_end > end:
            end, last = this_end, part
    if len(notes) > _MOST_NOTES:
        notes = [f"{total} records of {len(notes)} files at times of earlier files left out"]
    return chosen, notes


def _tables(
    parts: Sequence[Spectrogram],
) -> tuple[list[tuple[int, list[int]]], list[NDArray[np.uint32]]]:
    """(part, rows of its energy tables that no part before has), and the new mode of all records.

    A mode beyond the tables of its part stays one beyond all tables.
    """
    known: dict[bytes, int] = {}
    tables: list[tuple[int, list[int]]] = []
    renumbered: list[NDArray[np.uint32]] = []
    for number, part in enumerate(parts):
        fresh: list[int] = []
        new = np.empty(len(part.energy) + 1, np.int64)
        for row, (energy, edges) in enumerate(zip(part.energy, part.edges, strict=True)):
            key = energy.tobytes() + edges.tobytes()
            if key not in known:
                known[key] = len(known)
                fresh.append(row)
            new[row] = known[key]
        new[-1] = -1
        tables.append((number, fresh))
        renumbered.append(new[np.minimum(part.mode, len(part.energy))])
    return tables, [
        np.where(modes < 0, len(known), modes).astype(np.uint32) for modes in renumbered
    ]
