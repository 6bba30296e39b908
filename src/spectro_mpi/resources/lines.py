"""The file of lines of one rank: lines that are appended survive the death of the rank.

`resources/rank-0003.lines` holds a JSON array per line: the name of a table, then the columns of
one row without `execution` and `rank`. The first line is a row of the table `ranks`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
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
from spectro_mpi.system.regular import read_regular

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


def read_lines(path: Path) -> Rows:
    """Return the rows that a rank has written so far, without lines that cannot be parsed.

    The last line of a rank that was killed may be incomplete.
    """
    rows: Rows = {name: [] for name in TABLES}
    with contextlib.suppress(FileNotFoundError, ValueError):
        for line in read_regular(path).split(b"\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
                name, *row = json.loads(line)
                if all(map(_fits, row, fields(TABLES[name])[2:])):
                    rows[name].append(row)
    return rows


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
