"""Convert times of CDF files to seconds since 1970 UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.instruments.units import readable

EPOCH_TYPES = ("CDF_EPOCH", "CDF_EPOCH16", "CDF_TIME_TT2000")
KNOWN_UNITS = "ns, µs, ms, s, min, h or d"

_YEAR_0_TO_1970 = 62_167_219_200.0
"""Seconds from the year 0 to 1970, in the proleptic Gregorian calendar without leap seconds."""
_FIRST, _LAST = -4.5e9, 9.0e9
"""Times outside this range, 1827 to 2255, are fill values or damage; s since 1970."""
_J2000 = 946_728_000.0
"""Approximate origin of TT2000, s since 1970."""
_WORDS = (
    (1e-12, "ps psec picosec picosecond"),
    (1e-9, "ns nsec nanosec nanosecond"),
    (1e-6, "us µs usec µsec microsec microsecond"),
    (1e-3, "ms msec millisec millisecond"),
    (1.0, "s sec second"),
    (60.0, "min minute"),
    (3600.0, "h hr hour"),
    (86400.0, "d day"),
)
_SECONDS = {word: factor for factor, words in _WORDS for word in words.split()}
_TEXTS = ("CATDESC", "FIELDNAM", "LABLAXIS", "VAR_NOTES", "TIME_BASE", "LONG_NAME")
"""Attributes that may say since when a variable counts."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = rf"(?:{'|'.join(_MONTHS)})[a-z]*"
_DATES = (
    r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)",
    r"(?P<y>\d{4})-(?P<doy>\d{3})(?!\d)",
    r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?!\d)",
    rf"(?P<y>\d{{4}})[-/. ]+(?P<m>{_MONTH})[-/., ]+(?P<d>\d{{1,2}})(?!\d)",
    rf"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-/. ]*(?P<m>{_MONTH})[-/., ]*(?P<y>\d{{4}})(?!\d)",
    rf"(?P<m>{_MONTH})[-/. ]+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-/., ]+(?P<y>\d{{4}})(?!\d)",
    r"(?P<m>0?1)[-/.](?P<d>0?1)[-/.](?P<y>\d{4})(?!\d)",
    r"(?P<y>\d{4})(?![-/.]?\d)",
)
_CLOCK = re.compile(
    r"[T/, :]*(?:at )?(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2}(?:\.\d*)?))?"
    r"(?:\s*(?P<sign>[-+])(?P<zh>\d{2}):?(?P<zmin>\d{2})?)?",
    re.IGNORECASE,
)
_SINCE = re.compile(r"(?:([A-Za-zµμ]+)[. ]+)?since\s+", re.IGNORECASE)
_OTHER_CLOCK = re.compile(r"[Z.,; ]*\(?(TAI|TT|TDB|ET|GPS)\b")
"""Clocks that run beside UTC, without its leap seconds."""


@dataclass(frozen=True)
class TimeUnit:
    """How a time variable counts."""

    cdf_type: str
    """Such as "CDF_EPOCH"; the other two are for types that are no epochs."""
    factor: float = 1.0
    """Seconds in a unit."""
    origin: float = 0.0
    """The time that is 0 in the file, s since 1970 UTC."""


def seconds_in(unit: str) -> float | None:
    """Seconds in a unit of time such as "ms", "msec" or "Milliseconds"; None: not a known unit."""
    word = readable(unit).lower().replace("(s)", "s").replace("μ", "µ").strip("[](). ")
    if word in _SECONDS:
        return _SECONDS[word]
    return _SECONDS.get(word.removesuffix("s"))


