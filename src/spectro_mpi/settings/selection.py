"""Settings that say which items of the input to process."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated

from annotated_types import Ge, MinLen

from spectro_mpi.settings.presets import preset_named

_RANGE = re.compile(r"\d+(\s*-\s*\d+)?", re.ASCII)


@dataclass(frozen=True)
class SelectSettings:
    """Which items of the input to process."""

    orbits: str = ""
    """"13312-13400,13500"; empty: all. Items that are not numbers are given by name."""
    skip: tuple[Annotated[int, Ge(0)] | str, ...] = ()
    """Orbits, or names of items, to leave out."""
    instruments: Annotated[tuple[str, ...], MinLen(1)] = preset_named("fast-esa").instruments
    """Instruments to process; left out: all of the preset, or of the `[[instrument]]` tables."""
    start: str = ""
    """Leave out files that begin before it: a date or time (UTC) such as "2000-01-01T06:00"."""
    stop: str = ""
    """Leave out files that begin at it or later."""
    share: str = ""
    """"2/4": the second of four disjoint shares of the items, of about equal size in bytes."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    @property
    def share_of(self) -> tuple[int, int]:
        """`share` as (index from 0, number of shares); (0, 1): all items."""
        which, _, count = (self.share or "1/1").partition("/")
        return int(which) - 1, int(count)

    @property
    def times(self) -> tuple[datetime | None, datetime | None]:
        """`start` and `stop`, UTC; None: not set. Raises `ValueError` if one cannot be read."""
        first, last = (_time_of(word) if word else None for word in (self.start, self.stop))
        return first, last

    @property
    def orbit_ranges(self) -> tuple[tuple[int, int], ...]:
        """The numbers and ranges in `orbits`, as inclusive (first, last) pairs.

        Raises `ValueError` for a descending range.
        """
        return tuple(_orbit_range(part) for part in self._parts if _RANGE.fullmatch(part))

    @property
    def names(self) -> frozenset[str]:
        """The items named in `orbits`: entries that are neither a number nor a range."""
        return frozenset(part for part in self._parts if not _RANGE.fullmatch(part))

    @property
    def _parts(self) -> list[str]:
        return [part.strip() for part in self.orbits.split(",") if part.strip()]


def _time_of(word: str) -> datetime:
    # Python 3.10 does not know the Z.
    time = datetime.fromisoformat(word.strip().replace("Z", "+00:00"))
    return time.replace(tzinfo=time.tzinfo or timezone.utc).astimezone(timezone.utc)


def _orbit_range(part: str) -> tuple[int, int]:
    first, dash, last = (word.strip() for word in part.partition("-"))
    low, high = int(first), int(last) if dash else int(first)
    if low > high:
        raise ValueError(f'"{part.strip()}" goes downward')
    return low, high
