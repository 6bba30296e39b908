"""Text from outside, such as names and attributes in files, so that it stays text.

Line ends would begin a setting in a comment, or a line in a log; escape sequences would drive a
terminal. Messages, logs, comments and pages show such characters as escapes.
"""

from __future__ import annotations

import re

_ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters, line ends, the escape of terminals
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators; directions of writing
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # invisible marks
    "\ud800-\udfff]"  # bytes of a name that is not UTF-8
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def inert(text: str) -> str:
    r"""`text` on one line, with every character that could act instead of being shown as an escape.

    Line ends become `\n`, other control characters such as `\x1b`, and bytes of a file name that
    is not UTF-8 such as `\xe9`. The result can be encoded, and `inert` leaves it as it is.
    """
    return text if text.isprintable() else _ACTING.sub(_escape, text)


def inert_lines(text: str) -> str:
    """`text` with its lines, each of them inert."""
    return "\n".join(map(inert, text.split("\n")))


def is_inert(text: str) -> bool:
    """Whether `inert` leaves a text as it is."""
    return inert(text) == text


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00  # a byte, as Python decodes file names
    if number < 0x100:
        return _SHORT.get(match[0], f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
