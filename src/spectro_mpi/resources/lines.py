"""The file of lines of one rank: lines that are appended survive the death of the rank.

`resources/rank-0003.lines` holds a JSON array per line: the name of a table, then the columns of
one row without `execution` and `rank`. The first line is a row of the table `ranks`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

from spectro_mpi.resources.tables import (
    TEXT,
    Ends,
    Nodes,
    Plans,
    Ranks,
    Samples,
    Steps,
    Table,
    is_plausible,
)
from spectro_mpi.rundir.layout import RESOURCE_LINES, all_rank_lines, rank_lines
from spectro_mpi.system.atomic import opened_new, part_path
from spectro_mpi.system.regular import opened_regular, read_regular

TABLES: Mapping[str, type[Table]] = {
    "samples": Samples,
    "nodes": Nodes,
    "steps": Steps,
    "ends": Ends,
    "plans": Plans,
    "ranks": Ranks,
}
"""Name → class of the table."""

Rows = dict[str, list[list[Any]]]
"""Name of a table → its rows, without the columns `execution` and `rank`."""


class LineFile:
    """The file of one rank for one execution of a run."""

    def __init__(self, run_dir: Path, rank: int) -> None:
        """Create the file. Raises `OSError` if it cannot be created."""
        self.path = rank_lines(run_dir, rank)
        self.path.parent.mkdir(exist_ok=True)
        self._file = self._opened("wb")

    def append(self, rows: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Append rows, each with the name of its table, in a single write.

        Raises `OSError` if they cannot be written.
        """
        self._file.write(b"".join(_line(name, row) for name, row in rows))

    def replace(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Replace all rows of the table `name` by `rows`.

        Raises `OSError` if the file cannot be rewritten.
        """
        mark = f'["{name}",'.encode()
        with self.path.open("rb") as file, opened_new(part_path(self.path)) as part:
            part.writelines(line for line in file if not line.startswith(mark))
            part.writelines(_line(name, row) for row in rows)
        self._file.close()
        part_path(self.path).replace(self.path)
        self._file = self._opened("ab")

    def close(self) -> None:
        """Close the file, without removing it."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _opened(self, mode: str) -> BinaryIO:
        # Unbuffered: the kernel has each row at once, so that it survives this process.
        file: BinaryIO = self.path.open(mode, buffering=0)  # type: ignore[assignment]
        return file


def read_lines(path: Path, tables: Iterable[str] = TABLES) -> Rows:
    """Return the rows that a rank has written so far, without lines that cannot be parsed.

    Those of other than these `tables` are left out. The last line of a rank that was killed may be
    incomplete.
    """
    rows: Rows = {name: [] for name in TABLES}
    with contextlib.suppress(FileNotFoundError, ValueError):
        _parse(read_regular(path), tables, rows)
    return rows


class GrowingLines:
    """Reads line files again and again: only what was added since the last time."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int, int, Rows]] = {}
        """File → its inode, the bytes read, and the rows in them."""

    def __call__(self, path: Path, tables: Iterable[str] = TABLES) -> Rows:
        """As `read_lines`. The `tables` must be the same each time, or more are read anew."""
        inode, done, rows = self._read.get(path, (0, 0, {}))
        try:
            with opened_regular(path) as file:
                facts = os.fstat(file.fileno())
                if facts.st_ino != inode or facts.st_size < done or not rows.keys() >= {*tables}:
                    done, rows = 0, {name: [] for name in tables}  # another file, or rewritten
                file.seek(done)
                added = file.read()
        except (OSError, ValueError):
            return {name: [] for name in TABLES}
        whole = added.rfind(b"\n") + 1  # the rest is a line that is being written
        _parse(added[:whole], rows, rows)
        self._read[path] = (facts.st_ino, done + whole, rows)
        return {name: [*rows.get(name, ())] for name in TABLES}


ReadLines = Callable[[Path, Iterable[str]], Rows]
"""`read_lines`, or a `GrowingLines`."""


def _parse(content: bytes, tables: Iterable[str], rows: Rows) -> None:
    """Add the rows of these tables to `rows`."""
    marks = tuple(f'["{name}",'.encode() for name in tables)
    for line in content.split(b"\n"):
        if not line.startswith(marks):
            continue
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            name, *row = json.loads(line)
            if all(map(_fits, row, fields(TABLES[name])[2:])):
                rows[name].append(row)


def _fits(value: Any, column: Any) -> bool:
    """Whether a value of a line is one of a column."""
    dtype, width = column.metadata["dtype"], column.metadata["width"]
    if dtype == TEXT:
        return isinstance(value, str)
    if width:
        return isinstance(value, list) and all(is_plausible(each) for each in value)
    return is_plausible(value) and (dtype[0] == "f" or isinstance(value, int))


def drop_lines(run_dir: Path, ranks: Iterable[int]) -> None:
    """Remove the files of `ranks`. Raises `OSError` if one cannot be removed."""
    files = all_rank_lines(run_dir)
    for rank in ranks:
        files[rank].unlink(missing_ok=True)
    for path in (run_dir / RESOURCE_LINES).glob("*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (run_dir / RESOURCE_LINES).rmdir()


def _line(name: str, row: Sequence[Any]) -> bytes:
    return json.dumps([name, *row], separators=(",", ":")).encode() + b"\n"
