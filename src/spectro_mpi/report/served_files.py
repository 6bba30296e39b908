"""The file that an address of a served report stands for: a page, a preview or a figure only."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from spectro_mpi.rundir.layout import PAGE, PLOTS, PREVIEWS, REPORT, RESULTS

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".pdf": "application/pdf",
}
"""Suffix of a file that is served → its media type."""

START = f"/{PAGE}"
"""Address of the page."""
STATE = f"/{REPORT}/live.json"
"""Address of the state of the run."""

_OF_RUN = (PLOTS, PREVIEWS, RESULTS)
"""Folders of the run directory; everything else is in the folder of the pages."""


def parts_of(address: str) -> tuple[str, ...] | None:
    """The parts of the path of an address; None if one of them could lead elsewhere."""
    path = unquote(urlsplit(address).path, errors="surrogateescape")
    first, *parts = path.split("/")
    if first or any(not part or part.startswith(".") or set(part) & {"\\", "\0"} for part in parts):
        return None
    return tuple(parts)


def served_file(run_dir: Path, pages: Path, address: str) -> Path | None:
    """The file that an address stands for; None: there is none, or it is not to be served.

    `pages`: the folder that stands for `report/` of the run directory. Links that lead out of the
    folder of the file are not followed.
    """
    parts = parts_of(address)
    if not parts or Path(parts[-1]).suffix not in TYPES:
        return None
    path = "/".join(parts)
    root = next((run_dir / name for name in _OF_RUN if path.startswith(f"{name}/")), None)
    if root is not None:
        return _inside(run_dir.resolve() / root.relative_to(run_dir), run_dir / path)
    if parts[0] != REPORT:
        return None
    return _inside(pages.resolve(), pages.joinpath(*parts[1:]))


def _inside(root: Path, path: Path) -> Path | None:
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return real if real.is_relative_to(root) and real.is_file() else None
