"""`[[instrument]]` tables: what to draw from the files of one instrument, of any mission.

Whatever a table leaves out is taken from the file's ISTP attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval, MinLen

from spectro_mpi.settings.file_pattern import FilePattern

RESERVED_QUANTITIES = frozenset(
    {"time", "time_start", "time_end", "mode", "energy", "frequency", "y", "category"}
    | {"category_intervals", "data_quality", "record", "channel", "table", "bound", "interval"}
    | {"angles", "angle", "band", "band_edges", "moments", "hemisphere", "loss_cone"}
    | {"energy_edges", "frequency_edges", "y_edges"}
)
"""Names of other datasets in the store, which a quantity cannot have."""

Index = Annotated[int, Ge(0)]
Energies = Annotated[tuple[float, ...], MinLen(1)]
_PLACE = re.compile(r"\{(\w*)\}")
VARIABLES = ("value", "time", "energy", "pitch_angle", "weight")
"""Keys that name variables, in which `{name}` stands for a part of the file name."""


@dataclass(frozen=True)
class InstrumentTable:
    """One instrument: its files, the variable to draw, and what its axes are."""

    name: str
    """Name in settings, the store and figures: letters, digits and "_"."""
    file: str
    """Pattern of the names of its files (see `file_pattern`)."""
    value: str
    """The variable to draw: (record, energy) or, in any order, (record, angles …, energy)."""
    title: str = ""
    """Title of its figures; empty: source and descriptor in the file's global attributes."""
    quantity: str = ""
    """Name of the values in the store; empty: the name of the variable."""
    label: str = ""
    """Label of the colour bar; empty: the variable's LABLAXIS."""
    units: str = ""
    """Units of the values; empty: the variable's UNITS."""
    time: str = ""
    """An epoch variable, or one in "seconds since" a date; empty: DEPEND_0."""
    time_units: str = ""
    """Units of a time that is not an epoch, such as "days since 2000-01-01"; empty: its UNITS."""
    energy: str | Energies = ""
    """The energy or frequency axis: a variable, or the centres of its channels as numbers; empty:
    the DEPEND_i with units of energy or frequency."""
    energy_edges: tuple[float, ...] | tuple[tuple[float, float], ...] = ()
    """Edges of the channels: one number more than there are channels, or a pair for each."""
    energy_units: str = ""
    """Units of that axis; empty: its UNITS, or eV for numbers."""
    energy_axis: Annotated[int, Interval(ge=0, le=9)] = 0
    """Number i of the value's axis that is the energy (as in DEPEND_i); 0: by names and sizes."""
    angles: Literal["", "mean", "sum"] | Index | tuple[Index, ...] = ""
    """How to reduce the other axes: "mean", "sum", or an index on each to select one bin. Empty:
    counts are summed, anything else is averaged."""
    pitch_angle: str = ""
    """Variable with the pitch angles of the bins: rows are categories; empty: one row, "all"."""
    weight: str = ""
    """Variable with the solid angles of the bins, to weight a mean; empty: those of the rings of a
    pitch-angle axis from 0 to 180°, else equal weights."""
    y_scale: Literal["", "linear", "log"] = ""
    """Scale of the energy axis; empty: linear if its SCALETYP is, else that of `plot.scales`."""
    z_scale: Literal["", "linear", "log"] = ""
    """Scale of the colours; empty: linear if the value's SCALETYP is, else that of
    `plot.scales`."""
    panel: str = ""
    """Instruments with the same name here are one panel of the instrument grid, with one energy
    axis and one colour scale; empty: a panel of its own."""
    fill: float | None = None
    """Fill value; None: FILLVAL. NaN, infinite values and those at or below −1e30 always count as
    missing."""
    valid_min: float | None = None
    """Smallest valid value; None: VALIDMIN."""
    valid_max: float | None = None
    """Largest valid value; None: VALIDMAX."""
    master: str = ""
    """Path of a CDF file, relative to the settings file, that supplies the attributes and variables
    that a file lacks; an absolute path once loaded."""
    master_sha256: str = ""
    """SHA-256 of `master`, set when settings are loaded."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def dataset(self) -> str:
        """Name of the quantity in the store."""
        name = self.quantity
        if not name:
            plain = _PLACE.sub("", self.value)
            if plain != self.value:  # the same for all files
                plain = plain.strip("_-. ") or "values"
            name = re.sub(r"\W", "_", plain)
        return f"{name}_values" if name in RESERVED_QUANTITIES else name

    @property
    def energy_variable(self) -> str:
        """Name of the variable in `energy`; empty: there is none, or `energy` holds numbers."""
        return self.energy if isinstance(self.energy, str) else ""

    @property
    def channels(self) -> tuple[tuple[float, float, float], ...]:
        """(centre, lower edge, upper edge) of each channel that the table gives as numbers.

        Edges that are equal to the centre are not given. A centre that is not given is the
        geometric mean of its edges, or their middle if the lower one is 0.
        """
        centres = () if isinstance(self.energy, str) else self.energy
        pairs = tuple(tuple(sorted(pair)) for pair in _pairs(self.energy_edges))
        if not pairs:
            return tuple((centre, centre, centre) for centre in centres)
        if not centres:
            centres = tuple((a * b) ** 0.5 if a > 0 else (a + b) / 2 for a, b in pairs)
        return tuple((c, a, b) for c, (a, b) in zip(centres, pairs, strict=True))

    def filled(self, words: Callable[[str], str]) -> InstrumentTable:
        """The table for one file: each place `{name}` in names of variables is `words(name)`."""
        names = {key: getattr(self, key) for key in VARIABLES}
        filled: dict[str, Any] = {
            key: _PLACE.sub(lambda place: words(place[1]), name)
            for key, name in names.items()
            if isinstance(name, str) and "{" in name
        }
        # What is stored does not depend on the file.
        return replace(self, quantity=self.dataset, **filled) if filled else self


def mistakes_of(tables: Sequence[InstrumentTable]) -> Iterator[str]:
    """The mistakes in tables that types cannot express, a sentence each."""
    seen = set()
    for table in tables:
        where = f"instrument {table.name}"
        if not re.fullmatch(r"\w+", table.name, re.ASCII):
            yield f'instrument.name = "{table.name}": use only letters, digits and "_"'
        if table.name in seen:
            yield f"{where}: two instruments have this name"
        seen.add(table.name)
        try:
            yield from _unknown_places(table, where, FilePattern(table.file).places)
        except ValueError as error:
            yield f'{where}: file = "{table.file}": {error}'
        if not table.value:
            yield f"{where}: value is empty; expected the name of a variable"
        if table.quantity in RESERVED_QUANTITIES or not re.fullmatch(
            r"\w*", table.quantity, re.ASCII
        ):
            yield (
                f'{where}: quantity = "{table.quantity}": use only letters, digits and "_", and '
                f"none of the names {', '.join(sorted(RESERVED_QUANTITIES))}"
            )
        low, high = table.valid_min, table.valid_max
        if low is not None and high is not None and not low < high:
            yield f"{where}: valid_min = {low:g} is not below valid_max = {high:g}"
        yield from _mistakes_of_energies(table, where)
    for panel in dict.fromkeys(table.panel for table in tables if table.panel):
        yield from _mistakes_of_panel([table for table in tables if table.panel == panel])


def _unknown_places(table: InstrumentTable, where: str, places: Sequence[str]) -> Iterator[str]:
    """A sentence for each `{name}` in the names of variables that `file` does not have."""
    known = ", ".join(f"{{{place}}}" for place in places)
    for key in VARIABLES:
        name = getattr(table, key)
        if not isinstance(name, str):
            continue
        if re.search(r"[{}]", _PLACE.sub("", name)):
            yield f'{where}: {key} = "{name}": has a brace that does not belong to a {{name}}'
        for place in _PLACE.findall(name):
            if place not in places:
                yield (
                    f'{where}: {key} = "{name}": file = "{table.file}" has no {{{place}}}; it has '
                    f"{known}"
                )


def _mistakes_of_energies(table: InstrumentTable, where: str) -> Iterator[str]:
    """A sentence for each mistake in energies that are given as numbers."""
    centres = () if isinstance(table.energy, str) else table.energy
    pairs = _pairs(table.energy_edges)
    if table.energy_edges and table.energy_variable:
        yield (
            f'{where}: energy_edges cannot be set with energy = "{table.energy}"; leave out one of '
            "the two, or set energy to numbers"
        )
    yield from _mistakes_of_order(f"{where}: energy", centres)
    if not table.energy_edges:
        return
    if not pairs:
        yield f"{where}: energy_edges: expected at least 2 numbers, one more than channels"
    elif isinstance(table.energy_edges[0], tuple):
        yield from _mistakes_of_order(f"{where}: energy_edges", [min(pair) for pair in pairs])
        yield from (
            f"{where}: energy_edges: [{low:g}, {high:g}] has no width"
            for low, high in pairs
            if low == high
        )
    else:
        yield from _mistakes_of_order(
            f"{where}: energy_edges", [pairs[0][0], *(high for _, high in pairs)]
        )
    if centres and pairs and len(centres) != len(pairs):
        yield (
            f"{where}: energy has {len(centres)} numbers, but energy_edges are those of "
            f"{len(pairs)} channels; expected {len(centres) + 1} edges or {len(centres)} pairs"
        )
    elif centres:
        yield from (
            f"{where}: energy = {centre:g} is not between its edges {min(pair):g} and {max(pair):g}"
            for centre, pair in zip(centres, pairs, strict=True)
            if not min(pair) <= centre <= max(pair)
        )


def _mistakes_of_order(what: str, numbers: Sequence[float]) -> Iterator[str]:
    """A sentence if numbers are negative, or neither ascend nor descend."""
    if any(number < 0 for number in numbers):
        yield f"{what}: {min(numbers):g} is negative"
    steps = [after - before for before, after in pairwise(numbers)]
    if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        yield f"{what}: the numbers must ascend or descend, without repetition"


def _pairs(
    edges: tuple[float, ...] | tuple[tuple[float, float], ...],
) -> list[tuple[float, float]]:
    """The two edges of each channel, from n + 1 edges or n pairs."""
    pairs = [edge for edge in edges if isinstance(edge, tuple)]
    numbers = [edge for edge in edges if not isinstance(edge, tuple)]
    return pairs or list(pairwise(numbers))


def _mistakes_of_panel(tables: Sequence[InstrumentTable]) -> Iterator[str]:
    """The mistakes in tables that name the same panel."""
    first = tables[0]
    if len(tables) == 1:
        yield (
            f'instrument {first.name}: panel = "{first.panel}" is of no other instrument; name it '
            "in the tables of all that share the panel"
        )
    for table in tables[1:]:
        for key in ("quantity", "units", "y_scale", "z_scale"):
            values = getattr(first, key), getattr(table, key)
            if all(values) and values[0] != values[1]:
                yield (
                    f'instrument {table.name}: {key} = "{values[1]}" differs from "{values[0]}" of '
                    f'{first.name}, with which it shares the panel "{first.panel}"'
                )
