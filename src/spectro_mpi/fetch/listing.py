"""Listings of folders as web servers write them (Apache, nginx): HTML → names and sizes.

Names in a listing are not trusted: only entries directly in the folder are taken, and only names
that are plain text and a single part of a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from spectro_mpi.inert import is_inert

MOST_ENTRIES = 200_000
"""Entries of a listing that are looked at."""
_MOST_NAME_BYTES = 240
"""Longest name; a file system allows 255, of which `.part.json` needs some."""
_SIZE = re.compile(
    r"\d:\d\d(?::\d\d)?\s+(?P<number>\d{1,15}(?:\.\d{1,3})?)\s*(?P<unit>[KMGTP]?)(?:i?B)?(?=\s|$)"
)
"""A size after a date with the time of day."""
_UNITS = "KMGTP"


@dataclass(frozen=True)
class Entry:
    """A file or folder in a listing."""

    name: str
    url: str
    is_folder: bool
    size: tuple[int, int] | None = None
    """Least and most bytes that the listing may mean; None: it does not say."""


def entries_of(html: str, base: str) -> list[Entry]:
    """The entries of a listing; `base` is its address, which ends in a slash.

    Of several links to an entry (icon and name), the one with a size is used.
    """
    links = _Links()
    links.feed(html)
    links.close()
    found: dict[str, Entry] = {}
    for href, text in links.found:
        entry = _entry(href, text, base)
        if entry and (entry.name not in found or found[entry.name].size is None):
            found[entry.name] = entry
    return list(found.values())


class _Links(HTMLParser):
    """Collects links, with the text between each and the next."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._href = ""
        self._text: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self._text.append(" ")
            return
        self._end()
        self._href = dict(attrs).get("href") or ""
        self._is_inside = True

    def handle_endtag(self, tag: str) -> None:
        self._text.append(" ")
        if tag == "a":
            self._is_inside = False

    def handle_data(self, data: str) -> None:
        if self._href and not self._is_inside:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._end()

    def _end(self) -> None:
        if self._href and len(self.found) < MOST_ENTRIES:
            self.found.append((self._href, "".join(self._text)))
        self._href, self._text = "", []


def _entry(href: str, text: str, base: str) -> Entry | None:
    try:
        url = urljoin(base, href.strip())
        parts, folder = urlsplit(url), urlsplit(base)
        _ = parts.port
    except ValueError:
        return None
    if (parts.scheme, parts.netloc.lower()) != (folder.scheme, folder.netloc.lower()):
        return None
    if parts.query or parts.fragment or not parts.path.startswith(folder.path):
        return None
    rest = parts.path[len(folder.path) :]
    is_folder = rest.endswith("/")
    name = unquote(rest.removesuffix("/"), errors="surrogateescape")
    if not is_name(name):
        return None
    return Entry(name, url, is_folder, _size(text))


def is_name(name: str) -> bool:
    """Whether a name from outside can be that of a file or folder of ours."""
    return (
        bool(name)
        and not name.startswith(".")
        and not set(name) & set('/\\:"<>|')
        and is_inert(name)
        and name == name.strip()
        and len(name.encode()) <= _MOST_NAME_BYTES
    )


def _size(text: str) -> tuple[int, int] | None:
    """The size after a link: exact (nginx), or rounded, with a unit of 1000 or 1024 (Apache)."""
    match = _SIZE.search(" ".join(text.split()))
    if match is None:
        return None
    number, unit = match["number"], match["unit"]
    if not unit:
        return (int(number), int(number)) if number.isdigit() else None
    power = _UNITS.index(unit) + 1
    step = 10.0 ** -len(number.partition(".")[2])
    low, high = float(number) - step, float(number) + step
    return max(0, int(low * 1000**power)), int(high * 1024**power) + 1
