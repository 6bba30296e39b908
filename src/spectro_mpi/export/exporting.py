"""Export items of a run as files of archives: what there is to write, and what is there already."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from spectro_mpi.errors import UserError
from spectro_mpi.export.item_files import ItemExport, Written, export_item
from spectro_mpi.export.netcdf_file import check_installed
from spectro_mpi.inert import inert
from spectro_mpi.planning.inventory import missing_of, selection_by_id
from spectro_mpi.rundir.layout import data_path
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.selection import SelectSettings
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.untrusted import UntrustedCalls, memory_for, side_by_side
from spectro_mpi.system.words import nearest

FormatOfArchives = Literal["cdf", "netcdf"]
_VERSION = 1
"""Raised when the same data give other files."""
_CPU_SECONDS = 600
"""CPU time that one item may take; the largest takes seconds."""
_SILENT_SECONDS = 60.0
"""Longest wait for a file server that does not answer."""


@dataclass(frozen=True)
class ExportRequest:
    """What to export."""

    format: FormatOfArchives
    folder: Path
    items: str = ""
    """As `select.orbits`: "13312-13400,13500"; empty: all."""
    instruments: tuple[str, ...] = ()
    """Empty: all."""
    replaces: bool = False
    """Whether files that are there, and made from the same data, are written again."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Global attributes that take the place of others, such as PI_name."""


@dataclass
class Exported:
    """What was done so far."""

    written: int = 0
    kept: int = 0
    """Files that were there already, made from the same data."""
    bytes: int = 0
    """Of the files written."""
    items: int = 0
    problems: list[str] = field(default_factory=list)
    """What could not be exported, and why, a sentence each."""


def chosen_items(run: Run, words: str) -> tuple[list[str], tuple[str, ...]]:
    """The items with data that `words` selects, and what it names that the run has no data of.

    `words` is as `select.orbits`. Raises `UserError` if it cannot be read, or selects nothing.
    """
    select = SelectSettings(orbits=words)
    try:
        is_chosen = selection_by_id(select)
    except ValueError as error:
        raise UserError(f"--items {words}: {error}") from None
    everything = list(run.items)
    items = [item for item in everything if is_chosen(item)]
    missing = missing_of(select, ((item, "", "") for item in everything))
    if not items:
        what = f"--items {words}: " if words else ""
        there = f"; it has {everything[0]} to {everything[-1]}" if everything else " yet"
        hint = nearest(words, everything, 0.8) if words else ""
        raise UserError(f"{what}{run.path}: has no data of such items{there}{hint}")
    return items, missing


def check_request(run: Run, request: ExportRequest) -> None:
    """Raise `UserError` for an instrument that the run does not have, or a missing package."""
    if request.format == "netcdf":
        check_installed()
    known = run.config.select.instruments
    for name in request.instruments:
        if name not in known:
            raise UserError(
                f"--instruments {name}: the run has {', '.join(known)}{nearest(name, known)}"
            )


def export_items(
    run: Run, items: Sequence[str], request: ExportRequest, parallel: int = 0
) -> Generator[Exported, None, None]:
    """Export items, several at a time; yields what was done so far after each.

    A file is complete under its name, or absent. Items are read in child processes, because
    damaged data may crash their readers. `parallel`: how many; 0: the cores of this process.
    Raises `OSError` if a file cannot be written.
    """
    done = Exported()
    today, extrema = datetime.now(timezone.utc), run.extrema

    def export(untrusted: UntrustedCalls, item: str) -> list[Written]:
        task = _task(run, item, request, today, extrema)
        untrusted.memory_mb = 2 * memory_for(sum(map(_size_of, task.data)))
        try:
            return untrusted(export_item, task)
        except MemoryError:
            why = f"exporting it takes more than {untrusted.memory_mb} MB"
        except ChildProcessError as error:
            why = str(error)
        return [Written(problem=f"item {item}: {why}")]

    def child() -> UntrustedCalls:
        return UntrustedCalls(_CPU_SECONDS, silent_seconds=_SILENT_SECONDS)

    children = max(1, min(parallel or cores_allowed(), len(items)))
    results = side_by_side(export, items, children, child)
    with closing(results):
        for files in results:
            done.items += 1
            for file in files:
                done.written += file.bytes > 0
                done.kept += file.is_kept
                done.bytes += file.bytes
                if file.problem:
                    done.problems.append(inert(file.problem))
            yield done


def _task(
    run: Run, item: str, request: ExportRequest, today: datetime, extrema: Mapping[str, float]
) -> ItemExport:
    stores = run.progress.stores
    phases = ["reduce", *(phase for phase in run.progress.phases if phase != "reduce")]
    names = [(phase, stores[phase][item]) for phase in phases if item in stores.get(phase, {})]
    config = run.config
    about = (
        _VERSION,
        request.format,
        item,
        names,
        bool(extrema),  # the limits themselves change with each item that is added
        config.instrument,
        config.plot.scales,
        config.axes,
        sorted(request.attributes.items()),
    )
    return ItemExport(
        item=item,
        config=config,
        data=tuple((phase, data_path(run.path, name)) for phase, name in names),
        digest=hashlib.sha256(repr(about).encode()).hexdigest()[:16],
        format=request.format,
        folder=request.folder,
        instruments=request.instruments,
        replaces=request.replaces,
        today=today,
        extrema=extrema,
        attributes=request.attributes,
    )


def _size_of(data: tuple[str, Path]) -> int:
    """Size of a file of the store, bytes; 0 if it is not there."""
    try:
        return data[1].stat().st_size
    except OSError:
        return 0
