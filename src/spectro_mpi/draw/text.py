"""Text: matplotlib draws a string once; its `Stamp` is copied wherever the string appears."""

from __future__ import annotations

import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import RendererAgg, get_hinting_flag
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray

from spectro_mpi.draw.palette import BLACK

_STAMPS = 2048
"""Limit of cached stamps; a stamp takes a few kilobytes at 200 dpi."""
_STAMP_BYTES = 32 << 20
_PIECES = re.compile(r"[0-9:]| +|[^0-9: ]+")
"""Words and spaces; digits one by one, because numbers are seldom the same and have no kerning."""
_KEPT_PIECES = 4096
"""Limit of cached pieces, of one or two kilobytes."""
_LEAST_SHRINK = 0.6
"""Smallest factor by which text is shrunk to fit; longer text is then cut."""
_LONGEST_TEXT = 500
ELLIPSIS = "…"
"""Ends text that is cut."""
_DPI = 72  # One point is one pixel.

FONT = str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
DIGIT_HEIGHT = 0.73
"""Height of digits and capitals, as a fraction of the font size."""


@dataclass(frozen=True)
class Stamp:
    """The image of a string."""

    ink: NDArray[np.uint8]
    """(row, column) darkness from 0 to BLACK, cropped to the part that is not blank."""
    rise: int
    """Rows from the top of `ink` down to the base line."""
    text: str = ""
    """What it shows; mathtext if `math`."""
    size: float = 0.0
    """Font size in pixels."""
    math: bool = False
    upward_base: int | None = None
    """Of text that reads upward: columns from the left of `ink` to the base line."""

    @property
    def width(self) -> int:
        return int(self.ink.shape[1])

    @property
    def height(self) -> int:
        return int(self.ink.shape[0])


@dataclass(frozen=True)
class _Piece:
    """The image of a piece of text, and where the next one begins."""

    alpha: NDArray[np.uint8]
    """(row, column)"""
    left: int
    """Columns from the point where the piece begins to the left edge of `alpha`."""
    rise: int
    """Rows from the top of `alpha` down to the base line."""
    advance: float
    """Pixels from there to the point where the next piece begins."""


class Lettering:
    """Makes stamps and caches the most recently used, and the pieces that they consist of."""

    def __init__(self) -> None:
        self.least = 0.0
        """Font size in pixels below which text is cut rather than shrunk."""
        self._kept: OrderedDict[tuple[str, float, bool], Stamp] = OrderedDict()
        self._bytes = 0
        self._piece = lru_cache(_KEPT_PIECES)(_piece)

    def stamp(self, text: str, size: float, math: bool = False) -> Stamp:
        """Return the stamp of `text` at a font size in pixels; with `math`, `text` is mathtext."""
        key = (text, round(size, 2), math)
        stamp = self._kept.get(key)
        if stamp is None:
            stamp = replace(self._draw(*key), text=text, size=key[1], math=math)
            self._kept[key] = stamp
            self._bytes += stamp.ink.nbytes
            while len(self._kept) > _STAMPS or (self._bytes > _STAMP_BYTES and len(self._kept) > 1):
                self._bytes -= self._kept.popitem(last=False)[1].ink.nbytes
        else:
            self._kept.move_to_end(key)
        return stamp

    def fit(self, text: str, size: float, room: float) -> Stamp:
        """Return a stamp at most `room` pixels wide: shrunk, then cut with "…", if necessary."""
        text = printable(text)
        stamp = self.stamp(text, size)
        least = max(_LEAST_SHRINK * size, min(size, self.least))
        while stamp.width > room and size > least:  # Widths follow sizes only roughly.
            size = max(least, size * 0.98 * room / stamp.width)
            stamp = self.stamp(text, size)
        while stamp.width > room and text:
            text = text[: min(len(text) - 1, int(len(text) * room / stamp.width))].rstrip()
            stamp = self.stamp(text + ELLIPSIS if text else "", size)
        return stamp

    def _draw(self, text: str, size: float, math_text: bool) -> Stamp:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A character missing from the font is drawn as a box.
            if math_text or not hasattr(FT2Font, "draw_glyphs_to_bitmap"):
                alpha, base = _by_agg(text, FontProperties(fname=FONT, size=size), math_text)
            else:
                alpha, base = _set([self._piece(piece, size) for piece in _PIECES.findall(text)])
        ink = ((alpha.astype(np.uint16) * BLACK + 127) // 255).astype(np.uint8)
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        if not len(rows):
            return Stamp(np.zeros((0, 0), np.uint8), 0)
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
        return Stamp(ink, base - int(rows[0]))


def _piece(text: str, size: float) -> _Piece:
    """Draw a piece of text as `RendererAgg.draw_text` did up to matplotlib 3.10."""
    font: Any = get_font(FONT)
    hinting: Any = get_hinting_flag
    font.clear()
    font.set_size(size, _DPI)
    places = font.set_text(f"{text} ", 0.0, flags=hinting())
    font.draw_glyphs_to_bitmap(antialiased=True)
    _, height = font.get_width_height()
    left, _ = font.get_bitmap_offset()
    rise = (height - font.get_descent()) // 64 + 1
    return _Piece(np.array(font.get_image()), left // 64, rise, float(places[-1][0]) / 64)


def _set(pieces: Sequence[_Piece]) -> tuple[NDArray[np.uint8], int]:
    """Set pieces of text side by side: their alpha, (row, column), and the row of the base line.

    FreeType takes 10 µs a letter, and most pieces have been seen before.
    """
    begin, lefts = 0.0, []
    for piece in pieces:
        lefts.append(round(begin) + piece.left)
        begin += piece.advance
    first, base = min(lefts, default=0), max((piece.rise for piece in pieces), default=0)
    ends = (left + piece.alpha.shape[1] for left, piece in zip(lefts, pieces, strict=True))
    below = max((len(piece.alpha) - piece.rise for piece in pieces), default=0)
    alpha = np.zeros((base + below, max(ends, default=0) - first), np.uint8)
    for left, piece in zip(lefts, pieces, strict=True):
        rows, columns = piece.alpha.shape
        top = base - piece.rise
        # The blank margins of two images may overlap.
        alpha[top : top + rows, left - first : left - first + columns] |= piece.alpha
    return alpha, base


def _by_agg(text: str, font: FontProperties, math_text: bool) -> tuple[NDArray[np.uint8], int]:
    """Return the alpha of text, (row, column), and the row of its base line."""
    agg: Any = RendererAgg
    measuring = agg(1, 1, _DPI)
    width, height, descent = measuring.get_text_width_height_descent(text, font, math_text)
    margin = math.ceil(font.get_size_in_points()) + 2
    base = margin + math.ceil(height - descent)
    renderer = agg(math.ceil(width) + 2 * margin, base + math.ceil(descent) + margin, _DPI)
    renderer.mathtext_parser = measuring.mathtext_parser  # which has parsed the text already
    if text:
        renderer.draw_text(renderer.new_gc(), margin, base, text, font, 0, math_text)
    return np.asarray(renderer.buffer_rgba())[:, :, 3], base


@lru_cache(maxsize=_STAMPS)
def printable(text: str) -> str:
    """Return text as one line; characters that cannot be printed become a space or "?"."""
    text = text[:_LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def upward(stamp: Stamp) -> Stamp:
    """Return the stamp turned by 90°, so that it reads upward."""
    ink = np.rot90(stamp.ink)
    return replace(stamp, ink=ink, rise=ink.shape[0], upward_base=stamp.rise)
