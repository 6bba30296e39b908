"""The plot phase: draws an item's spectrograms, with the common extrema, to files of figures."""

from __future__ import annotations

import contextlib
from collections.abc import (
    Callable,
    Hashable,
    Iterable,
    Mapping,
)
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.draw.contents import content_of, style_of
from spectro_mpi.draw.kinds.derived import with_derived
from spectro_mpi.draw.names import (
    COMMON,
    RAW,
    ExpectedFigure,
    expected_figures,
    figure_files,
    find_figures,
    find_looks,
    labels_shown,
    limits_words,
)
from spectro_mpi.draw.notes import in_order
from spectro_mpi.errors import writing
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.figure_digests import PREVIEW, FigureDigests
from spectro_mpi.phases.figures_on_disk import FiguresOnDisk
from spectro_mpi.phases.interface import Outputs, PartwisePhase, PreparingPhase
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import FRAMES, PREVIEWS, SHEET, item_folder, month_of
from spectro_mpi.system.activity import doing

if TYPE_CHECKING:
    from spectro_mpi.draw.content import FigureContent, Style
    from spectro_mpi.draw.figure import Figure, Painter
    from spectro_mpi.draw.vector import VectorPainter
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
        self._preparer: Painter | None = None

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Draw the figures of the item that are due, and write its previews for the report.

        A figure replaces files of the same figure that look otherwise, once it is on disk.
        """
        from spectro_mpi.previews.figure_files import UNREADABLE_FIGURE, read_figure
        from spectro_mpi.previews.preview import Preview

        preview = Preview(item.id)
        formats = [name for name in self.config.plot.formats if name != "png"]
        drawn: dict[str, str] = {}  # tail of the name → name

        def take(
            expected: ExpectedFigure, figure: Figure, content: FigureContent, style: Style
        ) -> None:
            name = expected.name(item.id, labels_shown(figure.description))
            drawn[expected.tail] = name
            context.write(name, figure.png)
            for file_format in formats:
                with doing("draw"):
                    vector = self._vector_painter.file(content, style, file_format)
                context.write(f"{name.removesuffix('png')}{file_format}", vector)
            preview.add(name, figure.description, figure.thumbnail)

        def is_due(expected: ExpectedFigure) -> bool:
            return context.parts is None or expected.part in context.parts

        shown = self._draw_all(item, inputs, context, self._painter, is_due, take)
        figures = expected_figures(self.config, shown)
        due = [figure for figure in figures if is_due(figure)]
        folder = item_folder(context.run_dir, self.name, item)
        with writing(folder):
            on_disk = figure_files(folder)
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
                    with_derived(self.config, shown.values()) if settings.values else (),
                    self.config.plot.gap_factor,
                    self._painter.reductions,
                )
        with doing("write"):
            write_preview(run_dir, month_of(item_folder(run_dir, self.name, item)), item.id, files)

    def depends_on(self, run_wide: Mapping[str, Any]) -> Any:
        """The common extrema, if they are the limits of any figure."""
        given = COMMON in self.config.plot.limits
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
        listed = kind in plot.kinds and limits in limits_words(plot)
        return listed and limits != RAW and tuple(scales.split("-")) in plot.scales

    def alike(self, task: Task, marks: Marks) -> Hashable:
        """What the frames of an item's figures depend on, besides the common limits.

        These are the instruments that have files, the failures, and the number of marked events,
        most of which are in the figures. None if no figure has common limits.
        """
        if COMMON not in self.config.plot.limits:
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
            lambda expected: expected.limits != RAW,
            lambda *_: None,
        )

    def _make_painter(self, keep_frames: bool) -> Painter:
        from spectro_mpi.draw.figure import Painter
        from spectro_mpi.draw.frame_files import FrameFiles

        return Painter(FrameFiles(self._workspace.run_dir / FRAMES), keep_frames)

    @cached_property
    def _vector_painter(self) -> VectorPainter:
        from spectro_mpi.draw.vector import VectorPainter

        return VectorPainter()

    def _draw_all(
        self,
        item: Item,
        inputs: Inputs,
        context: Context,
        painter: Painter,
        is_due: Callable[[ExpectedFigure], bool],
        take: Callable[[ExpectedFigure, Figure, FigureContent, Style], None],
    ) -> Spectrograms:
        """Draw those of the item's figures that are due and call `take` with each.

        Returns the spectrograms that the figures show, in order.
        """
        context.status("store")
        stored: Spectrograms = inputs["spectrograms"]
        spectrograms = {
            name: shown_as_set(stored[name], self.config.instrument)
            for name in in_order(self.config, stored)
        }
        known: dict[Hashable, Limits] = {}
        for expected in filter(is_due, expected_figures(self.config, spectrograms)):
            step = expected.instrument or expected.kind.name
            context.status(step)
            with context.boundary(step):
                with doing("draw"):
                    content = content_of(
                        self.config,
                        item.id,
                        spectrograms,
                        expected,
                        {} if expected.limits == RAW else inputs["extrema"],
                        context.marks,
                        context.earlier_failures,
                        known,
                    )
                    style = style_of(self.config.plot, expected.scales, expected.kind)
                    figure = painter.figure(content, style)
                take(expected, figure, content, style)
        return spectrograms
