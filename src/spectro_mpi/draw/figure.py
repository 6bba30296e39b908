"""Figures: content and style → PNG bytes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.bars import Ends
from spectro_mpi.draw.below import Below
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.columns import columns_of, flagged_columns
from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.curves import draw_curves
from spectro_mpi.draw.description import axes_of, description_of, origin_of
from spectro_mpi.draw.events import draw_events, events_in, lines_needed, open_ended, within
from spectro_mpi.draw.frame import Frame, FrameSpec, draw_bars, draw_frame
from spectro_mpi.draw.frame_files import FrameFiles
from spectro_mpi.draw.from_event import draw_axis_from_event
from spectro_mpi.draw.from_event import span_text as span_from_event
from spectro_mpi.draw.layout import Box, Grid, Layout, layout_of
from spectro_mpi.draw.line_panels import draw_lines, line_scale
from spectro_mpi.draw.names import KEYWORD
from spectro_mpi.draw.palette import BLANK, FLAGGED, palette_of
from spectro_mpi.draw.png import encode_png
from spectro_mpi.draw.positions import names_shown
from spectro_mpi.draw.raster import Painted, overlaid, paint
from spectro_mpi.draw.reuse import Reduced, Reductions
from spectro_mpi.draw.room import ZOOM, Row, with_room
from spectro_mpi.draw.scale import usable_scale
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.thumbnail import thumbnail
from spectro_mpi.draw.times import (
    Header,
    Window,
    draw_header,
    draw_ticks,
    header_of,
    left_out_text,
    span_text,
    ticks_of,
)
from spectro_mpi.model.marks import Event
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.system.activity import doing
from spectro_mpi.system.words import count

__all__ = ["KEYWORD", "Event", "Figure", "FigureContent", "Painter", "Panel", "Style"]

_ZOOMED_EVENTS = 3
_FRAME_BYTES = 64 << 20
"""Size limit of the frames kept in memory: eleven of 2400 × 2400 pixels."""
_BARS = 48
"""Limit of the columns of colour bars kept in memory, each a tenth of a frame."""
_GRIDS = 64
"""Limit of grids of which it is kept how much room their labels need."""
RC: Any = {
    "text.hinting": "force_autohint",
    "text.antialiased": True,
    "mathtext.fontset": "dejavusans",
    "axes.formatter.use_locale": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
}
"""Every matplotlib setting that a user's matplotlibrc could change in a figure."""


@dataclass(frozen=True)
class Figure:
    """A figure with its description and thumbnail, as the report page needs them."""

    png: bytes
    """The content of the PNG file."""
    description: dict[str, Any]
    """The content of the text chunk; see `Painter.draw`."""
    thumbnail: NDArray[np.uint8]
    """(row, column, rgb) the data areas, reduced in size."""


