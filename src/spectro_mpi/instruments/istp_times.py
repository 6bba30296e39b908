"""The times of the records of an ISTP file: when each starts and ends, and its centre.

DELTA_PLUS_VAR and DELTA_MINUS_VAR of a time variable name the widths of its records after and
before their time. BIN_LOCATION says where in its record a time is: 0 at the start, 0.5 in the
middle, 1 at the end (https://spdf.gsfc.nasa.gov/istp_guide/vattributes.html). A variable of two
times per record has the start and the end of each.
"""

from __future__ import annotations

import logging
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.istp_axes import NUMBERS, is_usable
from spectro_mpi.instruments.istp_variables import measured
from spectro_mpi.instruments.times import (
    KNOWN_UNITS,
    TimeUnit,
    iso_seconds,
    seconds_in,
    unix_seconds,
)
from spectro_mpi.model.cadence import local_widths, longest_records
from spectro_mpi.system.words import count

log = logging.getLogger(__name__)

_STALE_SHARE = 0.01
"""VALIDMIN or VALIDMAX is stale if a larger share of the times is outside of it."""
_DELTA_UNITS = {"CDF_TIME_TT2000": 1e-9, "CDF_EPOCH": 1e-3}
"""Type of the time → s in a unit of a delta without UNITS."""

Floats = NDArray[np.float64]


class RecordTimes:
    """The times of the records of one variable.

    Raises `InvalidCdfError` if the unit of a delta is not known.
    """

    def __init__(self, reader: CdfReader, time: str, unit: TimeUnit, records: int) -> None:
        self._reader, self._time, self._unit, self._records = reader, time, unit, records
        self._attributes = reader.attributes(time)
        self._minus = self._delta_of("DELTA_MINUS_VAR")
        self._plus = self._delta_of("DELTA_PLUS_VAR")

    def range(self, first: int, last: int) -> tuple[Floats, Floats, Floats]:
        """(record,) centre, start and end of some records, s since 1970 UTC.

        Start and end are NaN, and the centre is the time in the file, where the file says nothing
        on the width of the record.
        """
        time, start, end = self._all
        return time[first:last], start[first:last], end[first:last]

    @cached_property
    def _all(self) -> tuple[Floats, Floats, Floats]:
        """Of all records, since the valid range and the widths depend on all."""
        raw = self._reader.range(self._time, 0, self._records)
        time = unix_seconds(raw.reshape(-1), self._unit)
        fill = self._attributes.get("FILLVAL")
        if self._unit.cdf_type in NUMBERS and isinstance(fill, int | float):
            time[time == unix_seconds(np.array([float(fill)]), self._unit)] = np.nan
        self._drop_invalid(time)
        half: Floats | None = None
        if raw.ndim == 2:
            first, last = time.reshape(raw.shape).T
            half = np.abs(last - first) / 2
            time = np.where(np.isfinite(half), (first + last) / 2, np.fmin(first, last))
        before, after = self._widths(time, half)
        # Not the mean of start and end, which may differ from the time in the last digit.
        shift = (after - before) / 2
        return time + np.where(np.isfinite(shift), shift, 0), time - before, time + after

    def _drop_invalid(self, time: Floats) -> None:
        """Replace, in place, times outside VALIDMIN and VALIDMAX by NaN, if these are not stale."""
        limits = [self._limit(name) for name in ("VALIDMIN", "VALIDMAX")]
        if limits[0] >= limits[1]:
            return  # the attributes were never set
        for name, outside in (("VALIDMIN", time < limits[0]), ("VALIDMAX", time > limits[1])):
            many = int(outside.sum())
            if many > _STALE_SHARE * len(time):
                log.warning(
                    "%s: %s of %s is ignored, because %s of %d are outside of it",
                    self._reader.path,
                    name,
                    self._time,
                    count(many, "time"),
                    len(time),
                )
            else:
                time[outside] = np.nan

    def _limit(self, name: str) -> float:
        """The time in an attribute, s since 1970 UTC; NaN: none."""
        limit = self._attributes.get(name)
        if isinstance(limit, tuple):
            limit = limit[0]
        if isinstance(limit, str):
            seconds = iso_seconds(limit)
            return np.nan if seconds is None else seconds
        if limit is None:
            return np.nan
        with np.errstate(invalid="ignore"):
            return float(unix_seconds(np.array([limit]), self._unit)[0])

    def _widths(self, time: Floats, half: Floats | None) -> tuple[Floats, Floats]:
        """(record,) s of each record before and after its time; NaN: not known.

        `half` (record,) s is half the width of records whose middle `time` is; None: deltas tell.
        """
        place = self._place_in_record if half is None else None
        if half is not None:
            before, after = half.copy(), half.copy()
        else:
            # Of a single delta, the other side is 0; without any, both are unknown.
            missing = np.full(1, 0.0 if self._minus or self._plus else np.nan)
            before, after = (
                np.broadcast_to(self._seconds(delta) if delta else missing, time.shape).copy()
                for delta in (self._minus, self._plus)
            )
        if place is not None:
            before, after = place * (before + after), (1 - place) * (before + after)
        order = np.flatnonzero(np.isfinite(time))
        order = order[np.argsort(time[order], kind="stable")]
        local = np.full(len(time), np.nan)
        local[order] = local_widths(time[order])
        longest = np.full(len(time), np.nan)
        longest[order] = longest_records(time[order], local[order])
        width = before + after
        unknown = ~((before >= 0) & (after >= 0) & (width > 0) & (width <= longest))
        before[unknown] = after[unknown] = np.nan
        if place is None and unknown.any() and not unknown.all():
            place = float(np.median(before[~unknown] / width[~unknown]))
        if place is not None and place != 0.5:
            # Without a start and an end, a time that is not in the middle would be taken for it.
            before[unknown] = place * local[unknown]
            after[unknown] = (1 - place) * local[unknown]
        return before, after

    @cached_property
    def _place_in_record(self) -> float | None:
        """BIN_LOCATION; None: there is none, or it makes no sense."""
        try:
            place = float(str(self._attributes.get("BIN_LOCATION", np.nan)))
        except ValueError:
            return None
        return place if 0 <= place <= 1 else None

    def _delta_of(self, attribute: str) -> tuple[str, float] | None:
        """The variable that the attribute names, and s in its unit; without UNITS, the time's."""
        reader, name = self._reader, str(self._attributes.get(attribute, ""))
        if not is_usable(reader, name, self._records) or reader.shape(name):
            return None
        units = str(reader.attributes(name).get("UNITS", "")).strip()
        if not units:
            return name, _DELTA_UNITS.get(self._unit.cdf_type, self._unit.factor)
        seconds = seconds_in(units)
        if seconds is None:
            raise InvalidCdfError(
                f'{reader.path}: {name}, the {attribute} of {self._time}, has UNITS "{units}", '
                f"which is not a known unit of time ({KNOWN_UNITS})"
            )
        return name, seconds

    def _seconds(self, delta: tuple[str, float]) -> Floats:
        """(record or 1,) the values of a delta, s; NaN: missing."""
        name, seconds = delta
        reader = self._reader
        varies = reader.records(name) == self._records
        raw = reader.range(name, 0, self._records) if varies else reader.static(name)[None]
        return measured(raw, reader.attributes(name)).astype(np.float64) * seconds
