"""A canvas that records what is drawn on it: text stays text, lines and triangles are shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Bbox
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas, span_rows
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.lines import Points, thinned
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.raster import WHOLE_BOX, Painted, Reach
from spectro_mpi.draw.text import FONT, Lettering, Stamp

if TYPE_CHECKING:
    from matplotlib.backend_bases import RendererBase

DPI = 600
"""Pixels of the layout per inch; the finest resolution of panels."""
_POINT = DPI / 72
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER = re.compile(r"\^\{(-?\d+)\}")
_MATH = re.compile(r"\$\\mathdefault\{(.*)\}\$")

_Point = tuple[float, float]
_Draw = Callable[["RendererBase", "_Page"], None]


class VectorCanvas(Canvas):
    """Records shapes, in pixels of a layout at `DPI`, and gives them as a matplotlib figure."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(np.broadcast_to(np.uint8(0), (layout.height, layout.width)))
        self.letters: set[str] = set()
        """All letters written."""
        self._shapes: list[_Draw] = []

    def figure(self, rgb: NDArray[np.uint8]) -> Figure:
        """Return what was drawn as a figure; `rgb` (index, rgb) are the colours of the palette."""
        rows, columns = self.image.shape
        figure = Figure(figsize=(columns / DPI, rows / DPI), facecolor="white")
        figure.add_artist(_Drawing(self._shapes, _Page(rows, rgb)))
        return figure

    def fill(self, box: Box, index: int) -> None:
        """Record a filled box."""
        left, top, right, bottom = box
        self._polygon([(left, top), (right, top), (right, bottom), (left, bottom)], index)

    def panel(self, box: Box, painted: Painted) -> None:
        """Record the image of a panel, of any size, cut to its box."""
        self._image(box, painted.pixels, painted.reach)

    def paste(self, box: Box, image: NDArray[np.uint8]) -> None:
        """Record an image of any size."""
        self._image(box, image, WHOLE_BOX)

    def triangle(self, box: Box, is_upward: bool, width: int, index: int) -> None:
        """Record a triangle and the lines outside of its two sides."""
        tip, base = (box.top, box.bottom) if is_upward else (box.bottom, box.top)
        sign = -1 if is_upward else 1
        half, height = box.width / 2, float(box.height)
        middle = box.left + half
        slant = float(np.hypot(half, height)) * width
        # A line of the same width along both sides, cut at the base.
        outer = tip + sign * slant / half
        reach = slant / height
        self._polygon([(box.left - reach, base), (middle, outer), (box.right + reach, base)], BLACK)
        self._polygon([(box.left, base), (middle, tip), (box.right, base)], index)

    def columns(self, box: Box, columns: NDArray[np.intp], index: int) -> None:
        """Record neighbouring columns as one box."""
        for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            if len(part):
                left, right = box.left + int(part[0]), box.left + int(part[-1]) + 1
                self.fill(box._replace(left=left, right=right), index)

    def row_ticks(
        self, at: NDArray[np.float64], left: int, right: int, width: int, index: int
    ) -> None:
        """Record each line as a box."""
        for top in np.round(at - width / 2).astype(int).tolist():
            self.fill(Box(left, top, right, top + width), index)

    def column_ticks(
        self, at: NDArray[np.float64], top: int, bottom: int, width: int, index: int
    ) -> None:
        """Record each line as a box."""
        for left in np.round(at - width / 2).astype(int).tolist():
            self.fill(Box(left, top, left + width, bottom), index)

    def spans(
        self, box: Box, top: NDArray[np.float64], bottom: NDArray[np.float64], index: int
    ) -> None:
        """Record neighbouring columns with the same span as one box."""
        columns, first, stop = span_rows(box, top, bottom)
        ends = (np.diff(columns) != 1) | (np.diff(first) != 0) | (np.diff(stop) != 0)
        for part in np.split(np.arange(len(columns)), np.flatnonzero(ends) + 1):
            if len(part):
                left, right = box.left + columns[part[0]], box.left + columns[part[-1]] + 1
                begin, end = box.top + first[part[0]], box.top + stop[part[0]]
                self.fill(Box(int(left), int(begin), int(right), int(end)), index)

    def stroke(self, box: Box, points: Points, width: float, index: int) -> None:
        """Record a line or a band, cut to its box, as one shape for each of its pieces."""
        points = thinned(points, box.width).scaled(box.width, box.height)
        for piece in points.pieces:
            x, low, high = box.left + points.x[piece], points.low[piece], points.high[piece]
            corners = np.stack([x, box.top + low], axis=1)
            if not width:
                back = np.stack([x, box.top + high], axis=1)[::-1]
                corners = np.concatenate([corners, back, corners[:1]])
            self._line(box, Path(corners, closed=not width), width, index)

    def zero_line(self, box: Box, at: NDArray[np.float64], width: int, index: int) -> None:
        """Record it as a box."""
        self.row_ticks(at, box.left, box.right, width, index)

    def dashes(self, box: Box, dash: int, gap: int, index: int) -> None:
        """Record each dash as a box."""
        for top in range(box.top, box.bottom, dash + gap):
            self.fill(box._replace(top=top, bottom=min(top + dash, box.bottom)), index)

    def write(self, stamp: Stamp, x: float, base: float, align: float = 0.0) -> Box:
        """Record text; tick labels in mathtext become plain text with superscript digits."""
        rows, columns = self.image.shape
        left = min(max(0, round(x - align * stamp.width)), max(0, columns - stamp.width))
        top = min(max(0, round(base) - stamp.rise), max(0, rows - stamp.height))
        box = Box(left, top, left + stamp.width, top + stamp.height)
        self.stamped.append(box)
        if stamp.width:
            self._text(plain(stamp.text) if stamp.math else stamp.text, stamp, box)
        return box

    def _text(self, text: str, stamp: Stamp, box: Box) -> None:
        self.letters.update(text)
        bearing = _measured(text, stamp.size)[3]
        font = FontProperties(fname=FONT, size=stamp.size / _POINT)
        at, angle = (box.left - bearing, float(box.top + stamp.rise)), 0.0
        if stamp.upward_base is not None:
            at, angle = (float(box.left + stamp.upward_base), box.bottom + bearing), 90.0

        def draw(renderer: RendererBase, page: _Page) -> None:
            context: Any = renderer.new_gc()
            context.set_foreground(page.color(BLACK))
            x, y = page.transform(renderer).transform(at)
            renderer.draw_text(context, x, y, text, font, angle, False)
            context.restore()

        self._shapes.append(draw)

    def _polygon(self, corners: Sequence[_Point], index: int) -> None:
        path = Path(np.array([*corners, corners[0]]), closed=True)

        def draw(renderer: RendererBase, page: _Page) -> None:
            context: Any = renderer.new_gc()
            context.set_linewidth(0)
            context.set_antialiased(True)
            renderer.draw_path(context, path, page.transform(renderer, False), page.color(index))
            context.restore()

        self._shapes.append(draw)

    def _line(self, box: Box, path: Path, width: float, index: int) -> None:
        """Record a line `width` wide or, if that is 0, a filled shape; cut to a box."""

        def draw(renderer: RendererBase, page: _Page) -> None:
            context: Any = renderer.new_gc()
            upright = page.transform(renderer, False)
            cut = upright.transform([(box.left, box.bottom), (box.right, box.top)])
            context.set_clip_rectangle(Bbox(cut))
            context.set_antialiased(True)
            context.set_linewidth(width / _POINT)
            context.set_foreground(page.color(index))
            context.set_capstyle("round")
            context.set_joinstyle("round")
            renderer.draw_path(context, path, upright, None if width else page.color(index))
            context.restore()

        self._shapes.append(draw)

    def _image(self, box: Box, pixels: NDArray[np.uint8], reach: Reach) -> None:
        width, height = box.width, box.height
        corners = [
            (box.left + reach[0] * width, box.top + reach[3] * height),
            (box.left + reach[2] * width, box.top + reach[1] * height),
        ]

        def draw(renderer: RendererBase, page: _Page) -> None:
            context: Any = renderer.new_gc()
            upright = page.transform(renderer, False)
            cut = upright.transform([(box.left, box.bottom), (box.right, box.top)])
            context.set_clip_rectangle(Bbox(cut))
            (x, y), (right, top) = upright.transform(corners)
            image = page.rgba[pixels[::-1]].view(np.uint8).reshape(*pixels.shape, 4)
            renderer.draw_image(context, x, y, image, Affine2D().scale(right - x, top - y))
            context.restore()

        self._shapes.append(draw)


