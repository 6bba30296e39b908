"""The folder that a report is written to."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import quote

from spectro_mpi.errors import UserError
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.regular import read_regular

_PARTS = "parts"
_PART_NAME = re.compile(r".+\.[0-9a-f]{10}\.[a-z]+")
_GENERATOR = b'<meta name="generator" content="spectro-mpi">'


class PageFolder:
    """The folder of a report: file names contain a digest, and the page is written last.

    A reader who has the page open therefore never sees it with the files of another version.
    """

    def __init__(self, folder: Path, page: str, stands_for: Path | None = None) -> None:
        """Create the folder.

        `stands_for`: the folder that it has the addresses of, when it is served. Raises `UserError`
        if it has a page that is not a report, and `OSError` if it cannot be created.
        """
        self.path = folder
        self.page = folder / page
        if self.page.exists() and not _is_report(self.page):
            raise UserError(f"{self.page} exists and is not a report; choose another --output")
        folder.mkdir(parents=True, exist_ok=True)
        self._parts = folder / _PARTS
        self._address = stands_for or folder
        # Who has a served page open asks for its files until it has the newer one.
        self._open = read_regular(self.page) if stands_for and self.page.exists() else b""
        self._kept: set[str] = set()

    def put(self, name: str, content: bytes) -> str:
        """Write a file; return its address, relative to the page. Raises `OSError`."""
        stem, _, suffix = name.rpartition(".")
        digest = hashlib.sha256(content).hexdigest()[:10]
        path = self._parts / f"{stem}.{digest}.{suffix}"
        self._parts.mkdir(exist_ok=True)
        if not path.exists():
            write_atomic(path, content)
        self._kept.add(path.name)
        return f"{_PARTS}/{quote(path.name)}"

    def finish(self, content: bytes) -> None:
        """Write the page, then remove the files that only earlier versions used.

        Of a page that is served, those of the version before stay. Raises `OSError`.
        """
        write_atomic(self.page, content)
        for path in self._parts.iterdir():
            is_open = quote(path.name).encode() in self._open
            if _PART_NAME.fullmatch(path.name) and path.name not in self._kept and not is_open:
                path.unlink(missing_ok=True)

    def to(self, path: Path) -> str:
        """Return the address of a path outside the folder, relative to the page."""
        return quote(os.fsencode(os.path.relpath(path.resolve(), self._address.resolve())))


def _is_report(page: Path) -> bool:
    try:
        return _GENERATOR in read_regular(page)
    except ValueError:  # a pipe
        return False
