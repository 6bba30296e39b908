"""The figures of the atlas: which sheets there are, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectro_mpi.draw.atlas_sheet import Dials, Floats, Shades, Sheet
from spectro_mpi.draw.kinds.angle import label_of_band
from spectro_mpi.model.artifacts import BOUNDS, Group
from spectro_mpi.model.atlas_groups import ALTITUDES, COUNT, FILL, MEAN, PERCENTILE

DRAWING = 2
"""Version of these figures: raised when they look different for the same maps."""
_MEDIAN = 50.0
_MOST_COLUMNS = 3
"""Categories of the sheets by altitude, which have both hemispheres of each in a row: the first."""


@dataclass(frozen=True)
class Words:
    """What the sheets say of a run."""

    titles: Mapping[str, str]
    """Instrument → its title, as in "FAST ESA electron survey (ees)"."""
    rows: Mapping[str, str]
    """Category → what it is, as in "within 30° of earthward"."""
    items: str
    """What items are called, as in "orbits"."""
    foot: str
    with_units: Callable[[str, str], str]
    """Label and units → label of a colour bar."""


def sheets_of(groups: Mapping[str, Group], words: Words) -> Iterator[Sheet]:
    """The sheets of all instruments."""
    for name, group in groups.items():
        if "/" not in name:
            yield from _Sheets(name, group, groups.get(f"{name}/{ALTITUDES}"), words).all()


class _Sheets:
    """Makes the sheets of one instrument."""

    def __init__(self, name: str, group: Group, by_altitude: Group | None, words: Words) -> None:
        self._name, self._words = name, words
        self._maps, self._group = _with_records(group), group
        self._by_altitude = None if by_altitude is None else _with_records(by_altitude)
        self._sides = [str(side).capitalize() for side in self._maps["hemisphere"]]
        ends = self._maps[f"band{BOUNDS}"].tolist()
        self._bands = [label_of_band(band, "eV") for band in ends]
        self._title = words.titles.get(name, name)
        mean = next(key for key in self._maps if key.endswith(MEAN) and not key.startswith(FILL))
        self._quantity = mean.removesuffix(MEAN)
        percentiles = self._maps["percentile"]
        self._percentile = int(np.abs(percentiles - _MEDIAN).argmin())
        middle = float(percentiles[self._percentile])
        self._middle = "median" if middle == _MEDIAN else f"{middle:g}th percentile"

    def all(self) -> Iterator[Sheet]:
        yield self._coverage()
        for band in range(len(self._bands)):
            yield self._flux(band)
            if self._by_altitude is not None:
                yield self._altitudes(band)
        if "beam_occurrence" in self._maps:
            yield self._beams()
        if f"{FILL}{MEAN}" in self._maps:
            yield self._fill()

    def _dials(self, maps: Any, rows: Sequence[str], columns: Sequence[str], counts: Any) -> Dials:
        """`maps` (row, column, ilat, mlt); `counts` likewise, numbers of records to be summed."""
        summed = np.asarray(counts).sum(axis=(2, 3))
        texts = [[f"{number:,} records".replace(",", "\u202f") for number in row] for row in summed]
        edges = [_edges(self._maps[f"{name}{BOUNDS}"]) for name in ("ilat", "mlt")]
        return Dials(np.asarray(maps, np.float64), tuple(rows), tuple(columns), texts, *edges)

    def _sheet(self, name: str, what: str, dials: Dials, shades: Shades) -> Sheet:
        foot = self._words.foot
        if len(self._sides) == 1:
            foot += f"; no records in the {'South' if self._sides == ['North'] else 'North'}"
        return Sheet(f"{self._name}_{name}", f"{self._title}: {what}", foot, dials, shades)

    def _coverage(self) -> Sheet:
        records, items = (np.asarray(self._maps[name]) for name in ("records", "items"))
        maps = np.stack([records, items]).astype(np.float64)
        maps[maps == 0] = np.nan
        dials = self._dials(
            maps,
            ("Records", self._words.items.capitalize()),
            self._sides,
            np.stack([records, records]),
        )
        shades = Shades("Number in a cell", True, "cividis", 1.0)
        return self._sheet(
            "coverage", f"records and {self._words.items} in each cell", dials, shades
        )

    def _category_rows(self, dim: str) -> list[str]:
        names = self._maps[dim].tolist()
        return ["\n".join([name, *_wrapped(self._words.rows.get(name, ""))]) for name in names]

    def _flux(self, band: int) -> Sheet:
        mean = self._maps[f"{self._quantity}{MEAN}"][:, band]
        median = self._maps[f"{self._quantity}{PERCENTILE}"][self._percentile, :, band]
        count = self._maps[f"{self._quantity}{COUNT}"][:, band]
        columns = [f"{side}, {what}" for what in ("mean", self._middle) for side in self._sides]
        dials = self._dials(
            np.concatenate([mean, median], axis=1),
            self._category_rows("category"),
            columns,
            np.concatenate([count, count], axis=1),
        )
        what = f"{self._label}, {self._bands[band]}"
        return self._sheet(f"flux_{self._band_name(band)}", what, dials, self._shades(dials.maps))

    def _altitudes(self, band: int) -> Sheet:
        assert self._by_altitude is not None
        maps = self._by_altitude
        median = maps[f"{self._quantity}{PERCENTILE}"][self._percentile, :, band][:_MOST_COLUMNS]
        count = maps[f"{self._quantity}{COUNT}"][:, band][:_MOST_COLUMNS]
        # (category, hemisphere, altitude, …) to (altitude, category and hemisphere, …)
        spread = [
            np.moveaxis(each, 2, 0).reshape(each.shape[2], -1, *each.shape[3:])
            for each in (median, count)
        ]
        rows = [f"{low:g} to\n{high:g} km" for low, high in maps[f"altitude{BOUNDS}"].tolist()]
        names = maps["category"][:_MOST_COLUMNS]
        columns = [f"{name}, {side}" for name in names for side in self._sides]
        dials = self._dials(spread[0], rows, columns, spread[1])
        what = f"{self._middle} of {_lower(self._label)} by altitude, {self._bands[band]}"
        name = f"altitudes_{self._band_name(band)}"
        return self._sheet(name, what, dials, self._shades(dials.maps))

    def _beams(self) -> Sheet:
        dials = self._by_band("beam", self._maps["beam_occurrence"], self._maps["beam_count"])
        shades = Shades("Share of records with a beam", False, "magma", 0.0)
        return self._sheet("beams", "occurrence of beams", dials, shades)

    def _fill(self) -> Sheet:
        median = self._maps[f"{FILL}{PERCENTILE}"][self._percentile]
        dials = self._by_band("cone", median, self._maps[f"{FILL}{COUNT}"])
        label = "Flux in the loss cone over that outside"
        shades = Shades(label, False, "viridis", 0.0, 1.2)
        return self._sheet("fill", f"fill of the loss cone, {self._middle}", dials, shades)

    def _by_band(self, dim: str, maps: Any, counts: Any) -> Dials:
        """A row per band, and columns of categories and hemispheres."""
        spread = [
            np.swapaxes(each, 0, 1).reshape(each.shape[1], -1, *each.shape[3:])
            for each in (maps, counts)
        ]
        columns = [f"{name}, {side}" for name in self._maps[dim] for side in self._sides]
        return self._dials(spread[0], self._bands, columns, spread[1])

    def _shades(self, maps: Floats) -> Shades:
        units = self._group.datasets[f"{self._quantity}{MEAN}"].units
        known = maps[np.isfinite(maps)]
        is_log = bool(known.size) and bool((known >= 0).all()) and bool((known > 0).any())
        label = self._words.with_units(self._label, "" if units == "1" else units)
        return Shades(label, is_log, "inferno" if is_log else "viridis")

    @property
    def _label(self) -> str:
        """What is mapped, in a few words."""
        long_name = self._group.datasets[f"{self._quantity}{MEAN}"].long_name
        return long_name.partition(",")[0].partition(":")[0]

    def _band_name(self, band: int) -> str:
        return str(self._maps["band"][band])


def _with_records(group: Group) -> dict[str, Any]:
    """The maps of the hemispheres and altitudes that have a record; of all, if none has."""
    records = group.datasets["records"]
    maps = {key: dataset.values for key, dataset in group.datasets.items()}
    for dim in {"hemisphere", "altitude"}.intersection(records.dims):
        others = tuple(axis for axis, name in enumerate(records.dims) if name != dim)
        filled = np.flatnonzero(records.values.any(axis=others))
        if not filled.size:
            continue
        for key, dataset in group.datasets.items():
            if dim in dataset.dims:
                maps[key] = maps[key].take(filled, axis=dataset.dims.index(dim))
    return maps


def _edges(pairs: Floats) -> Floats:
    return np.append(pairs[:, 0], pairs[-1, 1])


def _wrapped(text: str) -> list[str]:
    """A text in lines that fit beside a row."""
    import textwrap

    return textwrap.wrap(text, 20)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
