"""A run directory from somebody else must not lead out of itself: links of the file system.

What a link leads to would be read, written, renamed and deleted as a part of the run. Folders of
single items are not looked into here: whoever writes or removes files there refuses links.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.layout import (
    ASSETS,
    DATA,
    FILES,
    JOBS,
    LIVE,
    LOGS,
    PLOTS,
    PRODUCED,
    REPORT,
    RESOURCE_LINES,
    STOP,
)
from spectro_mpi.system.atomic import SUFFIX

_LEVELS: Mapping[str, int] = {
    DATA: 2,
    PLOTS: 2,  # years and months; items are below
    FILES: 3,
    REPORT: 3,
    ASSETS: 2,
    LOGS: 1,
    RESOURCE_LINES: 1,
    JOBS: 1,
}
"""Folder → levels of it that are searched for links."""


def refuse_links_out(run_dir: Path) -> None:
    """Raise `UserError` if something in a run directory is a link that leads out of it.

    A file of the store that is one counts as damaged (`names.refuse_link_out`).
    """
    for path in _links(run_dir):
        if not _is_inside(path, run_dir):
            raise UserError(
                f"{path}: is a link that leads out of the run directory; replace it by what it "
                "leads to"
            )


def _links(run_dir: Path) -> Iterator[Path]:
    for entry in _entries(run_dir):
        is_ours = entry.name in (*PRODUCED, JOBS, LIVE, STOP) or entry.name.endswith(SUFFIX)
        if is_ours and entry.is_symlink():
            yield Path(entry.path)
    for name, levels in _LEVELS.items():
        yield from _links_below(run_dir / name, levels, folders_only=name == DATA)


def _links_below(folder: Path, levels: int, folders_only: bool) -> Iterator[Path]:
    if not levels:
        return
    for entry in _entries(folder):
        if entry.is_symlink():
            if not folders_only or entry.is_dir():
                yield Path(entry.path)
        elif entry.is_dir():
            yield from _links_below(Path(entry.path), levels - 1, folders_only)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []  # whoever needs it says what is wrong with it


def _is_inside(path: Path, run_dir: Path) -> bool:
    try:
        return path.resolve().is_relative_to(run_dir.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return False
