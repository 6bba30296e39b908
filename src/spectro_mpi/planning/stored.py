"""Items known from the run directory alone: their data is in the store, their input is not there.

After a run was copied to another machine, its figures can be drawn from these.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from spectro_mpi.instruments.preset import NamedFile, Preset
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.items import InputPath, Item, item_order
from spectro_mpi.planning.inventory import selection, selection_by_id
from spectro_mpi.rundir.layout import data_path, item_folders
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.rundir.sources import Source, Sources, read_sources
from spectro_mpi.rundir.store import ephemeris_in, sources_of
from spectro_mpi.settings.paths import input_root
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.untrusted import UntrustedCalls

_FILE_NAME = re.compile(r"[^/\\\s:\"']+\.cdf", re.IGNORECASE)


def stored_items(config: Config, progress: Progress, known: Collection[str]) -> list[Item]:
    """The selected items of the store that are not among the `known` ones, sorted.

    Their files have the names and sizes that the store has; of instruments that failed there are
    none. If some items are known and this is a share of them (`select.share`), the result is empty.
    """
    if known and config.select.share_of[1] > 1:
        return []
    is_selected_by_id = selection_by_id(config.select)
    in_store = progress.data_files
    unknown = [item for item in in_store if item not in known and is_selected_by_id(item)]
    if not unknown:
        return []
    preset, is_selected, root = preset_of(config), selection(config), input_root(config)
    folders = item_folders(config.run_dir, "plot")
    items = []
    for item, sources in stored_sources(config.run_dir, progress, unknown).items():
        messages = (failure.message for failure in progress.failures.get(item, ()))
        names = [
            *(each.name for one in sources.values() for each in one.files),
            *named_in(messages),
        ]
        named = [one for name in names for one in preset.names(name) if one.item == item]
        if not any(map(is_selected, named)):
            continue
        files = tuple(
            InputPath(instrument, os.path.join(root, source.name), source.size or 0, 0)  # noqa: PTH118
            for instrument, source in sources.items()
        )
        items.append(Item(item, _start(named, folders.get(item)), files))
    return sorted(items, key=lambda item: item.order)


def stored_sources(
    run_dir: Path, progress: Progress, items: Iterable[str] | None = None
) -> dict[str, Sources]:
    """Item → instrument → the file it was made from, of `items` (None: all) in the store, sorted.

    What sources.lines does not know is looked up in the store. Items whose data cannot be read are
    left out.
    """
    in_store = progress.data_files
    selected = in_store if items is None else {i: in_store[i] for i in items if i in in_store}
    sources = read_sources(run_dir, selected)
    by_file: dict[str, list[str]] = {}
    for item, data_file in selected.items():
        if item not in sources:
            by_file.setdefault(data_file, []).append(item)
    with UntrustedCalls() as untrusted:
        for data_file, unknown in sorted(by_file.items()):
            try:
                held = untrusted(sources_of, data_path(run_dir, data_file))
            except OSError:
                continue  # it is reported as a problem of the store
            sources |= {item: held[item] for item in unknown if item in held}
    return dict(sorted(sources.items(), key=lambda pair: item_order(pair[0])))


def stored_ephemeris(run_dir: Path, progress: Progress) -> dict[str, tuple[Source, ...]]:
    """Item → the ephemeris files that its data were made with, of items in the store.

    Looked up in the file of each item. Items whose data cannot be read are left out.
    """
    files = sorted(set(progress.data_files.values()))
    found: dict[str, tuple[Source, ...]] = {}
    with UntrustedCalls() as untrusted:
        for data_file in files:
            with contextlib.suppress(OSError):  # it is reported as a problem of the store
                found |= untrusted(ephemeris_in, data_path(run_dir, data_file))
    return {item: sources for item, sources in found.items() if item in progress.data_files}


def named_in(messages: Iterable[str]) -> Iterator[str]:
    """The names of input files in messages: the store has none of instruments that failed."""
    for message in messages:
        yield from _FILE_NAME.findall(message)


def starts_of(preset: Preset, files: Iterable[str]) -> list[datetime]:
    """The starts in the names of input files."""
    return [name.start for file in files for name in preset.names(file) if name.start is not None]


def _start(named: Iterable[NamedFile], folder: Path | None) -> datetime | None:
    """The start of an item: by the names of its files, but in the month of its folder."""
    start = min((one.start for one in named if one.start is not None), default=None)
    if folder is None:
        return start
    year, month = folder.parts[-3:-1]
    if year == "undated":
        return None
    if start is not None and (f"{start:%Y}", f"{start:%m}") == (year, month):
        return start
    return datetime(int(year), int(month), 1, tzinfo=timezone.utc)
