"""What the report shows of one item: its thumbnails in one picture, and a script with its values.

Written when the item's figures are drawn, by whoever draws them: the data is at hand there, and
to make it of 50,000 items afterwards would take hours.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.thumbnail import HEIGHT, WIDTH
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.previews.scripts import call
from spectro_mpi.previews.values import Values, values_of
from spectro_mpi.rundir.layout import SCRIPT, preview_path
from spectro_mpi.system.atomic import make_below, part_path

_QUALITY = 80
_SCRIPT_BYTES = 1 << 20
"""A script that is larger than this takes no more values: the others go into further scripts."""


def write_preview(run_dir: Path, month: str, item_id: str, files: Mapping[str, bytes]) -> None:
    """Put a preview's files, by the ends of their names, in their place. Raises `OSError`.

    Nothing is fsynced, for `report` can make them again.
    """
    for suffix, content in files.items():
        path = preview_path(run_dir, month, item_id, suffix)
        make_below(run_dir, path.parent)
        part_path(path).write_bytes(content)
        part_path(path).replace(path)


class Preview:
    """The preview of one item in the making."""

    def __init__(self, item_id: str) -> None:
        self._item_id = item_id
        self._thumbnails: dict[str, NDArray[np.uint8]] = {}
        self._descriptions: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, description: dict[str, Any], thumbnail: NDArray[np.uint8] | None
    ) -> None:
        """Take in one figure; `thumbnail` is (row, column, rgb)."""
        self._descriptions[name.removeprefix(self._item_id)] = description
        if thumbnail is not None:
            self._thumbnails[name] = thumbnail

    def sheet(self, names: Iterable[str]) -> bytes:
        """The thumbnails of `names`, one below the other, as JPEG; white where there is none."""
        from PIL import Image

        white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        rows = [self._thumbnails.get(name, white) for name in names]
        file = io.BytesIO()
        rows = rows or [white]
        Image.fromarray(np.concatenate(rows)).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()

    def scripts(self, spectrograms: Iterable[Spectrogram]) -> dict[str, bytes]:
        """Ends of names and contents of the scripts: what figures show, and the values there."""
        values = {one.instrument: values_of(one) for one in spectrograms}
        return scripts_of(self._descriptions, values)


def scripts_of(
    descriptions: Mapping[str, dict[str, Any]], values: Mapping[str, Values]
) -> dict[str, bytes]:
    """Spread values over scripts, so that none is much larger than a megabyte."""
    heads: dict[str, dict[str, Any]] = {}
    held: list[dict[str, str]] = [{}]
    size = 0
    for instrument, one in values.items():
        parts = []
        for number, part in enumerate(one.parts):
            if size > _SCRIPT_BYTES:
                held.append({})
                size = 0
            held[-1][f"{instrument}/{number}"] = part.data
            size += len(part.data)
            parts.append(part.head | {"script": len(held) - 1})
        heads[instrument] = one.head | {"parts": parts}
    item = {"figures": descriptions, "spectrograms": heads}
    files = {SCRIPT: call("item", item, held[0])}
    for number, data in enumerate(held[1:], 1):
        files[f"-{number}{SCRIPT}"] = call("part", data)
    return files
