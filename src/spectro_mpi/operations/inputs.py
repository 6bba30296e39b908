"""Compare the input files of a run with those that its data were made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import check_whole
from spectro_mpi.model.items import InputPath
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.stored import stored_ephemeris, stored_sources
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.sources import Source
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.system.digests import sha256_of

_READERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True)
class ReducedInput:
    """An input file of an item in the store."""

    item: str
    path: Path
    """Where the file is now, or where it should be."""
    size: int | None
    """Its size now, bytes; None: it is not there."""
    reduced: Source
    """The file that the data were made from."""

    @property
    def is_digested(self) -> bool:
        """Whether its content is to be read: only a digest can tell it from the file reduced."""
        return bool(self.reduced.sha256) and self.reduced.size in (self.size, None)

    @property
    def is_usable(self) -> bool:
        """Whether the item can be reduced again: the file is there, and not cut off."""
        return is_usable(self.path)


def is_usable(path: Path) -> bool:
    """Whether a CDF file is there, and not cut off."""
    try:
        check_whole(path)
    except (OSError, InvalidCdfError):
        return False
    return True


def inputs_of(run_dir: Path, config: Config, progress: Progress) -> list[ReducedInput]:
    """The input files of all items in the store, with those of the ephemeris, sorted by item.

    No input file is opened.

    Raises `UserError` if the input directory is missing or cannot be searched.
    """
    # An item that was deselected after it was reduced is still in the store.
    everything = SelectSettings(instruments=config.select.instruments)
    items = take_inventory(replace(config, select=everything)).items
    now = {item.id: item.by_instrument for item in items}
    inputs = []
    ephemeris = {item.id: item.ephemeris for item in items}
    located = stored_ephemeris(run_dir, progress)
    for item, sources in stored_sources(run_dir, progress).items():
        for instrument, source in sources.items():
            files = now.get(item, {}).get(instrument, [])
            inputs += [_reduced(item, one, files, config) for one in source.files]
        for one in located.get(item, ()):
            inputs.append(_reduced(item, one, ephemeris.get(item, ()), config))
    return inputs


def _reduced(item: str, source: Source, files: Sequence[InputPath], config: Config) -> ReducedInput:
    """What is now in place of `source`, a file that an item was made from."""
    file = _now(source, files)
    path = Path(file.path) if file else Path(config.inputs[0]) / source.name
    return ReducedInput(item, path, file.size if file else None, source)


def _now(source: Source, files: Sequence[InputPath]) -> InputPath | None:
    """The file that a run would read today in place of `source`; None: there is none.

    A higher version that cannot be read does not count.
    """
    for file in files:
        versions = (file, *file.older)
        names = [Path(version.path).name for version in versions]
        if source.name in names:
            known = versions[names.index(source.name)]
            return file if file == known or is_usable(Path(file.path)) else known
    return files[0] if len(files) == 1 else None


def changes(inputs: list[ReducedInput]) -> Iterator[tuple[ReducedInput, str]]:
    """Each input that differs from the file that was reduced, and how, to follow its path.

    Files with a digest are read, several at a time.
    """
    digest_of = cache(sha256_of)  # an ephemeris may be that of many items
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda each: _change(each, digest_of), inputs)
        for each, change in zip(inputs, found, strict=True):
            if change:
                yield each, change


def _change(now: ReducedInput, digest_of: Callable[[Path], str]) -> str:
    before = now.reduced
    if now.size is None:
        return f"is missing; item {now.item} was made from it"
    if now.path.name != before.name:
        return f"replaces {before.name}, from which item {now.item} was made"
    if before.size is not None and now.size != before.size:
        return f"has {now.size} bytes, but had {before.size} when item {now.item} was made from it"
    try:
        if now.is_digested and digest_of(now.path) != before.sha256:
            return f"has other content than when item {now.item} was made from it (SHA-256)"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""
