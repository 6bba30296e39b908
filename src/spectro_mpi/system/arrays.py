"""Arrays saved in `.npy` files and mapped into memory by every process."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.system.atomic import write_atomic


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Save an array of any shape and dtype, atomically. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_atomic(path, content.getvalue())


def map_array(path: Path) -> NDArray[Any]:
    """Map a saved array into memory, read-only. Raises `OSError`."""
    values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return values
