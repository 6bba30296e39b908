"""The preview of one item on the report page: an image of its thumbnails, scripts with its values.

The process that draws the figures of an item writes the preview too, because it has the data in
memory. Making the previews of 50,000 items afterwards would take hours.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.reuse import Reductions
from spectro_mpi.draw.thumbnail import HEIGHT, WIDTH
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.previews.scripts import call
from spectro_mpi.previews.values import Values, values_of
from spectro_mpi.rundir.layout import SCRIPT, preview_path
from spectro_mpi.system.atomic import make_below, part_path, write_part

_QUALITY = 80
_SCRIPT_BYTES = 1 << 20
"""A script that is larger gets no more values; further values go to the next script."""


def write_preview(run_dir: Path, month: str, item_id: str, files: Mapping[str, bytes]) -> None:
    """Write the files of a preview; `files` maps the endings of their names to their contents.

    They are not fsynced, because `report` can recreate them. Raises `OSError` if a file cannot
    be written.
    """
    for suffix, content in files.items():
        path = preview_path(run_dir, month, item_id, suffix)
        make_below(run_dir, path.parent)
        write_part(path, content)
        part_path(path).replace(path)


class Preview:
    """Collects the figures of one item and makes its preview."""

    def __init__(self, item_id: str) -> None:
        self._item_id = item_id
        self._thumbnails: dict[str, NDArray[np.uint8]] = {}
        self._descriptions: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, description: dict[str, Any], thumbnail: NDArray[np.uint8] | None
    ) -> None:
        """Add a figure: its file name, its description and its thumbnail.

        `thumbnail` is (row, column, rgb), uint8.
        """
        self._descriptions[name.removeprefix(self._item_id)] = description
        if thumbnail is not None:
            self._thumbnails[name] = thumbnail

    def sheet(self, names: Iterable[str]) -> bytes:
        """Return the thumbnails of `names` below each other, as JPEG; a missing one is white."""
        from PIL import Image

        white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        rows = [self._thumbnails.get(name, white) for name in names]
        file = io.BytesIO()
        rows = rows or [white]
        Image.fromarray(np.concatenate(rows)).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()

    def scripts(
        self,
        spectrograms: Iterable[Spectrogram],
        gap_factor: float,
        reductions: Reductions | None = None,
    ) -> dict[str, bytes]:
        """Return the scripts, as endings of file names → contents.

        They hold the descriptions of the figures and the values of the spectrograms, with the
        edges that records have in the figures (`plot.gap_factor`). `reductions` as for `values_of`.
        """
        values = {
            spectrogram.instrument: values_of(spectrogram, gap_factor, reductions)
            for spectrogram in spectrograms
        }
        return scripts_of(self._descriptions, values)


def scripts_of(
    descriptions: Mapping[str, dict[str, Any]], values: Mapping[str, Values]
) -> dict[str, bytes]:
    """Distribute values over scripts, so that none is much larger than a megabyte.

    Returns endings of file names → contents.
    """
    heads: dict[str, dict[str, Any]] = {}
    held: list[dict[str, str]] = [{}]
    size = 0
    for instrument, encoded in values.items():
        parts = []
        for number, part in enumerate(encoded.parts):
            if size > _SCRIPT_BYTES:
                held.append({})
                size = 0
            held[-1][f"{instrument}/{number}"] = part.data
            size += len(part.data)
            parts.append(part.head | {"script": _end_of(len(held) - 1) or 0})
        heads[instrument] = encoded.head | {"parts": parts}
    item = {"figures": descriptions, "spectrograms": heads}
    files = {SCRIPT: call("item", item, held[0])}
    for number, data in enumerate(held[1:], 1):
        files[f"{_end_of(number)}{SCRIPT}"] = call("part", data)
    return files


def _end_of(number: int) -> str:
    """The end of the name of a script of an item, as no other item can have it."""
    return f"~{number}" if number else ""
