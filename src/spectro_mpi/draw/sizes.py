"""Sizes of figures for journals and slides, and sizes as users write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_INCHES = {"": 1.0, "in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*[x×,]\s*(\d+(?:\.\d*)?|\.\d+)\s*(in|cm|mm|)")
LEAST, LARGEST = 0.5, 100.0
"""Sides of a figure, inches."""


@dataclass(frozen=True)
class Preset:
    """The size of figures for one purpose; docs/drawing.md has the sources."""

    width: float
    """Inches."""
    row_height: float
    """Of each row of panels, inches."""
    base_height: float
    """Of what is above and below the rows, inches."""
    height: float | None
    """Of the whole figure, inches; None: by its rows."""
    text_scale: float
    """As `plot.text_scale`."""
    dpi: int
    """Of PNG files."""

    def height_of(self, rows: int) -> float:
        """Height of a figure of some rows, inches."""
        return self.height or self.base_height + self.row_height * max(1, rows)


PRESETS = {
    "single-column": Preset(3.4, 1.1, 0.6, None, 1.0, 600),
    "double-column": Preset(7.0, 1.35, 0.6, None, 0.8, 600),
    "slides": Preset(40 / 3, 1.5, 0.0, 7.5, 1.6, 150),
}
"""Journals' columns, and slides of 16:9."""


def parse_size(word: str) -> tuple[float, float]:
    """Return width and height in inches of a size such as "3.4x5in" or "86x120mm".

    Raises `ValueError` with a sentence.
    """
    match = _SIZE.fullmatch(word.strip().lower())
    if match is None:
        raise ValueError(f"{word!r} is not a size such as 3.4x5in, 8.6x12cm or 86x120mm")
    width, height = (float(side) * _INCHES[match[3]] for side in match.groups()[:2])
    if not all(LEAST <= side <= LARGEST for side in (width, height)):
        raise ValueError(f"{word!r}: each side must be {LEAST:g} to {LARGEST:g} inches")
    return width, height
