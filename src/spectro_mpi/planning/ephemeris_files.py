"""Find the ephemeris files of each item, by their names."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from spectro_mpi.model.items import EPHEMERIS, InputPath, Item
from spectro_mpi.settings.file_pattern import FilePattern, Match
from spectro_mpi.settings.schema import Config

_REACH = timedelta(days=1)
"""A file that begins within this time after the start of an item may still be of its time."""


class EphemerisFiles:
    """The files whose names match `[ephemeris] file`, of which each item has its own."""

    def __init__(self, config: Config) -> None:
        """Without such a pattern, no file matches."""
        pattern = config.ephemeris_file
        self._pattern = FilePattern(pattern) if pattern else None
        self._versions: dict[str, list[tuple[Match, InputPath]]] = {}

    def take(self, path: str, size: int) -> bool:
        """Keep a file if it is of an ephemeris; whether it is."""
        if self._pattern is None:
            return False
        match = self._pattern.match(os.path.basename(path))  # noqa: PTH119 - 200,000 of them
        if match is None:
            return False
        version = match.version[0] if len(match.version) == 1 else 0
        file = InputPath(EPHEMERIS, path, size, version)
        self._versions.setdefault(match.part, []).append((match, file))
        return True

    def of_items(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items with their ephemeris files: those of the same name, else of the same time.

        By time, it is the last file that begins at or before the item, and the next one if that
        begins less than a day after it.
        """
        by_name: dict[str, list[InputPath]] = {}
        by_start: list[tuple[datetime, InputPath]] = []
        for match, file in map(_best, self._versions.values()):
            by_name.setdefault(match.item, []).append(file)
            if match.start is not None:
                by_start.append((match.start, file))
        by_start.sort(key=lambda pair: (pair[0], pair[1].path))
        starts = [start for start, _ in by_start]
        for item in items:
            files = by_name.get(item.id, [])
            if not files and item.start is not None and starts:
                after = bisect_right(starts, item.start)
                files = [file for _, file in by_start[max(0, after - 1) : after]]
                for start, file in by_start[after : after + 1]:
                    files += [file] if start - item.start < _REACH else []
            found = tuple(sorted(files, key=lambda file: file.path))
            yield replace(item, ephemeris=found) if found else item


def _best(versions: list[tuple[Match, InputPath]]) -> tuple[Match, InputPath]:
    """The highest version, with the others as those to read if it cannot be read."""
    ordered = sorted(versions, key=lambda one: one[1].path)
    ordered.sort(key=lambda one: one[0].version, reverse=True)
    (match, file), *others = ordered
    return match, replace(file, older=tuple(older for _, older in others))
