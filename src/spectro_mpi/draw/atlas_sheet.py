"""A sheet of polar maps: dials of magnetic local time and latitude, in rows and columns.

Noon is above and dawn on the right, in both hemispheres. A cell without data is hatched.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from spectro_mpi.draw.names import KEYWORD

Floats = NDArray[np.floating]

_INK, _SOFT, _RING, _EMPTY, _HATCH = "#1c2127", "#59636e", "#6d7781", "#f3f4f5", "#c9ced3"
_RADIUS, _STEP, _ROW_HEIGHT = 1.2, 2.95, 3.15  # inches
_LEFT, _RIGHT, _TOP, _BOTTOM = 1.9, 1.35, 1.0, 0.55
_LEAST_COLUMNS = 2  # in whose width title and foot have room
_ARC_HOURS = 0.25
"""Longest straight piece of an arc."""
_HOURS = ("00", "06", "12", "18")
_DPI = 120
_RC: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "axes.linewidth": 0.8,
}


@dataclass(frozen=True)
class Dials:
    """The maps of a sheet."""

    maps: Floats
    """(row, column, ilat, mlt); NaN: no data."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: Sequence[Sequence[str]]
    """What stands below each dial, by row and column."""
    ilat_edges: Floats
    """(ilat + 1,) degrees, ascending."""
    mlt_edges: Floats
    """(mlt + 1,) hours."""


@dataclass(frozen=True)
class Shades:
    """The common colour scale of a sheet."""

    label: str
    is_log: bool
    colormap: str
    low: float | None = None
    """Ends of the scale; None: the 2nd and the 98th percentile of all cells."""
    high: float | None = None


@dataclass(frozen=True)
class Sheet:
    """One figure of the atlas."""

    name: str
    """Stem of the names of its files."""
    title: str
    foot: str
    dials: Dials
    shades: Shades


def digest_of(sheet: Sheet, description: dict[str, Any]) -> str:
    """Digest of what the files of a sheet (`files_of`) show and say."""
    dials = sheet.dials
    words = (sheet.title, sheet.foot, sheet.shades, dials.rows, dials.columns, dials.counts)
    arrays = (dials.maps, dials.ilat_edges, dials.mlt_edges)
    depends_on = repr((words, sorted(description.items()))).encode()
    digest = hashlib.sha256(depends_on + b"".join(array.tobytes() for array in arrays))
    return digest.hexdigest()[:16]


def files_of(sheet: Sheet, formats: Sequence[str], description: dict[str, Any]) -> dict[str, bytes]:
    """Draw a sheet: ".png" or ".pdf" → content. Equal input gives equal bytes.

    `description` and the title are in the text chunk of the PNG file, and the subject of the PDF.
    """
    text = json.dumps({**description, "title": sheet.title}, sort_keys=True)
    metadata: dict[str, dict[str, str | None]] = {
        "png": {KEYWORD: text, "Software": None},
        "pdf": {
            "Title": sheet.title,
            "Subject": text,
            **dict.fromkeys(("CreationDate", "Creator", "Producer")),
        },
    }
    files = {}
    with mpl.rc_context(_RC):
        figure = _drawn(sheet)
        for name in formats:
            file = io.BytesIO()
            figure.savefig(file, format=name, dpi=_DPI, metadata=metadata[name])
            files[f".{name}"] = file.getvalue()
    return files


def _drawn(sheet: Sheet) -> Figure:
    dials = sheet.dials
    rows, columns = dials.maps.shape[:2]
    width = _LEFT + max(_LEAST_COLUMNS, columns) * _STEP + _RIGHT
    height = _TOP + rows * _ROW_HEIGHT + _BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    axes.text(0.3, height - 0.28, sheet.title, size=14, color=_INK, va="center")
    axes.text(0.3, 0.25, sheet.foot, size=7.5, color=_SOFT, va="center")
    norm, extend = _norm_of(dials.maps, sheet.shades)
    shades = colormaps[sheet.shades.colormap]
    cells = _cells(dials.ilat_edges, dials.mlt_edges)
    for column in range(columns):
        middle = _LEFT + (column + 0.5) * _STEP
        axes.text(middle, height - 0.72, dials.columns[column], size=10, color=_INK, ha="center")
    drawn, colors, lines = [], [], []
    for row, column in np.ndindex(rows, columns):
        at = np.array([_LEFT + (column + 0.5) * _STEP, height - _TOP - row * _ROW_HEIGHT - 1.4])
        if not column:
            axes.text(0.3, at[1], dials.rows[row], size=10, color=_INK, va="center")
        values = dials.maps[row, column].reshape(-1)
        known = np.isfinite(values)
        drawn += list(cells[known] * _RADIUS + at)
        colors.append(shades(norm(values[known])))
        _disc(axes, at)
        lines += _lines(at, dials.ilat_edges)
        _letter(axes, at, dials.ilat_edges if not column else None, dials.counts[row][column])
    filled = np.concatenate(colors)
    axes.add_collection(
        PolyCollection(drawn, facecolors=filled, edgecolors=filled, linewidths=0.25, zorder=1.5)
    )
    axes.add_collection(LineCollection(lines, colors=_RING, linewidths=0.5, alpha=0.55, zorder=2))
    _bar(figure, norm, sheet.shades, extend, rows, columns)
    return figure


