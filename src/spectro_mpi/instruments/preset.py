"""What a kind of input files must tell: how they are named, what they hold, how they are opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.settings.schema import Config


@dataclass(frozen=True)
class NamedFile:
    """What the name of an input file says."""

    instrument: str
    item: str
    version: tuple[int, ...]
    start: datetime | None
    """UTC; None if the name does not tell."""


class Quantity(NamedTuple):
    """What is stored for each category, record and channel."""

    dataset: str
    """Name of the dataset in the store."""
    long_name: str = ""
    units: str = ""
    label: str = "value"
    """Of the colour bar."""


class Preset(Protocol):
    """A kind of input files, with the settings of a run. Its entry is in settings/presets.py."""

    def __init__(self, config: Config) -> None: ...

    @property
    def files(self) -> str:
        """What its files are called, for a sentence: "FAST ESA level-2 file"."""
        ...

    @property
    def example(self) -> str:
        """The name of such a file, or patterns of names."""
        ...

    @property
    def quantity(self) -> Quantity:
        """What all instruments have in common of the quantity they are reduced to."""
        ...

    def names(self, file: str) -> Iterator[NamedFile]:
        """File name → the instruments it holds data of; none if it is no input."""
        ...

    def is_companion(self, file: str) -> bool:
        """Whether a file of that name lies beside the input and is rightly passed over."""
        ...

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` where it lacks what its kind promises."""
        ...
