"""Kinds of input, by `data.preset`: how their files are named, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from spectro_mpi.instruments import InputFile, fast_esa
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.settings.file_pattern import FilePattern
from spectro_mpi.settings.schema import Config


@dataclass(frozen=True)
class NamedFile:
    """What the name of an input file says."""

    instrument: str
    item: str
    version: tuple[int, ...]
    start: datetime | None
    """UTC; None if the name does not tell."""


NameReader = Callable[[str], Iterator[NamedFile]]
"""File name → the instruments it holds data of; none if it is no input."""


def name_reader(config: Config) -> NameReader:
    """How the names of input files are to be read."""
    if config.data.preset == "fast-esa":
        return _fast_esa_names
    patterns = [(table.name, FilePattern(table.file)) for table in config.instrument]

    def names(file: str) -> Iterator[NamedFile]:
        for instrument, pattern in patterns:
            match = pattern.match(file)
            if match is not None:
                yield NamedFile(instrument, match.item, match.version, match.start)

    return names


def described(config: Config) -> str:
    """What input files are called, for a sentence."""
    if config.data.preset == "fast-esa":
        return (
            "FAST ESA level-2 file that [select] lets through "
            "(fa_esa_l2_ees_20000101001737_13312_v01.cdf is such a name"
        )
    patterns = dict.fromkeys(table.file for table in config.instrument)
    return f"file that [select] lets through (named such as {', '.join(patterns)}"


def open_input(instrument: str, reader: CdfReader, config: Config) -> InputFile:
    """Check an open file. Raises `InvalidCdfError` where it lacks what its kind promises."""
    if config.data.preset == "fast-esa":
        return fast_esa.FastEsaFile(reader, instrument, config.data.quantity, config.pitch_angles)
    from spectro_mpi.instruments.istp import IstpFile

    table = next(one for one in config.instrument if one.name == instrument)
    return IstpFile(reader, table, config.pitch_angles)


def _fast_esa_names(file: str) -> Iterator[NamedFile]:
    name = fast_esa.parse_name(file)
    if name is not None:
        yield NamedFile(name.instrument, str(name.orbit), (name.version,), name.start)
