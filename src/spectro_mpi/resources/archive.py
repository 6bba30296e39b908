"""`resources.h5`: the tables of all executions of a run, readable at any time.

The file has one group per table and one dataset per column. It is always rewritten and renamed when
complete, because an HDF5 file that is open for writing when its process is killed may be lost.
"""

from __future__ import annotations

import errno
import io
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from spectro_mpi.resources.lines import TABLES, ReadLines, drop_lines, read_lines
from spectro_mpi.resources.tables import (
    _LARGEST,
    SAMPLES_KEPT,
    TEXT,
    Array,
    Ends,
    Nodes,
    Plans,
    Ranks,
    Samples,
    Steps,
    Table,
    joined,
    sorted_by,
    table_of,
    thin,
)
from spectro_mpi.rundir.datasets import member, refuse_foreign
from spectro_mpi.rundir.layout import RESOURCES, all_rank_lines
from spectro_mpi.rundir.store import UNREADABLE, opened
from spectro_mpi.settings.versions import SCHEMA, SCHEMA_VERSION
from spectro_mpi.system.atomic import part_path, set_aside, write_atomic

log = logging.getLogger(__name__)
_WIDEST = 86400.0
_STEPS_KEPT = 2_000_000
_NODES_KEPT = 200_000

_ORDER = {"plans": "time", "ranks": "began", "steps": "begin"}
"""Table → the column that its rows are sorted by, if it is not `time`."""


@dataclass(frozen=True)
class Record:
    """All tables of a run's resources."""

    samples: Samples = field(default_factory=lambda: table_of(Samples, ()))
    nodes: Nodes = field(default_factory=lambda: table_of(Nodes, ()))
    steps: Steps = field(default_factory=lambda: table_of(Steps, ()))
    ends: Ends = field(default_factory=lambda: table_of(Ends, ()))
    plans: Plans = field(default_factory=lambda: table_of(Plans, ()))
    ranks: Ranks = field(default_factory=lambda: table_of(Ranks, ()))

    def of_last_execution(self) -> Record:
        """The rows of the last execution."""
        last = self.ranks.execution.max(initial=0)
        tables = {name: getattr(self, name) for name in TABLES}
        return Record(**{name: rows.at(rows.execution == last) for name, rows in tables.items()})


def read_record(
    run_dir: Path | str,
    tables: Iterable[str] = TABLES,
    lines: ReadLines = read_lines,
    rank: int | None = None,
) -> Record | None:
    """Read the tables of a run, also while it is running or after it died.

    `tables`: names of the tables to read, which must include `ranks`; the other tables are empty.
    `lines` reads the rows that are not in `resources.h5` yet, only those of `rank` if it is given.
    Returns None if the run has no samples.
    """
    run_dir = Path(run_dir)
    try:
        kept = _read_archive(run_dir / RESOURCES, tables)
    except UNREADABLE as error:
        log.warning("%s: cannot be read (%s)", run_dir / RESOURCES, error)
        kept = Record()
    record = _with_lines(run_dir, kept, tuple(tables), lines, rank)
    return record if len(record.ranks) else None


def read_samples(run_dir: Path | str) -> Samples | None:
    """Read the samples of all ranks, sorted by time; None if there are none."""
    record = read_record(run_dir)
    return record.samples if record is not None and len(record.samples) else None


def read_steps(run_dir: Path | str) -> Steps | None:
    """Read the tasks done by all ranks, sorted by start; None if there are none."""
    record = read_record(run_dir)
    return record.steps if record is not None and len(record.steps) else None


def fold(run_dir: Path) -> None:
    """Move the rows of the ranks' line files into `resources.h5`, after the execution has ended.

    If this is interrupted, no row is lost or added twice. Raises `OSError`.
    """
    files = all_rank_lines(run_dir)
    if not files:
        return
    path = run_dir / RESOURCES
    try:
        kept = _read_archive(path, TABLES)
    except UNREADABLE as error:
        log.warning("%s: cannot be read (%s), set aside as %s", path, error, set_aside(path))
        kept = Record()
    write_archive(path, _bounded(_with_lines(run_dir, kept)))
    drop_lines(run_dir, files)


def _with_lines(
    run_dir: Path,
    kept: Record,
    tables: Iterable[str] = TABLES,
    read: ReadLines = read_lines,
    only: int | None = None,
) -> Record:
    execution = int(kept.ranks.execution.max(initial=-1)) + 1
    known = set(zip(kept.ranks.rank, kept.ranks.began, strict=True))
    rows: dict[str, list[list[Any]]] = {name: [] for name in TABLES}
    for rank, path in all_rank_lines(run_dir).items():
        if only not in (None, rank):
            continue
        lines = read(path, tables)
        # A file without a first line has no data; a known one was left by an interrupted fold.
        began = [row[_BEGAN] for row in lines["ranks"] if len(row) > _BEGAN]
        if began and (rank, began[0]) not in known:
            # The last row of a rank has how it ended.
            lines["ranks"] = [_with_cause(row) for row in lines["ranks"][-1:]]
            for name, of_table in lines.items():
                width = len(fields(TABLES[name])) - 2
                rows[name] += [[execution, rank, *row] for row in of_table if len(row) == width]
    return Record(
        **{
            name: sorted_by(
                joined(kind, [getattr(kept, name), table_of(kind, rows[name])]),
                _ORDER.get(name, "time"),
            )
            for name, kind in TABLES.items()
        }
    )


