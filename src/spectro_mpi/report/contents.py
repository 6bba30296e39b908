"""The items of a run as the report shows them: state, figures and the paths of these."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spectro_mpi.draw.kinds import kinds_of
from spectro_mpi.draw.names import figure_name
from spectro_mpi.instruments.preset import Preset
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.items import item_order
from spectro_mpi.planning.events import marks_of
from spectro_mpi.rundir.layout import DATA, PLOTS, PREVIEWS, SCRIPT, SHEET
from spectro_mpi.rundir.reader import Run
from spectro_mpi.rundir.store import sources_of
from spectro_mpi.settings.schema import Config

_FILE_NAME = re.compile(r"[^/\\\s:\"']+\.cdf", re.IGNORECASE)


@dataclass(frozen=True)
class ListedFigure:
    """One figure of an item, without the id of the item: many items share the same kinds."""

    tail: str
    """The part of the file name after the id of the item."""
    kind: str
    instrument: str
    """Empty for a figure of all instruments."""
    label: str
    """What it shows."""
    scales: str
    limits: str
    cell: int
    """Its position in the sheet of thumbnails, from 0."""
    cells: int
    """Number of thumbnails in the sheet."""


@dataclass(frozen=True)
class ItemEntry:
    """One item as the report shows it."""

    id: str
    start: datetime | None
    """Start of its data (UTC), from the names of its files."""
    month: str
    """The folder of its figures, such as "2000/01"; empty if it has none."""
    state: str
    """done; failed (in whole or in part); reduced (no figures yet)."""
    reasons: tuple[str, ...]
    instruments: tuple[str, ...]
    marked: bool
    figures: tuple[ListedFigure, ...]
    has_sheet: bool
    has_script: bool


def item_entries(run: Run) -> list[ItemEntry]:
    """Return all known items of a run, sorted; opens neither figures nor input files."""
    progress = run.progress
    sources = _sources(run)
    months = _months(run.path / PLOTS)
    previews = _names(run.path / PREVIEWS)
    marks, preset = marks_of(run.config), preset_of(run.config)
    done = set(progress.completed("plot"))
    drawn = progress.settled["plot"]
    known = progress.shards.keys() | progress.failures.keys() | done
    entries = []
    for item in sorted(known, key=item_order):
        failures = progress.failures.get(item, ())
        files = sources.get(item, {})
        month = months.get(item, "")
        figures: tuple[ListedFigure, ...] = ()
        if item in drawn and month:
            figures = _figures(run.config, item, tuple(files), item in marks)
            if any(failure.phase == "plot" for failure in failures):
                drawn_files = set(_listed(run.path / PLOTS / month / item))
                figures = tuple(kind for kind in figures if item + kind.tail in drawn_files)
        state = "failed" if failures else "done" if item in done else "reduced"
        messages = (failure.message for failure in failures)
        starts = _starts(preset, [*files.values(), *_named_in(messages)])
        entries.append(
            ItemEntry(
                item,
                min(starts, default=None),
                month,
                state,
                tuple(dict.fromkeys(failure.reason for failure in failures)),
                tuple(files),
                item in marks,
                figures,
                f"{month}/{item}{SHEET}" in previews,
                f"{month}/{item}{SCRIPT}" in previews,
            )
        )
    return entries


def _sources(run: Run) -> dict[str, dict[str, str]]:
    """Return item → instrument → name of the input file, for the items in the store."""
    order: dict[str, int] = {
        name: place for place, name in enumerate(run.config.select.instruments)
    }
    sources: dict[str, dict[str, str]] = {}
    for shard in sorted(set(run.progress.shards.values())):
        try:
            sources_in_shard = sources_of(run.path / DATA / shard)
        except OSError:
            continue  # `verify` reports it
        for item, files in sources_in_shard.items():
            if run.progress.shards.get(item) == shard:
                names = sorted(files, key=lambda name: order.get(name, len(order)))
                sources[item] = {name: files[name].name for name in names}
    return sources


def _figures(
    config: Config, item: str, instruments: tuple[str, ...], marked: bool
) -> tuple[ListedFigure, ...]:
    combinations = [
        (kind, instrument, scales, limits)
        for kind, instrument in kinds_of(config.plot, instruments)
        for scales in config.plot.scales
        for limits in config.plot.limits
    ]
    return tuple(
        ListedFigure(
            figure_name(config, item, kind, instrument, scales, limits, marked)[len(item) :],
            kind.name,
            instrument,
            kind.label(config, instrument),
            f"{scales[0]}-{scales[1]}",
            limits,
            cell,
            len(combinations),
        )
        for cell, (kind, instrument, scales, limits) in enumerate(combinations)
    )


def _starts(preset: Preset, files: Iterable[str]) -> list[datetime]:
    return [name.start for file in files for name in preset.names(file) if name.start is not None]


def _named_in(messages: Iterable[str]) -> list[str]:
    """Return the names of input files in messages: the store has none for failed instruments."""
    return [name for message in messages for name in _FILE_NAME.findall(message)]


def _months(plots: Path) -> dict[str, str]:
    """Return item → month of its folder of figures."""
    months = [f"{year}/{month}" for year in _listed(plots) for month in _listed(plots / year)]
    return {item: month for month in months for item in _listed(plots / month)}


def _names(folder: Path) -> set[str]:
    """Return the paths `YYYY/MM/name` of all previews."""
    months = [f"{year}/{month}" for year in _listed(folder) for month in _listed(folder / year)]
    with ThreadPoolExecutor(8) as pool:  # For file systems with a high latency.
        listings = pool.map(lambda month: _listed(folder / month), months)
    return {
        f"{month}/{name}" for month, names in zip(months, listings, strict=True) for name in names
    }


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - 50,000 of them
    except OSError:
        return []
