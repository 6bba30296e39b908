"""The plot phase: draws an item's spectrograms, with the common extrema, to PNG files."""

from __future__ import annotations

import contextlib
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spectro_mpi.draw.content import FigureContent, Panel, Style
from spectro_mpi.draw.kinds import Row
from spectro_mpi.draw.names import (
    ExpectedFigure,
    expected_figures,
    find_figures,
    find_looks,
    labels_shown,
)
from spectro_mpi.errors import writing
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.extrema import Limits, notes_on_limits, shared_limits
from spectro_mpi.model.items import Item
from spectro_mpi.model.levels import count_beyond, count_undrawn
from spectro_mpi.model.marks import Marks, place
from spectro_mpi.model.panels import notes_on_panels
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.figure_digests import (
    PREVIEW,
    FigureDigests,
    in_order,
    item_name,
    missing_note,
)
from spectro_mpi.phases.figures_on_disk import FiguresOnDisk
from spectro_mpi.phases.interface import Outputs, PartwisePhase, PreparingPhase
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import FRAMES, PREVIEWS, SHEET, item_folder, month_of
from spectro_mpi.settings.schema import ScalePair
from spectro_mpi.system.activity import doing

if TYPE_CHECKING:
    from spectro_mpi.draw.figure import Figure, Painter
    from spectro_mpi.previews.preview import Preview


Spectrograms = Mapping[str, Spectrogram]
"""Instrument → its spectrogram of the current item."""


