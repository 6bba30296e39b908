"""What a figure shows, and in which style."""

from __future__ import annotations

from dataclasses import dataclass

from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.spectrogram import Spectrogram


@dataclass(frozen=True)
class Panel:
    """One row of a figure: one category of one spectrogram."""

    label: str
    spectrogram: Spectrogram
    category: int
    """Index into the spectrogram's categories."""
    limits: Limits
    z_label: str
    y_label: str = ""
    """Empty: the style's."""


@dataclass(frozen=True)
class Event:
    """A marked span of time, such as a cusp crossing; s since 1970 UTC."""

    start: float
    end: float
    label: str = ""


@dataclass(frozen=True)
class FigureContent:
    """One figure."""

    item: str
    kind: str
    title: str
    notes: tuple[str, ...]
    """What the reader must know, such as a missing instrument; shown under the title."""
    panels: tuple[Panel, ...]
    """Rows, from the top; they share one time axis."""
    scales: tuple[str, str]
    """Energy (y) and colour (z) scale: "linear" or "log"."""
    limits: str
    """"given_extrema" (common to all items) or "raw" (the item's own)."""
    sources: tuple[str, ...]
    """Names of the files the data come from."""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Style:
    """How figures look."""

    dpi: int
    panel_size: tuple[float, float]
    """Width of a column of panels and height of a row, inches."""
    colormap: str
    """Name of a matplotlib colour map."""
    y_label: str
    zoom_minutes: float
    """Least span of an event's zoom panels."""
