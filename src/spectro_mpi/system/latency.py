"""How long a file system takes to have data on disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

_TRIES = 5
_BYTES = 64 << 10
"""Size of the file: most of an fsync of so little is latency."""


def fsync_seconds(folder: Path) -> float | None:
    """Median wall time of an fsync in a folder, or in the nearest one above it that exists, s.

    Writes a small file without a name, which leaves nothing. None if it cannot be written.
    """
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    took = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(_TRIES):
                file.write(os.urandom(_BYTES))
                file.flush()
                began = time.perf_counter()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError:
        return None
    return statistics.median(took)
