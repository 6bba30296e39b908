"""Marked events: parse a table of them, place them in time.

The table has a header; its columns are separated by tabs, commas or semicolons. Either each row is
an event, with columns orbit (or item), instrument, start, end; or each row is an orbit, with
columns such as `Orbit Number`, `ees min Index`, `ees Max Index` (also start/end, and Time instead
of Index). A whole number is a record index, counted from 0, both ends included. Anything else is
an ISO 8601 time, UTC. A column `label` (or `event label`) says what the events of a row are. An
event without an instrument is one of all instruments.
"""

from __future__ import annotations

import csv
import io
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.cadence import local_widths, own_edges, time_order
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import PlotSettings, SettingsError

_WIDE = re.compile(r"(?P<instrument>\w+?)[ _](?P<end>min|start|max|end|stop)([ _](index|time))?")
_FIRST_ENDS = ("min", "start")
_DISTANT = {"start": "0001-01-01", "end": "9999-12-31T23:59:59"}
_LABEL = re.compile(r"(event[ _])?label")

Floats = NDArray[np.float64]
_OUT_OF_BAND = 5
"""The first protocol of pickle that keeps large buffers out of the stream."""
_NO_RECORDS: tuple[Floats, Floats] = (np.empty(0), np.empty(0))


@dataclass(frozen=True)
class Mark:
    """One event as in the table: record indices (int) or s since 1970 UTC (float)."""

    instrument: str
    """In lower case; empty: all instruments."""
    start: int | float
    end: int | float
    label: str = PlotSettings.event_label
    number: int = 0
    """Place of the label among those of the table, by the row in which each first appears."""


Marks = Mapping[str, tuple[Mark, ...]]
"""Item id → its marks."""


class PackedMarks(Mapping[str, tuple[Mark, ...]]):
    """Marks that are pickled once for all processes, and unpickled where they are first looked at.

    The pickled bytes are sent out of band where the protocol allows, so that a thousand messages
    on their way share them.
    """

    def __init__(self, marks: Marks) -> None:
        self._marks: Marks | None = marks
        self._packed: bytes | bytearray | memoryview = b""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        if not self._packed:
            self._packed = pickle.dumps(dict(self._known), protocol=pickle.HIGHEST_PROTOCOL)
        apart = protocol >= _OUT_OF_BAND
        return _packed_marks, (pickle.PickleBuffer(self._packed) if apart else bytes(self._packed),)

    def __getitem__(self, item: str) -> tuple[Mark, ...]:
        return self._known[item]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def _known(self) -> Marks:
        if self._marks is None:
            marks: Marks = pickle.loads(self._packed)
            self._marks = marks
        return self._marks


def _packed_marks(packed: bytes | bytearray | memoryview) -> PackedMarks:
    marks = PackedMarks({})
    marks._marks, marks._packed = None, packed
    return marks


@dataclass(frozen=True)
class Event:
    """A time span to mark in a figure; s since 1970 UTC."""

    start: float
    end: float
    label: str = ""
    number: int = 0
    """Events of the same number have the same colour."""


def slug(label: str) -> str:
    """A label as it stands in file names: a-z, 0-9 and "-"; "event" if that leaves nothing."""
    return re.sub("[^a-z0-9]+", "-", label.lower()).strip("-") or PlotSettings.event_label


