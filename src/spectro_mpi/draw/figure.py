"""Figures: content and style → PNG bytes."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.events import draw_events, events_in, lines_needed
from spectro_mpi.draw.frame import ZOOM, Frame, FrameSpec, Row, draw_frame
from spectro_mpi.draw.frame_files import FrameFiles
from spectro_mpi.draw.layout import Box, Grid, Layout, layout_of
from spectro_mpi.draw.names import KEYWORD
from spectro_mpi.draw.palette import BLANK, marker_of, palette_of
from spectro_mpi.draw.png import encode_png
from spectro_mpi.draw.raster import paint
from spectro_mpi.draw.reuse import Reductions, has_values
from spectro_mpi.draw.scale import usable_scale
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.thumbnail import thumbnail
from spectro_mpi.draw.times import (
    Header,
    Window,
    draw_header,
    draw_time_axis,
    header_of,
    left_out_text,
)
from spectro_mpi.model.marks import Event
from spectro_mpi.system.activity import doing

__all__ = ["KEYWORD", "Event", "Figure", "FigureContent", "Painter", "Panel", "Style"]

_ZOOMED_EVENTS = 3
_FRAME_BYTES = 64 << 20
"""Size limit of the frames kept in memory: eleven of 2400 × 2400 pixels."""
_RC: Any = {
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

    def __init__(self, frames: FrameFiles | None = None, keep_frames: bool = False) -> None:
        """Read frames from the files `frames`; with `keep_frames`, write new frames there."""
        self._frame_files = frames
        self._keep_frames = keep_frames
        self._lettering = Lettering()
        self._reductions = Reductions()
        self._frames: OrderedDict[FrameSpec, Frame] = OrderedDict()
        self._sheet: NDArray[np.uint8] = np.empty((0, 0), np.uint8)

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
        small = palette_of(style.colormap).rgb[thumbnail(canvas.image, boxes)]
        return Figure(_encoded(canvas, description, style), description, small)

    def compose(self, content: FigureContent, style: Style) -> tuple[Canvas, dict[str, Any]]:
        """Draw a figure; return its canvas and its description.

        The canvas is reused: it is valid only until the next figure is drawn.
        """
        spectrograms = [panel.spectrogram for panel in content.panels]
        whole = self._reductions.window(spectrograms, style.gap_factor)
        events = events_in(whole, content.events)
        windows = [whole] if whole is None else [whole, *_zooms(events, style)]
        spec, header = self._plan(content, style, windows, events)
        layout = layout_of(spec.grid)
        canvas = self._canvas(spec, layout, keep=content.limits != "raw")
        draw_header(canvas, layout, self._lettering, header)
        panels = []
        for column, window in enumerate(windows):
            for panel, row, box in zip(
                content.panels, spec.rows, layout.boxes[column], strict=False
            ):
                note = self._draw_panel(canvas, layout, box, panel, row, window, style)
                entry = _panel_entry(row, box, window, style, note, zoom=column > 0)
                panels.append(entry | _origin(panel))
            if window is not None:
                draw_time_axis(canvas, layout, self._lettering, column, window)
                lines = spec.grid.event_lines
                draw_events(canvas, layout, self._lettering, column, window, events, lines)
        return canvas, _description(content, style, events, panels)

    def _composed(self, content: FigureContent, style: Style) -> tuple[Canvas, dict[str, Any]]:
        with mpl.rc_context(_RC):
            return self.compose(content, style)

    def _plan(
        self,
        content: FigureContent,
        style: Style,
        windows: Sequence[Window | None],
        events: tuple[Event, ...],
    ) -> tuple[FrameSpec, Header]:
        """Return the frame that a figure needs, and its header."""
        rows = tuple(
            Row(
                panel.label,
                usable_scale(content.scales[0], panel.limits.y_min, panel.limits.y_max),
                usable_scale(content.scales[1], panel.limits.z_min, panel.limits.z_max),
                panel.z_label,
                panel.y_label or style.y_label,
            )
            for panel in content.panels
        )
        columns, known = len(windows), [window for window in windows if window is not None]
        grid = Grid(style.dpi, style.panel_size, max(1, len(rows)), columns, 1, int(bool(events)))
        layout = layout_of(grid)
        event_lines = lines_needed(layout, self._lettering, known, events)
        room = layout.bars[-1][0].right - layout.boxes[0][0].left
        notes = (*content.notes, *self._left_out(content, style))
        header = header_of(self._lettering, content.title, windows[0], notes, room, layout.unit)
        grid = replace(grid, header_lines=len(header.lines), event_lines=event_lines)
        return FrameSpec(grid, style.colormap, rows), header

    def _left_out(self, content: FigureContent, style: Style) -> Iterator[str]:
        """Return a note for each group of records that are not drawn, by their times."""
        shown = {id(panel.spectrogram): panel.spectrogram for panel in content.panels}
        for spectrogram in shown.values():
            name = f"{spectrogram.instrument}: " if len(shown) > 1 else ""
            for times in self._reductions.records(spectrogram, style.gap_factor).stray:
                yield name + left_out_text(times)

    def _canvas(self, spec: FrameSpec, layout: Layout, keep: bool) -> Canvas:
        """Return a canvas with the frame on it; `keep` caches the frame for other figures."""
        if self._sheet.shape != (layout.height, layout.width):
            self._sheet = np.empty((layout.height, layout.width), np.uint8)
        canvas = Canvas(self._sheet)
        frame = self._frames.get(spec)
        if frame is None and keep and self._frame_files is not None:
            image = self._frame_files.get(spec)
            if image is not None:
                frame = self._frames[spec] = Frame(image, layout.boxes)
        if frame is not None:
            self._frames.move_to_end(spec)
            np.copyto(self._sheet, frame.image)
            return canvas
        self._sheet.fill(BLANK)
        frame = draw_frame(spec, canvas, self._lettering)
        if keep:
            if self._frame_files is not None and self._keep_frames:
                self._frame_files.put(spec, frame.image)
            self._frames[spec] = Frame(frame.image.copy(), frame.boxes)
            while sum(kept.image.nbytes for kept in self._frames.values()) > _FRAME_BYTES:
                self._frames.popitem(last=False)
        return canvas

    def _draw_panel(
        self,
        canvas: Canvas,
        layout: Layout,
        box: Box,
        panel: Panel,
        row: Row,
        window: Window | None,
        style: Style,
    ) -> str:
        """Paint the data of a panel; return the note written into it, empty if it shows data."""
        if window is None:
            note = "no valid data"
        else:
            reduced = self._reductions.reduced(
                panel.spectrogram, panel.category, window, box.width, style.gap_factor
            )
            bands, band_of_row = paint(
                reduced.cells,
                reduced.columns,
                box.height,
                row.y_scale,
                row.z_scale,
                palette_of(style.colormap).index,
            )
            canvas.image[box.top : box.bottom, box.left : box.right] = bands[band_of_row]
            if bands.any():
                return ""
            has_any = has_values(panel.spectrogram, panel.category)
            note = "no data within these axes" if has_any else "no valid data"
        stamp = self._lettering.fit(note, points.LABEL * layout.unit, box.width * 0.9)
        base = (box.top + box.bottom + stamp.height) / 2
        canvas.write(stamp, (box.left + box.right) / 2, base, align=0.5)
        return note


def _zooms(events: tuple[Event, ...], style: Style) -> list[Window]:
    """Return windows around the first events."""
    windows = []
    for event in events[:_ZOOMED_EVENTS]:
        half = max(style.zoom_minutes * 60, 1.5 * (event.end - event.start)) / 2
        middle = (event.start + event.end) / 2
        windows.append(Window(middle - half, middle + half))
    return windows


def _encoded(canvas: Canvas, description: dict[str, Any], style: Style) -> bytes:
    text = json.dumps(description, allow_nan=False)
    rgb = palette_of(style.colormap).rgb
    with doing("encode"):
        return encode_png(canvas.image, rgb, style.dpi, KEYWORD, text)


def _origin(panel: Panel) -> dict[str, str]:
    """Return the instrument and category of a panel, and the unit of its vertical axis."""
    spectrogram = panel.spectrogram
    return {
        "instrument": spectrogram.instrument,
        "category": spectrogram.category[panel.category],
        "y_units": spectrogram.legend.axis_units,
    }


def _panel_entry(
    row: Row, box: Box, window: Window | None, style: Style, note: str, zoom: bool
) -> dict[str, Any]:
    """Return what a program needs to read values off one panel."""
    entry = {
        "label": row.label + ZOOM * zoom,
        "box": list(box),
        "time": [window.begin, window.end] if window else [None, None],
        "energy": [row.y_scale.low, row.y_scale.high],
        "y_scale": row.y_scale.kind,
        "y_label": row.y_label,
        "z": [row.z_scale.low, row.z_scale.high],
        "z_scale": row.z_scale.kind,
        "z_label": row.z_label,
        "colormap": style.colormap,
    }
    return {**entry, "note": note} if note else entry


def _description(
    content: FigureContent, style: Style, events: tuple[Event, ...], panels: list[dict[str, Any]]
) -> dict[str, Any]:
    description = {
        "item": content.item,
        "kind": content.kind,
        "limits": content.limits,
        "sources": list(content.sources),
        "version": _version(),
        "panels": panels,
    }
    if events:
        # Pixels of these colours in a data area are lines at these times, not data.
        rgb = palette_of(style.colormap).rgb
        description["events"] = [
            {
                "start": event.start,
                "end": event.end,
                "label": event.label,
                "color": rgb[marker_of(event.number)].tolist(),
            }
            for event in events
        ]
    return description


@lru_cache(maxsize=1)
def _version() -> str:
    try:
        return installed_version("spectro-mpi")
    except PackageNotFoundError:
        return "unknown"
