"""Instruments that share a panel: `panel` of `[[instrument]]` tables.

Pure functions, no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.instrument_table import InstrumentTable

_OVERLAP = 0.01
"""Ranges that overlap by less than this part of an energy only touch."""


def panels_of(
    spectrograms: Iterable[Spectrogram], tables: Sequence[InstrumentTable]
) -> list[tuple[Spectrogram, ...]]:
    """The spectrograms of each panel: one, or those whose tables name the same `panel`.

    Panels and the spectrograms of each are in the order of `spectrograms`. One whose units or
    scales are not those of the first of its panel has a panel of its own (`notes_on_panels`). A
    scale that only some of a panel have is that of all.
    """
    panels: list[list[Spectrogram]] = []
    by_name: dict[str, list[Spectrogram]] = {}
    names = _names(tables)
    for spectrogram in spectrograms:
        name = names.get(spectrogram.instrument, "")
        shared = by_name.get(name)
        if name and shared is not None and not _difference(shared, spectrogram):
            shared.append(spectrogram)
            continue
        panels.append([spectrogram])
        if name:
            by_name.setdefault(name, panels[-1])
    return [_with_same_scales(panel) for panel in panels]


def notes_on_panels(
    spectrograms: Iterable[Spectrogram], tables: Sequence[InstrumentTable]
) -> Iterator[str]:
    """Notes on instruments that cannot share their panel, and on those that overlap in one."""
    spectrograms, names = list(spectrograms), _names(tables)
    panels = panels_of(spectrograms, tables)
    leads: dict[str, tuple[Spectrogram, ...]] = {}
    for panel in panels:
        name = names.get(panel[0].instrument, "")
        lead = leads.setdefault(name, panel)
        if name and lead is not panel:
            difference = _difference(lead, panel[0])
            yield (
                f"{panel[0].instrument} is not in the panel {name}, because its {difference} of "
                f"{lead[0].instrument}"
            )
        yield from _overlaps(panel)


def _overlaps(panel: Sequence[Spectrogram]) -> Iterator[str]:
    for first, second in combinations(panel, 2):
        (low, high), (other_low, other_high) = map(_range, (first, second))
        low, high = max(low, other_low), min(high, other_high)
        if high - low > _OVERLAP * abs(high):
            units = first.legend.axis_units
            low, high = (float(f"{end:.3g}") for end in (low, high))
            yield (
                f"{low:g} to {high:g} {units}: {first.instrument} is drawn, and "
                f"{second.instrument} where it has no value"
            )


def _range(spectrogram: Spectrogram) -> tuple[float, float]:
    """The lowest and the highest edge of the channels of a spectrogram."""
    edges = spectrogram.edges[np.isfinite(spectrogram.edges).all(axis=2)]
    return (float(edges.min()), float(edges.max())) if len(edges) else (np.inf, -np.inf)


def _difference(panel: Sequence[Spectrogram], other: Spectrogram) -> str:
    """What keeps a spectrogram from a panel, as in "units (eV) are not those (Hz)"; or empty."""
    first = panel[0].legend
    pairs = {
        "units": (other.legend.units, first.units),
        "units of energy": (other.legend.axis_units, first.axis_units),
        "energy scale": (other.legend.y_scale, _scale(panel, "y_scale")),
        "colour scale": (other.legend.z_scale, _scale(panel, "z_scale")),
    }
    for name, (its, expected) in pairs.items():
        if its != expected and (name.startswith("units") or (its and expected)):
            verb = "are not those" if name.startswith("units") else "is not that"
            return f"{name} ({its or 'none'}) {verb} ({expected or 'none'})"
    return ""


def _scale(panel: Sequence[Spectrogram], name: str) -> str:
    """The scale that a spectrogram of a panel has, whatever the pair of the figure; or empty."""
    return next(filter(None, (getattr(each.legend, name) for each in panel)), "")


def _with_same_scales(panel: Sequence[Spectrogram]) -> tuple[Spectrogram, ...]:
    y_scale, z_scale = _scale(panel, "y_scale"), _scale(panel, "z_scale")
    return tuple(
        each
        if (each.legend.y_scale, each.legend.z_scale) == (y_scale, z_scale)
        else replace(each, legend=replace(each.legend, y_scale=y_scale, z_scale=z_scale))
        for each in panel
    )


def _names(tables: Sequence[InstrumentTable]) -> Mapping[str, str]:
    """Instrument → name of its panel; empty: it has one of its own."""
    return {table.name: table.panel for table in tables}
