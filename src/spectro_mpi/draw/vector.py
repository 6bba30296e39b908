"""Figures as PDF and SVG files: the content and layout of the PNG files, written by matplotlib."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.checksum import with_checksum
from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.figure import RC, Painter
from spectro_mpi.draw.frame import FrameSpec, draw_frame
from spectro_mpi.draw.layout import Box, Layout
from spectro_mpi.draw.palette import palette_of
from spectro_mpi.draw.raster import Painted, overlaid, paint
from spectro_mpi.draw.resolution import even_grid
from spectro_mpi.draw.room import Row
from spectro_mpi.draw.scale import Scale
from spectro_mpi.draw.text import FONT
from spectro_mpi.draw.times import Window
from spectro_mpi.draw.vector_canvas import DPI, Outlines, VectorCanvas
from spectro_mpi.inert import inert
from spectro_mpi.system.activity import doing

_TRUETYPE = 42


class VectorPainter(Painter):
    """Draws figures on a `VectorCanvas`, with panels at the resolution of their data."""

    _keeps_pictures = False

    def __init__(self) -> None:
        super().__init__()
        self._lettering = Outlines()

    def file(self, content: FigureContent, style: Style, file_format: str) -> bytes:
        """Draw a figure and return the bytes of a file, "pdf" or "svg"; equal input, equal bytes.

        Its metadata hold the title and, as the subject or description, the JSON that PNG files have
        in a text chunk (`Painter.draw`); its boxes are in units of 1/600 inch.
        """
        rc = {
            **RC,
            "pdf.fonttype": _TRUETYPE,
            "pdf.compression": 6,  # whatever a matplotlibrc says
            "svg.fonttype": "none",
            "svg.hashsalt": "figure",
        }
        with mpl.rc_context(rc):
            canvas, description = self.compose(content, replace(style, dpi=DPI))
            assert isinstance(canvas, VectorCanvas)
            with doing("encode"):
                figure = canvas.figure(palette_of(style.colormap).rgb)
                metadata = _metadata(file_format, content.title, description)
                file = io.BytesIO()
                figure.savefig(file, format=file_format, metadata=metadata)
                whole = file.getvalue()
                if file_format == "svg":
                    return with_checksum(_with_font(whole, canvas.letters))
                return whole

    def _frame(self, spec: FrameSpec, layout: Layout, keep: bool) -> Canvas:
        canvas = VectorCanvas(layout)
        draw_frame(spec, canvas, self._lettering)
        return canvas

    def _paint(
        self, panel: Panel, row: Row, box: Box, window: Window | None, style: Style
    ) -> Painted | None:
        if window is None:
            return None
        shown, gap = [spectrogram for spectrogram, _ in panel.layers], style.gap_factor
        records = [self.reductions.records(each, gap) for each in shown]
        tables = [table for each in shown for table in self.reductions.tables(each, gap)]
        times = np.concatenate([np.stack([each.start, each.end], axis=1) for each in records])
        begin, end, columns = even_grid(times, window.begin, window.end, box.width)
        scale = row.y_scale
        edges = [table.log_edges if scale.kind == "log" else table.edges for table in tables]
        places = scale.fraction(np.concatenate([np.empty((0, 2)), *edges]))
        low, high, rows = even_grid(places, 0.0, 1.0, box.height)
        if rows < box.height:
            scale = Scale(scale.kind, *map(float, scale.value([low, high])))
        index = palette_of(style.colormap).index
        layers = []
        for spectrogram, category in panel.layers:
            reduced = self.reductions.reduced(
                spectrogram, category, Window(begin, end), columns, gap
            )
            layers.append(paint(reduced.cells, reduced.columns, rows, scale, row.z_scale, index))
        painted = overlaid(layers)
        left, right = ((time - window.begin) / (window.end - window.begin) for time in (begin, end))
        return replace(painted, reach=(left, 1 - high, right, 1 - low))


def _metadata(file_format: str, title: str, description: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a file; without the time, so that equal figures are equal bytes."""
    text = json.dumps({**description, "dpi": DPI}, allow_nan=False)
    title = inert(title)  # XML has no control characters
    if file_format == "svg":
        return {"Title": title, "Description": text, "Date": None}
    return {"Title": title, "Subject": text, "CreationDate": None}


def _with_font(svg: bytes, letters: set[str]) -> bytes:
    """Return an SVG file with the font of its text in it, reduced to `letters`."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    font: Any = TTFont(FONT, recalcTimestamp=False)
    options = subset.Options()
    options.drop_tables = [*options.drop_tables, "FFTM"]  # only FontForge reads it
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(sorted(letters)))
    subsetter.subset(font)
    file = io.BytesIO()
    font.save(file)
    encoded = base64.b64encode(file.getvalue()).decode()
    face = f"@font-face{{font-family:'DejaVu Sans';src:url(data:font/ttf;base64,{encoded})}}"
    return svg.replace(b"<defs>", f"<defs>\n  <style>{face}</style>".encode(), 1)
