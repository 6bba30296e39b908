"""`resources.h5`: the tables of all executions of a run, and reading them at any time.

A group a table, a dataset a column. The file is made anew and renamed when whole: an HDF5 file
that is open for writing when its process is killed may be lost.
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

from spectro_mpi.resources.lines import TABLES, drop_lines, read_lines
from spectro_mpi.resources.tables import (
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
from spectro_mpi.rundir.layout import RESOURCES, all_rank_lines
from spectro_mpi.rundir.store import UNREADABLE
from spectro_mpi.system.atomic import part_path, set_aside, write_atomic

log = logging.getLogger(__name__)


SAMPLES_KEPT = 200_000
"""Rows of samples in the file, of all ranks; more are thinned."""
_WIDEST = 86400.0
_STEPS_KEPT = 2_000_000
_NODES_KEPT = 200_000

_ORDER = {"plans": "time", "ranks": "began", "steps": "begin"}
"""Table → the column its rows are in order of, if that is not `time`."""


@dataclass(frozen=True)
class Record:
    """All that is known of a run's use of the machine."""

    samples: Samples = field(default_factory=lambda: table_of(Samples, ()))
    nodes: Nodes = field(default_factory=lambda: table_of(Nodes, ()))
    steps: Steps = field(default_factory=lambda: table_of(Steps, ()))
    ends: Ends = field(default_factory=lambda: table_of(Ends, ()))
    plans: Plans = field(default_factory=lambda: table_of(Plans, ()))
    ranks: Ranks = field(default_factory=lambda: table_of(Ranks, ()))

    def of_last_execution(self) -> Record:
        """What belongs to the last execution alone."""
        last = self.ranks.execution.max(initial=0)
        tables = {name: getattr(self, name) for name in TABLES}
        return Record(**{name: one.at(one.execution == last) for name, one in tables.items()})


def read_record(run_dir: Path, tables: Iterable[str] = TABLES) -> Record | None:
    """All tables, or some (of which `ranks` is one), also of a run that goes on or died.

    None if nothing was sampled. Tables that are not asked for hold what is not in the file yet.
    """
    try:
        kept = _read_archive(run_dir / RESOURCES, tables)
    except UNREADABLE as error:
        log.warning("%s: does not read (%s)", run_dir / RESOURCES, error)
        kept = Record()
    record = _with_lines(run_dir, kept)
    return record if len(record.ranks) else None


def read_samples(run_dir: Path) -> Samples | None:
    """The samples of all ranks, in order of time; None if there are none."""
    record = read_record(run_dir)
    return record.samples if record is not None and len(record.samples) else None


def read_steps(run_dir: Path) -> Steps | None:
    """The tasks done by all workers, in order of their beginning; None if there are none."""
    record = read_record(run_dir)
    return record.steps if record is not None and len(record.steps) else None


def fold(run_dir: Path) -> None:
    """Take the ranks' files of lines into `resources.h5`. Raises `OSError`.

    Nothing is lost or taken in twice if this is interrupted. The execution has ended.
    """
    files = all_rank_lines(run_dir)
    if not files:
        return
    path = run_dir / RESOURCES
    try:
        kept = _read_archive(path, TABLES)
    except UNREADABLE as error:
        log.warning("%s: does not read (%s), set aside as %s", path, error, set_aside(path))
        kept = Record()
    write_archive(path, _bounded(_with_lines(run_dir, kept)))
    drop_lines(run_dir, files)


