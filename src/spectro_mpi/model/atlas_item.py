"""What one item contributes to the atlas.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.angles import Band
from spectro_mpi.model.atlas_grid import NOWHERE, Grid
from spectro_mpi.model.atlas_tally import (
    NUMBERS,
    AtlasTally,
    Sums,
    TopItems,
    excess_of,
    numbers_of,
)
from spectro_mpi.model.atlas_values import (
    BeamCriterion,
    Measure,
    band_values,
    beams_in,
    count_levels,
    widths_of,
)
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.sums import Whole
from spectro_mpi.settings.atlas import AtlasSettings
from spectro_mpi.settings.atlas_layers import (
    atlas_bands,
    atlas_categories,
    beam_categories,
    cone_categories,
)
from spectro_mpi.settings.schema import Config

RECORDS, PLACED, ITEMS, WITH_EPHEMERIS = "records", "placed", "items", "with ephemeris"
"""Numbers in `AtlasTally.totals`; the first two of each instrument, as in "ees records"."""


@dataclass(frozen=True)
class Mapped:
    """What is mapped of one instrument, and where its layers begin."""

    instrument: str
    number: int
    """Its place among the instruments."""
    bands: tuple[Band, ...]
    categories: tuple[str, ...]
    cones: tuple[str, ...]
    """Categories of which the fill is mapped."""
    beams: tuple[str, ...]
    """Categories of which beams are counted."""
    first_layer: int
    first_test: int

    @property
    def flux_layers(self) -> int:
        """Number of layers of values: categories × bands."""
        return len(self.categories) * len(self.bands)

    @property
    def fill_layers(self) -> int:
        """Number of layers of ratios, which come after those of values: cones × bands."""
        return len(self.cones) * len(self.bands)

    @property
    def tests(self) -> int:
        """Number of tests for beams: categories × bands."""
        return len(self.beams) * len(self.bands)


@dataclass(frozen=True)
class AtlasPlan:
    """The grid and the layers that settings ask for."""

    config: Config

    @property
    def settings(self) -> AtlasSettings:
        """The settings of the atlas."""
        return self.config.atlas

    @cached_property
    def grid(self) -> Grid:
        """The cells."""
        return Grid(self.settings)

    @property
    def places(self) -> int:
        """Number of cells, and after them of cells without altitude, where records are counted."""
        return self.grid.size + self.grid.size // self.grid.shape[1]

    @cached_property
    def mapped(self) -> dict[str, Mapped]:
        """Instrument → what is mapped of it, in the order of `select.instruments`."""
        mapped: dict[str, Mapped] = {}
        layer = test = 0
        for name in self.config.select.instruments:
            bands = atlas_bands(self.config, name)
            if bands:
                mapped[name] = Mapped(
                    name,
                    len(mapped),
                    bands,
                    atlas_categories(self.config, name),
                    cone_categories(self.config, name),
                    beam_categories(self.config, name),
                    layer,
                    test,
                )
                layer += mapped[name].flux_layers + mapped[name].fill_layers
                test += mapped[name].tests
        return mapped


def contribution_of(
    plan: AtlasPlan,
    item: str,
    spectrograms: Sequence[Spectrogram],
    measures: Mapping[str, Measure],
    sums: frozenset[str],
) -> AtlasTally:
    """What an item contributes.

    `measures`: instrument → what its bands are mapped as; `sums`: instruments whose values are sums
    over the bins of a category, such as counts.
    """
    tally = AtlasTally()
    has_ephemeris = False
    for spectrogram in spectrograms:
        mapped = plan.mapped.get(spectrogram.instrument)
        if mapped is None:
            continue
        where = {each.name: each.values for each in spectrogram.ephemeris}
        cells = plan.grid.cells_of(where, len(spectrogram.time))
        cells[~spectrogram.has_values.any(axis=0)] = NOWHERE
        has_ephemeris |= bool(where)
        name, measure = spectrogram.instrument, measures[spectrogram.instrument]
        placed = np.flatnonzero(cells != NOWHERE)
        tally.totals[f"{name} {RECORDS}"] = len(cells)
        tally.totals[f"{name} {PLACED}"] = len(placed)
        if len(placed):
            title = spectrogram.legend.title or name
            tally.measures.add((name, measure.name, measure.units, measure.long_name, title))
            tally.merge(
                _of_instrument(plan, mapped, item, spectrogram, cells, measure, name in sums)
            )
    tally.totals[ITEMS] = 1
    tally.totals[WITH_EPHEMERIS] = int(has_ephemeris)
    return tally


def _of_instrument(
    plan: AtlasPlan,
    mapped: Mapped,
    item: str,
    spectrogram: Spectrogram,
    cells: Whole,
    measure: Measure,
    is_sum: bool,
) -> AtlasTally:
    values = band_values(spectrogram, mapped.bands, measure)  # (category, record, band)
    row_of = {name: row for row, name in enumerate(spectrogram.category)}
    layers: list[tuple[int, NDArray[np.float64]]] = []
    bands = len(mapped.bands)
    for number, name in enumerate(mapped.categories):
        if name in row_of:
            first = mapped.first_layer + number * bands
            layers += [(first + band, values[row_of[name], :, band]) for band in range(bands)]
    reference = row_of.get(plan.settings.reference)
    widths = widths_of(spectrogram, plan.config.directions) if is_sum else None
    tests: list[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]] = []
    if reference is not None:
        layers += _fills(mapped, values, row_of, reference, widths)
        atlas = plan.settings
        criterion = BeamCriterion(atlas.beam_factor, atlas.beam_counts, atlas.beam_channels)
        for number, name in enumerate(mapped.beams):
            if name in row_of:
                row = row_of[name]
                levels = count_levels(spectrogram, row, is_sum)
                args = (row, reference, mapped.bands, criterion, levels, widths)
                found, judged = beams_in(spectrogram, *args)
                first = mapped.first_test + number * bands
                tests += [(first + band, judged[:, band], found[:, band]) for band in range(bands)]
    return AtlasTally(
        values=_value_sums(layers, cells, plan.grid.size),
        records=_record_sums(plan, mapped, cells),
        beams=_beam_sums(tests, cells, plan.grid.size),
        top=_top_of(plan, mapped, cells, item),
    )


def _fills(
    mapped: Mapped,
    values: NDArray[np.float64],
    row_of: Mapping[str, int],
    reference: int,
    widths: NDArray[np.float64] | None,
) -> list[tuple[int, NDArray[np.float64]]]:
    """Layer → the values of a loss cone over those of the reference, (record,)."""
    layers = []
    for number, name in enumerate(mapped.cones):
        if name not in row_of:
            continue
        inside, outside = values[row_of[name]], values[reference]
        if widths is not None:
            inside = inside / widths[row_of[name], :, None]
            outside = outside / widths[reference, :, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(outside > 0, inside / outside, np.nan)
        first = mapped.first_layer + mapped.flux_layers + number * len(mapped.bands)
        layers += [(first + band, ratio[:, band]) for band in range(len(mapped.bands))]
    return layers


def _value_sums(layers: Sequence[tuple[int, NDArray[np.float64]]], cells: Whole, size: int) -> Sums:
    keys: list[Whole] = []
    columns: list[Whole] = []
    for layer, values in layers:
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        chosen = np.isfinite(narrow) & (cells != NOWHERE)
        narrow = narrow[chosen]
        keys.append((layer * size + cells[chosen]) * NUMBERS + numbers_of(narrow))
        columns.append(np.stack([np.ones(len(narrow), np.int64), excess_of(narrow)], axis=1))
    return _sums(keys, columns)


def _beam_sums(
    tests: Sequence[tuple[int, NDArray[np.bool_], NDArray[np.bool_]]], cells: Whole, size: int
) -> Sums:
    keys: list[Whole] = []
    columns: list[Whole] = []
    for test, judged, found in tests:
        chosen = judged & (cells != NOWHERE)
        keys.append(test * size + cells[chosen])
        columns.append(np.stack([judged[chosen], found[chosen]], axis=1).astype(np.int64))
    return _sums(keys, columns)


def _sums(keys: Sequence[Whole], columns: Sequence[Whole]) -> Sums:
    if not keys:
        return Sums.none(2)
    return Sums(np.concatenate(keys), np.concatenate(columns))


def _records_by_place(plan: AtlasPlan, cells: Whole) -> tuple[Whole, Whole]:
    """The places of an item's records, ascending, and how many each has."""
    inside = cells[cells != NOWHERE]
    places = np.concatenate([inside, plan.grid.size + plan.grid.pooled(inside)])
    unique, counts = np.unique(places, return_counts=True)
    return unique, counts.astype(np.int64)


def _record_sums(plan: AtlasPlan, mapped: Mapped, cells: Whole) -> Sums:
    places, counts = _records_by_place(plan, cells)
    columns = np.stack([counts, np.ones_like(counts)], axis=1)
    return Sums(mapped.number * plan.places + places, columns)


def _top_of(plan: AtlasPlan, mapped: Mapped, cells: Whole, item: str) -> TopItems:
    places, counts = _records_by_place(plan, cells)
    names = np.full(len(places), item)
    return TopItems(mapped.number * plan.places + places, counts, names)
