"""Missing previews: the run wrote none, or was made by an earlier version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.draw.kinds.derived import with_derived
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.report.contents import ItemEntry
from spectro_mpi.rundir.layout import PLOTS, SHEET, data_path
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for, side_by_side

_CPU_SECONDS = 60.0
"""CPU time that one preview may take."""


@dataclass(frozen=True)
class MissingPreview:
    """A preview to make."""

    run_dir: Path
    entry: ItemEntry
    data_file: str
    sheet: bool
    """Whether to make the sheet of thumbnails."""
    values: bool
    """Whether the scripts hold the values of the spectrograms."""
    config: Config
    """The settings of the run."""


def missing_previews(run: Run, entries: Sequence[ItemEntry]) -> list[MissingPreview]:
    """Return the previews that the settings request and that do not exist."""
    report = run.config.report
    return [
        MissingPreview(
            run.path,
            entry,
            run.progress.data_files[entry.id],
            report.thumbnails,
            report.values,
            run.config,
        )
        for entry in entries
        if entry.figures
        and entry.id in run.progress.data_files
        and (
            (report.thumbnails and not entry.has_sheet)
            or ((report.thumbnails or report.values) and not entry.has_script)
        )
    ]


def make_previews(missing: Sequence[MissingPreview]) -> Iterator[str]:
    """Make previews on all available cores; yield the id of each item that has one now.

    Child processes read the run, which may be damaged or from somebody else, under limits of time
    and memory. Raises `OSError` if a preview cannot be written.
    """

    def make(untrusted: UntrustedCalls, one: MissingPreview) -> str:
        try:
            data = data_path(one.run_dir, one.data_file)
            untrusted.memory_mb = 2 * memory_for(data.stat().st_size if data.exists() else 0)
            return untrusted(_make, one)
        except (ChildProcessError, MemoryError):
            return ""

    count = min(cores_allowed(), len(missing))
    made = side_by_side(make, missing, count, lambda: UntrustedCalls(_CPU_SECONDS))
    with closing(made):
        yield from filter(None, made)


def _make(missing: MissingPreview) -> str:
    """Make one preview; return its item, or "" if its figures or data cannot be read."""
    from spectro_mpi.previews.figure_files import UNREADABLE_FIGURE, read_figure
    from spectro_mpi.previews.preview import Preview, write_preview
    from spectro_mpi.rundir.store import read_spectrograms

    entry = missing.entry
    preview = Preview(entry.id)
    order = list(entry.instruments)
    try:
        for figure in entry.figures:
            name = entry.id + figure.tail
            path = missing.run_dir / PLOTS / entry.month / entry.id / name
            preview.add(name, *read_figure(path))
        data = data_path(missing.run_dir, missing.data_file)
        stored = read_spectrograms(data, entry.id) if missing.values else ()
        shown = [shown_as_set(values, missing.config.instrument) for values in stored]
        in_order = sorted(shown, key=lambda values: order.index(values.instrument))
        every = with_derived(missing.config, in_order)
        files = preview.scripts(every, missing.config.plot.gap_factor)
    except UNREADABLE_FIGURE:
        return ""  # `verify` reports it
    if missing.sheet:
        cells = [""] * max(figure.cells for figure in entry.figures)
        for figure in entry.figures:
            cells[figure.cell] = entry.id + figure.tail
        files[SHEET] = preview.sheet(cells)
    write_preview(missing.run_dir, entry.month, entry.id, files)
    return entry.id
