"""sources.lines: which input files the reduced data of each item were made from, when and where.

The store says the same. This file saves the report and others from opening a file for each item.
Lines are appended; a later one replaces what it repeats. The sources of an item that the file
lacks, or of which it has another content than the store, are looked up in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from annotated_types import Interval

from spectro_mpi.model.coverage import Coverage, Track
from spectro_mpi.model.spectrogram import SEPARATOR
from spectro_mpi.rundir.layout import SOURCES
from spectro_mpi.rundir.lines import DurableLines
from spectro_mpi.rundir.names import ItemId
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.versions import as_json, version_of
from spectro_mpi.system.regular import read_regular

_DAMAGE = (ValueError, TypeError)
_Whole = Annotated[int, Interval(ge=-90, le=90)]
_Seconds = Annotated[float, Interval(ge=-1e11, le=1e11)]


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
_SourceLine = dict[ItemId, tuple[str, dict[str, tuple[str, int, str]]]]
_Tracks = list[tuple[_Whole | None, _Whole | None, _Whole | None]]
_Line = TypeVar("_Line", bound=dict[str, Any])
_CoverageLine = dict[ItemId, tuple[str, _Seconds, _Seconds, _Tracks]]


class SourceLog:
    """Appends to sources.lines."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / SOURCES
        self._lines = DurableLines(self._path)
        self._is_whole = not _is_torn(self._path)

    def record(
        self,
        sources: Mapping[str, tuple[str, Sources]],
        coverages: Mapping[str, tuple[str, Coverage]] | None = None,
    ) -> None:
        """Record item → (its data file, instrument → input), and item → (its data file, coverage).

        Durable; raises `OSError`.
        """
        entry: dict[str, Any] = {"sources": sources}
        if coverages:
            entry["coverage"] = {
                item: (data_file, *vars(coverage).values())
                for item, (data_file, coverage) in coverages.items()
            }
        lines = [as_json(entry)]
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
    return {
        item: {name: Source(*source) for name, source in sources.items()}
        for line in _lines(run_dir, "sources", _SourceLine)
        for item, (data_file, sources) in line.items()
        if data_files.get(item) == data_file
    }


def read_coverage(run_dir: Path, data_files: Mapping[str, str]) -> dict[str, Coverage]:
    """Item → when and where its data were measured; parameters and exceptions as `read_sources`.

    Items that earlier versions reduced are missing.
    """
    return {
        item: Coverage(begin, end, tuple(Track(*track) for track in tracks))
        for line in _lines(run_dir, "coverage", _CoverageLine)
        for item, (data_file, begin, end, tracks) in line.items()
        if data_files.get(item) == data_file
    }


def _lines(run_dir: Path, what: str, kind: type[_Line]) -> Iterator[_Line]:
    """An entry of each line of the file."""
    path = run_dir / SOURCES
    try:
        content = read_regular(path)
    except (OSError, ValueError):
        return
    for line in content.split(b"\n")[:-1]:
        yield _read(line, path, what, kind)


def _read(line: bytes, path: Path, what: str, kind: type[_Line]) -> _Line:
    try:
        entry: dict[str, Any] = parsed_json(line)
        version_of(entry, path)
        return as_type(kind, entry.get(what, {}))
    except (*_DAMAGE, AttributeError):
        return kind()


def _is_torn(path: Path) -> bool:
    """Whether a file does not end with the end of a line."""
    try:
        with path.open("rb") as file:
            file.seek(-1, 2)
            return file.read(1) != b"\n"
    except OSError:  # it does not exist, or is empty
        return False
