"""The maps of the atlas as datasets with dimensions, units and bounds, for `atlas.h5`.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.artifacts import BOUNDS, Dataset, Group
from spectro_mpi.model.atlas_grid import HEMISPHERES, Grid
from spectro_mpi.model.atlas_item import AtlasPlan, Mapped
from spectro_mpi.model.atlas_maps import statistics
from spectro_mpi.model.atlas_tally import NUMBERS, TOP, AtlasTally, Described
from spectro_mpi.model.spectrogram import band_name
from spectro_mpi.model.sums import Whole, summed

ALTITUDES = "altitudes"
"""Name of the group of an instrument with maps of each range of altitude."""
FILL = "loss_cone_fill"
ITEM = "item"
NO_ITEM = -1
MEAN, PERCENTILE, COUNT = "_mean", "_percentile", "_count"
"""Suffixes of the datasets of a map."""


def groups_of(plan: AtlasPlan, tally: AtlasTally) -> list[Group]:
    """The groups of the atlas: `INSTRUMENT` of all altitudes together, and of each range of them
    `INSTRUMENT/altitudes`, for instruments that have any record in a cell.
    """
    described = measures_of(tally)
    groups = []
    for name, mapped in plan.mapped.items():
        if name in described:
            groups.append(_group(plan, tally, mapped, described[name], by_altitude=False))
            if plan.settings.altitudes:
                groups.append(_group(plan, tally, mapped, described[name], by_altitude=True))
    return groups


def named_items(group: Group) -> Group:
    """A group whose `top_item` are ids of items, "" for none, and not their places in `item`.

    Raises `KeyError` or `IndexError` if the group is not of an atlas.
    """
    ids, top = group.datasets[ITEM].values, group.datasets["top_item"]
    named = np.append(ids, "")[np.where(top.values < 0, len(ids), top.values)]
    long_name = "Items with the most records in the cell, that with the most first"
    others = {name: each for name, each in group.datasets.items() if name != ITEM}
    return Group(
        group.name, {**others, top.name: Dataset(top.name, named, top.dims, "", long_name)}
    )


def measures_of(tally: AtlasTally) -> dict[str, Described]:
    """Instrument → what is mapped of it; the first, if its files have several quantities."""
    first: dict[str, Described] = {}
    for described in sorted(tally.measures):
        first.setdefault(described[0], described)
    return first


def _group(
    plan: AtlasPlan, tally: AtlasTally, mapped: Mapped, described: Described, by_altitude: bool
) -> Group:
    name = f"{mapped.instrument}/{ALTITUDES}" if by_altitude else mapped.instrument
    maker = _Maker(plan, tally, mapped, by_altitude)
    datasets = [*maker.coordinates(), *maker.counts(), *maker.fluxes(described)]
    if mapped.cones:
        datasets += maker.fills()
    if mapped.beams:
        datasets += maker.beams()
    return Group(name, {dataset.name: dataset for dataset in datasets})


class _Maker:
    """Makes the datasets of one group."""

    def __init__(
        self, plan: AtlasPlan, tally: AtlasTally, mapped: Mapped, by_altitude: bool
    ) -> None:
        self._plan, self._tally, self._mapped = plan, tally, mapped
        self._by_altitude = by_altitude
        hemispheres, altitudes, latitudes, hours = plan.grid.shape
        self._shape = (hemispheres, *((altitudes,) if by_altitude else ()), latitudes, hours)
        middle = ("altitude",) if by_altitude else ()
        self._dims = ("hemisphere", *middle, "ilat", "mlt")
        self._size = int(np.prod(self._shape))

    def coordinates(self) -> Iterator[Dataset]:
        mapped, grid = self._mapped, self._plan.grid
        yield _names("hemisphere", HEMISPHERES, "Hemisphere")
        yield from _axes(grid, self._by_altitude)
        yield _names("category", mapped.categories, "Pitch-angle category")
        yield _names("band", [band_name(band) for band in mapped.bands], "Energy band")
        ends = np.array(mapped.bands, np.float64)
        yield Dataset(
            f"band{BOUNDS}", ends, ("band", "bound"), "eV", "Lower and upper end of the energy band"
        )
        percents = np.array(self._plan.settings.percentiles)
        yield Dataset("percentile", percents, ("percentile",), "percent", "Percentile")
        if mapped.cones:
            yield _names("cone", mapped.cones, "Loss cone")
        if mapped.beams:
            yield _names("beam", mapped.beams, "Direction of beams")

    def counts(self) -> Iterator[Dataset]:
        """Records and items, and the items with the most records."""
        plan, number = self._plan, self._mapped.number
        offset = number * plan.places + (0 if self._by_altitude else plan.grid.size)
        keys, columns = self._tally.records.held()
        maps = np.zeros((2, self._size), np.int64)
        inside = (keys >= offset) & (keys < offset + self._size)
        maps[:, keys[inside] - offset] = columns[inside].T
        for each, name, what in zip(
            maps, ("records", "items"), ("Records", "Items with a record"), strict=True
        ):
            yield Dataset(name, each.reshape(self._shape), self._dims, "1", f"{what} in the cell")
        top = self._tally.top
        inside = (top.cells >= offset) & (top.cells < offset + self._size)
        cells = top.cells[inside] - offset
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        lengths = np.diff(np.append(first, len(cells)))
        place = np.arange(len(cells)) - np.repeat(first, lengths)
        names, where = np.unique(top.items[inside], return_inverse=True)
        items = np.full((self._size, TOP), NO_ITEM, np.int32)
        records = np.zeros((self._size, TOP), np.int64)
        items[cells, place], records[cells, place] = where.reshape(-1), top.records[inside]
        shape, dims = (*self._shape, TOP), (*self._dims, "top")
        yield _names(ITEM, names, "Items with the most records in any cell")
        long_name = "Items with the most records in the cell, as their places in item; -1: none"
        yield Dataset("top_item", items.reshape(shape), dims, "1", long_name)
        yield Dataset("top_records", records.reshape(shape), dims, "1", "Their records in the cell")

    def fluxes(self, described: Described) -> Iterator[Dataset]:
        mapped = self._mapped
        _, name, units, long_name, _ = described
        yield from self._values(
            name, mapped.first_layer, "category", mapped.categories, units, long_name
        )

    def fills(self) -> Iterator[Dataset]:
        mapped, reference = self._mapped, self._plan.settings.reference
        long_name = f"Flux in the loss cone over that in category {reference}"
        first = mapped.first_layer + mapped.flux_layers
        yield from self._values(FILL, first, "cone", mapped.cones, "1", long_name)

    def beams(self) -> Iterator[Dataset]:
        mapped, settings = self._mapped, self._plan.settings
        keys, columns = self._tally.beams.held()
        layers, cells, inside = self._placed(keys, mapped.first_test, mapped.tests)
        maps = np.zeros((2, mapped.tests * self._size), np.int64)
        for row in range(2):
            np.add.at(maps[row], layers * self._size + cells, columns[inside, row])
        shape = (len(mapped.beams), len(mapped.bands), *self._shape)
        dims = ("beam", "band", *self._dims)
        judged, found = (each.reshape(shape) for each in maps)
        with np.errstate(invalid="ignore"):
            share = np.where(judged > 0, found / judged, np.nan).astype(np.float32)
        long_name = (
            f"Share of records with a beam: {settings.beam_channels} neighbouring channels of the "
            f"band at least {settings.beam_factor:g} times as intense as {settings.reference}, and "
            f"at least {settings.beam_counts:g} times the one-count level"
        )
        yield Dataset("beam_occurrence", share, dims, "1", long_name)
        yield Dataset("beam_count", judged, dims, "1", "Records in which a beam could be seen")

    def _values(
        self,
        name: str,
        first: int,
        dim: str,
        rows: tuple[str, ...],
        units: str,
        long_name: str,
    ) -> Iterator[Dataset]:
        """Statistics of `rows` × bands layers that begin at `first`."""
        bands, percents = len(self._mapped.bands), self._plan.settings.percentiles
        keys, columns = self._tally.values.held()
        layers, cells, inside = self._placed(keys // NUMBERS, first, len(rows) * bands)
        places, numbers = layers * self._size + cells, keys[inside] % NUMBERS
        counted = _merged(places, numbers, columns[inside])
        found = statistics(*counted, len(rows) * bands * self._size, percents)
        shape, dims = (len(rows), bands, *self._shape), (dim, "band", *self._dims)
        mean = found.mean.astype(np.float32).reshape(shape)
        yield Dataset(f"{name}{MEAN}", mean, dims, units, f"{long_name}: mean")
        percentiles = found.percentiles.astype(np.float32).reshape(len(percents), *shape)
        described = f"{long_name}: percentiles, within 13 percent"
        yield Dataset(f"{name}{PERCENTILE}", percentiles, ("percentile", *dims), units, described)
        count = found.count.reshape(shape)
        yield Dataset(f"{name}{COUNT}", count, dims, "1", f"{long_name}: number of records")

    def _placed(
        self, keys: Whole, first: int, count: int
    ) -> tuple[Whole, Whole, NDArray[np.bool_]]:
        """Layer from 0 and cell of the keys of `count` layers, and which keys these are."""
        size = self._plan.grid.size
        inside = (keys >= first * size) & (keys < (first + count) * size)
        layers, cells = np.divmod(keys[inside] - first * size, size)
        return layers, cells if self._by_altitude else self._plan.grid.pooled(cells), inside


def _merged(places: Whole, numbers: Whole, columns: Whole) -> tuple[Whole, Whole, Whole, Whole]:
    """Bins by place and number, ascending, those of equal place and number added up."""
    keys, sums = summed(places * NUMBERS + numbers, columns)
    return keys // NUMBERS, keys % NUMBERS, sums[:, 0], sums[:, 1]


def _axes(grid: Grid, by_altitude: bool) -> Iterator[Dataset]:
    """The middles of the cells and their borders."""
    axes: Mapping[str, tuple[NDArray[np.float64], str, str]] = {
        "altitude": (grid.altitude_edges, "km", "Altitude"),
        "ilat": (grid.ilat_edges, "degrees", "Invariant latitude, without sign"),
        "mlt": (grid.mlt_edges, "h", "Magnetic local time"),
    }
    for name, (edges, units, long_name) in axes.items():
        if name == "altitude" and not by_altitude:
            continue
        pairs = np.stack([edges[:-1], edges[1:]], axis=1)
        yield Dataset(name, pairs.mean(axis=1), (name,), units, f"{long_name}, middle of the cell")
        what = f"{long_name}, borders of the cell"
        yield Dataset(f"{name}{BOUNDS}", pairs, (name, "bound"), units, what)


def _names(name: str, texts: object, long_name: str) -> Dataset:
    return Dataset(name, np.array(list(texts), np.str_), (name,), "", long_name)  # type: ignore[call-overload]
