"""Ephemeris files in an archive: those of the items whose data are fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from spectro_mpi.fetch.search import ArchivedFile, Search
from spectro_mpi.fetch.web import Web
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.model.items import EPHEMERIS, Item
from spectro_mpi.planning.ephemeris_files import EphemerisFiles
from spectro_mpi.settings.archive_layout import Layout, divided
from spectro_mpi.settings.ephemeris import NONE
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.words import count, listed


@dataclass(frozen=True)
class Located:
    """The ephemeris files of an archive that belong to some items."""

    versions: Mapping[tuple[str, str, str], list[ArchivedFile]] = field(default_factory=dict)
    """(item, `EPHEMERIS`, part) → the versions of one file."""
    notices: tuple[str, ...] = ()
    """What could not be found, a sentence each; data are fetched all the same."""


class EphemerisNames:
    """Names of ephemeris files, as `[ephemeris] file` says."""

    def __init__(self, config: Config) -> None:
        pattern = config.ephemeris_file
        self._pattern = FilePattern(pattern) if pattern else None

    def names(self, file: str) -> Iterator[NamedFile]:
        """What a file of this name is; nothing if it is none of an ephemeris."""
        match = self._pattern.match(file) if self._pattern is not None else None
        if match is not None:
            yield NamedFile(EPHEMERIS, match.item, match.version, match.start, match.part)


def archive_of_ephemeris(config: Config) -> tuple[str, Layout] | None:
    """Address and folders of the archive of ephemeris files; None: none are to be fetched.

    It is `fetch.ephemeris`, else that of the preset if the data are from the preset's archive.
    """
    text = config.fetch.ephemeris
    if not text and not config.fetch.url:
        text = config.preset.ephemeris_archive
    if not text or text == NONE or not config.ephemeris_file:
        return None
    url, folders = divided(text)
    return url, Layout(folders)


def locate(
    config: Config,
    web: Web,
    starts: Mapping[str, datetime | None],
    on_listing: Callable[[int, str], None],
) -> Located:
    """Find the ephemeris files of items: item → start of its data, UTC.

    Raises `GivenUpError`.
    """
    archive = archive_of_ephemeris(config)
    if archive is None:
        return Located()
    url, layout = archive
    search = Search(web, layout, EphemerisNames(config), config.select, config.items_are_orbits)
    search.on_listing = on_listing
    files = list(search.files(url))
    items = [Item(item, start, ()) for item, start in starts.items()]
    known = EphemerisFiles(config)
    for file in files:
        known.take(file.name, 0)
    found = list(known.of_items(items))
    names = {version for item in found for version in _versions(item)}
    versions: dict[tuple[str, str, str], list[ArchivedFile]] = {}
    for file in files:
        for name in file.names if file.name in names else ():
            versions.setdefault((name.item, name.instrument, name.part), []).append(file)
    return Located(versions, tuple(_notices(url, search.problems, found)))


def _versions(item: Item) -> Iterator[str]:
    """The names of the ephemeris files of an item, of all versions."""
    for file in item.ephemeris:
        yield from (version.path for version in (file, *file.older))


def _notices(url: str, problems: Iterable[str], items: Iterable[Item]) -> Iterator[str]:
    """What is missing, and what to do."""
    without = [item.id for item in items if not item.ephemeris]
    if without:
        why = listed(list(problems), 1, "; ")
        yield (
            f"{url}: has no ephemeris of {count(len(without), 'item')}"
            f"{f' ({why})' if why else ''}; figures will have no ALT, ILAT and MLT "
            f'(fetch.ephemeris names another archive, or "{NONE}")'
        )
