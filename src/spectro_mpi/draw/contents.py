"""Settings and spectrograms → the content of a figure and its style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.kinds import Row
from spectro_mpi.draw.names import ExpectedFigure
from spectro_mpi.draw.notes import (
    item_name,
    missing_note,
    notes_on_modes,
    undrawn,
    without_positive,
)
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import notes_on_limits, panel_limits
from spectro_mpi.model.marks import Mark, place
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import Config, PlotSettings, ScalePair


def content_of(
    config: Config,
    item_id: str,
    spectrograms: Mapping[str, Spectrogram],
    figure: ExpectedFigure,
    extrema: Mapping[str, float],
    marks: Iterable[Mark] = (),
    failures: Iterable[Failure] = (),
) -> FigureContent:
    """Return the content of a figure of an item.

    `spectrograms` are those of the item by instrument, in the order of its figures; `extrema` the
    common ones; `failures` those of the item before it is drawn.
    """
    kind, instrument, scales = figure.kind, figure.instrument, figure.scales
    rows = kind.rows(config, instrument, spectrograms)
    shown = [row.spectrogram for row in rows]
    sources = dict.fromkeys(spectrogram.instrument for spectrogram in shown)
    missing = missing_note(config, spectrograms, failures) if kind.names_missing else ()
    return FigureContent(
        item=item_id,
        kind=kind.name,
        title=kind.title(config, item_name(config, item_id), instrument, spectrograms),
        notes=(
            *without_positive(rows, scales),
            *missing,
            *undrawn(shown, scales),
            *(limit_notes(config, extrema, rows, scales) if figure.limits != "raw" else ()),
            *notes_on_modes(shown),
            *dict.fromkeys(note for spectrogram in shown for note in spectrogram.notes),
        ),
        panels=tuple(panel_of(config, extrema, row, scales, figure.limits) for row in rows),
        scales=scales,
        limits=figure.limits,
        sources=tuple(spectrograms[name].source for name in sources),
        events=tuple(place(marks, spectrograms, prefer=instrument)),
    )


def style_of(plot: PlotSettings, scales: ScalePair) -> Style:
    """Return the style of the figures of a pair of scales."""
    return Style(
        dpi=plot.dpi,
        panel_size=plot.panel_size,
        colormap=plot.colormap_of(scales),
        zoom_minutes=plot.zoom_minutes,
        gap_factor=plot.gap_factor,
        text_scale=plot.text_scale,
    )


def panel_of(
    config: Config, extrema: Mapping[str, float], row: Row, scales: ScalePair, limits: str
) -> Panel:
    """Return the panel of a row in a figure of a pair of scales."""
    plot, legend = config.plot, row.spectrogram.legend
    return Panel(
        label=row.label,
        spectrogram=row.spectrogram,
        category=row.category,
        limits=panel_limits(config, extrema, row.spectrogram, row.category, scales, limits),
        z_label=plot.z_label or legend.z_label or legend.long_name,
        y_label=plot.y_label or legend.y_label,
    )


def limit_notes(
    config: Config, extrema: Mapping[str, float], rows: Iterable[Row], scales: ScalePair
) -> Iterable[str]:
    """Notes on the common limits of rows, and on those set by hand, that are not kept."""
    return dict.fromkeys(
        note
        for row in rows
        for note in notes_on_limits(config, extrema, row.spectrogram, row.category, scales)
    )
