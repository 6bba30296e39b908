"""Whether the file of a figure is whole, and shows what its name says."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from spectro_mpi.draw.checksum import problem_of_checksum
from spectro_mpi.draw.names import KEYWORD, ExpectedFigure
from spectro_mpi.draw.read_png import DamagedPngError, PngFile, check_png, check_png_ends
from spectro_mpi.settings.angles import BY_ANGLE
from spectro_mpi.settings.parsing import parsed_json
from spectro_mpi.settings.schema import KindName
from spectro_mpi.system.regular import opened_regular, read_regular

_KINDS = frozenset(get_args(KindName))
_TAIL_BYTES = 64
_STREAM = re.compile(rb">>\s*stream\r?\n")
_PIECE_BYTES = 1 << 20


def problem_of_figure(
    path: Path, item: str, figure: ExpectedFigure | None = None, quick: bool = False
) -> str:
    """What is wrong with the PNG file of a figure, or empty.

    It must be whole and describe itself as a figure of `item`, and as `figure`, if given. With
    `quick` its pixels are not read: its size and everything before and after them must be right.
    """
    try:
        png = _ends_of(path) if quick else check_png(read_regular(path))
        if KEYWORD not in png.texts:
            return f"has no text chunk with '{KEYWORD}'"
        return _difference(parsed_json(png.texts[KEYWORD]), item, figure)
    except FileNotFoundError:
        return "is missing"
    except DamagedPngError as error:
        return f"is damaged ({error})"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"cannot be read ({type(error).__name__}: {error})"


def _ends_of(path: Path) -> PngFile:
    with opened_regular(path) as file:

        def read(at: int, size: int) -> bytes:
            file.seek(at)
            return file.read(size)

        return check_png_ends(read, os.fstat(file.fileno()).st_size)


def _difference(described: Mapping[str, Any], item: str, figure: ExpectedFigure | None) -> str:
    """How the description of a figure differs from what its name says, or empty.

    Earlier versions described less; what is not there is not compared.
    """
    if described["item"] != item:
        return f"is of item {described['item']}"
    if figure is None:
        return ""
    panels = described["panels"]
    instruments = {
        str(panel["instrument"]).removesuffix(BY_ANGLE)
        for panel in panels
        if figure.instrument and "instrument" in panel
    }
    kinds = {described.get("kind")} & _KINDS  # version 0.1 had other words
    facts = {
        "kind": (kinds, figure.kind.name),
        "limits": ({described.get("limits", figure.limits)}, figure.limits),
        "instrument": (instruments, figure.instrument),
        "colour map": ({panel.get("colormap", "") for panel in panels} - {""}, figure.colormap),
    }
    for fact, (shown, expected) in facts.items():
        if shown - {expected}:
            return f"is another figure: its {fact} is {min(shown - {expected})}, not {expected}"
    return ""


def problem_of_vector(path: Path) -> str:
    """Why a PDF or SVG file is not whole, or empty.

    Streams of a PDF file are decompressed, which checks their Adler-32 sums.
    """
    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        return f"cannot be read ({error})"
    if path.suffix == ".svg":
        return problem_of_checksum(data)
    if not data[-_TAIL_BYTES:].rstrip().endswith(b"%%EOF"):
        return "is damaged (it is cut off)"
    at = 0
    while found := _STREAM.search(data, at):
        at = found.end()
        stream, rest = zlib.decompressobj(), data[at:]
        try:
            while rest and not stream.eof:
                stream.decompress(rest, _PIECE_BYTES)
                rest = stream.unconsumed_tail
        except zlib.error:
            return "is damaged (a part of it cannot be decompressed)"
        if not stream.eof:
            return "is damaged (a part of it is cut off)"
        at = len(data) - len(stream.unused_data)
    return ""
