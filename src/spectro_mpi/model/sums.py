"""Sums of whole numbers by key: exact, and the same in any order of the rows.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def summed(keys: Whole, *columns: Whole) -> tuple[Whole, ...]:
    """The keys, ascending and each once, and the sums of the rows of each.

    `keys` (row,), which may repeat; each of `columns` (row,) or (row, column).
    """
    if not len(keys):
        return (keys, *columns)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return keys[first], *(np.add.reduceat(each[order], first, axis=0) for each in columns)
