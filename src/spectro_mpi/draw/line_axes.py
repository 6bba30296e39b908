"""Lines against time on matplotlib axes, as in the PNG files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from spectro_mpi.draw import layout as points
from spectro_mpi.draw.columns import Records
from spectro_mpi.draw.content import Panel
from spectro_mpi.draw.layout import Layout
from spectro_mpi.draw.line_panels import WIDTH, shade_of, strokes_of
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.room import Row
from spectro_mpi.draw.text import Lettering
from spectro_mpi.draw.times import Window
from spectro_mpi.draw.vector_canvas import DPI
from spectro_mpi.model.spectrogram import Spectrogram

_SECONDS_PER_DAY = 86400.0
_BESIDE_NAMES = {"borderaxespad": 0.5, "borderpad": 0.2, "handlelength": 1.0, "handletextpad": 0.8}
"""What the names of lines have beside them, in font sizes: …"""
_BESIDE_NAMES_EMS = sum(_BESIDE_NAMES.values()) + _BESIDE_NAMES["borderpad"]
"""… all of it, with the right border."""


def draw_line_axes(
    ax: Axes,
    panel: Panel,
    row: Row,
    window: Window,
    records_of: Callable[[Spectrogram], Records],
    layout: Layout,
    lettering: Lettering,
) -> None:
    """Draw the lines of a panel with its axis; x is in days since 1970."""
    scale, span = row.y_scale, window.end - window.begin
    if scale.kind == "symlog":
        ax.set_yscale("symlog", linthresh=scale.threshold)
    else:
        ax.set_yscale(scale.kind)
    if scale.low < 0 < scale.high:
        ax.axhline(0.0, color=shade_of(BLACK // 2), linewidth=0.5)
    for stroke in strokes_of(panel, scale, window, records_of):
        days = (window.begin + stroke.points.x * span) / _SECONDS_PER_DAY
        low, high = (scale.value(1 - end) for end in (stroke.points.low, stroke.points.high))
        color = shade_of(stroke.shade)
        for piece in stroke.points.pieces:
            if stroke.is_band:
                ax.fill_between(days[piece], low[piece], high[piece], color=color, linewidth=0)
        if not stroke.is_band:
            breaks = np.flatnonzero(~stroke.points.is_joined) + 1
            ax.plot(
                np.insert(days, breaks, np.nan),
                np.insert(low, breaks, np.nan),
                color=color,
                linewidth=WIDTH * layout.unit * 72 / DPI,
            )
    if row.names:
        size = points.TICK_LABEL * layout.unit
        room = layout.right - _BESIDE_NAMES_EMS * size
        stamps = [lettering.fit(name, size, room) for name in row.names]
        ax.legend(
            ax.lines[: -len(row.names) - 1 : -1],  # the first one was drawn last
            [stamp.text for stamp in stamps],
            fontsize=min(stamp.size for stamp in stamps) * 72 / DPI,
            frameon=False,
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            **_BESIDE_NAMES,
        )
    ax.set_xlim(window.begin / _SECONDS_PER_DAY, window.end / _SECONDS_PER_DAY)
    ax.set_ylim(scale.low, scale.high)
