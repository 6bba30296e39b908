"""Items, the units of work, and the order they are listed in."""

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
    """As the name has it; 0 if it names none, or one with dots."""


@dataclass(frozen=True)
class Item:
    """The unit of work: for FAST one orbit with its up to four instrument files."""

    id: str
    start: datetime | None
    """Start of data by the earliest file name, UTC; None if names do not tell."""
    files: tuple[InputPath, ...]
    """At most one an instrument, in the order of `select.instruments`."""

    @property
    def size(self) -> int:
        """Sum of the files' bytes."""
        return sum(file.size for file in self.files)

    @property
    def order(self) -> tuple[int, str]:
        """What items are sorted by: orbits by number."""
        return item_order(self.id)


def item_order(item_id: str) -> tuple[int, str]:
    """Sort key of item ids: numbers by value, then names by letter."""
    return (int(item_id), "") if item_id.isdecimal() else (1 << 62, item_id)
