"""Convert CDF times to seconds since 1970 UTC."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EPOCH_TYPES = ("CDF_EPOCH", "CDF_EPOCH16", "CDF_TIME_TT2000")

_YEAR_0_TO_1970 = 62_167_219_200.0
"""Seconds from the year 0 to 1970, in the proleptic Gregorian calendar without leap seconds."""
_FIRST, _LAST = -4.5e9, 9.0e9
"""Times outside this range, 1827 to 2255, are fill values or damage; s since 1970."""
_J2000 = 946_728_000.0
"""Approximate origin of TT2000, s since 1970."""


def unix_seconds(raw: NDArray[Any], cdf_type: str) -> NDArray[np.float64]:
    """Convert times of a CDF file to seconds since 1970 UTC.

    Parameters
    ----------
    raw : ndarray, (record,)
        Times as in the file: CDF_EPOCH float64, ms since the year 0; CDF_EPOCH16 complex128, s
        since the year 0 (real part) and ps (imaginary part); CDF_TIME_TT2000 int64, ns since J2000
        with leap seconds; any other type, s since 1970 UTC.
    cdf_type : str
        The CDF type, such as "CDF_EPOCH".

    Returns
    -------
    ndarray, (record,)
        s since 1970 UTC, float64; NaN: fill value or outside the years 1827 to 2255.
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
    """Convert TT2000 with cdflib, so that both readers use the same table of leap seconds."""
    from cdflib import cdfepoch

    seconds = np.full(len(raw), np.nan)
    known = (raw > (_FIRST - _J2000) * 1e9) & (raw < (_LAST - _J2000) * 1e9)
    if known.any():
        times = np.asarray(cdfepoch.to_datetime(raw[known]), "datetime64[ns]").astype(np.int64)
        whole, rest = np.divmod(times, 1_000_000_000)
        seconds[known] = whole + rest / 1e9
    return seconds