class PlotPhase(PreparingPhase, PartwisePhase):
    """Draws the figures of an item: each kind of the settings × each scale pair × each limits."""

    name = "plot"
    needs = (
        Artifact("spectrograms", dims=("category", "record", "channel")),
        Artifact("extrema", of="run"),
    )
    gives = (Artifact("figures", extension=".png"),)

    def begin(self, workspace: Workspace) -> None:
        """Import matplotlib, which only processes that draw need."""
        self._workspace = workspace
        self._painter = self._make_painter(keep_frames=False)
        self._limits: dict[Hashable, Limits] = {}
        self._preparer: Painter | None = None

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Draw the figures of the item that are due, and write its previews for the report.

        A figure replaces files of the same figure that look otherwise, once it is on disk.
        """
        from spectro_mpi.previews.figure_files import UNREADABLE_FIGURE, read_figure
        from spectro_mpi.previews.preview import Preview

        preview = Preview(item.id)
        drawn: dict[str, str] = {}  # tail of the name → name

        def take(expected: ExpectedFigure, figure: Figure) -> None:
            name = expected.name(item.id, labels_shown(figure.description))
            drawn[expected.tail] = name
            context.write(name, figure.png)
            preview.add(name, figure.description, figure.thumbnail)

        def is_due(expected: ExpectedFigure) -> bool:
            return context.parts is None or expected.part in context.parts

        shown = self._draw_all(item, inputs, context, self._painter, is_due, take)
        figures = expected_figures(self.config, shown)
        due = [figure for figure in figures if is_due(figure)]
        folder = item_folder(context.run_dir, self.name, item)
        with writing(folder):
            on_disk = sorted(path.name for path in folder.glob("*.png"))
        for looks in find_looks(item.id, due, on_disk).values():
            for name in looks:
                context.replace(name)  # another look or event, or it could not be drawn
        context.status("preview")
        with context.boundary("preview"), writing(context.run_dir / PREVIEWS):
            kept = [figure for figure in figures if not is_due(figure)]
            for tail, names in find_figures(item.id, kept, on_disk).items():
                name = next(iter(names.values()))
                with contextlib.suppress(*UNREADABLE_FIGURE):
                    preview.add(name, *read_figure(folder / name))
                    drawn[tail] = name
            self._write_preview(item, preview, [drawn.get(f.tail, "") for f in figures], shown)
        return Outputs()

    def _write_preview(
        self, item: Item, preview: Preview, names: Iterable[str], shown: Spectrograms
    ) -> None:
        from spectro_mpi.previews.preview import write_preview

        settings, run_dir = self.config.report, self._workspace.run_dir
        files: dict[str, bytes] = {}
        with doing("encode"):
            if settings.thumbnails:
                files[SHEET] = preview.sheet(names)
            if settings.thumbnails or settings.values:
                files |= preview.scripts(
                    shown.values() if settings.values else (), self.config.plot.gap_factor
                )
        with doing("write"):
            write_preview(run_dir, month_of(item_folder(run_dir, self.name, item)), item.id, files)

    def depends_on(self, run_wide: Mapping[str, Any]) -> Any:
        """The common extrema, if they are the limits of any figure."""
        given = "given_extrema" in self.config.plot.limits
        return run_wide.get("extrema") if given else None

    def part_digests(self, run_wide: Mapping[str, Any], marks: Marks) -> FigureDigests:
        """The digests of an item's figures, and of its preview."""
        return FigureDigests(self.config, run_wide.get("extrema", {}), marks)

    def parts_on_disk(self, run_dir: Path) -> FiguresOnDisk:
        """Finds the figures that are on disk as they look today."""
        return FiguresOnDisk(self.config, run_dir, self.name)

    def is_common(self, part: str) -> bool:
        """Whether the settings list a figure, and it has common limits."""
        if part == PREVIEW:
            return False
        kind, _, scales, limits = part.split("/")
        plot = self.config.plot
        listed = kind in plot.kinds and limits in plot.limits
        return listed and limits == "given_extrema" and tuple(scales.split("-")) in plot.scales

    def alike(self, task: Task, marks: Marks) -> Hashable:
        """What the frames of an item's figures depend on, besides the common limits.

        These are the instruments that have files, the failures, and the number of marked events,
        most of which are in the figures. None if no figure has common limits.
        """
        if "given_extrema" not in self.config.plot.limits:
            return None
        files = frozenset(file.instrument for file in task.item.files)
        failed = frozenset((failure.instrument, failure.reason) for failure in task.failures)
        return files, failed, len(marks.get(task.item.id, ()))

    def prepare(self, item: Item, inputs: Inputs, context: Context) -> None:
        """Draw the item's figures with common limits, and keep only their frames."""
        if self._preparer is None:
            self._preparer = self._make_painter(keep_frames=True)
        self._draw_all(
            item,
            inputs,
            context,
            self._preparer,
            lambda expected: expected.limits == "given_extrema",
            lambda *_: None,
        )

    def _make_painter(self, keep_frames: bool) -> Painter:
        from spectro_mpi.draw.figure import Painter
        from spectro_mpi.draw.frame_files import FrameFiles

        return Painter(FrameFiles(self._workspace.run_dir / FRAMES), keep_frames)

    def _draw_all(
        self,
        item: Item,
        inputs: Inputs,
        context: Context,
        painter: Painter,
        is_due: Callable[[ExpectedFigure], bool],
        take: Callable[[ExpectedFigure, Figure], None],
    ) -> Spectrograms:
        """Draw those of the item's figures that are due and call `take` with each.

        Returns the spectrograms that the figures show, in order.
        """
        self._limits.clear()
        context.status("store")
        stored: Spectrograms = inputs["spectrograms"]
        spectrograms = {
            name: shown_as_set(stored[name], self.config.instrument)
            for name in in_order(self.config, stored)
        }
        for expected in filter(is_due, expected_figures(self.config, spectrograms)):
            step = expected.instrument or expected.kind.name
            context.status(step)
            with context.boundary(step):
                with doing("draw"):
                    content = self._content(item, inputs, context, spectrograms, expected)
                    figure = painter.figure(content, self._style(expected.scales))
                take(expected, figure)
        return spectrograms

    def _content(
        self,
        item: Item,
        inputs: Inputs,
        context: Context,
        spectrograms: Spectrograms,
        expected: ExpectedFigure,
    ) -> FigureContent:
        """The content of one figure."""
        config, kind, instrument = self.config, expected.kind, expected.instrument
        scales, limits = expected.scales, expected.limits
        rows = kind.rows(config, instrument, spectrograms)
        shown = [spectrogram for row in rows for spectrogram, _ in row.layers]
        panels = tuple(self._panel(inputs, row, scales, limits) for row in rows)
        sources = dict.fromkeys(spectrogram.instrument for spectrogram in shown)
        return FigureContent(
            item=item.id,
            kind=kind.name,
            title=kind.title(config, item_name(config, item), instrument, spectrograms),
            notes=(
                *_without_positive(rows, scales),
                *(
                    missing_note(config, spectrograms, context.earlier_failures)
                    if kind.names_missing
                    else ()
                ),
                *(
                    notes_on_panels(spectrograms.values(), config.instrument)
                    if kind.names_missing
                    else ()
                ),
                *_undrawn(shown, scales),
                *notes_on_axes(panels, scales),
                *(self._on_limits(inputs, rows, scales) if limits != "raw" else ()),
                *notes_on_modes(shown),
                *dict.fromkeys(note for spectrogram in shown for note in spectrogram.notes),
            ),
            panels=panels,
            scales=scales,
            limits=limits,
            sources=tuple(spectrograms[name].source for name in sources),
            events=tuple(place(context.marks, spectrograms, prefer=instrument)),
        )

    def _panel(self, inputs: Inputs, row: Row, scales: ScalePair, limits: str) -> Panel:
        plot, spectrogram, legend = self.config.plot, row.spectrogram, row.spectrogram.legend
        key = (*((shown.instrument, place) for shown, place in row.layers), scales, limits)
        if key not in self._limits:  # Several figures show the same row.
            extrema = {} if limits == "raw" else inputs["extrema"]
            self._limits[key] = shared_limits(self.config, extrema, row.layers, scales, limits)
        return Panel(
            label=row.label,
            spectrogram=spectrogram,
            category=row.category,
            limits=self._limits[key],
            z_label=plot.z_label or legend.z_label or legend.long_name,
            y_label=plot.y_label or legend.y_label,
            beside=row.beside,
        )

    def _on_limits(self, inputs: Inputs, rows: Sequence[Row], scales: ScalePair) -> Iterable[str]:
        """Notes on the common limits of rows, and on those set by hand, that are not kept."""
        return dict.fromkeys(
            note
            for row in rows
            for layer in row.layers
            for note in notes_on_limits(self.config, inputs["extrema"], *layer, scales)
        )

    def _style(self, scales: ScalePair) -> Style:
        plot = self.config.plot
        return Style(
            dpi=plot.dpi,
            panel_size=plot.panel_size,
            colormap=plot.colormap_of(scales),
            zoom_minutes=plot.zoom_minutes,
            gap_factor=plot.gap_factor,
        )


