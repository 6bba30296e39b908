"""The content of a figure and its style."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.marks import Event
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.settings.schema import PlotSettings


@dataclass(frozen=True)
class Curve:
    """A line over the data of a panel."""

    values: NDArray[np.floating[Any]]
    """(record,) in the unit of the vertical axis; NaN: no line."""
    is_dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One row of a figure: one category of one spectrogram, or of several."""

    label: str
    spectrogram: Spectrogram
    category: int
    """Index into the spectrogram's categories."""
    limits: Limits
    z_label: str
    y_label: str = Legend.y_label
    """Label of the vertical axis."""
    beside: tuple[tuple[Spectrogram, int], ...] = ()
    """Other spectrograms in the same panel, each with an index into its categories. A pixel shows
    the first spectrogram that has a value there; this one before them."""
    curves: tuple[Curve, ...] = ()
    """Lines over the data, at the records of the first spectrogram."""

    names: tuple[str, ...] = ()
    """Names of several lines, as `layers`."""

    @property
    def layers(self) -> tuple[tuple[Spectrogram, int], ...]:
        """All spectrograms with the indices of their categories, the first to be shown first."""
        return ((self.spectrogram, self.category), *self.beside)

    @property
    def is_line(self) -> bool:
        """Whether its values are drawn as lines against time; its vertical axis is theirs."""
        return self.spectrogram.is_line


@dataclass(frozen=True)
class FigureContent:
    """What one figure shows: its panels, header and events."""

    item: str
    kind: str
    title: str
    notes: tuple[str, ...]
    """Remarks for the reader, such as a missing instrument; shown below the title."""
    panels: tuple[Panel, ...]
    """Rows from top to bottom; they share one time axis."""
    scales: tuple[str, str]
    """Energy (y) and colour (z) scale; of a panel, those that its legend names go before."""
    limits: str
    """"given_extrema" (common to all items), the name of fixed axes, or "raw" (the item's own)."""
    sources: tuple[str, ...]
    """Names of the files that the data come from."""
    events: tuple[Event, ...] = ()
    """Those that overlap the figure's time span are drawn."""
    span: tuple[float, float] | None = None
    """The time span to show, s since 1970 UTC, ascending; None: that of all records."""
    time_label: str = ""
    """Label of a time axis from an event, whose time is 0; empty: times are since 1970."""
    about: tuple[tuple[str, Any], ...] = ()
    """Further entries of the description: name, JSON value."""

    @cached_property
    def spectrograms(self) -> tuple[Spectrogram, ...]:
        """What the panels show, each once, from top to bottom; of one panel, as `layers`."""
        layers = (layer for panel in self.panels for layer in panel.layers)
        return tuple({id(spectrogram): spectrogram for spectrogram, _ in layers}.values())


@dataclass(frozen=True)
class Style:
    """Resolution, size and colours that all figures of a run share."""

    dpi: int
    panel_size: tuple[float, float]
    """Width of a column of panels and height of a row, in inches."""
    colormap: str
    """Name of a matplotlib colour map."""
    zoom_minutes: float
    """Shortest time span of the zoom panels of an event, in minutes."""
    gap_factor: float = PlotSettings.gap_factor
    """Local widths of a record in the step to the next above which there is a gap."""
    text_scale: float = PlotSettings.text_scale
    """Size of text and margins, relative to the usual one."""
    ephemeris: tuple[str, ...] = PlotSettings.ephemeris
    """Variables of the ephemeris that label the time axis, of those that are known."""
    has_zooms: bool = True
    """Whether events have zoom columns."""
    labels_at_left: bool = False
    """Whether labels of rows are at the left of their axes, as on summary plots, not above."""
    keeps_height: bool = False
    """Whether figures have the height of their rows even if text is too small to read then."""
