"""A checksum at the end of SVG files, in a comment; PNG and PDF files have checksums themselves."""

from __future__ import annotations

import re
import zlib

_COMMENT = b"<!-- CRC-32 of all above: %08x -->\n"
_WRITTEN = re.compile(rb"<!-- CRC-32 of all above: [0-9a-f]{8} -->\n\Z")


def with_checksum(svg: bytes) -> bytes:
    """Return an SVG file with its checksum."""
    svg = svg.rstrip() + b"\n"
    return svg + _COMMENT % zlib.crc32(svg)


def problem_of_checksum(svg: bytes) -> str:
    """Why a file is not what `with_checksum` returned, or empty."""
    written = _WRITTEN.search(svg)
    if written is None:
        return "is damaged (it is cut off)"
    if written[0] != _COMMENT % zlib.crc32(svg[: written.start()]):
        return "is damaged (its checksum is wrong)"
    return ""
