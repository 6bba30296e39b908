"""A rank's own file of lines: what is appended stays, whatever becomes of the rank.

`resources/rank-0003.lines` holds a JSON array a line: the name of a table, then the columns of a
row of it without execution and rank. The first line is of table `ranks`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from spectro_mpi.resources.tables import Ends, Nodes, Plans, Ranks, Samples, Steps, Table
from spectro_mpi.rundir.layout import RESOURCE_LINES, all_rank_lines, rank_lines
from spectro_mpi.system.atomic import part_path

TABLES: Mapping[str, type[Table]] = {
    "samples": Samples,
    "nodes": Nodes,
    "steps": Steps,
    "ends": Ends,
    "plans": Plans,
    "ranks": Ranks,
}
"""Name → table."""

Rows = dict[str, list[list[Any]]]
"""Table → rows without execution and rank."""


class LineFile:
    """The file of one rank, from the start of an execution on."""

    def __init__(self, run_dir: Path, rank: int) -> None:
        """Raises `OSError`."""
        self.path = rank_lines(run_dir, rank)
        self.path.parent.mkdir(exist_ok=True)
        self._file = self._opened("wb")

    def append(self, rows: Iterable[tuple[str, Sequence[Any]]]) -> None:
        """Add rows of tables, in one go. Raises `OSError`."""
        self._file.write(b"".join(_line(name, row) for name, row in rows))

    def replace(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Put other rows in place of those of one table. Raises `OSError`."""
        mark = f'["{name}",'.encode()
        with self.path.open("rb") as file, part_path(self.path).open("wb") as part:
            part.writelines(line for line in file if not line.startswith(mark))
            part.writelines(_line(name, row) for row in rows)
        self._file.close()
        part_path(self.path).replace(self.path)
        self._file = self._opened("ab")

    def close(self) -> None:
        """End; the file stays."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _opened(self, mode: str) -> BinaryIO:
        # Unbuffered: what is appended is the kernel's at once, and so survives this process.
        file: BinaryIO = self.path.open(mode, buffering=0)  # type: ignore[assignment]
        return file


def read_lines(path: Path) -> Rows:
    """What a rank has written so far. What does not read is left out: a torn line, mostly."""
    rows: Rows = {name: [] for name in TABLES}
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                name, *row = json.loads(line)
                rows[name].append(row)
    return rows


def drop_lines(run_dir: Path, ranks: Iterable[int]) -> None:
    """Take away the files of ranks. Raises `OSError`."""
    files = all_rank_lines(run_dir)
    for rank in ranks:
        files[rank].unlink(missing_ok=True)
    for path in (run_dir / RESOURCE_LINES).glob("*"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (run_dir / RESOURCE_LINES).rmdir()


def _line(name: str, row: Sequence[Any]) -> bytes:
    return json.dumps([name, *row], separators=(",", ":")).encode() + b"\n"
