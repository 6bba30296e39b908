"""A cache of what the figures of one spectrogram share: sorted records and column sums."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from spectro_mpi.draw.columns import Columns, Records, columns_of, records_of
from spectro_mpi.draw.raster import Cells, EnergyTable, reduce_columns, tables_of
from spectro_mpi.draw.times import Window
from spectro_mpi.model.spectrogram import Spectrogram

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_SPECTROGRAMS = 16
"""More than a summary shows: instruments, their pitch angles and their moments."""
_REDUCTIONS = 24
"""Cached results per spectrogram: categories × time windows."""


@dataclass(frozen=True)
class Reduced:
    """One category of a spectrogram, reduced to the pixel columns of one time window."""

    columns: Columns
    cells: tuple[Cells, ...]


@dataclass
class _Known:
    spectrogram: weakref.ref[Spectrogram]
    records: Records
    tables: tuple[EnergyTable, ...]
    columns: OrderedDict[tuple[Window, int], Columns] = field(default_factory=OrderedDict)
    reduced: OrderedDict[tuple[int, Window, int], Reduced] = field(default_factory=OrderedDict)


class Reductions:
    """Caches the reductions of the last few spectrograms; holds only weak references to them."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, float], _Known] = OrderedDict()

    def records(self, spectrogram: Spectrogram, gap_factor: float) -> Records:
        """Return the sorted records of a spectrogram."""
        return self._of(spectrogram, gap_factor).records

    def tables(self, spectrogram: Spectrogram, gap_factor: float) -> tuple[EnergyTable, ...]:
        """Return the energy tables in use of a spectrogram."""
        return self._of(spectrogram, gap_factor).tables

    def window(self, spectrograms: Sequence[Spectrogram], gap_factor: float) -> Window | None:
        """Return the window of all records; None if there are none."""
        all_records = [self.records(spectrogram, gap_factor) for spectrogram in spectrograms]
        spans = [
            (records.start[0], records.end.max()) for records in all_records if len(records.centre)
        ]
        if not spans:
            return None
        return Window(float(min(span[0] for span in spans)), float(max(s[1] for s in spans)))

    def reduced(
        self,
        spectrogram: Spectrogram,
        category: int,
        window: Window,
        width: int,
        gap_factor: float,
    ) -> Reduced:
        """Sum one category over the records of each of `width` pixel columns."""
        known = self._of(spectrogram, gap_factor)
        key = (category, window, width)
        reduced = known.reduced.get(key)
        if reduced is None:
            columns = known.columns.get((window, width))
            if columns is None:
                columns = columns_of(known.records, window.begin, window.end, width)
                _keep(known.columns, (window, width), columns)
            values = spectrogram.values[category]
            cells = reduce_columns(values, known.tables, known.records, columns)
            reduced = Reduced(columns, cells)
            _keep(known.reduced, key, reduced)
        return reduced

    def _of(self, spectrogram: Spectrogram, gap_factor: float) -> _Known:
        key = (id(spectrogram), gap_factor)
        known = self._known.get(key)
        if known is None or known.spectrogram() is not spectrogram:
            records = records_of(
                spectrogram.time, spectrogram.time_start, spectrogram.time_end, gap_factor
            )
            tables = tables_of(spectrogram.energy, spectrogram.edges, spectrogram.mode, records)
            forget = self._known
            ref = weakref.ref(spectrogram, lambda _: forget.pop(key, None))
            known = self._known[key] = _Known(ref, records, tables)
            while len(self._known) > _SPECTROGRAMS:
                self._known.popitem(last=False)
        return known


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    kept[key] = value
    while len(kept) > _REDUCTIONS:
        kept.popitem(last=False)