def parse_marks(
    text: str, where: str, label: str = PlotSettings.event_label, by_index: bool = True
) -> dict[str, tuple[Mark, ...]]:
    """Parse the text of a table of events: item id → its marks.

    Events of rows without a label are called `label`. Without `by_index` records are not those of
    the files: columns of a record index are left out, and an index is a mistake. Raises
    `SettingsError` naming the line that cannot be read; `where` names the table in it.
    """
    lines = _Lines(text)
    first = next(filter(_has_data, io.StringIO(text)), "").strip()
    if not first:
        return {}
    separator = max("\t,;", key=first.count)
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    marks: dict[str, tuple[Mark, ...]] = {}
    numbers: dict[str, int] = {}
    try:
        header = [_one_line(name).lower() for name in next(rows)]
        if not by_index:
            header = ["" if name.endswith(("_index", " index")) else name for name in header]
        columns = _columns(header, f"{where}: the header", first)
        for row in lines.rows_of(rows):
            item, found = _read_row(row + [""] * (len(header) - len(row)), columns)
            for mark in found:
                if not by_index and _has_index(mark):
                    raise ValueError(
                        "it has an event by record index, but records are averaged "
                        "(data.cadence); give its times"
                    )
                named = replace(mark, label=mark.label or _one_line(label))
                number = numbers.setdefault(named.label, len(numbers))
                marks[item] = (*marks.get(item, ()), replace(named, number=number))
    except (ValueError, OverflowError, csv.Error) as error:
        raise SettingsError(f"{where}: line {lines.row} cannot be read: {error}") from None
    return marks


def place(
    marks: Iterable[Mark], spectrograms: Mapping[str, Spectrogram], prefer: str = ""
) -> list[Event]:
    """The events of marks, sorted by time; overlapping events of the same label are merged.

    With an instrument `prefer`, these are its own marks and those without an instrument; those of
    others only if there are none of these. Without, all marks are placed.

    Indices count the records of the mark's instrument; of `prefer`, or else of each instrument, if
    the mark has none. An event extends from the start of its first record to the end of its last
    (`cadence.own_edges`). A mark is left out if its instrument has no data, or if it lies beyond
    its records; a mark that ends beyond them ends with the last one.
    """
    marks, prefer = list(marks), prefer.lower()
    spectrograms = {name.lower(): spectrogram for name, spectrogram in spectrograms.items()}
    preferred = [mark for mark in marks if mark.instrument in ("", prefer)] if prefer else []
    placed: list[Event] = []
    last: dict[str, int] = {}  # label → place of its last event
    for event in sorted(
        _placed(preferred or marks, spectrograms, prefer),
        key=lambda event: (event.start, event.end, event.label),
    ):
        at = last.get(event.label)
        if at is not None and event.start <= placed[at].end:
            placed[at] = replace(placed[at], end=max(event.end, placed[at].end))
        else:
            last[event.label] = len(placed)
            placed.append(event)
    return placed


def _placed(
    marks: Sequence[Mark], spectrograms: Mapping[str, Spectrogram], prefer: str
) -> Iterator[Event]:
    edges: dict[str, tuple[Floats, Floats]] = {}
    if any(map(_has_index, marks)):
        edges = {name: _edges(spectrogram) for name, spectrogram in spectrograms.items()}
    for mark in marks:
        named = mark.instrument or prefer
        for name in edges if _has_index(mark) and not named else (named,):
            span = _place(mark, *edges.get(name, _NO_RECORDS))
            if span is not None:
                yield Event(*span, mark.label, mark.number)


def _has_index(mark: Mark) -> bool:
    return isinstance(mark.start, int) or isinstance(mark.end, int)


def _place(mark: Mark, starts: Floats, ends: Floats) -> tuple[float, float] | None:
    """Start and end of a mark; its indices count the records with these edges. None: nowhere."""
    start, end = mark.start, mark.end
    if isinstance(start, int) and isinstance(end, int):
        start, end = min(start, end), max(start, end)
    last = len(starts) - 1
    low = min(start, last + 1) if isinstance(start, int) else 0
    high = max(min(end, last), -1) if isinstance(end, int) else last
    known = np.flatnonzero(np.isfinite(starts))
    inside = known[(known >= low) & (known <= high)]
    if _has_index(mark) and not len(inside):
        return None
    start = float(starts[inside[0]]) if isinstance(start, int) else start
    end = float(ends[inside[-1]]) if isinstance(end, int) else end
    return (min(start, end), max(start, end)) if np.isfinite([start, end]).all() else None


