"""sources.lines: which input files the reduced data of each item were made from.

The store says the same. This file saves the report and others from opening a file for each item.
Lines are appended; a later one replaces what it repeats. An item that the file lacks, or of which
it has another content than the store, is looked up in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spectro_mpi.model.spectrogram import SEPARATOR
from spectro_mpi.rundir.layout import SOURCES
from spectro_mpi.rundir.lines import DurableLines
from spectro_mpi.rundir.names import ItemId
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.versions import as_json, version_of
from spectro_mpi.system.regular import read_regular

_DAMAGE = (ValueError, TypeError)


class Source(NamedTuple):
    """The input file, or files, that a spectrogram was made from."""

    name: str
    size: int | None
    """Bytes; None: only the sum with other files is known."""
    sha256: str
    """Empty if an earlier version made the spectrogram."""

    @property
    def files(self) -> list[Source]:
        """Each file by itself."""
        digests = self.sha256.split(SEPARATOR)
        if len(digests) == 1:
            return [self]
        names = self.name.split(SEPARATOR)
        return [Source(name, None, digest) for name, digest in zip(names, digests, strict=False)]


Sources = Mapping[str, Source]
"""Instrument → the input of its data."""
_Line = dict[ItemId, tuple[str, dict[str, tuple[str, int, str]]]]


class SourceLog:
    """Appends to sources.lines."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / SOURCES
        self._lines = DurableLines(self._path)
        self._is_whole = not _is_torn(self._path)

    def record(self, sources: Mapping[str, tuple[str, Sources]]) -> None:
        """Record item → (its data file, instrument → input). Durable; raises `OSError`."""
        lines = [as_json({"sources": sources})]
        # The end of a killed run: what it has begun is completed by an empty line.
        self._lines.append(*(lines if self._is_whole else [b"", *lines]))
        self._is_whole = True

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def read_sources(run_dir: Path, data_files: Mapping[str, str]) -> dict[str, Sources]:
    """Item → instrument → input, of the items whose recorded data is that of `data_files`.

    `data_files`: item → its data file. Lines that cannot be read are ignored. Raises
    `NewerVersionError` if a newer version wrote the file.
    """
    path = run_dir / SOURCES
    known: dict[str, Sources] = {}
    try:
        content = read_regular(path)
    except (OSError, ValueError):
        return known
    for line in content.split(b"\n")[:-1]:
        for item, (data_file, sources) in _read(line, path).items():
            if data_files.get(item) == data_file:
                known[item] = {name: Source(*source) for name, source in sources.items()}
    return known


def _read(line: bytes, path: Path) -> _Line:
    try:
        entry: dict[str, Any] = parsed_json(line)
        version_of(entry, path)
        return as_type(_Line, entry.get("sources", {}))
    except (*_DAMAGE, AttributeError):
        return {}


def _is_torn(path: Path) -> bool:
    """Whether a file does not end with the end of a line."""
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except OSError:  # it does not exist, or is empty
        return False
