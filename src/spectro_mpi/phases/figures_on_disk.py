"""Which figures of an item there are on disk, by the names in its folder. No file is opened."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from spectro_mpi.draw.names import ExpectedFigure, as_png, expected_figures, find_by_tail
from spectro_mpi.model.items import Item
from spectro_mpi.phases.figure_digests import PREVIEW
from spectro_mpi.rundir.layout import item_folder
from spectro_mpi.settings.schema import Config


class FiguresOnDisk:
    """Item, parts → those of which there are files, in all formats, as the settings say.

    Previews are not looked for: the report makes those that it lacks.
    """

    def __init__(self, config: Config, run_dir: Path, phase: str) -> None:
        self._config = config
        self._run_dir = run_dir
        self._phase = phase
        self._by_tail: dict[tuple[str, ...], Mapping[str, ExpectedFigure]] = {}
        """Instruments → tail of the name of a figure → the figure."""

    def __call__(self, item: Item, parts: Sequence[str]) -> set[str]:
        try:
            names = os.listdir(item_folder(self._run_dir, self._phase, item))  # noqa: PTH208
        except OSError:
            names = []  # drawing into it reports what is wrong with the folder
        figures = [part for part in parts if part != PREVIEW]
        instruments = tuple(dict.fromkeys(part.split("/")[1] for part in figures))
        by_tail = self._by_tail.get(instruments)
        if by_tail is None:
            expected = expected_figures(self._config, filter(None, instruments))
            by_tail = self._by_tail[instruments] = {figure.tail: figure for figure in expected}
        tails = [
            set(find_by_tail(item.id, by_tail, as_png(names, file_format)))
            for file_format in self._config.plot.formats
        ]
        found = {by_tail[tail].part for tail in set.intersection(*tails)}
        return {PREVIEW, *found}.intersection(parts)
