"""Draws the figures of the atlas from `results/atlas.h5`, at the end of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from spectro_mpi.instruments.units import readable, titled
from spectro_mpi.rundir.array_file import read_array_file
from spectro_mpi.rundir.layout import ATLAS, ATLAS_FILE, result_path, results_folder
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import make_below, write_atomic
from spectro_mpi.system.digests import sha256_of
from spectro_mpi.system.regular import read_regular
from spectro_mpi.system.words import count

_MADE_FROM = "made-from"
"""File beside the figures: a line per sheet with the digest of what it shows and its files; the
last line says what all of them were drawn from, once they are complete."""


def draw_atlas(config: Config) -> None:
    """Draw the figures that are missing or outdated, and remove others.

    Each sheet is noted when it is drawn, so that a run that was killed meanwhile keeps it.
    Raises `OSError` if the maps cannot be read or the figures cannot be written.
    """
    from spectro_mpi.draw.atlas_sheet import digest_of, files_of
    from spectro_mpi.draw.atlas_sheets import DRAWING, Words, sheets_of

    path, folder = result_path(config.run_dir, ATLAS_FILE), results_folder(config.run_dir, ATLAS)
    formats = config.atlas.formats
    made_from = f"{DRAWING} {' '.join(formats)} {sha256_of(path)}"
    note = folder / _MADE_FROM
    make_below(config.run_dir, folder)
    noted = _noted(note)
    if noted[-1:] == [made_from] and all(_are_there(folder, line) for line in noted[:-1]):
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
    about = {"phase": ATLAS, "drawing": DRAWING}
    sheets = {}
    for sheet in sheets_of(groups, words) if formats else ():
        names = [f"{sheet.name}.{each}" for each in formats]
        sheets[" ".join([digest_of(sheet, about), *names])] = sheet
    drawn = [line for line in noted if line in sheets and _are_there(folder, line)]
    write_atomic(note, _lines(drawn))  # before the files of others change
    for line, sheet in sheets.items():
        if line not in drawn:
            for suffix, content in files_of(sheet, formats, about).items():
                write_atomic(folder / f"{sheet.name}{suffix}", content)
            drawn.append(line)
            write_atomic(note, _lines(drawn))
    kept = {name for line in sheets for name in _files_in(line)}
    for other in folder.iterdir():
        if other.name not in kept and other.suffix in (".png", ".pdf"):
            other.unlink()
    write_atomic(note, _lines([*sheets, made_from]))


def _noted(note: Path) -> list[str]:
    """The lines of a note; none, if it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return read_regular(note).decode().splitlines()
    return []


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _files_in(line: str) -> list[str]:
    """The names of the files of a sheet, from its line in the note."""
    return line.split(" ")[1:]


def _are_there(folder: Path, line: str) -> bool:
    return all((folder / name).is_file() for name in _files_in(line))
