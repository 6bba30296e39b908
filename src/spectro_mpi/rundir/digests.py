"""What each figure was drawn from: digests, in a file of lines beside progress.json.

A figure whose digest is not the one that is expected today is drawn again. The file has also the
digests of the reduced data, from which those of figures are computed without opening the store.
Lines are appended, a later one replaces what it repeats, and now and then the file is rewritten.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spectro_mpi.rundir.layout import DIGESTS, data_path
from spectro_mpi.rundir.lines import DurableLines
from spectro_mpi.rundir.names import ItemId
from spectro_mpi.rundir.progress import _DAMAGE, Progress
from spectro_mpi.rundir.store import digests_in
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.versions import as_json, version_of
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.untrusted import UntrustedCalls

FAILED = "!"
"""Before the digest of a figure that was asked for when its item failed: it may be missing."""
_ITEMS_A_LINE = 100
_TODAY = as_json({}).removesuffix(b"}")
"""What each line of this version begins with."""
_Digests = dict[ItemId, dict[str, str]]
"""Item → instrument, or number of a figure → digest."""


@dataclass
class KnownDigests:
    """What is known of the reduced data and the figures of a run."""

    data: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """Item → (its data file, instrument → digest of its data)."""
    figures: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Item → part, such as a figure → digest of what it was made from."""

    def data_of(self, item: str, data_file: str) -> Mapping[str, str] | None:
        """Instrument → digest of its data in a data file; None: not known."""
        known, digests = self.data.get(item, ("", {}))
        return digests if known == data_file else None

    def drop(self, parts: Mapping[str, Collection[str]]) -> None:
        """Forget parts of items, which will be made again."""
        for item, names in parts.items():
            for name in names:
                self.figures[item].pop(name, None)


def load_digests(run_dir: Path) -> KnownDigests:
    """Read the digests; an unreadable line and all after it are ignored: figures are drawn again.

    Raises `OSError`, or `NewerVersionError` if a newer version wrote them.
    """
    return _read(run_dir / DIGESTS)[0]


def refuse_newer_digests(run_dir: Path) -> None:
    """Raise `NewerVersionError` if a newer version wrote a line. Raises `OSError`."""
    path = run_dir / DIGESTS
    with contextlib.suppress(FileNotFoundError, *_DAMAGE):
        others = [
            line for line in read_regular(path).split(b"\n")[:-1] if not line.startswith(_TODAY)
        ]
        for _ in _entries(others, path):
            pass


def complete_digests(run_dir: Path, progress: Progress, untrusted: UntrustedCalls) -> KnownDigests:
    """Add digests of reduced data from the store: the file was lost, or runs were joined.

    The caller holds the lock. Data that cannot be read is left out. Returns what is known then.
    Raises `OSError`.
    """
    log = DigestLog(run_dir)
    by_file: dict[str, list[str]] = {}
    for item, data_file in progress.data_files.items():
        if log.known.data_of(item, data_file) is None:
            by_file.setdefault(data_file, []).append(item)
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for data_file, items in by_file.items():
        try:
            digests = untrusted(digests_in, data_path(run_dir, data_file), items)
        except OSError:
            continue  # the run finds that out, and reduces the items again
        found |= {item: (data_file, each) for item, each in digests.items()}
        if len(found) >= _ITEMS_A_LINE:
            log.record_data(found)
            found = {}
    if found:
        log.record_data(found)
    log.close()
    return log.known


