"""The 8-bit telemetry codes of the `data` variable: a floating-point format for counts.

FAST sends 16-bit (survey) or 14-bit (burst) counts as one byte. Level-2 files keep these bytes.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]

# (first code, its count, step of counts per code); each range ends at the next first code.
_LOW_CODES = (
    (0, 0, 1),
    (16, 16, 2),
    (24, 32, 4),
    (32, 64, 4),
    (48, 128, 8),
    (64, 256, 16),
    (80, 512, 32),
)
_SURVEY_CODES = (
    *_LOW_CODES,
    (96, 1024, 64),
    (112, 2048, 128),
    (128, 4096, 128),
    (160, 8192, 256),
    (192, 16384, 512),
    (224, 32768, 1024),
)
_BURST_CODES = (
    *_LOW_CODES,
    (96, 1024, 32),
    (128, 2048, 64),
    (160, 4096, 128),
    (192, 8192, 128),
)


@lru_cache
def count_of_code(burst: bool) -> npt.NDArray[np.int32]:
    """Return the count of each code, ascending: (256,), int32."""
    ranges = (*(_BURST_CODES if burst else _SURVEY_CODES), (256, 0, 0))
    counts = [
        count + step * (code - first)
        for (first, count, step), (end, _, _) in pairwise(ranges)
        for code in range(first, end)
    ]
    return np.array(counts, dtype=np.int32)


def encode(counts: npt.NDArray[np.integer], burst: bool) -> Codes:
    """Return the code of the largest count not above each count; 255 on overflow."""
    lookup = _code_of_count(burst)
    codes: Codes = lookup[np.minimum(counts, len(lookup) - 1)]
    return codes


def decode(codes: Codes, burst: bool) -> npt.NDArray[np.int32]:
    """Return the count of each code, int32."""
    return count_of_code(burst)[codes]


@lru_cache
def _code_of_count(burst: bool) -> Codes:
    counts = count_of_code(burst)
    every_count = np.arange(counts[-1] + 1)
    return (np.searchsorted(counts, every_count, side="right") - 1).astype(np.uint8)