def time_unit_of(cdf_type: str, units: str, texts: Iterable[str]) -> TimeUnit:
    """How a time variable of this type and these UNITS counts.

    `texts`: its name and other texts on it, one of which may say "seconds since 1970-01-01" if
    UNITS does not. Unix time is in s since 1970. Raises `ValueError` with the rest of a sentence
    about the variable if the unit or the date is not known.
    """
    if cdf_type in EPOCH_TYPES:
        return TimeUnit(cdf_type)
    word = re.match(r"[^\s,;]*", units.strip("[]() "))
    factor = seconds_in(units) or seconds_in(word[0] if word else "")
    origin = None
    for text in (units, *texts):
        for since in _SINCE.finditer(text):
            counted = seconds_in(since[1] or "")
            # In other texts than UNITS, "in orbit since 1996" says nothing on the numbers.
            if origin is None and (counted or text is units):
                origin = _date_at(text[since.end() :])
                factor = factor or counted
        if origin is None and re.search("unix|posix", text, re.IGNORECASE):
            origin = 0.0
            factor = factor or (1.0 if text is units or not units.strip() else None)
    if factor is None:
        raise ValueError(
            f'is neither an epoch nor in a unit of time ({cdf_type}, UNITS "{units}"; known are '
            f"{KNOWN_UNITS})"
        )
    if origin is None:
        raise ValueError(
            f"counts from a date that the file does not say or that is not readable ({cdf_type}, "
            f'UNITS "{units}")'
        )
    return TimeUnit(cdf_type, factor, origin)


def texts_on_time(name: str, attributes: Mapping[str, Any]) -> list[str]:
    """The name of a time variable, and the texts of its attributes that may say since when."""
    by_name = {key.upper(): value for key, value in attributes.items()}
    return [*(str(by_name.get(key, "")) for key in _TEXTS), name]


def unix_seconds(raw: NDArray[Any], unit: TimeUnit) -> NDArray[np.float64]:
    """Convert times of a CDF file to seconds since 1970 UTC.

    Parameters
    ----------
    raw : ndarray, (record,)
        Times as in the file: CDF_EPOCH float64, ms since the year 0; CDF_EPOCH16 complex128, s
        since the year 0 (real part) and ps (imaginary part); CDF_TIME_TT2000 int64, ns since J2000
        with leap seconds; any other type as `unit` says, in days of 86,400 s.
    unit : TimeUnit
        How they count.

    Returns
    -------
    ndarray, (record,)
        s since 1970 UTC, float64; NaN: fill value or outside the years 1827 to 2255.
    """
    if unit.cdf_type == "CDF_TIME_TT2000":
        return _from_tt2000(raw.astype(np.int64))
    if unit.cdf_type == "CDF_EPOCH":
        seconds = raw.astype(np.float64) / 1e3 - _YEAR_0_TO_1970
    elif unit.cdf_type == "CDF_EPOCH16":
        seconds = (raw.real - _YEAR_0_TO_1970) + raw.imag / 1e12
    else:
        seconds = raw.astype(np.float64) * unit.factor + unit.origin
    with np.errstate(invalid="ignore"):
        return np.where((seconds > _FIRST) & (seconds < _LAST), seconds, np.nan)


def iso_seconds(text: str) -> float | None:
    """A date, and time of day if there is one, as s since 1970 UTC; None: not readable."""
    return _date_at(text.strip())


def _date_at(text: str) -> float | None:
    """The date at the start of a text, and the time of day after it, as s since 1970 UTC."""
    date = next(filter(None, (re.match(form, text, re.IGNORECASE) for form in _DATES)), None)
    if date is None:
        return None
    part = date.groupdict()
    month = part.get("m") or "1"
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
    try:
        day = np.datetime64(f"{part['y']}-{number:02d}-{int(part.get('d') or 1):02d}", "D")
    except ValueError:
        return None
    seconds = float(day.astype(np.int64) + int(part.get("doy") or 1) - 1) * 86400
    clock = _CLOCK.match(text, date.end())
    if clock:
        seconds += 3600 * int(clock["h"]) + 60 * int(clock["min"]) + float(clock["s"] or 0)
        zone = 3600 * int(clock["zh"] or 0) + 60 * int(clock["zmin"] or 0)
        seconds -= -zone if clock["sign"] == "-" else zone
    if _OTHER_CLOCK.match(text, clock.end() if clock else date.end()):
        return None
    return seconds


def _from_tt2000(raw: NDArray[np.int64]) -> NDArray[np.float64]:
    """Convert TT2000 with cdflib, so that both readers use the same table of leap seconds."""
    from cdflib import cdfepoch

    seconds = np.full(len(raw), np.nan)
    known = (raw > (_FIRST - _J2000) * 1e9) & (raw < (_LAST - _J2000) * 1e9)
    if known.any():
        times = np.asarray(cdfepoch.to_datetime(raw[known]), "datetime64[ns]").astype(np.int64)
        whole, rest = np.divmod(times, 1_000_000_000)
        seconds[known] = whole + rest / 1e9
    return seconds
