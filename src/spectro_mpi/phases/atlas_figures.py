"""Draws the figures of the atlas from `results/atlas.h5`, at the end of a run."""

from __future__ import annotations

import contextlib
from pathlib import Path

from spectro_mpi.instruments.units import readable, titled
from spectro_mpi.rundir.array_file import read_array_file
from spectro_mpi.rundir.layout import ATLAS, ATLAS_FILE, result_path, results_folder
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import make_below, write_atomic
from spectro_mpi.system.digests import sha256_of
from spectro_mpi.system.words import count

_MADE_FROM = "made-from"
"""File beside the figures: what they were drawn from."""


def draw_atlas(config: Config) -> None:
    """Draw all figures, unless they are there and were drawn from the same maps.

    Raises `OSError` if the maps cannot be read or the figures cannot be written.
    """
    from spectro_mpi.draw.atlas_sheet import files_of
    from spectro_mpi.draw.atlas_sheets import DRAWING, Words, sheets_of

    path, folder = result_path(config.run_dir, ATLAS_FILE), results_folder(config.run_dir, ATLAS)
    formats = config.atlas.formats
    made_from = f"{DRAWING} {' '.join(formats)} {sha256_of(path)}"
    note = folder / _MADE_FROM
    if _is_done(note, made_from):
        return
    groups, attributes = read_array_file(path)
    atlas = config.atlas
    cells = f"cells of {atlas.mlt_hours:g} h × {atlas.ilat_degrees:g}°"
    words = Words(
        titles=dict(parsed_json(attributes.get("titles", "{}"))),
        rows={name: str(each) for name, each in config.directions.items()},
        items=f"{config.item_word}s",
        foot=f"{count(int(attributes['items']), config.item_word)}; magnetic local time (h), noon "
        f"above; invariant latitude; {cells}; hatched: no data",
        with_units=lambda label, units: titled(label, readable(units)),
    )
    make_below(config.run_dir, folder)
    written = []
    for sheet in sheets_of(groups, words) if formats else ():
        about = {"phase": ATLAS, "drawing": DRAWING}
        for suffix, content in files_of(sheet, formats, about).items():
            write_atomic(folder / f"{sheet.name}{suffix}", content)
            written.append(f"{sheet.name}{suffix}")
    for other in folder.iterdir():
        if other.name not in written and other.suffix in (".png", ".pdf"):
            other.unlink()
    write_atomic(note, "\n".join([made_from, *written, ""]).encode())


def _is_done(note: Path, made_from: str) -> bool:
    """Whether the figures that a note lists are there, and were drawn from the same maps."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first, *names = note.read_text().splitlines()
        return first == made_from and all((note.parent / name).is_file() for name in names)
    return False
