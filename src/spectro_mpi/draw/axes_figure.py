"""Figures as matplotlib figures with axes, laid out as the PNG files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib import colormaps, dates
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.columns import Records
from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.events import open_ended
from spectro_mpi.draw.figure import ends_of
from spectro_mpi.draw.labels import fit_label
from spectro_mpi.draw.layout import Box, Layout, layout_of
from spectro_mpi.draw.line_axes import draw_line_axes
from spectro_mpi.draw.mesh import OFFSETS
from spectro_mpi.draw.palette import UNDER_COLOR, marker_of, palette_of
from spectro_mpi.draw.positions import MARGIN, lines_at, names_shown
from spectro_mpi.draw.raster import Painted
from spectro_mpi.draw.room import ZOOM, Row, lines_at_left, row_label, tick_room
from spectro_mpi.draw.text import Lettering, Stamp
from spectro_mpi.draw.ticks import is_circle, value_ticks
from spectro_mpi.draw.times import Window
from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.draw.vector_canvas import DPI
from spectro_mpi.model.marks import Event

__all__ = ["AxesPainter", "Figure"]

_SECONDS_PER_DAY = 86400.0
_ROW_LABEL_LINES = 4
_TIME_EMS = 4.5
"""Least distance between labels of times, in font sizes."""


class AxesPainter(VectorPainter):
    """Draws figures on matplotlib axes."""

    def on_axes(self, content: FigureContent, style: Style) -> Figure:
        """Return a figure with axes for each panel, then for each colour bar."""
        style = replace(style, dpi=DPI)
        windows, events = self._windows(content, style)
        events = open_ended(windows[0], events)
        grid, rows, header = self._plan(content, style, windows, events)
        layout = layout_of(grid)
        figure = Figure(figsize=(layout.width / DPI, layout.height / DPI))
        panels = []
        for column, window in enumerate(windows):
            zoom = ZOOM * (column > 0)
            beside: list[list[Stamp]] = [[] for _ in rows]
            if grid.labels_at_left:
                beside = lines_at_left(layout, rows, self._lettering, zoom)
            for place, (panel, row) in enumerate(zip(content.panels, rows, strict=True)):
                box = layout.boxes[column][place]
                painted = None
                ax = figure.add_axes(_part(box, layout))
                records_of = partial(self.reductions.records, gap_factor=style.gap_factor)
                if panel.is_line:
                    if window is not None:
                        draw_line_axes(ax, panel, row, window, records_of, layout, self._lettering)
                else:
                    painted = self._paint(panel, row, box, window, style)
                    _draw_panel(ax, row, window, painted, palette_of(style.colormap).rgb)
                    _draw_curves(ax, panel, records_of(panel.spectrogram))
                is_last = place == len(rows) - 1
                label = row.label + zoom
                _label(ax, label, row, layout, is_last, self._lettering, beside[place])
                if is_last:
                    self._locate(ax, content, style, layout, column)
                _mark(ax, window, events, palette_of(style.colormap).rgb, place == 0, layout)
                panels.append((row, painted, layout.bars[column][place]))
        for row, painted, bar in (each for each in panels if not each[0].is_line):
            _draw_bar(figure, row, painted, bar, layout, style.colormap, self._lettering)
        left = layout.boxes[0][0].left / layout.width if not layout.is_narrow else 0.02
        title = [" ".join(filter(None, (header.title[0], header.span))), *header.title[1:]]
        for number, line in enumerate([*title, *header.lines]):
            rows_down = (17 + number * points.NOTE_LINE) * layout.unit
            size = layout.title if number < len(title) else points.NOTE * layout.unit
            stamp = self._lettering.fit(line, size, (0.98 - left) * layout.width)
            at = left, 1 - rows_down / layout.height
            figure.text(*at, stamp.text, fontsize=stamp.size * 72 / DPI)
        return figure

    def _locate(
        self, ax: Axes, content: FigureContent, style: Style, layout: Layout, column: int
    ) -> None:
        """Put lines of labels of the ephemeris below the times of a column."""
        names = names_shown(content.spectrograms, style.ephemeris)
        if not names:
            return
        factor = style.gap_factor
        shown = [(each, self.reductions.records(each, factor)) for each in content.spectrograms]
        formatter = _Located(ax.xaxis.get_major_locator(), shown, names)
        ax.xaxis.set_major_formatter(formatter)
        left = column * layout.column_width + MARGIN * layout.unit
        titles = [line.title for line in lines_at(shown, names, np.empty(0))]
        below = _padding(ax)
        ax.annotate(
            "\n".join(["", *titles]),
            (left / layout.width, 0.0),
            (0, -below),
            xycoords=("figure fraction", "axes fraction"),
            textcoords="offset points",
            fontsize=_points(points.TICK_LABEL, layout),
            ha="left",
            va="top",
        )


class _Located(dates.ConciseDateFormatter):
    """Labels of times with those of the ephemeris below, also when a figure is zoomed."""

    def __init__(self, locator: Any, shown: Any, names: Sequence[str]) -> None:
        super().__init__(locator, offset_formats=OFFSETS)  # type: ignore[no-untyped-call]
        self._shown, self._names = shown, names

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """The labels of ticks at `values`, days since 1970."""
        times = np.asarray(values, np.float64) * _SECONDS_PER_DAY
        lines = lines_at(self._shown, self._names, times)
        labels = super().format_ticks(values)  # type: ignore[no-untyped-call]
        columns = zip(labels, *(line.labels for line in lines), strict=True)
        return ["\n".join(column) for column in columns]


def _padding(ax: Axes) -> float:
    """Distance of labels of times from the axis, points."""
    tick: Any = ax.xaxis.get_major_ticks(1)[0]
    return float(tick.get_tick_padding() + tick.get_pad())


def _part(box: Box, layout: Layout) -> tuple[float, float, float, float]:
    """A box as left, bottom, width and height, in parts of the figure."""
    width, height = layout.width, layout.height
    return (
        box.left / width,
        1 - box.bottom / height,
        box.width / width,
        box.height / height,
    )


def _points(size: float, layout: Layout) -> float:
    """A font size of the layout in points."""
    return size * layout.unit * 72 / DPI


def _draw_panel(
    ax: Axes, row: Row, window: Window | None, painted: Painted | None, rgb: NDArray[np.uint8]
) -> None:
    ax.set_yscale(row.y_scale.kind)
    if window is not None and painted is not None:
        left, top, right, bottom = painted.reach
        span = window.end - window.begin
        low, high = row.y_scale.value([1 - bottom, 1 - top])
        if row.y_scale.kind == "log":
            low, high = np.log10([low, high])
        # Rows of pixels are even on the axis, also a log one: the image is placed after its scale.
        ax.imshow(
            rgb[painted.pixels],
            extent=(
                (window.begin + left * span) / _SECONDS_PER_DAY,
                (window.begin + right * span) / _SECONDS_PER_DAY,
                float(low),
                float(high),
            ),
            aspect="auto",
            interpolation="nearest",
            transform=ax.transLimits + ax.transAxes,
        )
        ax.set_xlim(window.begin / _SECONDS_PER_DAY, window.end / _SECONDS_PER_DAY)
    ax.set_ylim(row.y_scale.low, row.y_scale.high)


def _draw_curves(ax: Axes, panel: Panel, records: Records) -> None:
    """Draw the lines over a panel, white with black borders."""
    days = records.centre / _SECONDS_PER_DAY
    for curve in panel.curves:
        style = "--" if curve.is_dashed else "-"
        for width, color in ((2.9, "black"), (1.3, "white")):
            values = curve.values[records.order]
            ax.plot(days, values, style, color=color, linewidth=width, scalex=False, scaley=False)


def _label(
    ax: Axes,
    label: str,
    row: Row,
    layout: Layout,
    is_last: bool,
    lettering: Lettering,
    beside: Sequence[Stamp],
) -> None:
    """Label the axes of a panel, at the left with `beside`; empty: with the label of the row above.

    Only the last row shows times.
    """
    untyped: Any = dates
    wide = layout.boxes[0][0].width / (points.TICK_LABEL * layout.unit)
    most = max(2, int(wide / _TIME_EMS))
    locator = untyped.AutoDateLocator(minticks=min(3, most), maxticks=most)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, offset_formats=OFFSETS))
    tick_size = _points(points.TICK_LABEL, layout)
    ax.tick_params(labelsize=tick_size, labelbottom=is_last)
    ax.xaxis.offsetText.set_fontsize(tick_size)
    ax.xaxis.offsetText.set_visible(is_last)
    if row.y_scale.kind == "symlog" or is_circle(row.y_scale):  # for which Matplotlib's are unfit
        room_of_ticks = tick_room(tick_size * DPI / 72, layout.boxes[0][0].height)
        ticks = value_ticks(row.y_scale, room_of_ticks)
        ax.set_yticks(ticks.major, ticks.labels)
        ax.set_yticks(ticks.minor, minor=True)
    size = points.LABEL * layout.unit
    room = layout.bars[0][0].right - layout.boxes[0][0].left
    if beside:
        text = "\n".join(stamp.text for stamp in beside)
        ax.set_ylabel(text, fontsize=beside[0].size * 72 / DPI)
        return
    lines = row_label(lettering, label, size, room, _ROW_LABEL_LINES)
    ax.set_title("\n".join(lines), loc="left", fontsize=_points(points.LABEL, layout), pad=4)
    text, font_size = _beside(lettering, row.y_label, layout, layout.left)
    ax.set_ylabel(text, fontsize=font_size)


def _beside(lettering: Lettering, label: str, layout: Layout, margin: float) -> tuple[str, float]:
    """The label of an axis, wrapped as in the PNG files, and its font size in points."""
    unit, height = layout.unit, layout.boxes[0][0].height + 2 * layout.label_reach
    depth = margin - layout.tick_reach - (points.VALUE_ROOM + points.LABEL_GAP) * unit
    stamps, size = fit_label(lettering, label, points.LABEL * unit, height, depth)
    return "\n".join(stamp.text for stamp in stamps), size * 72 / DPI


def _mark(
    ax: Axes,
    window: Window | None,
    events: tuple[Event, ...],
    rgb: NDArray[np.uint8],
    with_labels: bool,
    layout: Layout,
) -> None:
    """Draw lines at the ends of events in a window, and their labels in the first row."""
    for event in events:
        if window is None or event.end < window.begin or event.start > window.end:
            continue
        color = tuple(rgb[marker_of(event.number)] / 255)
        inside = [t for t in (event.start, event.end) if window.begin <= t <= window.end]
        for time in inside:
            ax.axvline(time / _SECONDS_PER_DAY, color=color, linestyle="--", linewidth=1.2)
        if with_labels:
            middle = (max(event.start, window.begin) + min(event.end, window.end)) / 2
            ax.annotate(
                event.label,
                (middle / _SECONDS_PER_DAY, 1.0),
                (0, -3),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                color=color,
                fontsize=_points(points.NOTE, layout),
                ha="center",
                va="top",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )


def _draw_bar(
    figure: Figure,
    row: Row,
    painted: Painted | None,
    bar: Box,
    layout: Layout,
    colormap: str,
    lettering: Lettering,
) -> None:
    scale = row.z_scale
    is_log = scale.kind == "log"
    norm = LogNorm(scale.low, scale.high) if is_log else Normalize(scale.low, scale.high)
    colors = colormaps[colormap]
    if is_log:
        colors = colors.with_extremes(under=UNDER_COLOR)
    drawn = figure.colorbar(
        ScalarMappable(norm, colors),
        cax=figure.add_axes(_part(bar, layout)),
        extend=ends_of(row, painted).extend,
    )
    drawn.ax.tick_params(labelsize=_points(points.TICK_LABEL, layout))
    margin = layout.right - (bar.right - layout.boxes[0][0].right) % layout.column_width
    text, size = _beside(lettering, row.z_label, layout, margin)
    drawn.set_label(text, fontsize=size)
