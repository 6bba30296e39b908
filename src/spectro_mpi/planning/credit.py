"""How many finished items a worker may have that are not committed yet."""

from __future__ import annotations

_BATCH = 10
"""Items per commit with few workers."""
_FEW_WORKERS = 4


def batch_size(chosen: int, workers: int) -> int:
    """Items per commit: `chosen` or, if it is 0, what keeps this many workers busy."""
    return chosen or (_BATCH if workers <= _FEW_WORKERS else 2 * workers + 1)


def window(worker: int, workers: int, batch: int) -> int:
    """Finished items of a worker (0 to W−1) that may be uncommitted while it begins another.

    One, and its share of `batch` − 1: of all workers at most W + `batch` − 1.
    """
    share, more = divmod(batch - 1, workers)
    return 1 + share + (worker < more)
