"""What each figure was drawn from: digests, in a file of lines beside progress.json.

A figure whose digest is not the one that is expected today is drawn again. The file has also the
digests of the reduced data, from which those of figures are computed without opening the store.
Lines are appended, a later one replaces what it repeats, and now and then the file is rewritten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spectro_mpi.rundir.layout import DATA, DIGESTS
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
_Digests = dict[ItemId, dict[str, str]]
"""Item → instrument, or number of a figure → digest."""


@dataclass
class KnownDigests:
    """What is known of the reduced data and the figures of a run."""

    data: dict[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    """Item → (name of the shard with its data, instrument → digest of its data)."""
    figures: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Item → part, such as a figure → digest of what it was made from."""

    def data_of(self, item: str, shard: str) -> Mapping[str, str] | None:
        """Instrument → digest of its data in a shard; None: not known."""
        known, digests = self.data.get(item, ("", {}))
        return digests if known == shard else None

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


def complete_digests(run_dir: Path, progress: Progress, untrusted: UntrustedCalls) -> None:
    """Add digests of reduced data from the store: the file was lost, or shards were joined.

    The caller holds the lock. A shard that cannot be read is left out. Raises `OSError`.
    """
    log = DigestLog(run_dir)
    by_shard: dict[str, list[str]] = {}
    for item, shard in progress.shards.items():
        if log.known.data_of(item, shard) is None:
            by_shard.setdefault(shard, []).append(item)
    for shard, items in by_shard.items():
        try:
            digests = untrusted(digests_in, run_dir / DATA / shard, items)
        except OSError:
            continue  # the run finds that out, and reduces the items again
        log.record_data(shard, digests)
    log.close()


class DigestLog:
    """Writes the digests: appends lines, and rewrites the file if much of it is superseded."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / DIGESTS
        self.known, self._names, self._written, is_whole = _read(self._path)
        self._lines = DurableLines(self._path)
        if not is_whole:
            self.fold()  # drops an incomplete line of a killed run

    def record_data(self, shard: str, digests: Mapping[str, Mapping[str, str]]) -> None:
        """Record the digests of items in a shard: item → instrument → digest. Raises `OSError`."""
        self.known.data |= {item: (shard, data) for item, data in digests.items()}
        self._append(_data_line(shard, digests))

    def record_figures(self, digests: Mapping[str, Mapping[str, str]]) -> None:
        """Record what figures on disk were drawn from: item → part → digest. Raises `OSError`."""
        for item, parts in digests.items():
            self.known.figures[item].update(parts)
            self._written += len(parts)
        new = dict.fromkeys(name for parts in digests.values() for name in parts)
        lines = self._numbered(name for name in new if name not in self._names)
        self._append(*lines, _figures_line(self._names, digests))

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
        by_shard: dict[str, dict[str, Mapping[str, str]]] = {}
        for item, (shard, digests) in known.data.items():
            by_shard.setdefault(shard, {})[item] = digests
        lines += [_data_line(shard, digests) for shard, digests in by_shard.items()]
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


def _data_line(shard: str, digests: Mapping[str, Mapping[str, str]]) -> bytes:
    return as_json({"shard": shard, "data": digests})


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
        shard, data = as_type(str, entry.get("shard")), as_type(_Digests, entry["data"])
        known.data |= {item: (shard, digests) for item, digests in data.items()}
    elif "outdated" in entry:
        dropped = as_type(dict[ItemId, list[int]], entry["outdated"]).items()
        known.drop({item: [_named(names, n) for n in numbers] for item, numbers in dropped})
    else:
        figures = as_type(_Digests, entry.get("figures"))
        for item, parts in figures.items():
            known.figures[item].update({_named(names, n): d for n, d in parts.items()})
        return sum(map(len, figures.values()))
    return 0


def _named(names: list[str], number: str | int) -> str:
    """The name with a number. Raises `ValueError` if there is none."""
    if int(number) not in range(len(names)):
        raise ValueError(f"{number} is not the number of a figure")
    return names[int(number)]
