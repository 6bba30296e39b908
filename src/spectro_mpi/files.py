"""Where the files lie that a phase writes of an item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from spectro_mpi.atomic import sweep
from spectro_mpi.inventory import Item

ASSETS = "assets"
PLOTS = "plots"
FILES = "files"


def files_root(run_dir: Path, phase: str) -> Path:
    """`plots`, or `files/PHASE` of another phase than plot."""
    return run_dir / PLOTS if phase == "plot" else run_dir / FILES / phase


def item_folder(run_dir: Path, phase: str, item: Item) -> Path:
    """`YYYY/MM/{item}` below that, by the start of the item's data; without one, `undated/00`."""
    year, month = (f"{item.start:%Y}", f"{item.start:%m}") if item.start else ("undated", "00")
    return files_root(run_dir, phase) / year / month / item.id


def without_folder(run_dir: Path, phase: str, items: Iterable[Item]) -> Iterator[Item]:
    """The items whose folder is not there; a look a month, not one an item."""
    months: dict[Path, set[str]] = {}
    for item in items:
        folder = item_folder(run_dir, phase, item)
        if folder.parent not in months:
            try:
                months[folder.parent] = {path.name for path in folder.parent.iterdir()}
            except FileNotFoundError:
                months[folder.parent] = set()
        if item.id not in months[folder.parent]:
            yield item


def sweep_files(run_dir: Path, phase: str, item: Item) -> list[Path]:
    """Remove half-written files of an item; returns what they were. Raises `OSError`."""
    return sweep(item_folder(run_dir, phase, item))
