"""Settings of the atlas: maps of the whole run by magnetic local time and latitude."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, Le, MinLen

from spectro_mpi.settings.angles import Bands

HOURS = 24.0
MOST_CELLS = 250_000
"""Cells of all hemispheres and ranges of altitude: an instrument takes up to 1 kB for each."""
SLACK = 1e-9
"""Of a cell, by which a width may miss a whole number of cells."""
_Latitude = Annotated[float, Interval(ge=0, le=90)]


@dataclass(frozen=True)
class AtlasSettings:
    """What the phase `atlas` maps, and on which grid."""

    instruments: tuple[str, ...] = ()
    """Instruments to map; empty: all that have energy bands."""
    bands: dict[str, Bands] = field(default_factory=dict)
    """Instrument → energy bands [from, to], in eV or as the channels are. Empty: those of
    `angles.bands`, or of the preset."""
    categories: tuple[str, ...] = ()
    """Categories of pitch angle to map. Empty: those by direction, and `reference`."""
    reference: str = "perpendicular"
    """Category that beams stand out from, and that the loss cone is compared with."""
    mlt_hours: Annotated[float, Interval(ge=0.1, le=12)] = 1.0
    """Width of a cell in magnetic local time, hours; a whole number of cells make a day."""
    ilat: tuple[_Latitude, _Latitude] = (50.0, 90.0)
    """Invariant latitudes from and to, degrees, in each hemisphere."""
    ilat_degrees: Annotated[float, Interval(ge=0.1, le=45)] = 2.0
    """Width of a cell in invariant latitude."""
    altitudes: tuple[Annotated[float, Ge(0)], ...] = (0.0, 1500.0, 3000.0, 4500.0)
    """Borders of the ranges of altitude, km, ascending; empty: altitude does not matter."""
    percentiles: Annotated[tuple[Annotated[float, Gt(0), Interval(lt=100)], ...], MinLen(1)] = (
        10.0,
        25.0,
        50.0,
        75.0,
        90.0,
    )
    """Percentiles of each map."""
    beam_factor: Annotated[float, Gt(1)] = 3.0
    """A beam is so many times as intense as `reference`."""
    beam_counts: Annotated[float, Gt(0)] = 3.0
    """A beam is at least so many times the one-count level."""
    beam_channels: Annotated[int, Ge(1), Le(16)] = 3
    """In so many neighbouring channels at least."""
    formats: tuple[Literal["png", "pdf"], ...] = ("png", "pdf")
    """Files of the figures, which are drawn at the end of a run; empty: none."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def mlt_cells(self) -> int:
        """Number of cells round the clock."""
        return round(HOURS / self.mlt_hours)

    @property
    def ilat_cells(self) -> int:
        """Number of cells from the lowest to the highest latitude; the last may be narrower."""
        low, high = self.ilat
        return math.ceil((high - low) / self.ilat_degrees - SLACK)

    @property
    def cells(self) -> int:
        """Number of cells in both hemispheres and all ranges of altitude."""
        return 2 * max(len(self.altitudes) - 1, 1) * self.ilat_cells * self.mlt_cells

    @property
    def of_contributions(self) -> dict[str, Any]:
        """The settings that what an item contributes depends on."""
        others = ("percentiles", "formats")
        return {key: value for key, value in asdict(self).items() if key not in others}