class Painter:
    """Draws figures and caches what later figures can reuse: text, frames, reductions."""

    _keeps_pictures = True
    """Whether frames and colour bars are images, of which copies are kept."""

    def __init__(self, frames: FrameFiles | None = None, keep_frames: bool = False) -> None:
        """Read frames from the files `frames`; with `keep_frames`, write new frames there."""
        self._frame_files = frames
        self._keep_frames = keep_frames
        self._lettering = Lettering()
        self.reductions = Reductions()
        """Records and sums of the spectrograms of the last figures."""
        self._below = Below(self.reductions, self._keeps_pictures)
        self._frames: OrderedDict[FrameSpec, Frame] = OrderedDict()
        self._roomy: OrderedDict[FrameSpec, Grid] = OrderedDict()
        self._kept_bars: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()
        self._sheet: NDArray[np.uint8] = np.empty(0, np.uint8)

    def draw(self, content: FigureContent, style: Style) -> bytes:
        """Draw a figure and return the bytes of a PNG file.

        The text chunk `spectro-mpi` of the file is JSON; it holds the position of each panel's
        data area, in pixels, and the limits of its axes. A panel whose data cannot be drawn is
        blank, with a note.
        """
        return _encoded(*self._composed(content, style), style)

    def figure(self, content: FigureContent, style: Style) -> Figure:
        """Draw a figure, as `draw` does, and return it with its description and thumbnail."""
        canvas, description = self._composed(content, style)
        boxes = [Box(*panel["box"]) for panel in description["panels"][: len(content.panels)]]
        small = np.take(palette_of(style.colormap).rgb, thumbnail(canvas.image, boxes), axis=0)
        return Figure(_encoded(canvas, description, style), description, small)

    def text_points(self, content: FigureContent, style: Style) -> float:
        """Font size of the tick labels of a figure, rounded to 0.01 points."""
        windows, events = self._windows(content, style)
        layout = layout_of(self._plan(content, style, windows, events)[0])
        return round(points.TICK_LABEL * layout.unit * 72 / style.dpi, 2)

    def compose(self, content: FigureContent, style: Style) -> tuple[Canvas, dict[str, Any]]:
        """Draw a figure; return its canvas and its description.

        The canvas is reused: it is valid only until the next figure is drawn.
        """
        windows, events = self._windows(content, style)
        drawn = open_ended(windows[0], events)
        grid, rows, header = self._plan(content, style, windows, drawn)
        layout = layout_of(grid)
        pixels = [
            [
                None if panel.is_line else self._paint(panel, row, box, window, style)
                for panel, row, box in zip(content.panels, rows, boxes, strict=False)
            ]
            for window, boxes in zip(windows, layout.boxes, strict=True)
        ]
        ends = tuple(
            tuple(ends_of(row, painted) for row, painted in zip(rows, column, strict=True))
            for column in pixels
        )
        spec = FrameSpec(grid, rows)
        keep = self._keeps_pictures and content.limits != "raw"
        canvas = self._frame(spec, layout, keep)
        for column, of_column in enumerate(ends):
            self._bars(canvas, spec, column, of_column, style.colormap, keep)
        draw_header(canvas, layout, self._lettering, header)
        panels = []
        for column, window in enumerate(windows):
            for place, panel in enumerate(content.panels):
                box = layout.boxes[column][place]
                row = rows[place]
                note = self._fill(
                    canvas, layout, box, panel, row, pixels[column][place], window, style
                )
                entry = {
                    "label": row.label + ZOOM * (column > 0),
                    "box": list(box),
                    "time": [window.begin, window.end] if window else [None, None],
                    **axes_of(row, style, ends[column][place], note),
                }
                if window is not None:
                    self._draw_curves(canvas, layout, box, panel, row, window, style)
                    flagged = self._mark_flagged(canvas, layout, box, panel, window, style)
                    if flagged:
                        self._count_flagged(canvas, layout, box, entry["label"], flagged)
                        entry["flagged"] = flagged
                panels.append(entry | origin_of(panel))
            if window is not None:
                self._draw_times(canvas, layout, column, window, content, style)
                lines = spec.grid.event_lines
                draw_events(canvas, layout, self._lettering, column, window, drawn, lines)
        notes = [*content.notes, *self._left_out(content, style)]
        described = description_of(content, style, events, panels)
        described |= {"notes": notes} if notes else {}
        return canvas, described | dict(content.about)

    def _windows(
        self, content: FigureContent, style: Style
    ) -> tuple[list[Window | None], tuple[Event, ...]]:
        """Return the time spans of the columns, and the events inside the first."""
        whole = self.reductions.window(content.spectrograms, style.gap_factor)
        if content.span is not None:
            whole = Window(*content.span)
        events = events_in(whole, content.events)
        if whole is None or not style.has_zooms:
            return [whole], events
        return [whole, *_zooms(whole, events, style)], events

    def _composed(self, content: FigureContent, style: Style) -> tuple[Canvas, dict[str, Any]]:
        with _own_rc():
            return self.compose(content, style)

    def _plan(
        self,
        content: FigureContent,
        style: Style,
        windows: Sequence[Window | None],
        events: tuple[Event, ...],
    ) -> tuple[Grid, tuple[Row, ...], Header]:
        """Return the grid of a figure, its rows and its header."""
        rows = tuple(_row(panel, content.scales) for panel in content.panels)
        columns, known = len(windows), [window for window in windows if window is not None]
        grid = Grid(
            style.dpi,
            style.panel_size,
            max(1, len(rows)),
            columns,
            header_lines=1,
            event_lines=int(bool(events)),
            text_scale=style.text_scale,
            keeps_height=style.keeps_height,
            labels_at_left=style.labels_at_left,
            position_lines=len(names_shown(content.spectrograms, style.ephemeris)),
        )
        notes = (*content.notes, *self._left_out(content, style))
        span = (span_from_event if content.time_label else span_text)(windows[0])
        for _ in range(2):
            layout = layout_of(grid)
            self._lettering.least = layout.least
            event_lines = lines_needed(layout, self._lettering, known, events)
            header = header_of(self._lettering, content.title, span, notes, layout)
            grid = replace(grid, header_lines=header.line_count, event_lines=event_lines)
            roomy = self._with_room(grid, rows)
            if roomy == grid:
                break
            grid = roomy  # with other margins, the header may need other lines
        return grid, rows, header

    def _with_room(self, grid: Grid, rows: tuple[Row, ...]) -> Grid:
        spec = FrameSpec(grid, rows)
        roomy = self._roomy.get(spec)
        if roomy is None:
            self._lettering.least = layout_of(grid).least
            roomy = self._roomy[spec] = with_room(grid, rows, self._lettering)
            while len(self._roomy) > _GRIDS:
                self._roomy.popitem(last=False)
        return roomy

    def _left_out(self, content: FigureContent, style: Style) -> Iterator[str]:
        """Return a note for each group of records that are not drawn, by their times."""
        for spectrogram in content.spectrograms:
            name = f"{spectrogram.instrument}: " if len(content.spectrograms) > 1 else ""
            for times in self.reductions.records(spectrogram, style.gap_factor).stray:
                yield name + left_out_text(times)

    def _frame(self, spec: FrameSpec, layout: Layout, keep: bool) -> Canvas:
        """Return a canvas with the frame on it; `keep` caches the frame for other figures."""
        size = layout.height * layout.width
        if len(self._sheet) < size:
            self._sheet = np.empty(size, np.uint8)
        # One array for figures of all sizes: fresh memory takes longer than what is drawn into it.
        image = self._sheet[:size].reshape(layout.height, layout.width)
        canvas = Canvas(image)
        frame = self._frames.get(spec)
        if frame is None and keep and self._frame_files is not None:
            mapped = self._frame_files.get(spec)
            if mapped is not None:
                frame = self._frames[spec] = Frame(mapped, layout.boxes)
        if frame is not None:
            self._frames.move_to_end(spec)
            np.copyto(image, frame.image)
            return canvas
        image.fill(BLANK)
        frame = draw_frame(spec, canvas, self._lettering)
        if keep:
            if self._frame_files is not None and self._keep_frames:
                self._frame_files.put(spec, frame.image)
            self._frames[spec] = Frame(frame.image.copy(), frame.boxes)
            while sum(kept.image.nbytes for kept in self._frames.values()) > _FRAME_BYTES:
                self._frames.popitem(last=False)
        return canvas

    def _bars(
        self,
        canvas: Canvas,
        spec: FrameSpec,
        column: int,
        ends: tuple[Ends, ...],
        colormap: str,
        keep: bool,
    ) -> None:
        """Draw the colour bars of a column; `keep` caches their picture for other figures."""
        layout = layout_of(spec.grid)
        left = layout.boxes[column][0].right + layout.pixels(points.LINE)
        part = canvas.image[:, left : (column + 1) * layout.column_width]
        key = (spec, column, ends, colormap)
        kept = self._kept_bars.get(key)
        if kept is not None:
            self._kept_bars.move_to_end(key)
            part[:] = kept
            return
        before = len(canvas.stamped)
        draw_bars(spec, column, ends, palette_of(colormap).index, canvas, self._lettering)
        if keep and all(box.left >= left for box in canvas.stamped[before:]):
            self._kept_bars[key] = part.copy()
            while len(self._kept_bars) > _BARS:
                self._kept_bars.popitem(last=False)

    def _paint(
        self, panel: Panel, row: Row, box: Box, window: Window | None, style: Style
    ) -> Painted | None:
        """Compute the pixels of a panel; None if there are no times."""
        if window is None:
            return None
        index = palette_of(style.colormap).index
        layers = []
        for spectrogram, category in panel.layers:
            reduced = self._reduced(spectrogram, category, box, window, style)
            layers.append(
                paint(reduced.cells, reduced.columns, box.height, row.y_scale, row.z_scale, index)
            )
        return overlaid(layers)

    def _reduced(
        self, spectrogram: Spectrogram, category: int, box: Box, window: Window, style: Style
    ) -> Reduced:
        return self.reductions.reduced(spectrogram, category, window, box.width, style.gap_factor)

    def _fill(
        self,
        canvas: Canvas,
        layout: Layout,
        box: Box,
        panel: Panel,
        row: Row,
        painted: Painted | None,
        window: Window | None,
        style: Style,
    ) -> str:
        """Put the data of a panel on the canvas; return the note written into it, if any."""
        note = "no valid data"
        if window is not None and panel.is_line:
            records_of = partial(self.reductions.records, gap_factor=style.gap_factor)
            if draw_lines(canvas, layout, box, panel, row, window, records_of):
                return ""
        elif painted is not None:
            canvas.panel(box, painted)
            if painted.bands.any():
                return ""
            if any(each.has_values[category].any() for each, category in panel.layers):
                note = "no data within these axes"
        stamp = self._lettering.fit(note, points.LABEL * layout.unit, box.width * 0.9)
        base = (box.top + box.bottom + stamp.height) / 2
        canvas.write(stamp, (box.left + box.right) / 2, base, align=0.5)
        return note

    def _mark_flagged(
        self,
        canvas: Canvas,
        layout: Layout,
        box: Box,
        panel: Panel,
        window: Window,
        style: Style,
    ) -> int:
        """Draw the strip above a panel that marks flagged records; return their number.

        Records without a value in the panel are not marked.
        """
        total = 0
        for spectrogram, category in panel.layers:
            if not spectrogram.quality.any():
                continue
            quality = spectrogram.quality * spectrogram.has_values[category]
            records = self.reductions.records(spectrogram, style.gap_factor)
            columns = self._reduced(spectrogram, category, box, window, style).columns
            marked = np.flatnonzero(flagged_columns(quality, records, columns))
            bottom = box.top - layout.pixels(points.LINE)
            top = max(0, bottom - layout.pixels(points.STRIP))
            canvas.columns(box._replace(top=top, bottom=bottom), marked, FLAGGED)
            first, stop = np.searchsorted(records.centre, [window.begin, window.end])
            total += int((quality[records.order[first:stop]] > 0).sum())
        return total

    def _draw_curves(
        self,
        canvas: Canvas,
        layout: Layout,
        box: Box,
        panel: Panel,
        row: Row,
        window: Window,
        style: Style,
    ) -> None:
        """Draw the lines over a panel."""
        if panel.curves:
            records = self.reductions.records(panel.spectrogram, style.gap_factor)
            columns = columns_of(records, window.begin, window.end, box.width)
            draw_curves(canvas, layout, box, panel.curves, row.y_scale, records, columns)

    def _draw_times(
        self,
        canvas: Canvas,
        layout: Layout,
        column: int,
        window: Window,
        content: FigureContent,
        style: Style,
    ) -> None:
        """Draw the time axis of a column, and what stands below it."""
        if content.time_label:
            label = content.time_label
            draw_axis_from_event(canvas, layout, self._lettering, column, window, label)
            return
        draw_ticks(canvas, layout, column, window, ticks_of(layout, column, window))
        self._below.draw(
            canvas, layout, self._lettering, column, window, content.spectrograms, style
        )

    def _count_flagged(
        self, canvas: Canvas, layout: Layout, box: Box, label: str, flagged: int
    ) -> None:
        """Write the number of flagged records at the right of a row's label, if there is room."""
        unit = layout.unit
        if layout.row_gap < points.ABOVE:  # the label is elsewhere
            return
        taken = self._lettering.stamp(label, points.LABEL * unit).width + points.LABEL * unit
        stamp = self._lettering.stamp(count(flagged, "flagged record"), points.NOTE * unit)
        if taken + stamp.width <= box.width:
            canvas.write(stamp, box.right, box.top - points.ROW_LABEL * unit, align=1.0)


