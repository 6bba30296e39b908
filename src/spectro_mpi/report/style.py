"""The style of the figures of a run: colours for light and dark backgrounds, and their files.

An SVG follows the colour scheme of the reader, light or dark; a PNG is light.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from spectro_mpi.report.run_time import RANK_ACTIVITIES, RunTime, Span, clock

INK, SOFT, LINE, PAPER = "#1c2127", "#59636e", "#dcdfe3", "#ffffff"
_DARK = {INK: "#e4e8ec", SOFT: "#a3adb8", LINE: "#343c45", PAPER: "#1b2026"}
"""Colour in the light scheme → colour in the dark scheme."""

ALARM = "#d1495b"

COLORS: Mapping[str, str] = dict(
    zip(
        RANK_ACTIVITIES,
        # Close to P. Tol's bright scheme: distinguishable with colour vision deficiencies.
        ("#a9b4bf", "#737f8b", "#4477aa", "#228833", "#ccbb44", "#ee6677", "#bb4c93"),
        strict=True,
    )
)
"""Activity of a rank → colour."""

STEP_COLORS = ("#3f9fc6", "#c4622d", "#8c6bb1", "#1b9e77", "#e48ab5", "#7f5539")
"""Colours of the steps of your phases."""


def color_of(kind: str, kinds: Sequence[str]) -> str:
    """The colour of an activity, or of a step, which come after the activities in `kinds`."""
    return COLORS.get(kind) or STEP_COLORS[kinds.index(kind) - len(COLORS)]


SERIES = ("#4477aa", "#ee6677", "#228833", "#b8a12e", "#3f9fc6", "#bb4c93", "#737f8b", "#c4622d")

_STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12, 24, 48, 120, 240)),
)
"""Possible distances between ticks of time, in seconds."""

WIDTH = 11.0
"""Width of every figure, in inches."""

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "spectro-mpi",
    "path.simplify": True,
}
_FONT = "font-family: system-ui, 'Noto Sans', 'Liberation Sans', 'DejaVu Sans', sans-serif"


def new_figure(height: float, rows: Sequence[float]) -> tuple[Figure, list[Axes]]:
    """Create a figure of `height` inches with panels below each other.

    `rows` holds the relative heights of the panels.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=list(rows))
    return figure, [panel for (panel,) in axes.tolist()]


def new_grid(height: float, rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Create a figure of `height` inches with panels in rows and columns."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes.tolist()


def title(axes: Axes, text: str) -> None:
    """Write the title of a panel above its left end."""
    # An explicit y skips the search for a place above the ticks: none are at the top.
    axes.set_title(text, loc="left", fontsize=9.5, color=INK, y=1.0, pad=5)


def time_axis(axes: Axes, window: Span, time: RunTime, label: bool = True) -> None:
    """Set up the x axis: the time of the run, as h:mm:ss, and below it the clock time (UTC)."""
    axes.set_xlim(*window)
    step = next((step for step in _STEPS if step * 10 >= window[1] - window[0]), 10 * _STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    fine = step < 1
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda at, _: f"{f'{at:.2f} s' if fine else clock(at)}\n{time.clock_at(at)}")
    )
    if label:
        of_run = "time of the run" if fine else "time of the run (h:mm:ss)"
        axes.set_xlabel(f"{of_run}; below: clock (UTC), from {time.day}")
    else:
        axes.tick_params(labelbottom=False)


def quiet_grid(axes: Axes) -> None:
    """Draw faint horizontal grid lines behind the data."""
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, which="both", axis="y")


def legend(axes: Axes, handles: Sequence[Any], columns: int = 8) -> None:
    """Draw a legend above the right end of a panel."""
    with mpl.rc_context(_STYLE):
        axes.legend(
            handles=list(handles),
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=columns,
            handlelength=1.1,
            handleheight=0.9,
            columnspacing=1.2,
            borderaxespad=0.2,
        )


def as_png(figure: Figure, dpi: int = 140) -> bytes:
    """Return a figure as PNG, on white."""
    file = io.BytesIO()
    with mpl.rc_context(_STYLE):
        _lay_out(figure)
        figure.savefig(file, format="png", dpi=dpi, facecolor=PAPER)
    return file.getvalue()


def as_svg(figure: Figure, text: str) -> str:
    """Return a figure as SVG without a background; `text` is its text alternative."""
    file = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Title": text}
    with mpl.rc_context(_STYLE):
        _lay_out(figure)
        figure.savefig(file, format="svg", dpi=140, transparent=True, metadata=metadata)
    svg = re.sub(r"<\?xml.*?<svg ", "<svg ", file.getvalue(), count=1, flags=re.DOTALL)
    # matplotlib derives the names of some clip paths from memory addresses.
    for number, name in enumerate(dict.fromkeys(re.findall(r'<clipPath id="(\w+)"', svg))):
        svg = svg.replace(name, f"clip{number}")
    for name, color in zip("abcd", _DARK, strict=True):
        svg = svg.replace(color, f"var(--{name}, {color})")
    light = "".join(f"--{name}: {color};" for name, color in zip("abcd", _DARK, strict=True))
    dark = "".join(
        f"--{name}: {color};" for name, color in zip("abcd", _DARK.values(), strict=True)
    )
    style = (
        f"<style>svg {{{light} {_FONT}}} text {{{_FONT} !important}}"
        f" @media (prefers-color-scheme: dark) {{svg {{{dark}}}}}</style>"
    )
    return re.sub(r"(<svg [^>]*>)", lambda tag: tag[1] + style, svg, count=1)


def _lay_out(figure: Figure) -> None:
    """Compute the layout once for all files: it takes as long as drawing."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)


@dataclass(frozen=True)
class RunFigure:
    """One figure of a run, with its texts."""

    name: str
    """Stem of its file names."""
    title: str
    text: str
    """Text alternative for readers who cannot see the figure."""
    figure: Figure

    def png(self, dpi: int = 140) -> bytes:
        """Return the figure as PNG, on white."""
        return as_png(self.figure, dpi)

    def svg(self) -> str:
        """Return the figure as SVG, which follows the light or dark scheme of the reader."""
        return as_svg(self.figure, self.text)
