"""Find the items of a run: input files by name and size, without opening them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.instruments.preset import NamedFile
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.items import InputPath, Item, item_order
from spectro_mpi.planning.stacks import snake
from spectro_mpi.settings.schema import Config
from spectro_mpi.settings.versions import as_json, read_table
from spectro_mpi.system.atomic import write_atomic


@dataclass(frozen=True)
class Inventory:
    """What a search of the input found."""

    items: tuple[Item, ...]
    """Sorted by id."""
    unknown: tuple[str, ...]
    """Paths of CDF files whose names match no pattern."""
    superseded: int
    """Number of files left out because a higher version, or a duplicate, is used."""

    @property
    def empty_files(self) -> list[str]:
        """Paths of files of 0 bytes. Their items will record an error."""
        return [file.path for item in self.items for file in item.files if not file.size]


_Candidate = tuple[NamedFile, InputPath]
_Rank = tuple[tuple[int, ...], datetime]


def take_inventory(config: Config) -> Inventory:
    """Search `config.input` for items.

    Raises `UserError` if it is not a directory, cannot be searched or has no matching file.
    """
    root = Path(config.input)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "does not exist"
        raise UserError(f'input = "{root}" {what}; set `input` to the directory of the CDF files')
    best: dict[tuple[str, str], _Candidate] = {}
    unknown, matching = [], 0
    preset, is_selected = preset_of(config), _selection(config)
    for path, size in sorted(_cdf_files(root)):
        file = os.path.basename(path)  # noqa: PTH119 - 200,000 of them
        names = list(preset.names(file))
        if not names and not preset.is_companion(file):
            unknown.append(path)
        for name in filter(is_selected, names):
            matching += 1
            key = (name.item, name.instrument)
            # Of equal versions the first path is kept, whatever the order of the search.
            if key not in best or _rank(name) > _rank(best[key][0]):
                version = name.version[0] if len(name.version) == 1 else 0
                best[key] = (name, InputPath(name.instrument, path, size, version))
    items = _items(best.values(), config.select.instruments)
    which, count = config.select.share_of
    if count > 1:
        items = tuple(sorted(snake(items, count)[which].items, key=lambda item: item.order))
    if not items:
        raise UserError(
            f'input = "{root}" holds no {preset.files} that [select] lets through '
            f"(such as {preset.example}); it has {len(unknown)} other CDF files"
        )
    return Inventory(items, tuple(unknown), matching - len(best))


def save_inventory(path: Path, inventory: Inventory, config: Config) -> None:
    """Save an inventory for later runs. Raises `OSError`."""
    table = {
        "searched": _searched(config),
        "unknown": inventory.unknown,
        "superseded": inventory.superseded,
        "items": [
            [
                item.id,
                item.start.isoformat() if item.start else "",
                [astuple(file) for file in item.files],
            ]
            for item in inventory.items
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, as_json(table))


def load_inventory(path: Path, config: Config) -> Inventory | None:
    """Load a saved inventory; None if there is none for the same input and selection.

    Raises `NewerVersionError` if a newer version saved it.
    """
    try:
        table = read_table(path)
        if table["searched"] != _searched(config):
            return None
        items = tuple(
            Item(
                item,
                datetime.fromisoformat(start) if start else None,
                tuple(InputPath(*file) for file in files),
            )
            for item, start, files in table["items"]
        )
        return Inventory(items, tuple(table["unknown"]), table["superseded"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _searched(config: Config) -> Any:
    """The settings an inventory depends on, in the form in which JSON returns them."""
    patterns = [(table.name, table.file) for table in config.instrument]
    searched = [config.input, config.data.preset, patterns, asdict(config.select)]
    return json.loads(json.dumps(searched))


def _rank(name: NamedFile) -> _Rank:
    return name.version, name.start or datetime.min.replace(tzinfo=timezone.utc)


def _items(candidates: Iterable[_Candidate], instruments: tuple[str, ...]) -> tuple[Item, ...]:
    files: dict[str, list[InputPath]] = {}
    starts: dict[str, list[datetime]] = {}
    for name, file in candidates:
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


def _selection(config: Config) -> Callable[[NamedFile], bool]:
    """Whether [select] selects a file, by ranges of numbers and by names of items."""
    select = config.select
    ranges, names, skip = select.orbit_ranges, select.names, {str(item) for item in select.skip}

    def is_selected(name: NamedFile) -> bool:
        if name.instrument not in select.instruments or name.item in skip:
            return False
        if (not ranges and not names) or name.item in names:
            return True
        return name.item.isdecimal() and any(low <= int(name.item) <= high for low, high in ranges)

    return is_selected


def _cdf_files(root: Path) -> Iterator[tuple[str, int]]:
    """(path, bytes) of every CDF file below `root`; follows links, but each folder only once."""
    seen = set()
    pending = [str(root)]
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
