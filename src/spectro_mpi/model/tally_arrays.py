"""Tallies as plain arrays, to be kept in a file, and back.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.bins import Bins, bins_from
from spectro_mpi.model.levels import Levels
from spectro_mpi.model.tally import Tallies, Tally

TALLY_VERSION = 1
"""Raised when the same spectrogram gives other tallies, or the arrays get another form."""

_NUMBERS = ("smallest", "smallest_positive", "largest")
_TEXTS = ("y_scale", "z_scale")


def arrays_of(tallies: Tallies) -> dict[str, NDArray[Any]]:
    """The content of tallies as arrays; equal tallies give equal arrays.

    Tallies are sorted by instrument and category. `instrument`, `category`, `y_scale`, `z_scale`
    (text), `smallest`, `smallest_positive`, `largest` (f8), `has_negative` (u1), and `lowest` (f4,
    with two more axes as `Levels.lowest`) are (tally,). Bins and levels of all tallies stand one
    after the other: `whole_bins`, `range_bins` and `levels` (tally,) are how many each has;
    `whole_number`, `range_number` (i4), `whole_cells`, `range_cells` (unsigned) are (bin,), of bins
    with cells; `level_upper` (f4) is (level,), `level_cells` (unsigned) as `Levels.cells`.
    """
    keys = sorted(tallies)
    counts = [tallies[key] for key in keys]
    whole, ranges = ([bins.held() for bins in all_bins] for all_bins in _bins(counts))
    levels = [each.levels for each in counts]
    return {
        "instrument": np.array([instrument for instrument, _ in keys], np.str_),
        "category": np.array([category for _, category in keys], np.str_),
        **{name: np.array([getattr(c, name) for c in counts], np.str_) for name in _TEXTS},
        **{name: np.array([getattr(c, name) for c in counts], np.float64) for name in _NUMBERS},
        "has_negative": np.array([each.has_negative for each in levels], np.uint8),
        "lowest": np.array([each.lowest for each in levels], np.float32).reshape(-1, 2, 2),
        **_ragged("whole", whole),
        **_ragged("range", ranges),
        "levels": np.array([len(each.upper) for each in levels], np.int64),
        "level_upper": _joined([each.upper for each in levels], np.float32),
        "level_cells": _narrow(_joined([each.cells for each in levels], np.int64, (2, 2))),
    }


def tallies_from(arrays: Mapping[str, NDArray[Any]]) -> Tallies:
    """The tallies that `arrays_of` made arrays of. Raises `KeyError` if an array is missing."""
    keys = zip(arrays["instrument"].tolist(), arrays["category"].tolist(), strict=True)
    whole, ranges = (
        _split(arrays[f"{kind}_bins"], arrays[f"{kind}_number"], arrays[f"{kind}_cells"])
        for kind in ("whole", "range")
    )
    levels = _split(arrays["levels"], arrays["level_upper"], arrays["level_cells"])
    return {
        key: Tally(
            whole=bins_from(*whole[place]),
            ranges=bins_from(*ranges[place]),
            levels=Levels(
                levels[place][0].astype(np.float32),
                levels[place][1].astype(np.int64).reshape(-1, 2, 2),
                arrays["lowest"][place].astype(np.float32),
                bool(arrays["has_negative"][place]),
            ),
            smallest=float(arrays["smallest"][place]),
            smallest_positive=float(arrays["smallest_positive"][place]),
            largest=float(arrays["largest"][place]),
            y_scale=str(arrays["y_scale"][place]),
            z_scale=str(arrays["z_scale"][place]),
        )
        for place, key in enumerate(keys)
    }


def _bins(counts: Sequence[Tally]) -> tuple[list[Bins], list[Bins]]:
    return [each.whole for each in counts], [each.ranges for each in counts]


def _ragged(
    kind: str, held: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> dict[str, NDArray[Any]]:
    return {
        f"{kind}_bins": np.array([len(numbers) for numbers, _ in held], np.int64),
        f"{kind}_number": _joined([numbers for numbers, _ in held], np.int32),
        f"{kind}_cells": _narrow(_joined([cells for _, cells in held], np.int64)),
    }


def _joined(parts: Sequence[NDArray[Any]], dtype: Any, rest: tuple[int, ...] = ()) -> NDArray[Any]:
    """Arrays one after the other, also if there are none."""
    return np.concatenate([np.zeros((0, *rest), dtype), *parts]).astype(dtype)


def _narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers at or above 0, of the smallest unsigned type that holds all."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def _split(lengths: NDArray[Any], *joined: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    ends = np.cumsum(lengths)[:-1]
    first, second = (np.split(array, ends) for array in joined)
    return list(zip(first, second, strict=True))
