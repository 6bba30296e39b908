"""Find files in an archive by the listings of its folders, and look into no more than needed.

Folders whose names exclude what `[select]` selects are passed over. Where folders are by date and
orbits ascend with time, the folders of a range of orbits are found by halving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from statistics import median_low
from typing import Protocol

from spectro_mpi.errors import UserError
from spectro_mpi.fetch.listing import Entry, entries_of
from spectro_mpi.fetch.web import PassingError, RefusedError, Web
from spectro_mpi.inert import inert
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.settings.archive_layout import Layout, Level, Place
from spectro_mpi.settings.selection import SelectSettings

_MOST_FOLDERS = 5_000
_MOST_DEPTH = 12
_FEW_FOLDERS = 4
"""So many folders are all listed: halving would hardly list fewer."""


@dataclass(frozen=True)
class ArchivedFile:
    """A file that a listing names."""

    names: tuple[NamedFile, ...]
    """What it has data of."""
    name: str
    url: str
    folder: tuple[str, ...]
    """Its folders below that of the archive."""
    size: tuple[int, int] | None
    """Least and most bytes that the listing may mean."""


@dataclass(frozen=True)
class _Folder:
    url: str
    path: tuple[str, ...] = ()
    place: Place = field(default_factory=Place)


class _Names(Protocol):
    """What says which files are of use; a `Preset` does."""

    def names(self, file: str) -> Iterable[NamedFile]: ...


class Search:
    """A search of an archive."""

    def __init__(
        self, web: Web, layout: Layout, preset: _Names, select: SelectSettings, has_orbits: bool
    ) -> None:
        """`has_orbits`: items are numbered orbits, which ascend with time."""
        self._web, self._layout, self._preset = web, layout, preset
        self._select = select
        self._has_orbits = has_orbits
        self._listings: dict[str, list[Entry]] = {}
        self.problems: list[str] = []
        """Folders that could not be listed, and why."""
        self.on_listing: Callable[[int, str], None] = lambda count, path: None
        """Called before each listing with its number and the path of the folder."""

    def files(self, url: str) -> Iterator[ArchivedFile]:
        """The files below a folder that the preset reads, in folders that may be selected.

        Raises `UserError` for too many folders, `GivenUpError`.
        """
        root = _Folder(url if url.endswith("/") else f"{url}/")
        folders = list(self._below(root, self._layout.levels))
        if self._layout.is_deep:
            folders = [inner for folder in folders for inner in self._all_below(folder)]
        by_instrument: dict[str, list[_Folder]] = {}
        for folder in folders:
            by_instrument.setdefault(folder.place.instrument, []).append(folder)
        for group in by_instrument.values():
            for folder in self._with_orbits(group):
                yield from self._files_in(folder)

    def _below(self, folder: _Folder, levels: tuple[Level, ...]) -> Iterator[_Folder]:
        """The folders at the last of the levels that may have selected files."""
        if not levels:
            yield folder
            return
        level, *rest = levels
        for inner in self._at(folder, level):
            yield from self._below(inner, tuple(rest))

    def _at(self, folder: _Folder, level: Level) -> Iterator[_Folder]:
        """The folders at a level, in a folder. If the name is known, the folder is not listed."""
        if level.fixed:
            inner = folder.place.within(level, level.fixed)
            assert inner is not None
            yield _Folder(f"{folder.url}{level.fixed}/", (*folder.path, level.fixed), inner)
            return
        for entry in sorted(self._list(folder), key=lambda entry: entry.name):
            place = folder.place.within(level, entry.name) if entry.is_folder else None
            if place is not None and self._may_have(place):
                yield _Folder(entry.url, (*folder.path, entry.name), place)

    def _all_below(self, folder: _Folder, depth: int = 0) -> Iterator[_Folder]:
        yield folder
        if depth == _MOST_DEPTH:
            self._problem(folder, f"has folders below the depth of {_MOST_DEPTH}")
            return
        for entry in self._list(folder):
            if entry.is_folder:
                inner = _Folder(entry.url, (*folder.path, entry.name), folder.place)
                yield from self._all_below(inner, depth + 1)

    def _may_have(self, place: Place) -> bool:
        """Whether a folder may have files that [select] selects."""
        if place.instrument and place.instrument not in self._select.instruments:
            return False
        ranges = self._ranges
        if place.orbits and ranges:
            first, last = place.orbits
            if not any(low <= last and first <= high for low, high in ranges):
                return False
        if "Y" in place.words:
            if place.dates is None:
                return False
            begin, end = place.dates
            start, stop = self._select.times
            return (stop is None or begin < stop) and (start is None or start < end)
        return True

    @property
    def _ranges(self) -> tuple[tuple[int, int], ...]:
        """Ranges of the selected orbits; empty: not all items are selected by ranges."""
        return () if self._select.names else self._select.orbit_ranges

    def _with_orbits(self, folders: list[_Folder]) -> list[_Folder]:
        """Those of the folders of an instrument that may have the selected orbits."""
        dated = all(folder.place.dates for folder in folders)
        if not self._has_orbits or not self._ranges or not dated or len(folders) <= _FEW_FOLDERS:
            return folders
        folders = sorted(folders, key=lambda folder: _begin(folder.place))
        chosen: set[int] = set()
        for low, high in self._ranges:
            first = self._first_from(folders, low)
            # The orbit may also be among the last of the folder before, if that has files.
            first = max(first - 1, 0)
            while first and self._typical(folders[first]) is None:
                first -= 1
            last = self._first_from(folders, high)
            while last < len(folders) - 1 and self._typical(folders[last]) is None:
                last += 1
            chosen.update(range(first, last + 1))
        return [folder for number, folder in enumerate(folders) if number in chosen]

    def _first_from(self, folders: list[_Folder], orbit: int) -> int:
        """Index of the first folder whose typical orbit is `orbit` or later; their number: none."""
        low, high = 0, len(folders)
        while low < high:
            middle = at = (low + high) // 2
            while at < high and (typical := self._typical(folders[at])) is None:
                at += 1
            if at < high and typical is not None and typical < orbit:
                low = at + 1
            else:
                high = middle
        return low

    def _typical(self, folder: _Folder) -> int | None:
        """The median of the orbits in a folder, which a stray file does not change; None: none."""
        orbits = [
            int(name.item)
            for file in self._files_in(folder)
            for name in file.names
            if name.item.isdecimal()
        ]
        return median_low(orbits) if orbits else None

    def _files_in(self, folder: _Folder) -> Iterator[ArchivedFile]:
        for entry in self._list(folder):
            names = () if entry.is_folder else tuple(self._preset.names(entry.name))
            if names:
                yield ArchivedFile(names, entry.name, entry.url, folder.path, entry.size)

    def _list(self, folder: _Folder) -> list[Entry]:
        if folder.url in self._listings:
            return self._listings[folder.url]
        if len(self._listings) == _MOST_FOLDERS:
            raise UserError(
                f"the archive has more than {_MOST_FOLDERS} folders to look into; say in "
                "fetch.folders how they are named, or select fewer items"
            )
        self.on_listing(len(self._listings) + 1, "/".join(folder.path))
        entries: list[Entry] = []
        try:
            address, html = self._web.page(folder.url)
            if "<a" not in html.lower():  # even that of an empty folder has one to its parent
                raise RefusedError("is no listing: the page has no links")
            # A server may lead from a folder to its index page.
            entries = entries_of(html, f"{address.rpartition('/')[0]}/")
        except (PassingError, RefusedError) as error:
            self._problem(folder, str(error))
        self._listings[folder.url] = entries
        return entries

    def _problem(self, folder: _Folder, why: str) -> None:
        where = "/".join((*folder.path, "")) or folder.url
        self.problems.append(f"{where}: {inert(why)}")


def _begin(place: Place) -> datetime:
    return place.dates[0] if place.dates else datetime.min.replace(tzinfo=timezone.utc)
