"""Values for the report page, which shows the value under the pointer.

A page opened from a file system can neither fetch a file nor read the pixels of an image; it can
only run scripts and show images. The values of the store are therefore written as scripts,
compressed and in base64, in the order and with the edges that the figures use
(`draw/columns.py`, `draw/raster.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.columns import Records
from spectro_mpi.draw.raster import EnergyTable
from spectro_mpi.draw.reuse import Reductions
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import PlotSettings
from spectro_mpi.system.deflate import deflated

PART_RECORDS = 4096
"""Records per part; the page loads one part at a time."""

MISSING = 0xFFFF
"""Code of a missing value."""

_NO_TABLE = 0xFF
_DIGITS_FROM, _DIGITS_TO = 1000, 9999
_DECADE = _DIGITS_TO - _DIGITS_FROM + 1
_DECADES = 7
"""Decades of four-digit values that 16 bits can encode."""


@dataclass(frozen=True)
class Part:
    """The values of some consecutive records."""

    head: dict[str, Any]
    """`records`: how many; `times`: first and last edge, s since 1970 UTC."""
    data: str
    """Compressed (deflate), in base64."""


@dataclass(frozen=True)
class Values:
    """The values of one spectrogram."""

    head: dict[str, Any]
    """What the parts share, such as quantity, units, coding and energy tables."""
    parts: tuple[Part, ...]
    """Parts of `PART_RECORDS` records, in order of time."""


def values_of(
    spectrogram: Spectrogram,
    gap_factor: float = PlotSettings.gap_factor,
    reductions: Reductions | None = None,
) -> Values:
    """Encode a spectrogram; records without a valid time are left out, as in figures.

    `gap_factor` is that of the figures, and `reductions` that of the process that has drawn them.

    Whole numbers from 0 to 65534 are stored exactly and other values to four digits, both as
    uint16. If a value is negative, or the values lie in seven or more decades, all are float32.
    """
    reductions = reductions or Reductions()
    records = reductions.records(spectrogram, gap_factor)
    tables = reductions.tables(spectrogram, gap_factor)
    count = len(records.order)
    table_of = np.full(count, _NO_TABLE, np.uint8)
    for number, table in enumerate(tables[:_NO_TABLE]):
        table_of[table.records] = number
    slices = [slice(first, first + PART_RECORDS) for first in range(0, count, PART_RECORDS)]

    def chunks() -> Iterator[NDArray[np.float32]]:
        return (spectrogram.values[:, records.order[part]] for part in slices)

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
            _part(records, table_of, coding.codes(values), part)
            for part, values in zip(slices, chunks(), strict=True)
        ),
    )


def _table_head(table: EnergyTable) -> dict[str, Any]:
    return {
        "lead": table.lead.tolist(),
        "edges": _rounded(table.edges),
        "logEdges": _rounded(table.log_edges),
        "repeated": [[channel, members.tolist()] for channel, members in table.repeated],
    }


def _rounded(edges: NDArray[np.float64]) -> list[list[float] | None]:
    """Pairs of edges with nine digits; None: the channel is not drawn."""
    drawn: list[bool] = np.all(np.isfinite(edges), axis=1).tolist()
    return [
        [float(f"{edge:.9g}") for edge in pair] if is_drawn else None
        for pair, is_drawn in zip(edges.tolist(), drawn, strict=True)
    ]


def _part(records: Records, table_of: NDArray[np.uint8], codes: NDArray[Any], part: slice) -> Part:
    start, end = records.start[part], records.end[part]
    # Edges and centres in microseconds since the first edge of the part: precise enough to find
    # the records of a pixel, and half the bytes after compression.
    first = float(start[0])
    columns = [np.round((times - first) * 1e6) for times in (start, records.centre[part], end)]
    block = b"".join(
        (
            _planes(records.order[part].astype("<u4")),
            *(_planes(column.astype("<f8")) for column in columns),
            table_of[part].tobytes(),
            # By channel, then by time: neighbours are similar and compress well.
            _planes(np.ascontiguousarray(codes.transpose(0, 2, 1))),
        )
    )
    head = {"records": len(start), "times": [first, float(end.max())]}
    return Part(head, base64.b64encode(deflated([block])).decode("ascii"))


def _planes(array: NDArray[Any]) -> bytes:
    """Return the first bytes of all numbers, then the second, and so on: this compresses better."""
    planes: NDArray[np.uint8] = array.reshape(-1, 1).view(np.uint8).T
    return planes.tobytes()


@dataclass(frozen=True)
class _Coding:
    """The way in which values are encoded."""

    name: Literal["whole", "digits", "float"]
    low: int = 0
    """For "digits": the lowest decade."""

    def codes(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Encode `values`; the codes have the same shape, uint16 or (coding "float") float32."""
        if self.name == "float":
            return values.astype("<f4")
        finite = np.isfinite(values)
        if self.name == "whole":
            return np.where(finite, values, MISSING).astype("<u2")
        known = values[finite]
        decade, digits = _four_digits(known[known > 0])
        code = np.zeros(known.shape, np.uint16)
        code[known > 0] = 1 + (decade - self.low) * _DECADE + digits - _DIGITS_FROM
        codes = np.full(values.shape, MISSING, "<u2")
        codes[finite] = code
        return codes


def _coding_of(chunks: Iterable[NDArray[np.float32]]) -> _Coding:
    """Choose the coding that can represent all values of a spectrogram."""
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
    """Return (decade, digits), four digits each: value ≈ digits × 10 ** (decade − 3)."""
    positive = positive.astype(np.float64)
    decade = np.floor(np.log10(positive)).astype(np.int64)
    lowest = int(decade.min(initial=0)) - 1
    # Looked up: powers of each value would take half of the time of all values.
    units = 10.0 ** (np.arange(lowest, int(decade.max(initial=0)) + 2) - 3)
    digits = np.round(positive / units[decade - lowest]).astype(np.int64)
    # Near a power of ten, the logarithm may be slightly off, or rounding may give five digits.
    high, short = digits > _DIGITS_TO, digits < _DIGITS_FROM
    decade += high.astype(np.int64) - short
    digits = np.round(positive / units[decade - lowest]).astype(np.int64)
    return decade, digits
