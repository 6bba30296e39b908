"""PNG files checked to the byte, without a picture in memory: figures have any number of pixels.

Chunks, checksums, rows and filters: PNG specification, third edition, sections 5, 7, 9 and 11.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from isal import igzip_lib

from spectro_mpi.system.deflate import crc32

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD, _FRAME = 8, 12
"""Bytes of a chunk before its data, and besides its data."""
_PIECE_BYTES = 1 << 19
"""Rows are inflated in pieces that stay in the CPU cache."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type → samples of a pixel."""
_FILTERS = 5
_HEADER = struct.Struct(">IIBBBBB")

Read = Callable[[int, int], bytes | memoryview]
"""(first byte, number of bytes) → these bytes of a file, or fewer at its end."""


class DamagedPngError(ValueError):
    """A PNG file that is not whole; the message says why, to follow "is damaged"."""


class _Chunk(NamedTuple):
    kind: bytes
    at: int
    """Position of its data in the file."""
    size: int
    """Bytes of its data."""


@dataclass
class PngFile:
    """What a PNG file says of itself."""

    width: int = 0
    height: int = 0
    row_bytes: int = 0
    """Bytes of a row when it is inflated, its filter included."""
    texts: dict[str, str] = field(default_factory=dict)
    """Keyword → text of the chunks tEXt."""


def check_png(content: bytes) -> PngFile:
    """Check all bytes of a PNG file: checksums, and that the pixels are as many as its header says.

    Raises `DamagedPngError`.
    """
    view = memoryview(content)
    return _checked(lambda at, size: view[at : at + size], len(content), with_pixels=True)


def check_png_ends(read: Read, size: int) -> PngFile:
    """Check a PNG file of `size` bytes except its pixels, which are not read.

    Finds a wrong size, and any damage before and after the pixels. Raises `DamagedPngError`.
    """
    return _checked(read, size, with_pixels=False)


def _checked(read: Read, size: int, with_pixels: bool) -> PngFile:
    if read(0, len(_SIGNATURE)) != _SIGNATURE:
        raise DamagedPngError("it does not begin as a PNG file" if size else "it is empty")
    file, rows, kind = PngFile(), None, b""
    for chunk in _chunks(read, size):
        kind = chunk.kind
        if kind == b"IDAT" and not with_pixels:
            continue
        data = _data(read, chunk)
        if kind == b"IHDR":
            _read_header(file, data)
        elif kind == b"tEXt":
            keyword, _, text = bytes(data).partition(b"\0")
            file.texts[keyword.decode("latin-1")] = text.decode("latin-1")
        elif kind == b"IDAT":
            rows = rows or _Rows(file)
            rows.add(data)
    if kind != b"IEND":
        raise DamagedPngError("it is cut off")
    if with_pixels:
        (rows or _Rows(file)).finish()
    return file


def _chunks(read: Read, size: int) -> Iterator[_Chunk]:
    """The chunks of a file, up to its last byte."""
    at = len(_SIGNATURE)
    while at < size:
        head = bytes(read(at, _HEAD))
        length = int.from_bytes(head[:4], "big")
        kind = head[4:]
        if len(head) < _HEAD or at + _FRAME + length > size:
            raise DamagedPngError("it is cut off")
        yield _Chunk(kind, at + _HEAD, length)
        at += _FRAME + length
        if kind == b"IEND" and at != size:
            raise DamagedPngError(f"it goes on after its end, for {size - at} bytes")


def _data(read: Read, chunk: _Chunk) -> memoryview:
    """The data of a chunk, whose checksum is right."""
    content = memoryview(read(chunk.at, chunk.size + 4))
    data, checksum = content[: chunk.size], content[chunk.size :]
    if int.from_bytes(checksum, "big") != crc32(data, crc32(chunk.kind)):
        name = chunk.kind.decode("ascii", "replace")
        raise DamagedPngError(f"the checksum of its chunk {name} is wrong")
    return data


def _read_header(file: PngFile, data: memoryview) -> None:
    if len(data) != _HEADER.size:
        raise DamagedPngError("its header has another size")
    width, height, depth, colour, _, _, interlaced = _HEADER.unpack(data)
    if colour not in _SAMPLES or interlaced or not (width and height):
        raise DamagedPngError("its header is not that of a figure")
    file.width, file.height = width, height
    file.row_bytes = 1 + (width * depth * _SAMPLES[colour] + 7) // 8


class _Rows:
    """Inflates the rows of a picture and counts them; keeps none.

    The checksum of the inflated bytes is left out: those of chunks are of the same picture, and it
    would take a quarter of the time.
    """

    def __init__(self, file: PngFile) -> None:
        self._row = max(1, file.row_bytes)
        self._size = file.height * file.row_bytes
        self._found = 0
        self._head = 2
        """Bytes of the zlib header that are still to come."""
        self._inflate = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)

    def add(self, data: memoryview) -> None:
        """Inflate the data of one chunk."""
        skipped = min(self._head, len(data))
        self._head -= skipped
        rest: memoryview | bytes = data[skipped:]
        while not self._inflate.eof:
            try:
                piece = self._inflate.decompress(rest, _PIECE_BYTES)
            except igzip_lib.error:  # type: ignore[misc] # isal's types say it is an instance
                raise DamagedPngError("its pixels cannot be inflated") from None
            rest = b""
            if not piece:
                break
            self._take(piece)

    def _take(self, piece: bytes) -> None:
        filters = np.frombuffer(piece, np.uint8)[-self._found % self._row :: self._row]
        if filters.max(initial=0) >= _FILTERS:
            raise DamagedPngError("its rows are none of a PNG file")
        self._found += len(piece)
        if self._found > self._size:
            raise DamagedPngError("it has more pixels than its header says")

    def finish(self) -> None:
        """Check that the picture is complete."""
        if self._found < self._size or not self._inflate.eof or not self._size:
            raise DamagedPngError("it has fewer pixels than its header says")
