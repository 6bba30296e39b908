"""What stands below the last row of a column: times, dates, and where the spacecraft was."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.content import Style
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.palette import BLANK
from spectro_mpi.draw.positions import draw_positions, names_shown
from spectro_mpi.draw.reuse import Reductions
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.times import Window, write_times
from spectro_mpi.model.spectrogram import Spectrogram

_KEPT = 8
"""Pictures kept: the columns of the figures of an item."""


@dataclass(frozen=True)
class _Picture:
    of: tuple[weakref.ref[Spectrogram], ...]
    image: NDArray[np.uint8]
    stamped: tuple[Box, ...]

    def shows(self, spectrograms: Sequence[Spectrogram]) -> bool:
        return all(ref() is one for ref, one in zip(self.of, spectrograms, strict=True))


class Below:
    """Writes it, and keeps the last pictures: figures of an item share them, whatever their limits.

    Holds only weak references to spectrograms. With `keeps` false it keeps none: canvases of
    vector figures have no pixels.
    """

    def __init__(self, reductions: Reductions, keeps: bool) -> None:
        self._reductions = reductions
        self._keeps = keeps
        self._kept: OrderedDict[Hashable, _Picture] = OrderedDict()

    def draw(
        self,
        canvas: Canvas,
        layout: Layout,
        lettering: Lettering,
        column: int,
        window: Window,
        spectrograms: Sequence[Spectrogram],
        style: Style,
    ) -> None:
        """Write what stands below a column."""
        if not self._keeps:
            self._write(canvas, layout, lettering, column, window, spectrograms, style)
            return
        box = layout.boxes[column][-1]
        left = column * layout.column_width
        area = Box(left, box.bottom, left + layout.column_width, layout.height)
        place = (area, box.left, box.right, layout.left, layout.right, layout.unit)
        key = (place, window, style, tuple(map(id, spectrograms)))
        part = canvas.image[area.top :, area.left : area.right]
        kept = self._kept.get(key)
        if kept is not None and kept.shows(spectrograms):
            canvas.stamped += kept.stamped
        else:
            before, others = part.copy(), len(canvas.stamped)
            part.fill(BLANK)
            self._write(canvas, layout, lettering, column, window, spectrograms, style)
            stamped = tuple(canvas.stamped[others:])
            kept = _Picture(tuple(map(weakref.ref, spectrograms)), part.copy(), stamped)
            part[:] = before
            if all(area.left <= at.left and at.right <= area.right for at in stamped):
                self._kept[key] = kept
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        # Text is blended with what it is written on by the maximum, and so is a picture of it.
        np.maximum(part, kept.image, out=part)

    def _write(
        self,
        canvas: Canvas,
        layout: Layout,
        lettering: Lettering,
        column: int,
        window: Window,
        spectrograms: Sequence[Spectrogram],
        style: Style,
    ) -> None:
        write_times(canvas, layout, lettering, column, window)
        names = names_shown(spectrograms, style.ephemeris)
        if names:
            shown = [(one, self._reductions.records(one, style.gap_factor)) for one in spectrograms]
            draw_positions(canvas, layout, lettering, column, window, shown, names)
