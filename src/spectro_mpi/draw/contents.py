"""Settings and spectrograms → the content of a figure and its style."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.kinds import FigureKind, Row
from spectro_mpi.draw.loss_cones import curves_of, notes_on_curves
from spectro_mpi.draw.names import RAW, ExpectedFigure
from spectro_mpi.draw.notes import (
    item_name,
    notes_on_axes,
    notes_on_lines,
    notes_on_modes,
    undrawn,
    without_positive,
)
from spectro_mpi.draw.potential import notes_on_potential, potential_over
from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import Limits, notes_on_limits, shared_limits, with_lines
from spectro_mpi.model.fixed_axes import common_extrema
from spectro_mpi.model.marks import Mark, place
from spectro_mpi.model.spectrogram import LINE, Spectrogram
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
    extrema = common_extrema(config, extrema) if figure.limits != RAW else extrema
    kind, instrument, scales = figure.kind, figure.instrument, figure.scales
    rows = kind.rows(config, instrument, spectrograms)
    with_colours = [row for row in rows if not row.spectrogram.is_line]
    panels = tuple(panel_of(config, extrema, row, scales, figure.limits, known) for row in rows)
    every = [each for row in rows for each, _ in row.layers]
    shown = [each for each in every if not each.is_line]
    sources = {each.instrument.partition("-")[0]: each.source for each in every}
    return FigureContent(
        item=item_id,
        kind=kind.name,
        title=kind.title(config, item_name(config, item_id), instrument, spectrograms),
        notes=(
            *without_positive(with_colours, scales),
            *kind.notes(config, spectrograms, failures),
            *undrawn(shown, scales),
            *notes_on_axes((panel for panel in panels if not panel.is_line), scales),
            *(limit_notes(config, extrema, with_colours, scales) if figure.limits != RAW else ()),
            *notes_on_modes(shown),
            *notes_on_curves(panels),
            *notes_on_potential(rows),
            *notes_on_lines(panels),
            *dict.fromkeys(note for spectrogram in shown for note in spectrogram.notes),
        ),
        panels=panels,
        scales=scales,
        limits=figure.limits,
        sources=tuple(sources.values()),
        events=tuple(place(marks, spectrograms, prefer=instrument)),
    )


def style_of(plot: PlotSettings, scales: ScalePair, kind: FigureKind | None = None) -> Style:
    """Return the style of the figures of a pair of scales and of a kind."""
    width, height = plot.panel_size
    look = kind or FigureKind
    return Style(
        dpi=plot.dpi,
        panel_size=(width, height * look.row_height),
        colormap=plot.colormap_of(scales),
        zoom_minutes=plot.zoom_minutes,
        gap_factor=plot.gap_factor,
        text_scale=plot.text_scale,
        ephemeris=plot.ephemeris,
        has_zooms=look.has_zooms,
        labels_at_left=look.labels_at_left,
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
    is_derived = legend.axis in ("angle", LINE)
    known = {} if known is None else known
    key = (*((shown.instrument, place) for shown, place in row.layers), scales, limits)
    if key not in known:
        known[key] = shared_limits(config, extrema, row.layers, scales, limits)
        if row.sharing and limits != RAW:
            known[key] = with_lines(config, extrema, known[key], row.sharing, scales)
    return Panel(
        label=row.label,
        spectrogram=row.spectrogram,
        category=row.category,
        limits=known[key],
        z_label=plot.z_label or legend.z_label or legend.long_name,
        y_label=legend.y_label if is_derived else plot.y_label or legend.y_label,
        beside=row.beside,
        curves=(*curves_of(row.spectrogram), *potential_over(row)),
        names=row.names,
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
