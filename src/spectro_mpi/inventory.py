"""Find the items of a run: input files by name and size, none of them opened."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from spectro_mpi.atomic import write_atomic
from spectro_mpi.config import Config, Select
from spectro_mpi.errors import UserError
from spectro_mpi.instruments import fast_esa
from spectro_mpi.schedule import snake


@dataclass(frozen=True)
class InputPath:
    """The file of one instrument of an item."""

    instrument: str
    path: str
    size: int
    """Bytes."""
    version: int


@dataclass(frozen=True)
class Item:
    """The unit of work: for FAST one orbit with its up to four instrument files."""

    id: str
    start: datetime
    """Start of data by the earliest file name, UTC."""
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


@dataclass(frozen=True)
class Inventory:
    """What a search of the input found."""

    items: tuple[Item, ...]
    """Sorted by id."""
    unknown: tuple[str, ...]
    """Paths of CDF files whose names do not parse."""
    superseded: int
    """Number of files left out because a higher version is there."""

    @property
    def empty_files(self) -> list[str]:
        """Paths of files of 0 bytes; their items will record an error."""
        return [file.path for item in self.items for file in item.files if not file.size]


_Found = tuple[fast_esa.FileName, InputPath]


def item_order(item_id: str) -> tuple[int, str]:
    """Sort key of item ids: numbers by value, then names by letter."""
    return (int(item_id), "") if item_id.isdecimal() else (1 << 62, item_id)


def take_inventory(config: Config) -> Inventory:
    """Search `config.input`; raises `UserError` if it is missing or holds nothing to do."""
    root = Path(config.input)
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "does not exist"
        raise UserError(f'input = "{root}" {what}; set `input` to the directory of the CDF files')
    best: dict[tuple[int, str], _Found] = {}
    unknown, matching = [], 0
    ranges = config.select.orbit_ranges
    for path, size in sorted(_cdf_files(root)):
        name = fast_esa.parse_name(os.path.basename(path))  # noqa: PTH119 - 200,000 of them
        if name is None:
            if not os.path.basename(path).startswith("fa_k0_"):  # noqa: PTH119
                unknown.append(path)
            continue
        if not _is_selected(name, config.select, ranges):
            continue
        matching += 1
        key = (name.orbit, name.instrument)
        rank = (name.version, name.start)
        # Of equals the first path stays, so that the choice does not depend on the search.
        if key not in best or rank > (best[key][0].version, best[key][0].start):
            best[key] = (name, InputPath(name.instrument, path, size, name.version))
    items = _items(best.values(), config.select.instruments)
    which, count = config.select.share_of
    if count > 1:
        items = tuple(sorted(snake(items, count)[which].items, key=lambda item: item.order))
    if not items:
        raise UserError(
            f'input = "{root}" holds no FAST ESA level-2 file that [select] lets through '
            f"(fa_esa_l2_ees_20000101001737_13312_v01.cdf is such a name; "
            f"{len(unknown)} other CDF files are there)"
        )
    return Inventory(items, tuple(unknown), matching - len(best))


def save_inventory(path: Path, inventory: Inventory, config: Config) -> None:
    """Keep an inventory for runs to come. Raises `OSError`."""
    table = {
        "searched": _searched(config),
        "unknown": inventory.unknown,
        "superseded": inventory.superseded,
        "items": [
            [item.id, item.start.isoformat(), [astuple(file) for file in item.files]]
            for item in inventory.items
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(table).encode())


def load_inventory(path: Path, config: Config) -> Inventory | None:
    """An inventory that was kept; None if there is none of the same input and selection."""
    try:
        table = json.loads(path.read_bytes())
        if table["searched"] != _searched(config):
            return None
        items = tuple(
            Item(item, datetime.fromisoformat(start), tuple(InputPath(*file) for file in files))
            for item, start, files in table["items"]
        )
        return Inventory(items, tuple(table["unknown"]), table["superseded"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _searched(config: Config) -> Any:
    """What an inventory depends on, as JSON gives it back."""
    return json.loads(json.dumps([config.input, asdict(config.select)]))


def _items(found: Iterable[_Found], instruments: tuple[str, ...]) -> tuple[Item, ...]:
    files: dict[int, list[InputPath]] = {}
    starts: dict[int, datetime] = {}
    for name, file in found:
        files.setdefault(name.orbit, []).append(file)
        starts[name.orbit] = min(name.start, starts.get(name.orbit, name.start))
    return tuple(
        Item(
            str(orbit),
            starts[orbit],
            tuple(sorted(files[orbit], key=lambda file: instruments.index(file.instrument))),
        )
        for orbit in sorted(files)
    )


def _is_selected(
    name: fast_esa.FileName, select: Select, ranges: tuple[tuple[int, int], ...]
) -> bool:
    return (
        name.instrument in select.instruments
        and name.orbit not in select.skip
        and (not ranges or any(low <= name.orbit <= high for low, high in ranges))
    )


def _cdf_files(root: Path) -> Iterator[tuple[str, int]]:
    """(path, bytes) of every CDF file below `root`; links are followed, circles are not."""
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
                continue  # a link that leads round to itself
            if is_folder:
                pending.append(entry.path)
            elif entry.name.lower().endswith(".cdf"):
                try:
                    yield entry.path, entry.stat().st_size
                except OSError:
                    yield entry.path, 0  # a link to nothing; reading it will tell