def _norm_of(maps: Floats, shades: Shades) -> tuple[Any, str]:
    """The scale of the colours, and the ends beyond which there are values."""
    known = maps[np.isfinite(maps)]
    if shades.is_log:
        known = known[known > 0]
    if not known.size:
        known = np.array([1.0, 10.0])
    low, high = (float(end) for end in np.percentile(known, [2, 98]))
    low = low if shades.low is None else shades.low
    high = high if shades.high is None else shades.high
    if shades.is_log:
        low, high = 10 ** (math.floor(10 * math.log10(low)) / 10), max(high, low * 1.3)
        high = 10 ** (math.ceil(10 * math.log10(high)) / 10)
    elif high <= low:
        high = low + 1.0
    beyond = (bool((known < low).any()), bool((known > high).any()))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        beyond, "neither"
    )
    norm = LogNorm(low, high) if shades.is_log else Normalize(low, high)
    norm.clip = True
    return norm, extend


def _cells(ilat_edges: Floats, mlt_edges: Floats) -> Floats:
    """The polygons of all cells on a disc of radius 1, (ilat × mlt, point, 2)."""
    pieces = max(1, math.ceil(float(np.diff(mlt_edges).max()) / _ARC_HOURS))
    shares = np.linspace(0, 1, pieces + 1)
    hours = mlt_edges[:-1, None] + np.diff(mlt_edges)[:, None] * shares
    radii = _radius(ilat_edges, ilat_edges)
    outer, inner = radii[:-1], radii[1:]
    there, back = _unit(hours), _unit(hours[:, ::-1])  # (mlt, point, 2)
    cells = np.concatenate(
        [
            outer[:, None, None, None] * there[None],
            inner[:, None, None, None] * back[None],
        ],
        axis=2,
    )
    return np.asarray(cells.reshape(-1, 2 * (pieces + 1), 2))


def _unit(hours: Floats) -> Floats:
    """Directions of local times: noon above, dawn on the right."""
    angle = (hours - 6.0) * (2 * np.pi / 24)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _radius(latitude: Floats, ilat_edges: Floats) -> Floats:
    """Distance from the pole, 1 at the lowest latitude."""
    return np.asarray((90.0 - latitude) / (90.0 - ilat_edges[0]))


def _disc(axes: Axes, at: Floats) -> None:
    """The disc that shows where there are no data, and its rim."""
    x, y = at.tolist()
    axes.add_patch(
        Circle((x, y), _RADIUS, facecolor=_EMPTY, edgecolor=_HATCH, hatch="/" * 8, lw=0, zorder=1)
    )
    axes.add_patch(Circle((x, y), _RADIUS, fill=False, edgecolor=_INK, lw=0.9, zorder=3))


def _rings(ilat_edges: Floats) -> list[int]:
    """The latitudes that have a ring."""
    lowest = float(ilat_edges[0])
    step = 10 if lowest < 75 else 5
    return [each for each in range(step * math.ceil(lowest / step), 90, step) if each > lowest]


def _lines(at: Floats, ilat_edges: Floats) -> list[Floats]:
    """Rings of latitude, and the lines between noon and midnight, dawn and dusk."""
    around = _unit(np.linspace(0, 24, 145))
    radii = _radius(np.array(_rings(ilat_edges), np.float64), ilat_edges)
    rings = [_RADIUS * radius * around + at for radius in radii]
    return rings + [_RADIUS * _unit(np.array([hour, hour + 12.0])) + at for hour in (0, 6)]


def _letter(axes: Axes, at: Floats, ilat_edges: Floats | None, below: str) -> None:
    """Labels of local time round a dial, of rings (None: without), and what stands below it."""
    middle: Any = {"color": _INK, "ha": "center", "va": "center"}
    for latitude in () if ilat_edges is None else _rings(ilat_edges):
        radius = _RADIUS * float(_radius(np.array(latitude), np.asarray(ilat_edges)))
        box = {"boxstyle": "round,pad=0.08", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
        x, y = (radius * _unit(np.array(15.0)) + at).tolist()
        axes.text(x, y, f"{latitude}°", size=6, bbox=box, **middle)
    for number, label in enumerate(_HOURS):
        x, y = ((_RADIUS + 0.12) * _unit(np.array(6.0 * number)) + at).tolist()
        axes.text(x, y, label, size=8, **middle)
    axes.text(at[0], at[1] - _RADIUS - 0.36, below, size=7.5, **{**middle, "color": _SOFT})


def _bar(figure: Figure, norm: Any, shades: Shades, extend: str, rows: int, columns: int) -> None:
    width, height = figure.get_size_inches()
    length = min(rows * _ROW_HEIGHT - 0.6, 6.0)
    begin = _BOTTOM + (rows * _ROW_HEIGHT - length) / 2
    left = _LEFT + columns * _STEP + 0.1
    place = (left / width, begin / height, 0.16 / width, length / height)
    axes = figure.add_axes(place)
    mappable = ScalarMappable(norm, shades.colormap)
    bar = figure.colorbar(mappable, cax=axes, extend=extend)
    bar.set_label(shades.label, size=9, color=_INK)
    bar.ax.tick_params(labelsize=8, colors=_INK)
