"""Phase plot: an item's spectrograms and the common extrema → PNG files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from spectro_mpi.activity import doing
from spectro_mpi.atomic import commit, make_below, part_path
from spectro_mpi.config import Plot, ScalePair
from spectro_mpi.draw.assets import FrameFiles
from spectro_mpi.draw.figure import Event, Figure, FigureContent, Painter, Panel, Style
from spectro_mpi.errors import Failure, writing
from spectro_mpi.events import place
from spectro_mpi.extrema import WHOLE, Limits, empty_limits, given_limits, raw_limits
from spectro_mpi.figures import figure_name, figure_names, kinds_of, plots_dir
from spectro_mpi.phases import Outcome, Report, Task, Workspace, boundary
from spectro_mpi.report.places import ITEMS, SHEET, month_of
from spectro_mpi.report.preview import Preview, write_preview
from spectro_mpi.spectrogram import Spectrogram
from spectro_mpi.store import DATA, read_item

FRAMES = "assets/frames"

Spectrograms = Mapping[str, Spectrogram]
"""Instrument → its spectrogram of the item at hand."""


class PlotPhase:
    """Draws what the settings ask for: kinds × scale pairs × limits."""

    def __init__(self, workspace: Workspace, keep_frames: bool = False) -> None:
        self._config = workspace.config
        self._run_dir = workspace.run_dir
        self._extrema = workspace.extrema
        self._painter = Painter(FrameFiles(workspace.run_dir / FRAMES), keep_frames)
        self._marks = workspace.marks

    def run(self, task: Task, report: Report) -> Outcome:
        """Draw all figures of the item; when this returns they are on disk under their names."""
        outcome = Outcome()
        folder = plots_dir(self._run_dir, task.item)
        with writing(folder):
            make_below(self._run_dir, folder)
        written: list[Path] = []
        preview = Preview()

        def write(name: str, figure: Figure) -> None:
            path = folder / name
            with writing(path), doing("write"):
                part_path(path).write_bytes(figure.png)
            written.append(path)
            preview.add(name, figure.description, figure.thumbnail)

        with boundary(outcome.failures, "plot", "store"):
            shown = self.draw_all(task, self._config.plot.limits, report, outcome.failures, write)
            with writing(folder), doing("write"):
                commit(*written)
            report("preview")
            with writing(self._run_dir / ITEMS):
                self._write_preview(task.item.id, folder, preview, shown)
        return outcome

    def _write_preview(
        self, item_id: str, folder: Path, preview: Preview, shown: Spectrograms
    ) -> None:
        wanted = self._config.report
        marked = item_id in self._marks
        files: dict[str, bytes] = {}
        with doing("encode"):
            if wanted.thumbnails:
                names = figure_names(self._config, item_id, shown, marked)
                files[SHEET] = preview.sheet(names)
            if wanted.thumbnails or wanted.values:
                files |= preview.scripts(shown.values() if wanted.values else ())
        with doing("write"):
            write_preview(self._run_dir, month_of(folder), item_id, files)

    def draw_all(
        self,
        task: Task,
        limits: Sequence[str],
        report: Report,
        failures: list[Failure],
        take: Callable[[str, Figure], None],
    ) -> Spectrograms:
        """Draw the item's figures and hand each, by name, to `take`; returns what they show."""
        report("store")
        with doing("read"):
            stored = read_item(self._run_dir / DATA / task.shard, task.item.id)
            found = {one.instrument: one for one in stored}
        order = [*self._config.select.instruments, *found]
        spectrograms = {name: found[name] for name in order if name in found}
        for kind, instrument in kinds_of(self._config.plot, spectrograms):
            report(instrument or kind)
            for scales, one in product(self._config.plot.scales, limits):
                with boundary(failures, "plot", instrument or kind):
                    with doing("draw"):
                        content = self._content(task, spectrograms, instrument, scales, one)
                        figure = self._painter.figure(content, self._style(scales))
                    take(self._name(content, instrument, scales), figure)
        return spectrograms

    def _content(
        self,
        task: Task,
        spectrograms: Spectrograms,
        instrument: str,
        scales: ScalePair,
        limits: str,
    ) -> FigureContent:
        """One figure: the categories of `instrument`, or all instruments if it is empty."""
        if instrument:
            kind = "pitch-angle"
            shown = [spectrograms[instrument]]
            angles = self._angles([instrument], ": pitch angles")
            title = f"{shown[0].legend.title}, {self._item_name(task)}{angles}"
            rows = [
                (self._category_label(category, shown[0]), shown[0], row)
                for row, category in enumerate(shown[0].category)
            ]
        else:
            kind = "instrument-grid"
            shown = list(spectrograms.values())
            missions = " and ".join(dict.fromkeys(one.legend.mission for one in shown))
            angles = self._angles(spectrograms, f", {WHOLE} pitch angles")
            title = f"{missions}, {self._item_name(task)}: instruments{angles}"
            rows = [(self._instrument_label(one), one, one.category.index(WHOLE)) for one in shown]
        events = place(self._marks.get(task.item.id, ()), spectrograms, prefer=instrument)
        return FigureContent(
            item=task.item.id,
            kind=kind,
            title=title,
            notes=() if instrument else self._missing(task, spectrograms),
            panels=tuple(
                Panel(
                    label=label,
                    spectrogram=spectrogram,
                    category=row,
                    limits=self._limits(spectrogram, row, scales, limits),
                    z_label=_set_or(
                        self._config.plot.z_label, Plot.z_label, spectrogram.legend.z_label
                    ),
                    y_label=_set_or(
                        self._config.plot.y_label, Plot.y_label, spectrogram.legend.y_label
                    ),
                )
                for label, spectrogram, row in rows
            ),
            scales=scales,
            limits=limits,
            sources=tuple(one.source for one in shown),
            events=tuple(Event(start, end, "cusp") for start, end in events),
        )

    def _limits(self, spectrogram: Spectrogram, row: int, scales: ScalePair, limits: str) -> Limits:
        if limits == "raw":
            coverage = self._config.extrema.energy_coverage
            found = raw_limits(spectrogram, row, scales, coverage)
        else:
            found = given_limits(
                self._extrema,
                self._config.axes,
                spectrogram.instrument,
                spectrogram.category[row],
                scales,
                self._config.plot.category_limits,
            )
        return found or empty_limits(spectrogram, scales)

    def _item_name(self, task: Task) -> str:
        orbits = not self._config.instrument or "{orbit}" in self._config.instrument[0].file
        return f"orbit {task.item.id}" if orbits else task.item.id

    def _angles(self, instruments: Iterable[str], words: str) -> str:
        """What the title says of pitch angles: nothing where there are none."""
        return words if any(map(self._config.has_pitch_angles, instruments)) else ""

    def _instrument_label(self, one: Spectrogram) -> str:
        rows = f" ({one.legend.rows})" if one.legend.rows else ""
        return f"{one.instrument}: {one.legend.name}{rows}"

    def _category_label(self, category: str, spectrogram: Spectrogram) -> str:
        if not self._config.has_pitch_angles(spectrogram.instrument):
            return spectrogram.legend.rows or spectrogram.legend.name
        intervals = self._config.pitch_angles.get(category, ())
        return f"{category} ({', '.join(f'{low:g}°–{high:g}°' for low, high in intervals)})"

    def _missing(self, task: Task, spectrograms: Spectrograms) -> tuple[str, ...]:
        """Says which of the wanted instruments are not in the picture, and why."""
        reasons = {one.instrument: one.reason for one in task.failures}
        missing = [
            f"{instrument} ({reasons.get(instrument, 'no file')})"
            for instrument in self._config.select.instruments
            if instrument not in spectrograms
        ]
        return (f"No data: {', '.join(missing)}",) if missing else ()

    def _name(self, content: FigureContent, instrument: str, scales: ScalePair) -> str:
        marked = content.item in self._marks
        return figure_name(self._config, content.item, instrument, scales, content.limits, marked)

    def _style(self, scales: ScalePair) -> Style:
        plot = self._config.plot
        return Style(
            dpi=plot.dpi,
            panel_size=plot.panel_size,
            colormap=plot.colormap_of(scales),
            y_label=plot.y_label,
            zoom_minutes=plot.zoom_minutes,
        )


def _set_or(label: str, default: str, own: str) -> str:
    """A label as it is set, or the data's own."""
    return own if label == default and own else label
