"""Time spans as users write them: clock times of an item's data, or dates and times."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?Z?")
_DAY = 86400.0


def parse_span(words: str, begin: float, end: float) -> tuple[float, float]:
    """Return the time span that "FROM,TO" means for data from `begin` to `end`.

    All times are s since 1970 UTC. FROM and TO are ISO 8601 dates and times, or times of day: FROM
    the first such time within the data, or if there is none the last one before them, TO the first
    one after FROM. Raises `ValueError` with a sentence if they cannot be read or the span has no
    data.
    """
    first, comma, last = (word.strip() for word in words.partition(","))
    if not comma:
        raise ValueError(f"{words!r} is not two times such as 23:58,00:12")
    start, stop = _seconds(first), _seconds(last)
    if start == stop:
        raise ValueError(f"{words!r}: the two times are the same")
    if _CLOCK.fullmatch(first):
        later = start + math.ceil((begin - start) / _DAY) * _DAY
        start = later if later <= end else later - _DAY
    if _CLOCK.fullmatch(last):
        stop += (math.floor((start - stop) / _DAY) + 1) * _DAY
    if stop <= start:
        raise ValueError(f"{words!r}: the second time is not after the first")
    if stop <= begin or start >= end:
        raise ValueError(
            f"{words!r}: there are no data then; they are from {span_text(begin, end)}"
        )
    return start, stop


def span_text(begin: float, end: float) -> str:
    """Return a time span to the second, as in 2000-01-01T23:58:00 to 2000-01-02T00:12:30."""
    ends = (datetime.fromtimestamp(round(time), timezone.utc) for time in (begin, end))
    return " to ".join(f"{time:%Y-%m-%dT%H:%M:%S}" for time in ends)


def _seconds(word: str) -> float:
    """A time in s since 1970 UTC, or s since midnight if it is a time of day."""
    clock = _CLOCK.fullmatch(word)
    if clock:
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        if hours > 24 or minutes > 59 or seconds >= 60:
            raise ValueError(f"{word!r} is not a time of day")
        return 3600 * hours + 60 * minutes + seconds
    try:
        time = datetime.fromisoformat(word.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(
            f"{word!r} is neither a time of day, such as 23:58, nor a date and time, such as "
            "2000-01-01T23:58"
        ) from None
    return time.replace(tzinfo=time.tzinfo or timezone.utc).timestamp()
