"""Frames as files: drawn once before a run, mapped into memory by every process of a node."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.draw.frame import FrameSpec
from spectro_mpi.draw.layout import layout_of
from spectro_mpi.system.atomic import write_atomic


class FrameFiles:
    """A folder of frames; the name of each is a digest of everything it depends on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, spec: FrameSpec) -> NDArray[np.uint8] | None:
        """Map the image of a frame, (row, column) uint8; None if there is no usable file."""
        try:
            image: NDArray[np.uint8] = np.load(self._path(spec), mmap_mode="r")
        except (OSError, ValueError):
            return None
        layout = layout_of(spec.grid)
        is_whole = image.dtype == np.uint8 and image.shape == (layout.height, layout.width)
        return image if is_whole else None

    def put(self, spec: FrameSpec, image: NDArray[np.uint8]) -> None:
        """Write the image of a frame, (row, column) uint8, to its file.

        Raises `OSError` if the file cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, image)
        write_atomic(self._path(spec), content.getvalue())

    def _path(self, spec: FrameSpec) -> Path:
        words = json.dumps([asdict(spec), version("spectro-mpi"), mpl.__version__])
        return self._folder / f"{hashlib.sha256(words.encode()).hexdigest()[:24]}.npy"
