"""`[[instrument]]` tables: what to draw of the files of one instrument of any mission.

What a table does not say is taken from the file's ISTP attributes.
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
    | {"record", "channel", "table"}
)
"""Names of the store's other datasets."""

Index = Annotated[int, Ge(0)]


@dataclass(frozen=True)
class InstrumentTable:
    """One instrument: its files, the variable to draw, and what its axes are."""

    name: str
    """Letters, digits and "_": names it in settings, the store and figures."""
    file: str
    """Pattern of its files' names (see `file_pattern`)."""
    value: str
    """The variable to draw: (record, energy) or, in any order, (record, angles …, energy)."""
    title: str = ""
    """Empty: the source and descriptor that the file's global attributes name."""
    quantity: str = ""
    """Its name in the store; empty: the variable's."""
    label: str = ""
    """Of the colour bar; empty: LABLAXIS."""
    units: str = ""
    """Empty: UNITS."""
    time: str = ""
    """An epoch variable, or one in seconds since 1970 UTC; empty: DEPEND_0."""
    energy: str = ""
    """The energy or frequency axis; empty: the DEPEND_i with units of energy or frequency."""
    energy_units: str = ""
    """Of the axis; empty: its UNITS."""
    energy_axis: Annotated[int, Interval(ge=0, le=9)] = 0
    """Which axis of the value it is, 1 for that of DEPEND_1; 0: as names and sizes tell."""
    angles: Literal["", "mean", "sum"] | Index | tuple[Index, ...] = ""
    """What to do with the other axes; an index of each takes one bin; empty: counts are summed,
    anything else is averaged."""
    pitch_angle: str = ""
    """Variable with the pitch angles of the bins: rows are categories; empty: one row, "all"."""
    weight: str = ""
    """Variable with the solid angles of the bins, for a mean."""
    fill: float | None = None
    """None: FILLVAL. NaN and −1e31 are missing in any case."""
    valid_min: float | None = None
    """None: VALIDMIN."""
    valid_max: float | None = None
    """None: VALIDMAX."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def dataset(self) -> str:
        """Name of the quantity in the store."""
        name = self.quantity or re.sub(r"\W", "_", self.value)
        return f"{name}_values" if name in RESERVED_QUANTITIES else name


def mistakes_of(tables: Sequence[InstrumentTable]) -> Iterator[str]:
    """What is wrong with tables that types cannot say."""
    seen = set()
    for table in tables:
        where = f"instrument {table.name}"
        if not re.fullmatch(r"\w+", table.name, re.ASCII):
            yield f'instrument.name = "{table.name}": letters, digits and "_" are allowed'
        if table.name in seen:
            yield f"{where}: two instruments have this name"
        seen.add(table.name)
        try:
            FilePattern(table.file)
        except ValueError as error:
            yield f'{where}: file = "{table.file}": {error}'
        if not table.value:
            yield f"{where}: value is empty; the name of a variable is wanted"
        if table.quantity in RESERVED_QUANTITIES or not re.fullmatch(
            r"\w*", table.quantity, re.ASCII
        ):
            yield (
                f'{where}: quantity = "{table.quantity}": letters, digits and "_" are allowed, '
                f"and none of {', '.join(sorted(RESERVED_QUANTITIES))}"
            )
        low, high = table.valid_min, table.valid_max
        if low is not None and high is not None and not low < high:
            yield f"{where}: valid_min = {low:g} is not below valid_max = {high:g}"
