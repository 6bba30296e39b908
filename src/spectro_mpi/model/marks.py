"""Marked events: parse a table of them, place them in time.

The table has a header; its columns are separated by tabs, commas or semicolons. Either each row is
an event, with columns orbit (or item), instrument, start, end; or each row is an orbit, with
columns such as `Orbit Number`, `ees min Index`, `ees Max Index` (also start/end, and Time instead
of Index). A whole number is a record index, counted from 0, both ends included. Anything else is
an ISO 8601 time, UTC. A column `label` (or `event label`) says what the events of a row are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import PlotSettings, SettingsError

_WIDE = re.compile(r"(?P<instrument>\w+?)[ _](?P<end>min|start|max|end|stop)([ _](index|time))?")
_FIRST_ENDS = ("min", "start")
_LABEL = re.compile(r"(event[ _])?label")


@dataclass(frozen=True)
class Mark:
    """One event as in the table: record indices (int) or s since 1970 UTC (float)."""

    instrument: str
    start: int | float
    end: int | float
    label: str = PlotSettings.event_label
    number: int = 0
    """Place of the label among those of the table, by the row in which each first appears."""


Marks = Mapping[str, tuple[Mark, ...]]
"""Item id → its marks."""


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
    text: str, where: str, label: str = PlotSettings.event_label
) -> dict[str, tuple[Mark, ...]]:
    """Parse the text of a table of events: item id → its marks.

    Events of rows without a label are called `label`. Raises `SettingsError` naming the line that
    cannot be read; `where` names the table in it.
    """
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        return {}
    separator = max("\t,;", key=lines[0][1].count)
    rows = csv.reader((line for _, line in lines), delimiter=separator, skipinitialspace=True)
    marks: dict[str, tuple[Mark, ...]] = {}
    numbers: dict[str, int] = {}
    try:
        header = [re.sub(r"\s+", " ", name).strip().lower() for name in next(rows)]
        columns = _columns(header, f"{where}: the header", lines[0][1])
        for row in rows:
            item, found = _read_row(row + [""] * (len(header) - len(row)), columns)
            for mark in found:
                named = replace(mark, label=mark.label or label)
                number = numbers.setdefault(slug(named.label), len(numbers))
                marks[item] = (*marks.get(item, ()), replace(named, number=number))
    except (ValueError, OverflowError, csv.Error) as error:
        line = lines[max(rows.line_num, 1) - 1][0]
        raise SettingsError(f"{where}: line {line} cannot be read: {error}") from None
    return marks


def place(
    marks: Iterable[Mark], spectrograms: Mapping[str, Spectrogram], prefer: str = ""
) -> list[Event]:
    """The events of marks, sorted by time; overlapping events of the same label are merged.

    Indices count the records of the mark's instrument. A mark is left out if that instrument has
    no data, or if it lies beyond its records; a mark that ends beyond them ends with the last one.
    If the instrument `prefer` has marks, only those are placed.
    """
    marks = list(marks)
    spectrograms = {name.lower(): spectrogram for name, spectrogram in spectrograms.items()}
    preferred = [mark for mark in marks if mark.instrument == prefer.lower()]
    events = []
    for mark in preferred or marks:
        span = _place(mark, spectrograms)
        if span is not None:
            events.append(Event(*span, mark.label, mark.number))
    placed: list[Event] = []
    last: dict[int, int] = {}  # number of a label → place of its last event
    for event in sorted(events, key=lambda event: (event.start, event.end, event.label)):
        at = last.get(event.number)
        if at is not None and event.start <= placed[at].end:
            placed[at] = replace(placed[at], end=max(event.end, placed[at].end))
        else:
            last[event.number] = len(placed)
            placed.append(event)
    return placed


def _place(mark: Mark, spectrograms: Mapping[str, Spectrogram]) -> tuple[float, float] | None:
    start, end = mark.start, mark.end
    if isinstance(start, int) or isinstance(end, int):
        spectrogram = spectrograms.get(mark.instrument)
        if spectrogram is None:
            return None
        last = len(spectrogram.time) - 1
        if isinstance(start, int) and isinstance(end, int):
            start, end = sorted((start, end))
            if start > last or end < 0:
                return None
        if isinstance(start, int):
            start = float(spectrogram.time[min(max(start, 0), last)])
        if isinstance(end, int):
            end = float(spectrogram.time[min(max(end, 0), last)])
    return (min(start, end), max(start, end)) if np.isfinite([start, end]).all() else None


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
    label = "" if columns.label is None else " ".join(row[columns.label].split())
    marks = []
    for span in columns.spans:
        start, end = row[span.start].strip(), row[span.end].strip()
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
