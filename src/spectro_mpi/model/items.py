"""Items, the units of work, and the order in which they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spectro_mpi.model.spectrogram import SEPARATOR

EPHEMERIS = "ephemeris"
"""What stands for the instrument of an ephemeris file."""


@dataclass(frozen=True)
class InputPath:
    """A file of one instrument of an item."""

    instrument: str
    path: str
    size: int
    """Bytes."""
    version: int
    """Version in the file name; 0 if there is none, or one with dots."""
    older: tuple[InputPath, ...] = ()
    """Its earlier versions and duplicates, best first: what to read if it cannot be read."""


@dataclass(frozen=True)
class Item:
    """The unit of work; for FAST one orbit with up to four instrument files."""

    id: str
    start: datetime | None
    """Start of the data by the earliest file name, UTC; None if names have no date."""
    files: tuple[InputPath, ...]
    """In the order of `select.instruments`; those of an instrument by name."""
    problem: str = ""
    """Why it cannot be processed, such as a name that is no text; empty: it can."""
    ephemeris: tuple[InputPath, ...] = ()
    """Files that say where the spacecraft was; they are no part of its size."""

    @property
    def by_instrument(self) -> dict[str, list[InputPath]]:
        """Instrument → its files."""
        files: dict[str, list[InputPath]] = {}
        for file in self.files:
            files.setdefault(file.instrument, []).append(file)
        return files

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


def source_of(files: Sequence[InputPath]) -> tuple[str, int]:
    """Name of the file or files of an instrument as the store has it, and their size in bytes."""
    return SEPARATOR.join(Path(file.path).name for file in files), sum(file.size for file in files)
