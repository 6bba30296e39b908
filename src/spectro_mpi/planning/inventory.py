"""Find the items of a run: input files by name and size, without opening them."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.inert import inert
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.items import InputPath, Item, item_order
from spectro_mpi.planning.ephemeris_files import EphemerisFiles
from spectro_mpi.planning.item_names import with_problems
from spectro_mpi.planning.stacks import snake
from spectro_mpi.rundir.names import Count, ItemId
from spectro_mpi.settings.parsing import as_type
from spectro_mpi.settings.paths import input_name, input_root, movable
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.settings.versions import as_json, read_table
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.words import count


class NoInputError(UserError):
    """The input is not there, or has no file that the settings let through."""


@dataclass(frozen=True)
class Inventory:
    """What a search of the input found."""

    items: tuple[Item, ...]
    """Sorted by id."""
    unknown: tuple[str, ...]
    """Paths of CDF files whose names match no pattern."""
    superseded: tuple[tuple[str, str], ...] = ()
    """(path, path of the file that is used instead) of lower versions and duplicates, sorted."""
    missing: tuple[str, ...] = ()
    """Orbits and ranges of orbits, and items by name, that are selected and not found."""

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """(path, why) of each file that is not used."""
        older = [(path, f"used: {used}") for path, used in self.superseded]
        return [*older, *((path, "unknown file name") for path in self.unknown)]

    @property
    def without_ephemeris(self) -> int:
        """Number of items without an ephemeris file."""
        return sum(not item.ephemeris for item in self.items)

    @property
    def empty_files(self) -> list[str]:
        """Paths of files of 0 bytes. Their items will record an error."""
        return [file.path for item in self.items for file in item.files if not file.size]


_COUNTED_TOGETHER = 100
_Candidate = tuple[NamedFile, InputPath]
_Key = tuple[str, str, str]
"""Item, instrument and part; files that agree in these are versions of one another."""
_StoredFile = tuple[str, Any, Count, Count, list[Any]]
"""Instrument, name (which may be no text), size, version, and its older versions."""
_StoredItem = tuple[ItemId, str, list[_StoredFile], str, list[_StoredFile]]
_Rank = tuple[tuple[int, ...], datetime]


def take_inventory(config: Config, found: Callable[[int], None] | None = None) -> Inventory:
    """Search `config.input` for items.

    `found` is called now and then with the number of files found so far.

    Raises `NoInputError` if it is not a directory or has no matching file, and `UserError` if it
    cannot be searched.
    """
    roots = [root for entry in config.inputs for root in _roots(entry)]
    versions: dict[_Key, list[_Candidate]] = {}
    unknown: list[str] = []
    passed_over: set[str] = set()
    preset, is_selected = preset_of(config), selection(config)
    ephemeris = EphemerisFiles(config)
    for path, size in sorted(_counted(cdf_files(roots), found)):
        file = os.path.basename(path)  # noqa: PTH119 - 200,000 of them
        names = list(preset.names(file))
        is_ephemeris = ephemeris.take(path, size)
        if not names and not is_ephemeris and not preset.is_companion(file):
            unknown.append(path)
        for name in names:
            if not is_selected(name):
                passed_over.add(name.item)
                continue
            key = (name.item, name.instrument, name.part)
            version = name.version[0] if len(name.version) == 1 else 0
            candidate = (name, InputPath(name.instrument, path, size, version))
            versions.setdefault(key, []).append(candidate)
    best = {key: _best(candidates) for key, candidates in versions.items()}
    known = ephemeris.of_items(_items(best, config.select.instruments))
    items = tuple(with_problems(known, config))
    missing = missing_of(config.select, best)
    which, shares = config.select.share_of
    if shares > 1:
        items = tuple(sorted(snake(items, shares)[which].items, key=lambda item: item.order))
    if not items:
        raise NoInputError(
            f'input = "{", ".join(config.inputs)}" holds no {preset.files} that [select] lets '
            f"through (such as {preset.example}); {_what_else(passed_over, unknown)}"
        )
    superseded = ((older.path, file.path) for _, file in best.values() for older in file.older)
    return Inventory(items, tuple(unknown), tuple(sorted(superseded)), missing)


def _what_else(passed_over: Collection[str], unknown: Collection[str]) -> str:
    """What the input has instead: items that are not selected, or files of other names."""
    if not passed_over:
        return f"it has {count(len(unknown), 'other CDF file')}"
    first, last = (end(passed_over, key=item_order) for end in (min, max))
    return f"it has {count(len(passed_over), 'item')}, {first} to {last}"


def _counted(
    files: Iterable[tuple[str, int]], found: Callable[[int], None] | None
) -> Iterator[tuple[str, int]]:
    for number, file in enumerate(files, 1):
        yield file
        if found is not None and number % _COUNTED_TOGETHER == 0:
            found(number)


def missing_of(select: SelectSettings, found: Iterable[_Key]) -> tuple[str, ...]:
    """What `select.orbits` names and no file is of: ranges such as "13315-13317", and names."""
    ids = {item for item, _, _ in found}
    skipped = {str(item) for item in select.skip}
    numbers = sorted(int(item) for item in ids | skipped if item.isdecimal())
    gaps = []
    for low, high in sorted(select.orbit_ranges):
        inside = numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]
        for before, after in pairwise((low - 1, *inside, high + 1)):
            first, last = before + 1, after - 1
            if first <= last:
                gaps.append(str(first) if first == last else f"{first}-{last}")
    return (*dict.fromkeys(gaps), *sorted(select.names - ids - skipped))


def save_inventory(path: Path, inventory: Inventory, config: Config) -> None:
    """Save an inventory for later runs. Raises `OSError`."""
    root = input_root(config)

    def stored(file: InputPath) -> list[Any]:
        name = input_name(file.path, root)
        return [file.instrument, name, file.size, file.version, [*map(stored, file.older)]]

    table = {
        "searched": _searched(config),
        "unknown": [input_name(path, root) for path in inventory.unknown],
        "missing": list(inventory.missing),
        "superseded": [
            [input_name(path, root), input_name(used, root)] for path, used in inventory.superseded
        ],
        "items": [
            [
                item.id,
                item.start.isoformat() if item.start else "",
                [stored(file) for file in item.files],
                item.problem,
                [stored(file) for file in item.ephemeris],
            ]
            for item in inventory.items
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, as_json(table))


def load_inventory(path: Path, config: Config) -> Inventory | None:
    """Load a saved inventory; None if there is none for the same input and selection.

    Nor is there one if the input is not there: its items could not be reduced.

    Raises `NewerVersionError` if a newer version saved it.
    """
    root = input_root(config)

    def at(name: str) -> str:
        return os.path.join(root, name)  # noqa: PTH118 - 200,000 of them

    def input_path(table: _StoredFile) -> InputPath:
        instrument, name, size, version, stored = table
        older = map(input_path, as_type(list[_StoredFile], stored)) if stored else ()
        return InputPath(instrument, at(name), size, version, tuple(older))

    try:
        table = read_table(path)
        if table["searched"] != _searched(config) or not _is_there(config):
            return None
        items = tuple(
            Item(
                item,
                datetime.fromisoformat(start) if start else None,
                tuple(map(input_path, files)),
                problem,
                tuple(map(input_path, ephemeris)),
            )
            for item, start, files, problem, ephemeris in as_type(list[_StoredItem], table["items"])
        )
        pairs = as_type(list[tuple[Any, Any]], table["superseded"])
        superseded = tuple((at(name), at(used)) for name, used in pairs)
        unknown = as_type(list[Any], table["unknown"])
        missing = tuple(as_type(list[str], table.get("missing", [])))
        return Inventory(items, tuple(map(at, unknown)), superseded, missing)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_left_out(path: Path, inventory: Inventory, config: Config) -> None:
    """Save the list of files that are not used, for the report. Raises `OSError`."""
    root = input_root(config)
    superseded = tuple(
        (input_name(path, root), input_name(used, root)) for path, used in inventory.superseded
    )
    unknown = tuple(input_name(path, root) for path in inventory.unknown)
    named = Inventory((), unknown, superseded).left_out
    left_out = [(inert(file), inert(why)) for file, why in named]
    if not path.exists() or load_left_out(path) != left_out:
        write_atomic(path, as_json({"left_out": left_out}))


def load_left_out(path: Path) -> list[tuple[str, str]]:
    """(path, why) of each file that was not used; empty if that was not saved.

    Paths are relative to the deepest folder that holds all of `input`.
    """
    try:
        return as_type(list[tuple[str, str]], read_table(path)["left_out"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _searched(config: Config) -> str:
    """Digest of the settings an inventory depends on; a directory moved with its input keeps it."""
    patterns = [(table.name, table.file) for table in config.instrument]
    inputs = movable(config, config.run_dir, "").input
    searched = [inputs, config.data.preset, patterns, config.ephemeris_file, asdict(config.select)]
    return hashlib.sha256(json.dumps(searched).encode()).hexdigest()[:16]


def _best(candidates: list[_Candidate]) -> _Candidate:
    """The highest version, with the others as those to read if it cannot be read.

    Of equal versions the first path is best, whatever the order of the search.
    """
    if len(candidates) > 1:
        candidates = sorted(candidates, key=lambda one: one[1].path)
        candidates.sort(key=lambda one: _rank(one[0]), reverse=True)  # keeps the order of paths
    (name, file), *others = candidates
    return name, replace(file, older=tuple(older for _, older in others)) if others else file


def _rank(name: NamedFile) -> _Rank:
    return name.version, name.start or datetime.min.replace(tzinfo=timezone.utc)


def _items(best: Mapping[_Key, _Candidate], instruments: tuple[str, ...]) -> tuple[Item, ...]:
    files: dict[str, list[InputPath]] = {}
    starts: dict[str, list[datetime]] = {}
    for _, (name, file) in sorted(best.items()):
        files.setdefault(name.item, []).append(file)
        starts.setdefault(name.item, []).extend([name.start] if name.start else [])
    return tuple(
        Item(
            item,
            min(starts[item], default=None),
            tuple(sorted(files[item], key=lambda file: instruments.index(file.instrument))),
        )
        for item in sorted(files, key=item_order)
    )


def selection(config: Config) -> Callable[[NamedFile], bool]:
    """Whether [select] selects a file: by its item, instrument and start."""
    select = config.select
    is_selected_by_id = selection_by_id(select)
    start, stop = select.times

    def is_selected(name: NamedFile) -> bool:
        if name.instrument not in select.instruments or not is_selected_by_id(name.item):
            return False
        if start or stop:
            if name.start is None:
                raise UserError(
                    "select.start, select.stop: the names of the files have no date "
                    f"(item {name.item}); add {{date}} to `file`, or select items by name"
                )
            return (not start or name.start >= start) and (not stop or name.start < stop)
        return True

    return is_selected


def selection_by_id(select: SelectSettings) -> Callable[[str], bool]:
    """Whether [select] selects an item, by ranges of numbers and by names of items."""
    ranges, names, skip = select.orbit_ranges, select.names, {str(item) for item in select.skip}

    def is_selected(item: str) -> bool:
        if item in skip:
            return False
        if (not ranges and not names) or item in names:
            return True
        return item.isdecimal() and any(low <= int(item) <= high for low, high in ranges)

    return is_selected


def _roots(entry: str) -> list[str]:
    """The directories that an entry of `input` means. Raises `NoInputError` if there is none."""
    if Path(entry).is_dir():
        return [entry]
    found = [path for path in sorted(glob.glob(entry)) if Path(path).is_dir()]  # noqa: PTH207
    if not found:
        what = "is not a directory" if Path(entry).exists() else "does not exist"
        if glob.has_magic(entry):
            what = "matches no directory"
        raise NoInputError(
            f'input = "{entry}" {what}; set `input` to the directory of the CDF files, or get them '
            "from an archive with `spectro-mpi fetch`"
        )
    return found


def _is_there(config: Config) -> bool:
    """Whether the directories that `input` names exist."""
    try:
        return all(_roots(entry) for entry in config.inputs)
    except NoInputError:
        return False


def cdf_files(roots: Iterable[str]) -> Iterator[tuple[str, int]]:
    """(path, bytes) of every CDF file below `roots`; follows links, but each folder only once."""
    seen = set()
    pending = list(roots)
    while pending:
        folder = pending.pop()
        status = os.stat(folder)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise UserError(f"{folder}: cannot be searched: {error.strerror}") from None
        for entry in entries:
            try:
                is_folder = entry.is_dir()
            except OSError:
                continue  # a link that leads back to itself
            if is_folder:
                pending.append(entry.path)
            elif entry.name.lower().endswith(".cdf"):
                try:
                    yield entry.path, entry.stat().st_size
                except OSError:
                    yield entry.path, 0  # a broken link; reading it will report the error
