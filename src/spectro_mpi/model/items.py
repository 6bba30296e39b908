"""Items, the units of work, and the order in which they are listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class InputPath:
    """The file of one instrument of an item."""

    instrument: str
    path: str
    size: int
    """Bytes."""
    version: int
    """Version in the file name; 0 if there is none, or one with dots."""


@dataclass(frozen=True)
class Item:
    """The unit of work; for FAST one orbit with up to four instrument files."""

    id: str
    start: datetime | None
    """Start of the data by the earliest file name, UTC; None if names have no date."""
    files: tuple[InputPath, ...]
    """At most one for each instrument, in the order of `select.instruments`."""

    @property
    def size(self) -> int:
        """Total size of the files, bytes."""
        return sum(file.size for file in self.files)

    @property
    def order(self) -> tuple[int, str]:
        """Sort key of the item: orbits by number."""
        return item_order(self.id)


def item_order(item_id: str) -> tuple[int, str]:
    """Sort key of an item id: numbers by value, then names alphabetically."""
    return (int(item_id), "") if item_id.isdecimal() else (1 << 62, item_id)
