"""Previews that are missing: of figures drawn by an earlier version, or without previews."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.report.contents import ItemEntry
from spectro_mpi.rundir.layout import DATA, PLOTS, SHEET
from spectro_mpi.rundir.reader import Run
from spectro_mpi.system.limits import cores_allowed

_FEW = 8
"""Previews that are not worth the start of other processes."""


@dataclass(frozen=True)
class Wanted:
    """A preview to be made."""

    run_dir: Path
    entry: ItemEntry
    shard: str
    sheet: bool
    values: bool


def missing_previews(run: Run, entries: Sequence[ItemEntry]) -> list[Wanted]:
    """What the settings ask for and is not there."""
    report = run.config.report
    return [
        Wanted(run.path, entry, run.progress.shards[entry.id], report.thumbnails, report.values)
        for entry in entries
        if entry.figures
        and entry.id in run.progress.shards
        and (
            (report.thumbnails and not entry.has_sheet)
            or ((report.thumbnails or report.values) and not entry.has_script)
        )
    ]


def make_previews(wanted: Sequence[Wanted]) -> Iterator[str]:
    """Make them on all cores; yields the id of each item whose preview could be made.

    Raises `OSError` where they cannot be written.
    """
    cores = cores_allowed()
    if len(wanted) <= _FEW or cores == 1:
        yield from filter(None, map(_make, wanted))
        return
    # No fork: the caller may be a process that has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores, len(wanted)), context) as pool:
        yield from filter(None, pool.map(_make, wanted, chunksize=4))


def _make(wanted: Wanted) -> str:
    """Make one preview; returns its item, or nothing if its figures or data do not read."""
    from spectro_mpi.previews.preview import Preview, write_preview
    from spectro_mpi.rundir.store import read_spectrograms

    entry = wanted.entry
    preview = Preview(entry.id)
    order = list(entry.instruments)
    try:
        for figure in entry.figures:
            name = entry.id + figure.tail
            preview.add(name, *_figure(wanted.run_dir / PLOTS / entry.month / entry.id / name))
        values = wanted.values
        stored = read_spectrograms(wanted.run_dir / DATA / wanted.shard, entry.id) if values else ()
        files = preview.scripts(sorted(stored, key=lambda one: order.index(one.instrument)))
    except (OSError, ValueError, KeyError, TypeError, SyntaxError):
        return ""  # `verify` tells of it
    if wanted.sheet:
        cells = [""] * max(figure.cells for figure in entry.figures)
        for figure in entry.figures:
            cells[figure.cell] = entry.id + figure.tail
        files[SHEET] = preview.sheet(cells)
    write_preview(wanted.run_dir, entry.month, entry.id, files)
    return entry.id


def _figure(path: Path) -> tuple[dict[str, Any], Any]:
    """(description, thumbnail) of a figure on disk."""
    import numpy as np
    from PIL import Image

    from spectro_mpi.draw.figure import KEYWORD
    from spectro_mpi.draw.layout import Box
    from spectro_mpi.draw.thumbnail import thumbnail

    with Image.open(path) as picture:
        picture.load()
        description = json.loads(picture.info[KEYWORD])
        palette = np.zeros((256, 3), np.uint8)
        known = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
        palette[: len(known)] = known
        image = np.asarray(picture)
    panels = description["panels"]
    # Zoom panels repeat the rows beside them.
    boxes = [Box(*panel["box"]) for panel in panels if panel["box"][0] == panels[0]["box"][0]]
    return description, palette[thumbnail(image, boxes)]
