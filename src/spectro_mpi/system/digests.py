"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_STEP_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hexadecimal digits; 1 MB is in memory at a time.

    Raises `OSError` if the file cannot be read.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_STEP_BYTES))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            digest.update(buffer[:size])
    return digest.hexdigest()
