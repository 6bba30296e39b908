"""Patterns of input file names, with placeholders: `psp_l2-ic_{date}_v{version}.cdf`.

`{orbit}` matches a number. `{date}` matches a date of eight digits, or fourteen with the time of
day, or a date in its own format (`{date:%Y-%m-%d}`). `{version}` matches numbers separated by dots
(or "_", "_r"). Any other `{name}` matches letters, digits, "-", "+" and "."; `{item}` also "_".
`*` and `?` are wildcards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

_PLACE = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
_DATE_PARTS = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "j": r"\d{3}",
    "b": r"[A-Za-z]{3}",
    **dict.fromkeys("mdHMS", r"\d{2}"),
}
_DATE_FORMATS = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 15: "%Y%m%dT%H%M%S"}
_REGEX = {
    "orbit": r"\d+",
    "version": r"\d+(?:[._]r?\d+)*",
    "date": r"\d{8}(?:T?\d{6})?",
    "item": r"[A-Za-z0-9][\w.+-]*",
}
_ANY_NAME = r"[A-Za-z0-9][A-Za-z0-9.+-]*"


@dataclass(frozen=True)
class Match:
    """What a file name contains."""

    item: str
    """The orbit number; if there is none, all placeholders except the version, joined by "_"."""
    version: tuple[int, ...]
    """Numbers of the version; empty if the pattern has no `{version}`."""
    start: datetime | None
    """The date, UTC; None if the pattern has no `{date}`."""
    part: str
    """The file name without its version: an item may have several such files."""
    words: Mapping[str, str]
    """Placeholder → what it stands for in the file name, as it is written there."""


class FilePattern:
    """A pattern to match file names. Raises `ValueError`, saying why, if the pattern is invalid."""

    def __init__(self, pattern: str) -> None:
        self.places: list[str] = []
        self._date_format: str | None = None
        if not pattern.lower().endswith(".cdf") or "/" in pattern:
            raise ValueError("expected a file name that ends in .cdf")
        self._groups = 0
        regex, at = "", 0
        for place in _PLACE.finditer(pattern):
            regex += self._plain(pattern[at : place.start()]) + self._place(place[1], place[2])
            at = place.end()
        self._regex = re.compile(regex + self._plain(pattern[at:]), re.IGNORECASE | re.ASCII)
        if not set(self.places) - {"version"}:
            raise ValueError("does not identify items; add {orbit}, {date} or another {name}")

    def match(self, name: str) -> Match | None:
        """Match a file name; None if it does not fit the pattern or its date is invalid."""
        matched = self._regex.fullmatch(name)
        if matched is None:
            return None
        words = matched.groupdict()
        written = dict(words)
        start = None
        if "date" in words:
            date = words["date"]
            try:
                start = datetime.strptime(
                    date.upper() if self._date_format is None else date,
                    self._date_format or _DATE_FORMATS[len(date)],
                ).replace(tzinfo=timezone.utc)
            except ValueError:
                return None
            words["date"] = f"{start:%Y%m%d%H%M%S}" if self._has_time(date) else f"{start:%Y%m%d}"
        version = tuple(int(part) for part in re.findall(r"\d+", words.pop("version", "")))
        first, last = matched.span("version") if "version" in self.places else (0, 0)
        part = name[:first] + name[last:]
        if "orbit" in words:
            return Match(str(int(words["orbit"])), version, start, part, written)
        item = "_".join(words[place] for place in self.places if place in words)
        return Match(item, version, start, part, written)

    def _place(self, name: str, date_format: str | None) -> str:
        """The regular expression for one placeholder."""
        if name in self.places:
            raise ValueError(f"{{{name}}} occurs twice")
        self.places.append(name)
        self._groups += 1
        if date_format is None:
            return f"(?P<{name}>{_REGEX.get(name, _ANY_NAME)})"
        if name != "date":
            raise ValueError(f"{{{name}:…}}: only {{date}} may have a format")
        regex, at = "", 0
        for part in re.finditer("%(.)", date_format):
            if part[1] not in _DATE_PARTS:
                raise ValueError(
                    f"%{part[1]} in the format of {{date}} is not one of %Y %m %d %H %M %S %j"
                )
            regex += re.escape(date_format[at : part.start()]) + _DATE_PARTS[part[1]]
            at = part.end()
        self._date_format = date_format
        return f"(?P<date>{regex}{re.escape(date_format[at:])})"

    def _has_time(self, date: str) -> bool:
        return "%H" in self._date_format if self._date_format is not None else len(date) > 8

    def _plain(self, text: str) -> str:
        """The regular expression for literal text with wildcards."""
        if "{" in text or "}" in text:
            raise ValueError("has a brace that does not belong to a {name}")
        first, *others = (re.escape(part).replace(r"\?", ".") for part in text.split("*"))
        regex = first
        for part in others[:-1]:
            # Where another "*" follows, the first place that fits is as good as any: looking ahead
            # finds it, and it is not tried again (an atomic group, from Python 3.11 on).
            self._groups += 1
            regex += f"(?=(.*?{part}))\\{self._groups}"
        return regex + "".join(f".*?{part}" for part in others[-1:])