def _edges(spectrogram: Spectrogram) -> tuple[Floats, Floats]:
    """Start and end of each record, (record,) s since 1970 UTC; NaN: without a valid time."""
    order = time_order(spectrogram.time)
    centre = spectrogram.time[order]
    starts, ends = np.full((2, len(spectrogram.time)), np.nan)
    starts[order], ends[order], _ = own_edges(
        centre, spectrogram.time_start[order], spectrogram.time_end[order], local_widths(centre)
    )
    return starts, ends


class _Lines:
    """The lines of a table for `csv.reader`: without comments and blank lines between rows.

    Within quotes all lines are part of the row.
    """

    def __init__(self, text: str) -> None:
        self.row = 1
        """Number of the first line of the current row."""
        self._lines = enumerate(io.StringIO(text), 1)
        self._begins_row = True

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            if self._begins_row:
                if not _has_data(line):
                    continue
                self.row, self._begins_row = number, False
            yield line

    def rows_of(self, reader: Iterator[list[str]]) -> Iterator[list[str]]:
        """The rows that `reader` makes of these lines."""
        while True:
            self._begins_row = True
            try:
                row = next(reader)
            except StopIteration:
                return
            yield row


def _has_data(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True)
class _Span:
    """Columns of one event: the instrument (or its name, if no column has it), start and end."""

    instrument: str | int
    start: int
    end: int


@dataclass(frozen=True)
class _Columns:
    item: int
    is_orbit: bool
    """Whether items are orbit numbers."""
    spans: Sequence[_Span]
    label: int | None


def _columns(header: list[str], where: str, line: str) -> _Columns:
    items = [i for i, name in enumerate(header) if name.startswith("orbit") or name == "item"]
    if not items:
        raise SettingsError(f"{where} has no column Orbit or item: {line}")
    spans = _spans(header, items[0])
    if not spans:
        raise SettingsError(
            f"{where} names no start and end: {line}; "
            "expected columns such as instrument, start, end or ees min Index, ees Max Index"
        )
    labels = [i for i, name in enumerate(header) if _LABEL.fullmatch(name)]
    return _Columns(items[0], header[items[0]] != "item", spans, labels[0] if labels else None)


def _spans(header: list[str], orbit_column: int) -> list[_Span]:
    ends: dict[str, dict[bool, int]] = {}
    instrument_column = None
    for column, name in enumerate(header):
        if column == orbit_column:
            continue
        if name.startswith("instrument"):
            instrument_column = column
        elif match := _WIDE.fullmatch(name):
            ends.setdefault(match["instrument"], {}).setdefault(match["end"] in _FIRST_ENDS, column)
        elif match := _WIDE.fullmatch(f"event_{name}"):
            ends.setdefault("", {}).setdefault(match["end"] in _FIRST_ENDS, column)
    whole = {name: pair for name, pair in ends.items() if len(pair) == 2}
    if instrument_column is not None and "" in whole:
        return [_Span(instrument_column, whole[""][True], whole[""][False])]
    return [_Span(name, pair[True], pair[False]) for name, pair in whole.items()]


def _read_row(row: list[str], columns: _Columns) -> tuple[str, list[Mark]]:
    """The item of a row and its marks, whose label is empty if the row has none."""
    # An orbit is a number ("8.0" is orbit 8); an item's name is taken as it is.
    word = row[columns.item].strip()
    item = str(int(float(word))) if columns.is_orbit else word
    label = "" if columns.label is None else _one_line(row[columns.label])
    marks = []
    for span in columns.spans:
        start, end = row[span.start].strip(), row[span.end].strip()
        if bool(start) != bool(end):
            given, lacking = ("start", "end") if start else ("end", "start")
            raise ValueError(
                f"it has an event with {given} but no {lacking}; for one without {lacking} write "
                f"{_DISTANT[lacking]}"
            )
        if start and end:
            named = span.instrument
            name = row[named].strip() if isinstance(named, int) else named
            marks.append(Mark(name.lower(), _index_or_time(start), _index_or_time(end), label))
    return item, marks


def _index_or_time(word: str) -> int | float:
    if re.fullmatch(r"-?\d+(\.0*)?", word):
        return int(float(word))
    time = datetime.fromisoformat(word.replace("Z", "+00:00"))
    return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()
