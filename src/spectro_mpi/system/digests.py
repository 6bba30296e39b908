"""Digests of files."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

from spectro_mpi.system.regular import opened_regular

_STEP_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits; 1 MB is in memory at a time.

    Raises `OSError` if the file cannot be read, or is no regular file.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_STEP_BYTES))
    try:
        file = opened_regular(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    with file:
        while size := file.raw.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()
