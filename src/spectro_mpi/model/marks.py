"""Marked events, such as cusp crossings: parse a table of them, place them in time.

The table has a header; its columns are separated by tabs, commas or semicolons. Either each row is
an event, with columns orbit (or item), instrument, start, end; or each row is an orbit, with
columns such as `Orbit Number`, `ees min Index`, `ees Max Index` (also start/end, and Time instead
of Index). A whole number is a record index, counted from 0, both ends included. Anything else is
an ISO 8601 time, UTC.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import SettingsError

_WIDE = re.compile(r"(?P<instrument>\w+?)[ _](?P<end>min|start|max|end|stop)([ _](index|time))?")
_FIRST_ENDS = ("min", "start")


@dataclass(frozen=True)
class Mark:
    """One event as in the table: record indices (int) or s since 1970 UTC (float)."""

    instrument: str
    start: int | float
    end: int | float


Marks = Mapping[str, tuple[Mark, ...]]
"""Item id → its marks."""


def parse_marks(text: str, where: str) -> dict[str, tuple[Mark, ...]]:
    """Parse the text of a table of events: item id → its marks.

    Raises `SettingsError` naming the row that cannot be read; `where` names the table in it.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        return {}
    separator = max("\t,;", key=lines[0].count)
    rows = list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    header = [re.sub(r"\s+", " ", name).strip().lower() for name in rows[0]]
    columns = [i for i, name in enumerate(header) if name.startswith("orbit") or name == "item"]
    if not columns:
        raise SettingsError(f"{where}: the header has no column Orbit or item: {lines[0]}")
    orbit_column = columns[0]
    spans = _spans(header, orbit_column)
    if not spans:
        raise SettingsError(
            f"{where}: the header names no start and end: {lines[0]}; "
            "expected columns such as instrument, start, end or ees min Index, ees Max Index"
        )
    marks: dict[str, tuple[Mark, ...]] = {}
    for number, row in enumerate(rows[1:], 2):
        row += [""] * (len(header) - len(row))
        try:
            # An orbit is a number ("8.0" is orbit 8); an item's name is taken as it is.
            word = row[orbit_column].strip()
            orbit = word if header[orbit_column] == "item" else str(int(float(word)))
            events = tuple(mark for span in spans if (mark := _mark(row, span)) is not None)
        except (ValueError, OverflowError) as error:
            raise SettingsError(f"{where}: row {number} cannot be read: {error}") from None
        marks[orbit] = marks.get(orbit, ()) + events
    return {orbit: events for orbit, events in marks.items() if events}


def place(
    marks: Iterable[Mark], spectrograms: Mapping[str, Spectrogram], prefer: str = ""
) -> list[tuple[float, float]]:
    """(start, end) of each event, s since 1970 UTC, sorted; overlapping events are merged.

    Indices count the records of the mark's instrument. A mark is left out if that instrument has
    no data, or if it lies beyond its records; a mark that ends beyond them ends with the last one.
    If the instrument `prefer` has marks, only those are placed.
    """
    marks = list(marks)
    spectrograms = {name.lower(): spectrogram for name, spectrogram in spectrograms.items()}
    preferred = [mark for mark in marks if mark.instrument == prefer.lower()]
    placed: list[tuple[float, float]] = []
    spans = (_place(mark, spectrograms) for mark in preferred or marks)
    for start, end in sorted(filter(None, spans)):
        if placed and start <= placed[-1][1]:
            placed[-1] = (placed[-1][0], max(end, placed[-1][1]))
        else:
            placed.append((start, end))
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


def _mark(row: list[str], span: _Span) -> Mark | None:
    start, end = row[span.start].strip(), row[span.end].strip()
    if not start or not end:
        return None
    name = row[span.instrument].strip() if isinstance(span.instrument, int) else span.instrument
    return Mark(name.lower(), _index_or_time(start), _index_or_time(end))


def _index_or_time(word: str) -> int | float:
    if re.fullmatch(r"-?\d+(\.0*)?", word):
        return int(float(word))
    time = datetime.fromisoformat(word.replace("Z", "+00:00"))
    return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp()
