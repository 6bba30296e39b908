"""Read regular files only: a pipe or a device in place of a file may never end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_MOST_BYTES = 1 << 30
"""Largest file that is read at once; progress.json has about 200 bytes per item."""


def opened_regular(path: Path) -> BufferedReader:
    """A file, open for reading. Raises `OSError`, or `ValueError` if it is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError("is not a file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a file. Raises `OSError`, or `ValueError` if it is no file or is huge."""
    with opened_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > _MOST_BYTES:
            raise ValueError(f"has {size} bytes")
        return file.read()