def _with_lines(run_dir: Path, kept: Record) -> Record:
    execution = int(kept.ranks.execution.max(initial=-1)) + 1
    known = set(zip(kept.ranks.rank, kept.ranks.began, strict=True))
    rows: dict[str, list[list[Any]]] = {name: [] for name in TABLES}
    for rank, path in all_rank_lines(run_dir).items():
        found = read_lines(path)
        # Without a first line there is nothing; one that is known was left by an interrupted fold.
        began = [row[_BEGAN] for row in found["ranks"] if len(row) > _BEGAN]
        if began and (rank, began[0]) not in known:
            found["ranks"] = found["ranks"][-1:]  # the last one tells how it ended
            found["ranks"] = [_with_cause(row) for row in found["ranks"]]
            for name, ones in found.items():
                whole = len(fields(TABLES[name])) - 2
                rows[name] += [[execution, rank, *one] for one in ones if len(one) == whole]
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
"""Column → its place in a line of table `ranks`."""
_BEGAN = _IN_LINE["began"]
_STOPPED = "stopped: "
"""Before the reason of a stop, in records of 0.1."""


def _with_cause(row: list[Any]) -> list[Any]:
    """A line of table `ranks`; one that 0.1 wrote has no `cause`."""
    if len(row) != _IN_LINE["cause"]:
        return row
    row = [*row, _cause_of(row[_IN_LINE["ending"]])]
    row[_IN_LINE["ending"]] = row[_IN_LINE["ending"]].removeprefix(_STOPPED)
    return row


def _cause_of(ending: str) -> str:
    """Why a rank ended by the words of 0.1, which recorded nothing else."""
    if ending in ("", "done"):
        return ending
    if ending.startswith(_STOPPED):
        return "wall-time" if "the job" in ending else "stopped"
    if "output cannot be written" in ending:
        full = any(os.strerror(number) in ending for number in (errno.ENOSPC, errno.EDQUOT))
        return "disk-full" if full else "output-lost"
    return "out-of-memory" if "MemoryError" in ending else "exception"


def _bounded(record: Record) -> Record:
    """With no more rows than are to be kept."""
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
    """Write a record as a whole file. Raises `OSError`."""
    import h5py

    # In memory first: HDF5 does not get over a disk that is full.
    image = io.BytesIO()
    with h5py.File(image, "w", libver="latest") as file:
        file.attrs["description"] = "How a run used the machine; docs/formats.md"
        for name in TABLES:
            table = getattr(record, name)
            for one in fields(table):
                values = getattr(table, one.name)
                if one.metadata["dtype"] == TEXT:
                    values = np.char.encode(values, "utf-8")
                    values = values.astype(f"S{max(1, values.dtype.itemsize)}")
                # A small dataset is smaller without chunks and their index.
                packed = {"compression": "gzip", "shuffle": True} if len(table) > 1000 else {}
                dataset = file.create_dataset(f"{name}/{one.name}", data=values, **packed)
                if one.metadata["unit"]:
                    dataset.attrs["units"] = one.metadata["unit"]
                if one.metadata["meaning"]:
                    dataset.attrs["long_name"] = one.metadata["meaning"]
    try:
        write_atomic(path, image.getvalue())
    except OSError:
        part_path(path).unlink(missing_ok=True)
        raise


def _read_archive(path: Path, tables: Iterable[str]) -> Record:
    """What is in the file; nothing if there is none. Raises what is in `UNREADABLE`."""
    if not path.exists():
        return Record()
    import h5py

    with h5py.File(path) as file:
        found: dict[str, Any] = {name: _read_table(file[name], TABLES[name]) for name in tables}
    return Record(**found)


def _read_table(group: Any, kind: type[Table]) -> Table:
    return kind(*_columns(group, kind))


def _columns(group: Any, kind: type[Table]) -> Iterable[Array]:
    for column in fields(kind):
        if kind is Ranks and column.name == "cause" and "cause" not in group:  # 0.1
            endings = _decoded(group["ending"][()]).tolist()
            yield np.array([_cause_of(words) for words in endings], TEXT if endings else "U1")
            continue
        values = group[column.name][()]
        yield _decoded(values) if column.metadata["dtype"] == TEXT else values


def _decoded(values: Array) -> Array:
    if values.size and values.view(np.uint8).max() < 128:
        return values.astype(TEXT)  # many times faster
    decoded: Array = np.char.decode(values, "utf-8")
    return decoded
