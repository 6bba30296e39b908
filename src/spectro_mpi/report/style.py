"""How figures of a run look: colours that do on light and dark, and their files.

An SVG takes its ink from the reader's colour scheme, light or dark; a PNG is light.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from spectro_mpi.report.run_time import DONE_WITH, Span, clock

INK, SOFT, LINE, PAPER = "#1c2127", "#59636e", "#dcdfe3", "#ffffff"
_DARK = {INK: "#e4e8ec", SOFT: "#a3adb8", LINE: "#343c45", PAPER: "#1b2026"}
"""Ink on light → on dark."""

ALARM = "#d1495b"

COLORS: Mapping[str, str] = dict(
    zip(
        DONE_WITH,
        # About P. Tol's bright scheme: told apart by people who see colours differently.
        ("#a9b4bf", "#737f8b", "#4477aa", "#228833", "#ccbb44", "#ee6677", "#bb4c93"),
        strict=True,
    )
)
"""What a rank is at → colour."""

SERIES = ("#4477aa", "#ee6677", "#228833", "#b8a12e", "#3f9fc6", "#bb4c93", "#737f8b", "#c4622d")

_STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60 * one for one in (1, 2, 5, 10, 15, 30)),
    *(3600 * one for one in (1, 2, 3, 6, 12, 24, 48, 120, 240)),
)
"""Seconds between ticks of time."""

WIDTH = 11.0
"""Inches of every figure."""

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
    """A figure of `height` inches with panels of relative heights, one below the other."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=list(rows))
    return figure, [one for (one,) in axes.tolist()]


def new_grid(height: float, rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure with panels in rows and columns."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, axes.tolist()


def title(axes: Axes, text: str) -> None:
    """What a panel shows, above its left end."""
    # With y given, nothing is measured to keep it clear of ticks above: there are none.
    axes.set_title(text, loc="left", fontsize=9.5, color=INK, y=1.0, pad=5)


def time_axis(axes: Axes, window: Span, label: bool = True) -> None:
    """Give the x axis the time of the run, as h:mm:ss."""
    axes.set_xlim(*window)
    step = next((one for one in _STEPS if one * 10 >= window[1] - window[0]), 10 * _STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    fine = step < 1
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda at, _: f"{at:.2f} s" if fine else clock(at))
    )
    if label:
        axes.set_xlabel("time of the run" if fine else "time of the run (h:mm:ss)")
    else:
        axes.tick_params(labelbottom=False)


def quiet_grid(axes: Axes) -> None:
    """Faint lines across, behind everything."""
    axes.grid(axis="y", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, which="both", axis="y")


def legend(axes: Axes, handles: Sequence[Any], columns: int = 8) -> None:
    """A legend above the panel, to the right."""
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
    """The figure on white."""
    file = io.BytesIO()
    with mpl.rc_context(_STYLE):
        _lay_out(figure)
        figure.savefig(file, format="png", dpi=dpi, facecolor=PAPER)
    return file.getvalue()


def as_svg(figure: Figure, text: str) -> str:
    """The figure as SVG without a background, with `text` for those who cannot see it."""
    file = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Title": text}
    with mpl.rc_context(_STYLE):
        _lay_out(figure)
        figure.savefig(file, format="svg", dpi=140, transparent=True, metadata=metadata)
    svg = re.sub(r"<\?xml.*?<svg ", "<svg ", file.getvalue(), count=1, flags=re.DOTALL)
    # matplotlib names some clip paths by where they lie in memory.
    for number, name in enumerate(dict.fromkeys(re.findall(r'<clipPath id="(\w+)"', svg))):
        svg = svg.replace(name, f"clip{number}")
    for name, color in zip("abcd", _DARK, strict=True):
        svg = svg.replace(color, f"var(--{name}, {color})")
    light = "".join(f"--{name}: {one};" for name, one in zip("abcd", _DARK, strict=True))
    dark = "".join(f"--{name}: {one};" for name, one in zip("abcd", _DARK.values(), strict=True))
    style = (
        f"<style>svg {{{light} {_FONT}}} text {{{_FONT} !important}}"
        f" @media (prefers-color-scheme: dark) {{svg {{{dark}}}}}</style>"
    )
    return re.sub(r"(<svg [^>]*>)", lambda tag: tag[1] + style, svg, count=1)


def _lay_out(figure: Figure) -> None:
    """Place everything, once for all files: that takes as long as to draw."""
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
