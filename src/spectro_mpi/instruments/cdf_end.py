"""Where a CDF file ends by what is in it, so that one that is cut off is found without a reader.

Fields and record types: CDF Internal Format Description, versions 2.6 and 3, chapter 2. Numbers are
big-endian; sizes and offsets have 8 bytes in version 3, 4 before.
"""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import BinaryIO

from spectro_mpi.errors import InvalidCdfError

_VERSIONS = (bytes.fromhex("CDF30001"), bytes.fromhex("CDF26002"), bytes.fromhex("0000FFFF"))
"""First 4 bytes of the file: version 3, versions 2.6 and 2.7, earlier ones."""
_PLAIN, _COMPRESSED = bytes.fromhex("0000FFFF"), bytes.fromhex("CCCC0001")
"""The next 4: whether the whole file is compressed."""
_CDR, _GDR, _CCR, _CPR = 1, 2, 10, 11
"""Types of records: descriptor, global descriptor; compressed file, its parameters."""
_MD5_FLAGS = 0b1100
_MD5_BYTES = 16
_CHUNK = 1 << 20


def is_cdf(start: bytes) -> bool:
    """Whether the first 8 bytes of a file are those of a CDF file."""
    return start[:4] in _VERSIONS and start[4:8] in (_PLAIN, _COMPRESSED)


def check_complete(path: Path, checksum: bool = True) -> None:
    """Check that a file is a CDF file, not cut off, and as its checksum says if it has one.

    The file is not checked further: values may be damaged. `checksum`: whether to read all of a
    file that has a checksum. Raises `InvalidCdfError`, or `OSError` if it cannot be opened.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InvalidCdfError(f"{path}: is not a file")
    if not status.st_size:
        raise InvalidCdfError(f"{path}: the file is empty (0 bytes)")
    with path.open("rb") as file:
        if not is_cdf(file.read(8)):
            raise InvalidCdfError(f"{path}: is no CDF file")
        end, has_md5 = end_of(file)
        if end is None:
            raise InvalidCdfError(f"{path}: its first records are damaged")
        if end > status.st_size:
            raise InvalidCdfError(
                f"{path}: the file is truncated: it has {status.st_size} of {end} bytes"
            )
        if has_md5 and checksum and not _agrees_with_md5(file, end):
            raise InvalidCdfError(f"{path}: the content does not agree with its checksum (MD5)")


def end_of(file: BinaryIO) -> tuple[int | None, bool]:
    """(bytes that a CDF file should have, or None if its records are wrong; whether it has an MD5).

    The MD5 of a file that is compressed as a whole is not counted. Raises `OSError`.
    """
    file.seek(0)
    start = file.read(8)
    width = 8 if start[:4] == _VERSIONS[0] else 4
    if start[4:] == _COMPRESSED:
        return _end_of_compressed(file, width), False
    # Size, type, offset of the global descriptor, version, release, encoding, flags, …
    if _number(file, 8 + width, 4) != _CDR:
        return None, False
    descriptor = _number(file, 12 + width, width)
    flags = _number(file, 12 + width + width + 12, 4)
    # Past the end of a file that is cut off, numbers are 0.
    if descriptor <= 8 or _number(file, descriptor + width, 4) not in (_GDR, 0):
        return None, False
    # Size, type, three heads of lists, end of file.
    end = _number(file, descriptor + width + 4 + 3 * width, width)
    has_md5 = flags & _MD5_FLAGS == _MD5_FLAGS
    return max(end, descriptor + width + 4) + (_MD5_BYTES if has_md5 else 0), has_md5


def _end_of_compressed(file: BinaryIO, width: int) -> int | None:
    # Size, type, offset of the parameters, uncompressed size, …; the parameters come last.
    if _number(file, 8 + width, 4) != _CCR:
        return None
    parameters = _number(file, 12 + width, width)
    if parameters <= 8 or _number(file, parameters + width, 4) not in (_CPR, 0):
        return None
    return parameters + max(_number(file, parameters, width), width + 4)


def _number(file: BinaryIO, at: int, width: int) -> int:
    """The number at a byte of the file; 0 past its end."""
    file.seek(min(at, 1 << 62))
    return int.from_bytes(file.read(width).ljust(width, b"\0"), "big")


def _agrees_with_md5(file: BinaryIO, end: int) -> bool:
    """Whether the last 16 bytes before `end` are the MD5 of what is before them."""
    digest = hashlib.md5(usedforsecurity=False)
    left = end - _MD5_BYTES
    file.seek(0)
    while left and (part := file.read(min(left, _CHUNK))):
        digest.update(part)
        left -= len(part)
    return file.read(_MD5_BYTES) == digest.digest()