class DigestLog:
    """Writes the digests: appends lines, and rewrites the file if much of it is superseded."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / DIGESTS
        self.known, self._names, self._written, is_whole = _read(self._path)
        self._lines = DurableLines(self._path)
        if not is_whole:
            self.fold()  # drops an incomplete line of a killed run

    def record(
        self,
        data: Mapping[str, tuple[str, Mapping[str, str]]],
        figures: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Record digests of reduced data, and of the figures that are on disk. Raises `OSError`.

        `data`: item → (its data file, instrument → digest). `figures`: item → part → digest of
        what it was drawn from.
        """
        self.known.data |= data
        lines = [_data_line(data)] if data else []
        if figures:
            lines += self._figures_lines(figures)
        if lines:
            self._append(*lines)

    def record_data(self, data: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Record only digests of reduced data, as `record`. Raises `OSError`."""
        self.record(data, {})

    def _figures_lines(self, digests: Mapping[str, Mapping[str, str]]) -> list[bytes]:
        for item, parts in digests.items():
            self.known.figures[item].update(parts)
            self._written += len(parts)
        new = dict.fromkeys(name for parts in digests.values() for name in parts)
        lines = self._numbered(name for name in new if name not in self._names)
        return [*lines, _figures_line(self._names, digests)]

    def drop(self, parts: Mapping[str, Collection[str]]) -> None:
        """Forget figures that will be drawn again. Durable on return. Raises `OSError`."""
        recorded = {
            item: [name for name in names if name in self.known.figures.get(item, ())]
            for item, names in parts.items()
        }
        self.known.drop(recorded)
        numbered = {
            item: [self._names[name] for name in names] for item, names in recorded.items() if names
        }
        if numbered:
            self._append(as_json({"outdated": numbered}))

    def drop_items(self, items: Iterable[str]) -> None:
        """Forget all figures of items. Durable on return. Raises `OSError`."""
        self.drop({item: tuple(self.known.figures.get(item, ())) for item in items})

    def fold(self) -> None:
        """Rewrite the file, without what is superseded. Raises `OSError`."""
        self._names, known = {}, self.known
        figures = {item: parts for item, parts in known.figures.items() if parts}
        lines = self._numbered(dict.fromkeys(name for parts in figures.values() for name in parts))
        data = iter(known.data.items())
        while some := dict(islice(data, _ITEMS_A_LINE)):
            lines.append(_data_line(some))
        rest = iter(figures.items())
        while batch := dict(islice(rest, _ITEMS_A_LINE)):
            lines.append(_figures_line(self._names, batch))
        self._lines.close()
        write_atomic(self._path, b"".join(line + b"\n" for line in lines))
        self._written = sum(map(len, figures.values()))

    def close(self) -> None:
        """Close the file; first rewrite it if more than half of it is superseded."""
        if self._written > 2 * sum(map(len, self.known.figures.values())):
            self.fold()
        self._lines.close()

    def _numbered(self, new: Iterable[str]) -> list[bytes]:
        """Number names of parts that the file does not have yet; returns the line that says so."""
        names = list(new)
        for name in names:
            self._names[name] = len(self._names)
        return [as_json({"parts": names})] if names else []

    def _append(self, *lines: bytes) -> None:
        self._lines.append(*lines)


def _data_line(data: Mapping[str, tuple[str, Mapping[str, str]]]) -> bytes:
    files = {item: data_file for item, (data_file, _) in data.items()}
    return as_json({"files": files, "data": {item: each for item, (_, each) in data.items()}})


def _figures_line(names: Mapping[str, int], digests: Mapping[str, Mapping[str, str]]) -> bytes:
    numbered = {
        item: {str(names[name]): digest for name, digest in parts.items()}
        for item, parts in digests.items()
    }
    return as_json({"figures": numbered})


def _read(path: Path) -> tuple[KnownDigests, dict[str, int], int, bool]:
    """The digests, the numbers of parts, how many digests of figures were written, and whether
    all lines are good.

    Raises `NewerVersionError` if a newer version wrote a line.
    """
    known, names, written = KnownDigests(), list[str](), 0
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return known, {}, 0, True
    except ValueError:
        return known, {}, 0, False
    *lines, rest = content.split(b"\n")
    try:
        for entry in _entries(lines, path):
            written += _apply(entry, known, names)
    except _DAMAGE:
        rest = b"damaged"
    return known, {name: number for number, name in enumerate(names)}, written, not rest


def _entries(lines: Iterable[bytes], path: Path) -> Iterator[dict[str, Any]]:
    for line in lines:
        entry = parsed_json(line)
        version_of(entry, path)
        yield entry


def _apply(entry: Mapping[str, Any], known: KnownDigests, names: list[str]) -> int:
    """Apply one line; returns the number of digests of figures in it."""
    if "parts" in entry:
        names += as_type(list[str], entry["parts"])
    elif "data" in entry:
        data = as_type(_Digests, entry["data"])
        if "shard" in entry:  # of all items of the line, up to version 2
            files = dict.fromkeys(data, as_type(str, entry["shard"]))
        else:
            files = as_type(dict[ItemId, str], entry.get("files"))
        known.data |= {item: (files[item], each) for item, each in data.items() if item in files}
    elif "outdated" in entry:
        dropped = as_type(dict[ItemId, list[int]], entry["outdated"]).items()
        known.drop({item: [_named(names, n) for n in numbers] for item, numbers in dropped})
    else:
        figures = as_type(_Digests, entry.get("figures"))
        numbers = {n for parts in figures.values() for n in parts}
        named = {number: _named(names, number) for number in numbers}
        for item, parts in figures.items():
            known.figures[item].update({named[n]: digest for n, digest in parts.items()})
        return sum(map(len, figures.values()))
    return 0


def _named(names: list[str], number: str | int) -> str:
    """The name with a number. Raises `ValueError` if there is none."""
    if int(number) not in range(len(names)):
        raise ValueError(f"{number} is not the number of a figure")
    return names[int(number)]