class _Page:
    """Colours of a figure, and where its pixels are for a renderer."""

    def __init__(self, rows: int, rgb: NDArray[np.uint8]) -> None:
        self._rgb = rgb
        self._rows = rows
        opaque = np.full((len(rgb), 1), 255, np.uint8)
        self.rgba = np.concatenate([rgb, opaque], axis=1).view(np.uint32)[:, 0]
        """(index,) the four bytes of each colour."""

    def color(self, index: int) -> tuple[float, float, float]:
        """The colour of a palette index."""
        red, green, blue = (float(part) / 255 for part in self._rgb[index])
        return red, green, blue

    def transform(self, renderer: RendererBase, may_flip: bool = True) -> Affine2D:
        """From pixels to the units of a renderer; its y axis points upward unless it flips text."""
        points: Any = renderer.points_to_pixels(1)
        unit = points / _POINT
        if may_flip and renderer.flipy():
            return Affine2D().scale(unit, unit)
        return Affine2D().scale(unit, -unit).translate(0, self._rows * unit)


class _Drawing(Artist):
    """Draws recorded shapes with any renderer."""

    def __init__(self, shapes: Sequence[_Draw], page: _Page) -> None:
        super().__init__()
        self._shapes, self._page = shapes, page

    def draw(self, renderer: RendererBase) -> None:
        for shape in self._shapes:
            shape(renderer, self._page)


class Outlines(Lettering):
    """Measures text without drawing it: stamps have the size of the text, but no ink."""

    def _draw(self, text: str, size: float, math_text: bool) -> Stamp:
        width, height, descent, _ = _measured(plain(text) if math_text else text, size)
        return Stamp(np.broadcast_to(np.uint8(0), (height, width)), height - descent)


@lru_cache(maxsize=4096)
def _measured(text: str, size: float) -> tuple[int, int, int, float]:
    """Width, height and descent of text, and the distance of its ink from the pen, in pixels."""
    font: Any = get_font(FONT)
    font.clear()
    font.set_size(size, 72)
    font.set_text(text, 0.0)
    width, height = (round(length / 64) for length in font.get_width_height())
    return width, height, round(font.get_descent() / 64), font.get_bitmap_offset()[0] / 64


def plain(text: str) -> str:
    """Return the mathtext of a tick label as plain text: `2.5 × 10⁷`."""
    match = _MATH.fullmatch(text)
    inside = (match[1] if match else text).replace(r"\times", "×")
    return _POWER.sub(lambda power: power[1].translate(_SUPERSCRIPTS), inside)