def _without_positive(rows: Iterable[Row], scales: ScalePair) -> Iterator[str]:
    """A note on the rows that a log colour scale cannot show, because no value is above 0."""
    names = []
    for spectrogram, place_of_row in (layer for row in rows for layer in row.layers):
        values = spectrogram.values[place_of_row]
        is_log = drawn_scales(spectrogram.legend, scales)[1] == "log"
        if is_log and np.isfinite(values).any() and not (values > 0).any():
            several = len(spectrogram.category) > 1
            category = f" {spectrogram.category[place_of_row]}" if several else ""
            names.append(spectrogram.instrument + category)
    if names:
        yield f"No value above 0: {', '.join(names)}"


def _undrawn(spectrograms: Iterable[Spectrogram], scales: ScalePair) -> Iterator[str]:
    """A note for each spectrogram with channels that the energy axis cannot show."""
    by_name = {spectrogram.name: spectrogram for spectrogram in spectrograms}
    for name, spectrogram in by_name.items():
        count = count_undrawn(spectrogram, drawn_scales(spectrogram.legend, scales)[0])
        if count:
            words = "channel at or below 0 is" if count == 1 else "channels at or below 0 are"
            where = f"{name}: " if len(by_name) > 1 else ""
            yield f"{where}{count} {words} not drawn"


def notes_on_axes(panels: Iterable[Panel], scales: ScalePair) -> Iterator[str]:
    """A note on the panels with values in channels that lie outside of their energy axis."""
    beyond = []
    for panel, (spectrogram, category) in ((p, layer) for p in panels for layer in p.layers):
        y_scale = drawn_scales(spectrogram.legend, scales)[0]
        ends = panel.limits.y_min, panel.limits.y_max
        count = count_beyond(spectrogram, category, y_scale, ends)
        if count:
            names = [spectrogram.name, spectrogram.category[category]]
            beyond.append((names if len(spectrogram.category) > 1 else names[:1], count))
    if beyond:
        instruments = {names[0] for names, _ in beyond}
        listed = ", ".join(
            f"{' '.join(names[1:] if len(instruments) == 1 and names[1:] else names)} {count}"
            for names, count in beyond
        )
        yield f"Channels outside of the axis: {listed}"


def notes_on_modes(spectrograms: Iterable[Spectrogram]) -> Iterator[str]:
    """A note on spectrograms whose values change with the mode, if there are several modes."""
    by_name = {spectrogram.name: spectrogram for spectrogram in spectrograms}
    changing = []
    for name, spectrogram in by_name.items():
        if not spectrogram.legend.by_mode:
            continue
        modes = np.unique(spectrogram.mode[np.isfinite(spectrogram.values).any(axis=(0, 2))])
        if len(modes) > 1:
            where = f"{name}: " if len(by_name) > 1 else ""
            changing.append(f"{where}modes {', '.join(map(str, modes))}")
    if changing:
        values = next(iter(by_name.values())).legend.z_label
        yield f"{values} are comparable only within a mode ({'; '.join(changing)})"
