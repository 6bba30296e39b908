"""8-bit palette PNG files."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.system.deflate import crc32, deflated

_STRIP_BYTES = 1 << 19  # A strip stays in the CPU cache between filter and deflate.
_UP = 2  # PNG filter: each row minus the row above, so that rows of one channel become zeros.


def encode_png(
    image: NDArray[np.uint8], palette: NDArray[np.uint8], dpi: float, keyword: str, text: str
) -> bytes:
    """Return the bytes of a PNG file; equal input gives equal bytes.

    `image` holds palette indices (row, column) uint8, `palette` colours (index, rgb) uint8.
    `text` is written to a tEXt chunk with the keyword `keyword`. Raises `UnicodeEncodeError` if
    either is not Latin-1 (JSON in ASCII is).
    """
    rows, columns = image.shape
    per_metre = round(dpi / 0.0254)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            *_chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
            *_chunk(b"PLTE", palette.tobytes()),
            *_chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
            *_chunk(b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1")),
            *_chunk(b"IDAT", deflated(_filtered(image))),
            *_chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    checksum = crc32(data, crc32(kind))
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)


def _filtered(image: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The filtered rows, in strips of one array that each strip overwrites."""
    rows, columns = image.shape
    strip_rows = max(1, _STRIP_BYTES // (columns + 1))
    strip = np.full((strip_rows, columns + 1), _UP, np.uint8)
    for top in range(0, rows, strip_rows):
        rows_of_strip = image[top : top + strip_rows]
        filtered = strip[: len(rows_of_strip)]
        if top == 0:
            filtered[0, 1:] = rows_of_strip[0]
            np.subtract(rows_of_strip[1:], rows_of_strip[:-1], out=filtered[1:, 1:])
        else:
            above = image[top - 1 : top - 1 + len(rows_of_strip)]
            np.subtract(rows_of_strip, above, out=filtered[:, 1:])
        yield filtered
