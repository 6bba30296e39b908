"""Which figures of an item there are on disk, by the names in its folder. No file is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from spectro_mpi.draw.names import ExpectedFigure, as_png, expected_figures, find_by_tail
from spectro_mpi.model.items import Item
from spectro_mpi.phases.figure_digests import PREVIEW
from spectro_mpi.rundir.layout import files_root, item_place
from spectro_mpi.settings.schema import Config


class FiguresOnDisk:
    """Item, parts → those of which there are files, in all formats, as the settings say.

    Previews are not looked for: the report makes those that it lacks.
    """

    def __init__(self, config: Config, run_dir: Path, phase: str) -> None:
        self._config = config
        self._root = str(files_root(run_dir, phase))  # paths as text: there are 50,000
        self._by_tail: dict[tuple[str, ...], Mapping[str, ExpectedFigure]] = {}
        """Instruments → tail of the name of a figure → the figure."""
        self._unlabelled: dict[tuple[str, ...], list[str]] = {}
        """Parts → tails of the names of their files, in all formats."""

    def __call__(self, item: Item, parts: Sequence[str]) -> set[str]:
        try:
            names = os.listdir(f"{self._root}/{item_place(item)}")  # noqa: PTH208
        except OSError:
            names = []  # drawing into it reports what is wrong with the folder
        if {f"{item.id}_{tail}" for tail in self._tails(tuple(parts))}.issubset(names):
            return {*parts}  # as nearly always: files of the plain names
        by_tail = self._figures(parts)
        tails = [
            set(find_by_tail(item.id, by_tail, as_png(names, file_format)))
            for file_format in self._config.plot.formats
        ]
        found = {by_tail[tail].part for tail in set.intersection(*tails)}
        return {PREVIEW, *found}.intersection(parts)

    def _tails(self, parts: tuple[str, ...]) -> list[str]:
        """The tails of the names of all files of parts, if they show no events."""
        tails = self._unlabelled.get(parts)
        if tails is None:
            tails = self._unlabelled[parts] = [
                f"{tail.removesuffix('png')}{file_format}"
                for tail, figure in self._figures(parts).items()
                if figure.part in parts
                for file_format in self._config.plot.formats
            ]
        return tails

    def _figures(self, parts: Sequence[str]) -> Mapping[str, ExpectedFigure]:
        """Tail of the name of a figure → the figure, for the instruments that parts show."""
        figures = [part for part in parts if part != PREVIEW]
        instruments = tuple(dict.fromkeys(part.split("/")[1] for part in figures))
        by_tail = self._by_tail.get(instruments)
        if by_tail is None:
            expected = expected_figures(self._config, filter(None, instruments))
            by_tail = self._by_tail[instruments] = {figure.tail: figure for figure in expected}
        return by_tail