@contextmanager
def _own_rc() -> Iterator[None]:
    """Let `RC` hold; `mpl.rc_context` copies all settings, which takes 1 ms a figure."""
    others = {name: mpl.rcParams[name] for name in RC}
    mpl.rcParams.update(RC)
    try:
        yield
    finally:
        mpl.rcParams.update(others)


def _row(panel: Panel, pair: tuple[str, str]) -> Row:
    """Return label and axes of a panel in a figure of a pair of scales."""
    scales = drawn_scales(panel.spectrogram.legend, pair)
    if panel.is_line:
        scale = line_scale(scales[0], panel.limits)
        return Row(panel.label, scale, scale, "", panel.y_label, True, panel.names)
    return Row(
        panel.label,
        usable_scale(scales[0], panel.limits.y_min, panel.limits.y_max),
        usable_scale(scales[1], panel.limits.z_min, panel.limits.z_max),
        panel.z_label,
        panel.y_label,
    )


def ends_of(row: Row, painted: Painted | None) -> Ends:
    """Return the pointed ends of a panel's colour bar: always the lower one of a log scale."""
    if row.is_line:
        return Ends(False, False)
    below, above = (painted.below, painted.above) if painted else (False, False)
    return Ends(low=below or row.z_scale.kind == "log", high=above)


def _zooms(whole: Window, events: tuple[Event, ...], style: Style) -> list[Window]:
    """Return windows around the first events, as far as they lie in the whole time span."""
    windows = []
    for event in events[:_ZOOMED_EVENTS]:
        start, end = within(whole, event)
        half = max(style.zoom_minutes * 60, 1.5 * (end - start)) / 2
        middle = (start + end) / 2
        windows.append(Window(middle - half, middle + half))
    return windows


def _encoded(canvas: Canvas, description: dict[str, Any], style: Style) -> bytes:
    text = json.dumps(description, allow_nan=False)
    rgb = palette_of(style.colormap).rgb
    with doing("encode"):
        return encode_png(canvas.image, rgb, style.dpi, KEYWORD, text)
