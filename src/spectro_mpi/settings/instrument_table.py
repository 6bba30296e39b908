"""`[[instrument]]` tables: what to draw from the files of one instrument, of any mission.

Whatever a table leaves out is taken from the file's ISTP attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Interval

from spectro_mpi.settings.file_pattern import FilePattern

RESERVED_QUANTITIES = frozenset(
    {"time", "time_start", "time_end", "mode", "energy", "frequency", "y", "category"}
    | {"category_intervals", "data_quality", "record", "channel", "table", "bound", "interval"}
)
"""Names of other datasets in the store, which a quantity cannot have."""

Index = Annotated[int, Ge(0)]


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
    energy: str = ""
    """The energy or frequency axis; empty: the DEPEND_i with units of energy or frequency."""
    energy_units: str = ""
    """Units of that axis; empty: its UNITS."""
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

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def dataset(self) -> str:
        """Name of the quantity in the store."""
        name = self.quantity or re.sub(r"\W", "_", self.value)
        return f"{name}_values" if name in RESERVED_QUANTITIES else name


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
            FilePattern(table.file)
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
    for panel in dict.fromkeys(table.panel for table in tables if table.panel):
        yield from _mistakes_of_panel([table for table in tables if table.panel == panel])


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
