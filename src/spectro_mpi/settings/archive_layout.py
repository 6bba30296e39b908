"""The folders of a web archive: `fetch.folders`, as in `{instrument}/%Y/%m`.

Each part between slashes is a pattern of folder names: `{instrument}`; `%Y`, `%m`, `%d`, `%j` (day
of the year) of the files' dates; `{orbit:1000}`, the orbit rounded down to a multiple of that; `*`
for any text. `**` as the last part: all folders below. `.`: the files are in the folder itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from spectro_mpi.inert import is_inert

_PLACE = re.compile(r"\{instrument\}|\{orbit:([1-9]\d*)\}|%([Ymdj])|\*")
_DIGITS = {"Y": 4, "m": 2, "d": 2, "j": 3}


@dataclass(frozen=True)
class Level:
    """The folders at one depth."""

    regex: re.Pattern[str]
    fixed: str = ""
    """The name, if it is the same for all files."""
    step: int = 0
    """What orbits are rounded down to a multiple of, if the name has that."""


class Layout:
    """The parsed setting. Raises `ValueError`, saying why, if it cannot be read."""

    def __init__(self, text: str) -> None:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        self.is_deep = not text or parts[-1:] == ["**"]
        """Whether all folders below the levels are searched, too."""
        if parts[-1:] == ["**"]:
            parts.pop()
        self.levels = tuple(map(_level, parts))
        names = [name for level in self.levels for name in level.regex.groupindex]
        if len(set(names)) < len(names):
            raise ValueError("names the same part of a path twice")
        if {"m", "d", "j"} & set(names) and "Y" not in names:
            raise ValueError("has parts of dates, but no year (%Y)")

    def __len__(self) -> int:
        return len(self.levels)


@dataclass(frozen=True)
class Place:
    """What the folders on the way to a file say of it."""

    words: Mapping[str, str] = field(default_factory=dict)
    """Name of a place in the pattern → what stands there."""
    step: int = 0
    """What orbits are rounded down to a multiple of."""

    def within(self, level: Level, name: str) -> Place | None:
        """The place of the folder `name` at this level; None if the pattern does not fit."""
        match = level.regex.fullmatch(name)
        if match is None:
            return None
        return Place({**self.words, **match.groupdict()}, level.step or self.step)

    @property
    def instrument(self) -> str:
        """The instrument; empty: the folders do not say it."""
        return self.words.get("instrument", "")

    @property
    def orbits(self) -> tuple[int, int] | None:
        """First and last orbit; None: the folders do not say it."""
        if not self.step:
            return None
        first = int(self.words["orbit"])
        return first, first + self.step - 1

    @property
    def dates(self) -> tuple[datetime, datetime] | None:
        """Begin and end of the time, UTC; None: the folders do not say it, or it is no date."""
        year, month, day, of_year = (self.words.get(letter) for letter in "Ymdj")
        if year is None:
            return None
        try:
            begin = datetime(int(year), int(month or 1), int(day or 1), tzinfo=timezone.utc)
            if of_year is not None:
                begin += timedelta(days=int(of_year) - 1)
            if day is not None or of_year is not None:
                return begin, begin + timedelta(days=1)
            if month is None:
                return begin, begin.replace(year=begin.year + 1)
            return begin, (begin + timedelta(days=31)).replace(day=1)
        except (ValueError, OverflowError):
            return None


def divided(text: str) -> tuple[str, str]:
    """An address followed by folders, as "https://archive.example/orb/%Y/**", as both of them."""
    parts = text.split("/")
    first = next((n for n, part in enumerate(parts) if set(part) & set("%{*")), len(parts))
    return "/".join(parts[:first]), "/".join(parts[first:])


def check_address(url: str) -> None:
    """Check the address of an archive. Raises `ValueError`, saying why it cannot be used."""
    if not is_inert(url) or " " in url:
        raise ValueError("has characters that an address cannot have")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError('expected an address such as "https://archive.example/data"')
    _ = parts.port  # raises ValueError for one that is no number
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password: settings are copied into the run")
    if parts.query or parts.fragment:
        raise ValueError("must be the address of a folder, without ? and #")


def _level(part: str) -> Level:
    if part == "**":
        raise ValueError("may have ** only at its end")
    regex, at, step = "", 0, 0
    for place in _PLACE.finditer(part):
        regex += _plain(part[at : place.start()])
        at = place.end()
        if place[0] == "{instrument}":
            regex += r"(?P<instrument>[A-Za-z0-9][\w+-]*)"
        elif place[1]:
            step = int(place[1])
            regex += r"(?P<orbit>\d{1,9})"
        elif place[2]:
            regex += rf"(?P<{place[2]}>\d{{{_DIGITS[place[2]]}}})"
        else:
            regex += ".*"
    regex += _plain(part[at:])
    try:
        return Level(re.compile(regex, re.ASCII), "" if _PLACE.search(part) else part, step)
    except re.error:
        raise ValueError("names the same part of a path twice") from None


def _plain(text: str) -> str:
    if set(text) & set("{}%\\") or text == ".." or not is_inert(text):
        raise ValueError(f'"{text}" is none of {{instrument}} %Y %m %d %j {{orbit:1000}} * **')
    return re.escape(text)
