"""Encode counts as FAST's telemetry does: the inverse of `instruments.fast_esa_counts`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spectro_mpi.instruments.fast_esa_counts import Codes, count_of_code


def encode(counts: npt.NDArray[np.integer], burst: bool) -> Codes:
    """Return the code of the largest count not above each count; 255 on overflow."""
    lookup = _code_of_count(burst)
    codes: Codes = lookup[np.minimum(counts, len(lookup) - 1)]
    return codes


@lru_cache
def _code_of_count(burst: bool) -> Codes:
    counts = count_of_code(burst)
    every_count = np.arange(int(counts[-1]) + 1)
    return (np.searchsorted(counts, every_count, side="right") - 1).astype(np.uint8)
