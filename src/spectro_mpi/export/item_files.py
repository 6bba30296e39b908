"""The exported files of one item, read and written in a child process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from spectro_mpi.export.cdf_file import cdf_bytes, tt2000
from spectro_mpi.export.naming import DIGEST, RUN_ID, file_stem, global_attributes, with_given
from spectro_mpi.export.present import made_from
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.model.artifacts import Dataset
from spectro_mpi.model.as_istp import Meanings, as_istp
from spectro_mpi.model.extrema import common_limits
from spectro_mpi.model.records import datasets_in_order, in_time_order
from spectro_mpi.model.spectrogram import Spectrogram, drawn_scales
from spectro_mpi.rundir.store import (
    UNREADABLE,
    first_line,
    instruments_of,
    read_datasets,
    read_spectrogram,
)
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic

SUFFIXES = {"cdf": ".cdf", "netcdf": ".nc"}


@dataclass(frozen=True)
class ItemExport:
    """What is exported of an item."""

    item: str
    config: Config
    data: tuple[tuple[str, Path], ...]
    """Phases with the files of the store that have data of it; that of reduce is the first."""
    digest: str
    """Of the data and of what else the files say."""
    format: str
    """A key of `SUFFIXES`."""
    folder: Path
    instruments: tuple[str, ...]
    """Empty: all."""
    replaces: bool
    today: datetime
    extrema: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Global attributes that the user gives."""


@dataclass(frozen=True)
class Written:
    """What became of one file."""

    bytes: int = 0
    """0: it was not written."""
    is_kept: bool = False
    problem: str = ""
    """Why it could not be written, a sentence; empty: nothing was wrong."""


def export_item(task: ItemExport) -> list[Written]:
    """Write the files of an item, one for each instrument. Raises `OSError` if it cannot."""
    path = task.data[0][1]
    try:
        there = instruments_of(path, task.item)
        names = [name for name in there if not task.instruments or name in task.instruments]
        read = [(name, read_spectrogram(path, task.item, name)) for name in names]
        others = {name: list(_others(task, name)) for name in names}
    except UNREADABLE as error:
        return [Written(problem=f"item {task.item}: cannot be read ({first_line(error)})")]
    return [_export(task, stored, others[name]) for name, stored in read]


def _others(task: ItemExport, instrument: str) -> Iterator[Dataset]:
    """The datasets of an instrument that phases other than reduce wrote."""
    for _, path in task.data[1:]:
        if instrument in instruments_of(path, task.item):
            yield from read_datasets(path, task.item, instrument).datasets.values()


def _export(task: ItemExport, stored: Spectrogram, others: Sequence[Dataset]) -> Written:
    shown = shown_as_set(stored, task.config.instrument)
    spectrogram = in_time_order(shown)
    if not len(spectrogram.time):
        return Written(problem=f"item {task.item}, {stored.instrument}: no record has a time")
    others = datasets_in_order(others, shown.time)
    path = task.folder / (file_stem(spectrogram, task.item) + SUFFIXES[task.format])
    if path.exists() and not path.is_file():
        return Written(problem=f"{path}: exists and is not a file; give another folder")
    if not task.replaces:
        with contextlib.suppress(FileNotFoundError):
            run_id, digest = made_from(path)
            if (run_id, digest) == (task.config.run_id, task.digest):
                return Written(is_kept=True)
            if run_id != task.config.run_id:
                whose = f"run {run_id}" if run_id else "another program"
                return Written(
                    problem=f"{path}: exists, made by {whose}; --force replaces it, or give "
                    "another folder"
                )
    left_out = len(shown.time) - len(spectrogram.time)
    if task.format == "cdf":
        content = _as_cdf(task, spectrogram, others, left_out)
    else:
        content = _as_netcdf(task, spectrogram, others, left_out)
    write_atomic(path, content)
    return Written(bytes=len(content))


def _as_cdf(
    task: ItemExport, spectrogram: Spectrogram, others: Sequence[Dataset], left_out: int
) -> bytes:
    run_id = task.config.run_id
    about = global_attributes(spectrogram, task.item, run_id, left_out, task.today)
    about = with_given({**about, DIGEST: task.digest}, task.attributes)
    epoch = tt2000(spectrogram.time)
    return cdf_bytes(as_istp(spectrogram, epoch, others, _meanings(task, spectrogram)), about)


def _as_netcdf(
    task: ItemExport, spectrogram: Spectrogram, others: Sequence[Dataset], left_out: int
) -> bytes:
    from spectro_mpi.export.netcdf_file import netcdf_bytes

    about = {
        RUN_ID: task.config.run_id,
        DIGEST: task.digest,
        "records_left_out": str(left_out),
        "date_created": f"{task.today:%Y-%m-%d}",
        **task.attributes,
    }
    return netcdf_bytes(spectrogram, others, task.item, about)


def _meanings(task: ItemExport, spectrogram: Spectrogram) -> Meanings:
    config = task.config
    scales = drawn_scales(spectrogram.legend, config.plot.scales[0])
    limits = common_limits(config, task.extrema, spectrogram)
    return Meanings(dict(_categories(spectrogram, config)), limits, scales)


def _categories(spectrogram: Spectrogram, config: Config) -> Iterator[tuple[str, str]]:
    """Each category and what it means, if that is known."""
    directions = dict(config.pitch_angles)
    for row, name in enumerate(spectrogram.category):
        direction = directions.get(name)
        if isinstance(direction, Direction):
            yield name, f"{name} ({direction})"
        elif spectrogram.intervals.size:
            known = [pair for pair in spectrogram.intervals[row].tolist() if pair[0] == pair[0]]
            parts = " and ".join(f"[{low:g}, {high:g})" for low, high in known)
            yield name, f"{name} (pitch angles {parts} degrees)" if parts else name
