"""The interface of presets: the names, quantities and reader of one kind of input files."""

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
    """An instrument and an item that the name of an input file says it has data of."""

    instrument: str
    item: str
    version: tuple[int, ...]
    """Version of the file; of several, the highest is used."""
    start: datetime | None
    """Start of the data, UTC; None: the name does not have it."""
    part: str = ""
    """Which of several files of the item and the instrument it is; files of the same part are
    versions of one another. Empty: an item has one file of each instrument."""


class Quantity(NamedTuple):
    """The quantity of the values that are stored for each category, record and channel."""

    dataset: str
    """Name of the dataset in the store."""
    long_name: str = ""
    units: str = ""
    label: str = "value"
    """Label of the colour bar."""


class Preset(Protocol):
    """A kind of input files, with the settings of a run; listed in settings/presets.py."""

    def __init__(self, config: Config) -> None: ...

    @property
    def files(self) -> str:
        """The kind of files, for use in messages: "FAST ESA level-2 file"."""
        ...

    @property
    def example(self) -> str:
        """A typical file name, or patterns of file names."""
        ...

    @property
    def quantity(self) -> Quantity:
        """The quantity that files are reduced to, as far as it is the same for all instruments."""
        ...

    def names(self, file: str) -> Iterator[NamedFile]:
        """The instruments and items that a file called `file` has data of; none: not an input."""
        ...

    def is_companion(self, file: str) -> bool:
        """Whether a file called `file` is known to accompany the input, and to be ignored."""
        ...

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` if it lacks variables or records."""
        ...
