"""The items of a run as the report shows them: state, figures and the paths of these."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spectro_mpi.draw.names import (
    KEYWORD,
    ExpectedFigure,
    expected_figures,
    find_figures,
    labels_shown,
)
from spectro_mpi.errors import Failure
from spectro_mpi.instruments.presets import preset_of
from spectro_mpi.model.coverage import Coverage
from spectro_mpi.model.items import item_order
from spectro_mpi.planning.stored import named_in, starts_of, stored_sources
from spectro_mpi.previews.packs import packed_files
from spectro_mpi.rundir.layout import PLOTS, PREVIEWS, SCRIPT, SHEET
from spectro_mpi.rundir.reader import Run
from spectro_mpi.rundir.sources import read_coverage
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.regular import opened_regular


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
    """Those it has data of, and those that failed."""
    labels: tuple[str, ...]
    """Of the events that its figures show."""
    figures: tuple[ListedFigure, ...]
    has_sheet: bool
    has_script: bool
    coverage: Coverage | None = None
    """When and where its data were measured; None: not known."""


_Figures = tuple[tuple[ListedFigure, ...], tuple[str, ...]]
"""The figures of an item that are on disk, and the labels of the events that they show."""


def item_entries(run: Run) -> list[ItemEntry]:
    """Return all known items of a run, sorted.

    Opens no input files, and of figures only one for each word of labels in their names.
    """
    progress = run.progress
    sources = _sources(run)
    coverage = read_coverage(run.path, progress.data_files)
    months = _months(run.path / PLOTS)
    previews = _names(run.path / PREVIEWS) | packed_files(run.path)
    preset = preset_of(run.config)
    done = set(progress.completed("plot"))
    drawn = progress.settled["plot"]
    known = sorted(progress.data_files.keys() | progress.failures.keys() | done, key=item_order)
    figures_in = _FigureLists(run.config)

    def figures_of(item: str) -> _Figures:
        if item not in drawn or item not in months:
            return (), ()
        return figures_in(run.path / PLOTS / months[item] / item, tuple(sources.get(item, ())))

    with ThreadPoolExecutor(8) as pool:  # For file systems with a high latency.
        figures_of_items = list(pool.map(figures_of, known))
    entries = []
    for item, (figures, labels) in zip(known, figures_of_items, strict=True):
        failures = progress.failures.get(item, ())
        files = sources.get(item, {})
        month = months.get(item, "")
        state = "failed" if failures else "done" if item in done else "reduced"
        messages = (failure.message for failure in failures)
        starts = starts_of(preset, [*files.values(), *named_in(messages)])
        entries.append(
            ItemEntry(
                item,
                min(starts, default=None),
                month,
                state,
                tuple(dict.fromkeys(failure.reason for failure in failures)),
                tuple(dict.fromkeys((*files, *_instruments_of(failures, run)))),
                labels,
                figures,
                f"{month}/{item}{SHEET}" in previews,
                f"{month}/{item}{SCRIPT}" in previews,
                coverage.get(item),
            )
        )
    return entries


def _instruments_of(failures: Sequence[Failure], run: Run) -> Iterator[str]:
    """The instruments that failed, so that they are found where people search for them."""
    failed = {failure.instrument for failure in failures}
    return (name for name in run.config.select.instruments if name in failed)


def _sources(run: Run) -> dict[str, dict[str, str]]:
    """Return item → instrument → name of the input file, for the items in the store."""
    order: dict[str, int] = {
        name: place for place, name in enumerate(run.config.select.instruments)
    }
    sources: dict[str, dict[str, str]] = {}
    for item, files in stored_sources(run.path, run.progress).items():
        names = sorted(files, key=lambda name: order.get(name, len(order)))
        sources[item] = {name: files[name].name for name in names}
    return sources


class _FigureLists:
    """Lists the figures of items; what many items share is computed once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._expected: dict[tuple[str, ...], list[ExpectedFigure]] = {}
        self._listed: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[ListedFigure, ...]] = {}

    def __call__(self, folder: Path, instruments: tuple[str, ...]) -> _Figures:
        """List the figures in the folder of an item that has data of `instruments`."""
        expected = self._expected.get(instruments)
        if expected is None:
            expected = self._expected[instruments] = expected_figures(self._config, instruments)
        item = folder.name
        found = find_figures(item, expected, _listed(folder))
        # After a run there is one file of a figure; `verify` reports others.
        names = tuple(next(iter(found.get(figure.tail, {}).values()), "") for figure in expected)
        tails = tuple(name.removeprefix(item) for name in names)
        figures = self._listed.get((instruments, tails))
        if figures is None:
            figures = self._listed[instruments, tails] = self._figures(expected, tails)
        return figures, self._labels(folder, expected, found)

    def _figures(
        self, expected: list[ExpectedFigure], tails: tuple[str, ...]
    ) -> tuple[ListedFigure, ...]:
        return tuple(
            ListedFigure(
                tail,
                figure.kind.name,
                figure.instrument,
                figure.kind.label(self._config, figure.instrument),
                f"{figure.scales[0]}-{figure.scales[1]}",
                figure.limits,
                cell,
                len(expected),
            )
            for cell, (figure, tail) in enumerate(zip(expected, tails, strict=True))
            if tail
        )

    def _labels(
        self, folder: Path, expected: list[ExpectedFigure], found: dict[str, dict[str, str]]
    ) -> tuple[str, ...]:
        """The labels of the events in an item's figures: from one figure of each word of labels."""
        names = {word: name for names in found.values() for word, name in names.items()}
        if any(figure.kind.has_events_in_name for figure in expected):
            names.pop("", None)
        elif not self._config.plot.events:
            names = {}
        shown: dict[str, None] = {}
        for word, name in sorted(names.items()):
            shown |= dict.fromkeys(_labels_in(folder / name) or filter(None, [word]))
        return tuple(shown)


def _labels_in(path: Path) -> list[str]:
    """The labels of the events in a figure; empty if it cannot be read, which `verify` reports."""
    from PIL import Image

    try:
        with opened_regular(path) as file, Image.open(file) as picture:
            return labels_shown(parsed_json(picture.info[KEYWORD]))
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, Image.DecompressionBombError):
        return []


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
    if folder.is_symlink():  # it would lead elsewhere
        return []
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - 50,000 of them
    except OSError:
        return []
