"""Tables of a run's resources: frozen dataclasses whose columns are NumPy arrays of equal length.

`execution` counts the executions of a run from 0: a run that is stopped and run again has several.
Times are seconds since 1970 UTC. They do not change with the clock after the rank has begun. A MB
is 2^20 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.system.activity import ACTIVITIES

Array = NDArray[Any]

SAMPLES_KEPT = 200_000
"""Most rows of samples that are kept, of all ranks; more are merged by `thin`."""
_LARGEST = 1e11
"""Largest plausible number: a time in s since 1970, in the year 5138."""
TEXT = "U"
"""Type of columns with text."""


def column(dtype: str, unit: str = "", meaning: str = "", width: int = 0) -> Any:
    """Declare a column: shape (rows,), or (rows, `width`) if `width` is not 0."""
    return field(metadata={"dtype": dtype, "unit": unit, "meaning": meaning, "width": width})


T = TypeVar("T", bound="Table")


@dataclass(frozen=True)
class Table:
    """A table: columns of equal length."""

    execution: Array = column("i4", "", "executions of the run, from 0")
    rank: Array = column("i4", "", "MPI rank")

    def __len__(self) -> int:
        return len(self.execution)

    def at(self: T, rows: Array) -> T:
        """The rows selected by a boolean mask or by row numbers."""
        return type(self)(*(getattr(self, name)[rows] for name in _names(type(self))))


@dataclass(frozen=True)
class Samples(Table):
    """What a rank and its compute process used in a span of time; sorted by time."""

    time: Array = column("f8", "s", "since 1970 UTC, end of the span of time sampled")
    seconds: Array = column("f4", "s", "length of that span")
    cpu: Array = column("f4", "cores", "the rank itself, mean")
    child_cpu: Array = column("f4", "cores", "its compute process, mean")
    resident: Array = column("f4", "MB", "the rank itself, highest")
    child_resident: Array = column("f4", "MB", "its compute process, highest")
    read: Array = column("f4", "MB", "by the compute process; of ranks without one, by the rank")
    written: Array = column("f4", "MB", "likewise, with what goes to the rank")
    phase: Array = column(TEXT, "", "phase at the end of the span; empty: idle")
    item: Array = column(TEXT, "", "item at hand")
    step: Array = column(TEXT, "", "instrument or kind of figure at hand")
    activity: Array = column(TEXT, "", "read, reduce, draw, encode, write or other")


@dataclass(frozen=True)
class Nodes(Table):
    """Totals of a node, sampled by one rank per node; sorted by time."""

    time: Array = column("f8", "s", "since 1970 UTC")
    host: Array = column(TEXT)
    load: Array = column("f4", "", "processes that run or want to, mean of a minute")
    cpu: Array = column("f4", "cores", "busy, of all processes, since the row before")
    available: Array = column("f4", "MB", "memory that processes can still have")
    oom_kills: Array = column("i4", "", "processes the kernel has ended for memory, since boot")


@dataclass(frozen=True)
class Steps(Table):
    """Tasks done (one phase of one item) by a rank; sorted by start."""

    begin: Array = column("f8", "s", "since 1970 UTC")
    seconds: Array = column("f4", "s", "from the task's start to its outcome")
    phase: Array = column(TEXT)
    item: Array = column(TEXT)
    size: Array = column("i8", "bytes", "of the item's files; of a batch written, of its results")
    failures: Array = column("i4", "", "instruments or figures that could not be done")
    peak: Array = column("f4", "MB", "highest memory of whoever computed it seen meanwhile")
    spent: Array = column("f4", "s", "by activity: " + ", ".join(ACTIVITIES), len(ACTIVITIES))


@dataclass(frozen=True)
class Ends(Table):
    """Compute processes that their rank killed, or that died; sorted by time."""

    time: Array = column("f8", "s", "since 1970 UTC")
    phase: Array = column(TEXT)
    item: Array = column(TEXT)
    step: Array = column(TEXT)
    activity: Array = column(TEXT)
    reason: Array = column(TEXT, "", "as in progress.json")
    message: Array = column(TEXT)
    resident: Array = column("f4", "MB", "highest memory of the process seen at the end")
    limit: Array = column("f4", "MB", "the memory it might have; 0: no limit was known")
    oom_kills: Array = column("i4", "", "by the kernel on this node since the task began")


@dataclass(frozen=True)
class Plans(Table):
    """The stack of each worker as dealt at the start of a phase; sorted by time."""

    time: Array = column("f8", "s", "since 1970 UTC")
    phase: Array = column(TEXT)
    worker: Array = column("i4", "", "whose stack; `rank` is the coordinator's")
    items: Array = column("i4")
    size: Array = column("i8", "bytes")


@dataclass(frozen=True)
class Ranks(Table):
    """The ranks of each execution, with their nodes and jobs; sorted by start."""

    host: Array = column(TEXT)
    pid: Array = column("i8")
    roles: Array = column(TEXT, "", "coordinator, writer, worker, joined by +")
    began: Array = column("f8", "s", "since 1970 UTC")
    ended: Array = column("f8", "s", "since 1970 UTC; NaN: it has not said so")
    ending: Array = column(TEXT, "", "done, or what ended it; empty: it has not said so")
    interval: Array = column("f4", "s", "between samples, as set")
    cores: Array = column("i4", "", "of the node, that the rank may use")
    memory: Array = column("f4", "MB", "of the node")
    limit: Array = column("f4", "MB", "of the job's control group on the node; 0: none")
    job: Array = column(TEXT, "", "the scheduler's job id")
    job_ends: Array = column("f8", "s", "since 1970 UTC, end of the wall time; NaN: not known")
    cause: Array = column(TEXT, "", "done, or why it ended before that; empty: it has not said so")


def table_of(kind: type[T], rows: Iterable[Sequence[Any]]) -> T:
    """Make a table from rows, whose values are in the order of the columns."""
    columns = list(zip(*rows, strict=True)) or [()] * len(fields(kind))
    return kind(
        *(
            _array(values, declared.metadata["dtype"], declared.metadata["width"])
            for values, declared in zip(columns, fields(kind), strict=True)
        )
    )


def is_plausible(value: object) -> bool:
    """Whether a value is a number that a column may hold: a time, a size, a count, or NaN."""
    return isinstance(value, int | float) and not abs(value) > _LARGEST


def rows_of(table: Table) -> list[list[Any]]:
    """The rows of a table, as Python values in the order of the columns."""
    columns = [getattr(table, name).tolist() for name in _names(type(table))]
    return [list(row) for row in zip(*columns, strict=True)]


def joined(kind: type[T], tables: Sequence[T]) -> T:
    """Concatenate tables."""
    if not tables:
        return table_of(kind, ())
    return kind(
        *(np.concatenate([getattr(table, name) for table in tables]) for name in _names(kind))
    )


def sorted_by(table: T, name: str) -> T:
    """Sort the rows by a column; rows with equal values keep their order."""
    return table.at(np.argsort(getattr(table, name), kind="stable"))


def thin(samples: Samples, width: float, kept: int = 0) -> Samples:
    """Merge rows of a rank that end in the same `width` seconds, except its last `kept` rows.

    Spans of time and bytes are added, loads are averaged, memory is the highest. What the rank was
    doing is taken from the row with most memory.
    """
    if not len(samples):
        return samples
    rows = samples.at(np.lexsort((samples.time, samples.rank, samples.execution)))
    owner = _first_of_runs(rows.execution, rows.rank)
    from_end = np.flatnonzero(np.r_[owner[1:], True])[np.cumsum(owner) - 1] - np.arange(len(rows))
    latest = from_end < kept
    first = owner | _first_of_runs(np.floor(rows.time / width), latest) | latest
    starts, groups = np.flatnonzero(first), np.cumsum(first) - 1
    memory = rows.resident + rows.child_resident
    # The row with most memory of each group is the last of the group in this order.
    fullest = np.lexsort((memory, groups))[np.r_[starts[1:], len(rows)] - 1]
    seconds = np.add.reduceat(rows.seconds, starts)
    merged: dict[str, Array] = {"seconds": seconds}
    for name in ("cpu", "child_cpu"):
        busy = np.add.reduceat(getattr(rows, name) * rows.seconds, starts)
        merged[name] = busy / np.where(seconds > 0, seconds, 1)
    for name in ("time", "resident", "child_resident"):
        merged[name] = np.maximum.reduceat(getattr(rows, name), starts)
    for name in ("read", "written"):
        merged[name] = np.add.reduceat(getattr(rows, name), starts)
    thinned = rows.at(fullest)
    return sorted_by(replace(thinned, **merged), "time")


def _names(kind: type[Table]) -> list[str]:
    """The columns of a table."""
    return [declared.name for declared in fields(kind)]


def _first_of_runs(*columns: Array) -> Array:
    """Mask of the rows that differ in any of the columns from the row before."""
    differs = np.zeros(len(columns[0]), bool)
    differs[:1] = True
    for values in columns:
        differs[1:] |= values[1:] != values[:-1]
    return differs


def _array(values: Sequence[Any], dtype: str, width: int) -> Array:
    if width:
        return np.array(values, dtype).reshape(len(values), width)
    return np.array(values, dtype if values or dtype != TEXT else "U1")
