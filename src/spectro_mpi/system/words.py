"""Format times, counts and lists, the same way in every message."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone


def duration(seconds: float) -> str:
    """Format a span of time: 0.3 s, 12 s, 4 min 05 s, 3 h 20 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def utc(seconds: float) -> str:
    """Format a time in s since 1970: 2000-01-01 00:17:37 UTC."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def count(number: int, noun: str, plural: str = "s") -> str:
    """Format a number with a noun: 1 item, 2 items; `plural` is what the noun gets added."""
    return f"{number} {noun}{'' if number == 1 else plural}"


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """The first `most` lines; if there are more, another line says how many."""
    left_out = len(lines) - most
    return [*lines[:most], f"… and {left_out} more"] if left_out > 0 else list(lines)


def listed(names: Sequence[str], most: int, separator: str = ", ") -> str:
    """Join the first `most` names; if there are more, add how many."""
    return separator.join(shortened(names, most))


def nearest(
    word: str, known: Sequence[str], cutoff: float = 0.6, hint: str = "; did you mean {}?"
) -> str:
    """A hint at the known word that is most similar to `word`, or empty if none is similar.

    `cutoff` is the least similarity, 0 to 1; `{}` in `hint` stands for the known word.
    """
    import difflib

    by_letters = {each.casefold(): each for each in known}
    match = difflib.get_close_matches(word.casefold(), list(by_letters), 1, cutoff)
    return hint.format(by_letters[match[0]]) if match else ""


def choices(word: str, known: Sequence[str]) -> str:
    """ "choose from ees, ies; did you mean ees?", for a word that is none of the known ones."""
    return f"choose from {', '.join(known)}{nearest(word, known)}"


def reason(error: OSError | ValueError) -> str:
    """Why a file cannot be read, without the number of the error and the name of the file."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not text in UTF-8"
    return getattr(error, "strerror", None) or str(error)


def not_on_disk(items: int, writer_waits: float) -> str:
    """ ", 12 computed, not yet on disk", and how long the writer has waited, s; empty: neither."""
    words = f", {items} computed, not yet on disk" if items else ""
    if writer_waits:
        waited = duration(writer_waits)
        words += f"; the writer has been waiting for the file system for {waited}"
    return words
