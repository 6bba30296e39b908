"""Figures of the superposed epoch analysis: mean and median of each category around the event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.contents import style_of
from spectro_mpi.draw.figure import Painter
from spectro_mpi.draw.kinds.base import with_word
from spectro_mpi.draw.kinds.pitch_angle import label_of
from spectro_mpi.draw.names import DRAWING, KEYWORD, SUFFIXES
from spectro_mpi.draw.notes import in_order
from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.model.extrema import shared_limits
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.superposed import StatisticName, Superposed
from spectro_mpi.previews.figure_files import UNREADABLE_FIGURE
from spectro_mpi.rundir.layout import SUPERPOSED_FILE, result_path, results_folder
from spectro_mpi.rundir.store import stamp_of_file
from spectro_mpi.rundir.superposed_file import all_superposed
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import Config, ScalePair
from spectro_mpi.system.atomic import make_below, write_atomic
from spectro_mpi.system.regular import opened_regular
from spectro_mpi.system.words import count

_MADE_FROM = "made_from"
"""Entry of the description: digest of all that the figure shows."""
_SHOWN: tuple[StatisticName, ...] = ("mean", "median")
_ROW_SHARE = 2 / 3
"""Height of a row, of that of the figures of items: there are twice as many rows."""


def draw_superposed(config: Config, run_dir: Path) -> None:
    """Draw the figures of all instruments that are missing or outdated, and remove others.

    Raises one of `store.UNREADABLE` if results/superpose.h5 cannot be read, `OSError` if a figure
    cannot be written.
    """
    path, folder = result_path(run_dir, SUPERPOSED_FILE), results_folder(run_dir, "superpose")
    make_below(run_dir, folder)
    stamp = stamp_of_file(path)
    results = {result.instrument: result for result in all_superposed(path)}
    painter, vectors = Painter(), VectorPainter()
    kept = set()
    for instrument in in_order(config, results):
        for scales in config.plot.scales:
            stem = _stem(config, instrument, scales)
            files = {name: folder / f"{stem}.{name}" for name in config.plot.formats}
            kept |= set(files.values())
            content, style = _content(config, results[instrument], scales, stamp)
            if _is_drawn(files["png"], content) and all(path.exists() for path in files.values()):
                continue
            for file_format, file in files.items():
                if file_format != "png":
                    write_atomic(file, vectors.file(content, style, file_format))
            write_atomic(files["png"], painter.draw(content, style))
    for file in folder.iterdir():
        if file.suffix in SUFFIXES and file not in kept:
            file.unlink()


def _stem(config: Config, instrument: str, scales: ScalePair) -> str:
    name = f"{with_word(config, 'superposed')}_{instrument}_y-{scales[0]}_z-{scales[1]}"
    return f"{name}-{config.plot.colormap_of(scales)}"


def _is_drawn(png: Path, content: FigureContent) -> bool:
    """Whether a file is the figure of this content."""
    try:
        with opened_regular(png) as file, Image.open(file) as picture:
            described = parsed_json(picture.info[KEYWORD])
            return bool(described[_MADE_FROM] == dict(content.about)[_MADE_FROM])
    except UNREADABLE_FIGURE:
        return False


def _content(
    config: Config, result: Superposed, scales: ScalePair, stamp: str
) -> tuple[FigureContent, Style]:
    shown = [shown_as_set(result.spectrogram(name), config.instrument) for name in _SHOWN]
    panels = tuple(_panels(config, shown, scales))
    plot, legend = config.plot, shown[0].legend
    width, height = plot.panel_size
    style = replace(
        style_of(plot, scales),
        panel_size=(width, height * _ROW_SHARE),
        ephemeris=(),
        has_zooms=False,
    )
    title = f"{legend.title or result.instrument}: {count(result.event_count, 'event')} superposed"
    label = f"Time from the {config.superpose.zero} of the event"
    notes = tuple(_notes(config, result))
    looks = [(panel.label, panel.limits, panel.y_label, panel.z_label) for panel in panels]
    depends_on = repr((DRAWING, stamp, style, title, label, notes, looks, scales, legend))
    digest = hashlib.sha256(depends_on.encode()).hexdigest()[:16]
    content = FigureContent(
        item="",
        kind="superposed",
        title=title,
        notes=notes,
        panels=panels,
        scales=scales,
        limits="raw",
        sources=(),
        time_label=label,
        about=(("title", title), (_MADE_FROM, digest)),
    )
    return content, style


def _panels(config: Config, shown: list[Spectrogram], scales: ScalePair) -> Iterator[Panel]:
    """Mean and median of each category in turn, all with the same limits."""
    legend, plot = shown[0].legend, config.plot
    rows = range(len(shown[0].category))
    layers = [(spectrogram, row) for row in rows for spectrogram in shown]
    limits = shared_limits(config, {}, layers, scales, "raw")
    for row in rows:
        for name, spectrogram in zip(_SHOWN, shown, strict=True):
            yield Panel(
                label=f"{_label(config, row, spectrogram)}: {name}",
                spectrogram=spectrogram,
                category=row,
                limits=limits,
                z_label=plot.z_label or legend.z_label or legend.long_name,
                y_label=plot.y_label or legend.y_label,
            )


def _label(config: Config, row: int, spectrogram: Spectrogram) -> str:
    category = spectrogram.category[row]
    direction = config.pitch_angles.get(category)
    if isinstance(direction, Direction) and config.has_pitch_angles(spectrogram.instrument):
        return f"{category} ({direction})"
    return label_of(config, row, spectrogram)


def _notes(config: Config, result: Superposed) -> Iterator[str]:
    yield f"{count(result.record_count, 'record')} in bins of {config.superpose.bin_seconds:g} s"
    if config.superpose.labels:
        yield f"events: {', '.join(config.superpose.labels)}"
    if result.legend.by_mode and len(result.modes) > 1:
        modes = ", ".join(map(str, result.modes))
        yield f"records of modes {modes}: their counts cannot be compared; use a rate or flux"