_IN_LINE = {column.name: place - 2 for place, column in enumerate(fields(Ranks))}
"""Column → its position in a line of table `ranks`."""
_BEGAN = _IN_LINE["began"]
_STOPPED = "stopped: "
"""Prefix of the reason of a stop in records of version 0.1."""


def _with_cause(row: list[Any]) -> list[Any]:
    """A line of table `ranks` with its `cause`, which version 0.1 did not write."""
    if len(row) != _IN_LINE["cause"]:
        return row
    row = [*row, _cause_of(row[_IN_LINE["ending"]])]
    row[_IN_LINE["ending"]] = row[_IN_LINE["ending"]].removeprefix(_STOPPED)
    return row


def _cause_of(ending: str) -> str:
    """Why a rank ended, from the text that version 0.1 recorded."""
    if ending in ("", "done"):
        return ending
    if ending.startswith(_STOPPED):
        return "wall-time" if "the job" in ending else "stopped"
    if "output cannot be written" in ending:
        full = any(os.strerror(number) in ending for number in (errno.ENOSPC, errno.EDQUOT))
        return "disk-full" if full else "output-lost"
    return "out-of-memory" if "MemoryError" in ending else "exception"


def _bounded(record: Record) -> Record:
    """Merge or drop rows, so that each table has at most its number of rows."""
    samples, width = record.samples, 1.0
    while len(samples) > SAMPLES_KEPT and width < _WIDEST:
        width *= 2
        samples = thin(record.samples, width)
    tables: dict[str, Any] = {name: getattr(record, name) for name in TABLES}
    tables["samples"] = samples
    tables["nodes"] = _every_nth(record.nodes, _NODES_KEPT)
    tables["steps"] = record.steps.at(np.arange(len(record.steps))[-_STEPS_KEPT:])
    return Record(**tables)


def _every_nth(nodes: Nodes, kept: int) -> Nodes:
    return nodes.at(np.arange(0, len(nodes), max(1, -(-len(nodes) // kept))))


def write_archive(path: Path, record: Record) -> None:
    """Write a record as a new file, which replaces `path`. Raises `OSError`."""
    import h5py

    # In memory first, because HDF5 cannot recover from a full disk.
    image = io.BytesIO()
    with h5py.File(image, "w", libver="latest") as file:
        file.attrs[SCHEMA] = SCHEMA_VERSION
        file.attrs["description"] = "How a run used the machine; docs/formats.md"
        for name in TABLES:
            table = getattr(record, name)
            for column in fields(table):
                values = getattr(table, column.name)
                if column.metadata["dtype"] == TEXT:
                    values = np.char.encode(values, "utf-8")
                    values = values.astype(f"S{max(1, values.dtype.itemsize)}")
                # A small dataset is smaller without chunks and their index.
                packed = {"compression": "gzip", "shuffle": True} if len(table) > 1000 else {}
                dataset = file.create_dataset(f"{name}/{column.name}", data=values, **packed)
                if column.metadata["unit"]:
                    dataset.attrs["units"] = column.metadata["unit"]
                if column.metadata["meaning"]:
                    dataset.attrs["long_name"] = column.metadata["meaning"]
    try:
        write_atomic(path, image.getvalue())
    except OSError:
        part_path(path).unlink(missing_ok=True)
        raise


def _read_archive(path: Path, tables: Iterable[str]) -> Record:
    """Read the file; an empty record if it does not exist. Raises one of `UNREADABLE`."""
    if not path.exists():
        return Record()
    with opened(path) as file:
        content: dict[str, Any] = {
            name: _read_table(member(file, name), TABLES[name]) for name in tables
        }
    return Record(**content)


def _read_table(group: Any, kind: type[Table]) -> Table:
    refuse_foreign(group)
    columns = list(_columns(group, kind))
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"the columns of {group.name} have different lengths")
    return kind(*columns)


def _columns(group: Any, kind: type[Table]) -> Iterable[Array]:
    for column in fields(kind):
        if kind is Ranks and column.name == "cause" and "cause" not in group:  # version 0.1
            endings = _decoded(group["ending"][()]).tolist()
            yield np.array([_cause_of(words) for words in endings], TEXT if endings else "U1")
            continue
        values = group[column.name][()]
        dtype, width = column.metadata["dtype"], column.metadata["width"]
        kinds = "SO" if dtype == TEXT else "biuf"
        if values.dtype.kind not in kinds or values.shape[1:] != ((width,) if width else ()):
            raise ValueError(f"{column.name} has another type or shape")
        if dtype[:1] == "f" and (np.abs(values) > _LARGEST).any():
            raise ValueError(f"{column.name} has implausible numbers")
        yield _decoded(values) if dtype == TEXT else values


def _decoded(values: Array) -> Array:
    if values.size and values.view(np.uint8).max() < 128:
        return values.astype(TEXT)  # ASCII: many times faster
    decoded: Array = np.char.decode(values, "utf-8")
    return decoded
