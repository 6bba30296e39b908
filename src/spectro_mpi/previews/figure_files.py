"""What a preview needs of a figure that is on disk already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.names import KEYWORD
from spectro_mpi.draw.thumbnail import thumbnail
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.system.regular import opened_regular

UNREADABLE_FIGURE = (
    *(OSError, ValueError, KeyError, TypeError, SyntaxError, IndexError, AttributeError),
    Image.DecompressionBombError,
)
"""Exceptions of `read_figure` for a file that is not a figure; `verify` reports it."""


def read_figure(path: Path) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return (description, thumbnail) of the figure in a PNG file.

    The thumbnail is (row, column, rgb), uint8. Raises one of `UNREADABLE_FIGURE`.
    """
    with opened_regular(path) as file, Image.open(file) as picture:
        picture.load()
        description = parsed_json(picture.info[KEYWORD])
        palette = np.zeros((256, 3), np.uint8)
        known = np.array(picture.getpalette(), np.uint8).reshape(-1, 3)
        palette[: len(known)] = known
        image = np.asarray(picture)
    panels = description["panels"]
    # Only the first column: zoom panels show the same rows again.
    boxes = [Box(*panel["box"]) for panel in panels if panel["box"][0] == panels[0]["box"][0]]
    return description, palette[thumbnail(image, boxes)]
