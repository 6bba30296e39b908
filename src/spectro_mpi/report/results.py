"""Figures of the whole run that phases have drawn, for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from spectro_mpi.draw.names import KEYWORD, SUFFIXES
from spectro_mpi.previews.figure_files import UNREADABLE_FIGURE
from spectro_mpi.report.folder import PageFolder
from spectro_mpi.rundir.layout import figures_of_run
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.system.regular import opened_regular


def result_figures(folder: PageFolder, run_dir: Path) -> list[dict[str, Any]]:
    """The figures of the whole run: `phase`, `title`, addresses of the `png` and of `others`.

    The title is that of the description in the PNG file, or else the name of the file.
    """
    return [
        {
            "phase": path.parent.name,
            "title": _title(path),
            "png": folder.to(path),
            "others": {
                suffix[1:].upper(): folder.to(path.with_suffix(suffix))
                for suffix in SUFFIXES
                if suffix != ".png" and path.with_suffix(suffix).exists()
            },
        }
        for path in figures_of_run(run_dir)
        if not path.is_symlink() and not path.parent.is_symlink()
    ]


def _title(path: Path) -> str:
    try:
        with opened_regular(path) as file, Image.open(file) as picture:
            return str(parsed_json(picture.info[KEYWORD])["title"])
    except UNREADABLE_FIGURE:
        return path.stem
