"""Values for the page: what a pointer over a figure stands on, as a browser can read it.

A page opened from a file system may neither fetch a file nor look at the pixels of a picture: all
it may do is run scripts and show pictures. So the values of the store come as scripts, deflated
and in base64, in the order and with the edges in which figures show them (`draw/columns.py`,
`draw/raster.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Records, records_of
from spectro_mpi.draw.raster import EnergyTable, tables_of
from spectro_mpi.model.spectrogram import Spectrogram

PART_RECORDS = 4096
"""Records of a part: what is loaded at a time."""

MISSING = 0xFFFF
"""Code of a value that is not there."""

_NO_TABLE = 0xFF
_DIGITS_FROM, _DIGITS_TO = 1000, 9999
_DECADE = _DIGITS_TO - _DIGITS_FROM + 1
_DECADES = 7
"""Of values with four digits each, what 16 bits can tell apart."""
_LEVEL = 2


@dataclass(frozen=True)
class Part:
    """The values of some consecutive records."""

    head: dict[str, Any]
    """What is known of it without its data: `times`, from the first to the last edge."""
    data: str
    """Deflated, in base64."""


@dataclass(frozen=True)
class Values:
    """The values of one spectrogram."""

    head: dict[str, Any]
    parts: tuple[Part, ...]


def values_of(spectrogram: Spectrogram) -> Values:
    """Encode a spectrogram; records without a time are left out, as in figures.

    Whole numbers below 65535 are kept as they are, other values with four digits, or as float32
    where negative or of more than seven decades.
    """
    records = records_of(spectrogram.time, spectrogram.time_start, spectrogram.time_end)
    tables = tables_of(spectrogram.energy, spectrogram.mode, records)
    count = len(records.order)
    table_of = np.full(count, _NO_TABLE, np.uint8)
    for number, table in enumerate(tables[:_NO_TABLE]):
        table_of[table.here] = number
    here = [slice(first, first + PART_RECORDS) for first in range(0, count, PART_RECORDS)]

    def chunks() -> Iterator[NDArray[np.float32]]:
        return (spectrogram.values[:, records.order[one]] for one in here)

    coding = _coding_of(chunks())
    head = {
        "quantity": spectrogram.legend.long_name,
        "units": spectrogram.legend.units,
        "category": list(spectrogram.category),
        "channels": spectrogram.values.shape[2],
        "coding": coding.name,
        "low": coding.low,
        "tables": [_table_head(table) for table in tables[:_NO_TABLE]],
        "source": spectrogram.source,
    }
    return Values(
        head,
        tuple(
            _part(records, table_of, coding.codes(values), one)
            for one, values in zip(here, chunks(), strict=True)
        ),
    )


def _table_head(table: EnergyTable) -> dict[str, Any]:
    return {
        "lead": table.lead.tolist(),
        "edges": [float(f"{edge:.9g}") for edge in table.edges],
        "repeated": [[channel, members.tolist()] for channel, members in table.repeated],
    }


def _part(records: Records, table_of: NDArray[np.uint8], codes: NDArray[Any], here: slice) -> Part:
    start, end = records.start[here], records.end[here]
    # Edges and centres by millionths of a second from the part's first edge: exact enough to
    # find a pixel's records, and half the bytes of what they are.
    first = float(start[0])
    columns = [np.round((one[here] - first) * 1e6) for one in (records.start, records.centre)]
    columns.append(np.round((end - first) * 1e6))
    block = b"".join(
        (
            _planes(records.order[here].astype("<u4")),
            *(_planes(column.astype("<f8")) for column in columns),
            table_of[here].tobytes(),
            # By channel, and in it by time: neighbours are alike, and deflate well.
            _planes(np.ascontiguousarray(codes.transpose(0, 2, 1))),
        )
    )
    head = {"records": len(start), "times": [first, float(end.max())]}
    deflated = isal_zlib.compress(block, _LEVEL)
    return Part(head, base64.b64encode(deflated).decode("ascii"))


def _planes(array: NDArray[Any]) -> bytes:
    """The first bytes of all numbers, then their second bytes, and so on: it deflates better."""
    planes: NDArray[np.uint8] = array.reshape(-1, 1).view(np.uint8).T
    return planes.tobytes()


@dataclass(frozen=True)
class _Coding:
    """How numbers become codes."""

    name: Literal["whole", "digits", "float"]
    low: int = 0
    """Of "digits": the lowest decade."""

    def codes(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """`values` as codes, of the same shape."""
        if self.name == "float":
            return values.astype("<f4")
        finite = np.isfinite(values)
        if self.name == "whole":
            return np.where(finite, values, MISSING).astype("<u2")
        known = values[finite]
        decade, digits = _four_digits(known[known > 0])
        found = np.zeros(known.shape, np.uint16)
        found[known > 0] = 1 + (decade - self.low) * _DECADE + digits - _DIGITS_FROM
        codes = np.full(values.shape, MISSING, "<u2")
        codes[finite] = found
        return codes


def _coding_of(chunks: Iterable[NDArray[np.float32]]) -> _Coding:
    """What all numbers of a spectrogram fit in."""
    low, high, positive, whole = np.inf, -np.inf, np.inf, True
    for values in chunks:
        known = values[np.isfinite(values)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
            positive = min(positive, float(known.min(initial=np.inf, where=known > 0)))
            whole = whole and bool((known == np.floor(known)).all())
    if low > high or (low >= 0 and high < MISSING and whole):
        return _Coding("whole")
    if low < 0 or np.floor(np.log10(high)) - np.floor(np.log10(positive)) >= _DECADES - 1:
        return _Coding("float")
    return _Coding("digits", int(_four_digits(np.array([positive]))[0][0]))


def _four_digits(positive: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(decade, digits): about digits × 10 ** (decade − 3), with four digits."""
    positive = positive.astype(np.float64)
    decade = np.floor(np.log10(positive)).astype(np.int64)
    digits = np.round(positive / 10.0 ** (decade - 3)).astype(np.int64)
    # The logarithm may be off by a hair at a power of ten, and rounding may lead to the next.
    high, short = digits > _DIGITS_TO, digits < _DIGITS_FROM
    decade += high.astype(np.int64) - short
    digits = np.round(positive / 10.0 ** (decade - 3)).astype(np.int64)
    return decade, digits
