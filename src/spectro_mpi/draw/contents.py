"""Settings and spectrograms → the content of a figure and its style."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.kinds import Row
from spectro_mpi.draw.loss_cones import curves_of, notes_on_curves
from spectro_mpi.draw.names import ExpectedFigure
from spectro_mpi.draw.notes import (
    item_name,
    missing_note,
    notes_on_axes,
    notes_on_modes,
    undrawn,
    without_positive,
)
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import Limits, notes_on_limits, shared_limits
from spectro_mpi.model.marks import Mark, place
from spectro_mpi.model.panels import notes_on_panels
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
    known: dict[Hashable, Limits] | None = None,
) -> FigureContent:
    """Return the content of a figure of an item.

    `spectrograms` are those of the item by instrument, in the order of its figures; `extrema` the
    common ones; `failures` those of the item before it is drawn. `known` keeps the limits of rows
    for other figures of the item that show them.
    """
    kind, instrument, scales = figure.kind, figure.instrument, figure.scales
    rows = kind.rows(config, instrument, spectrograms)
    shown = [spectrogram for row in rows for spectrogram, _ in row.layers]
    panels = tuple(panel_of(config, extrema, row, scales, figure.limits, known) for row in rows)
    sources = {spectrogram.instrument: spectrogram.source for spectrogram in shown}
    of_all: tuple[str, ...] = ()
    if kind.names_missing:
        of_all = (
            *missing_note(config, spectrograms, failures),
            *notes_on_panels(spectrograms.values(), config.instrument),
        )
    return FigureContent(
        item=item_id,
        kind=kind.name,
        title=kind.title(config, item_name(config, item_id), instrument, spectrograms),
        notes=(
            *without_positive(rows, scales),
            *of_all,
            *undrawn(shown, scales),
            *notes_on_axes(panels, scales),
            *(limit_notes(config, extrema, rows, scales) if figure.limits != "raw" else ()),
            *notes_on_modes(shown),
            *notes_on_curves(panels),
            *dict.fromkeys(note for spectrogram in shown for note in spectrogram.notes),
        ),
        panels=panels,
        scales=scales,
        limits=figure.limits,
        sources=tuple(sources.values()),
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
        ephemeris=plot.ephemeris,
    )


def panel_of(
    config: Config,
    extrema: Mapping[str, float],
    row: Row,
    scales: ScalePair,
    limits: str,
    known: dict[Hashable, Limits] | None = None,
) -> Panel:
    """Return the panel of a row in a figure of a pair of scales; `known` as for `content_of`."""
    plot, legend = config.plot, row.spectrogram.legend
    known = {} if known is None else known
    key = (*((shown.instrument, place) for shown, place in row.layers), scales, limits)
    if key not in known:
        known[key] = shared_limits(config, extrema, row.layers, scales, limits)
    return Panel(
        label=row.label,
        spectrogram=row.spectrogram,
        category=row.category,
        limits=known[key],
        z_label=plot.z_label or legend.z_label or legend.long_name,
        y_label=legend.y_label if legend.axis == "angle" else plot.y_label or legend.y_label,
        beside=row.beside,
        curves=curves_of(row.spectrogram),
    )


def limit_notes(
    config: Config, extrema: Mapping[str, float], rows: Iterable[Row], scales: ScalePair
) -> Iterable[str]:
    """Notes on the common limits of rows, and on those set by hand, that are not kept."""
    return dict.fromkeys(
        note
        for row in rows
        for layer in row.layers
        for note in notes_on_limits(config, extrema, *layer, scales)
    )
