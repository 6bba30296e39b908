"""CDF times → seconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH_TYPES = ("CDF_EPOCH", "CDF_EPOCH16", "CDF_TIME_TT2000")

_YEAR_0_TO_1970 = 62_167_219_200.0
"""Seconds, in the proleptic Gregorian calendar without leap seconds."""
_FIRST, _LAST = -4.5e9, 9.0e9
"""Times outside 1827 to 2255 are fill values or damage."""
_J2000 = 946_728_000.0
"""TT2000 counts from about here, s since 1970."""


def unix_seconds(raw: NDArray[Any], cdf_type: str) -> NDArray[np.float64]:
    """Seconds since 1970 UTC; NaN where there is no sensible time.

    `raw` (record,) is as the file has it: CDF_EPOCH float64, ms since the year 0; CDF_EPOCH16
    complex128, seconds since the year 0 and picoseconds; CDF_TIME_TT2000 int64, ns with leap
    seconds; anything else counts seconds since 1970 UTC itself.
    """
    if cdf_type == "CDF_TIME_TT2000":
        return _from_tt2000(raw.astype(np.int64))
    if cdf_type == "CDF_EPOCH":
        seconds = raw.astype(np.float64) / 1e3 - _YEAR_0_TO_1970
    elif cdf_type == "CDF_EPOCH16":
        seconds = (raw.real - _YEAR_0_TO_1970) + raw.imag / 1e12
    else:
        seconds = raw.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where((seconds > _FIRST) & (seconds < _LAST), seconds, np.nan)


def _from_tt2000(raw: NDArray[np.int64]) -> NDArray[np.float64]:
    """By cdflib, whose table of leap seconds then holds for whichever reader it was."""
    from cdflib import cdfepoch

    seconds = np.full(len(raw), np.nan)
    known = (raw > (_FIRST - _J2000) * 1e9) & (raw < (_LAST - _J2000) * 1e9)
    if known.any():
        times = np.asarray(cdfepoch.to_datetime(raw[known]), "datetime64[ns]").astype(np.int64)
        whole, rest = np.divmod(times, 1_000_000_000)
        seconds[known] = whole + rest / 1e9
    return seconds
