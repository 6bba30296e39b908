"""The preset of FAST ESA level-2 CDF files: their names and quantities.

`fast_esa_file` reads them. Variables and fill values are defined in NASA's master files
(fa_esa_l2_*_00000000_v01.cdf).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime

from spectro_mpi.instruments import InputFile
from spectro_mpi.instruments.cdf import CdfReader
from spectro_mpi.instruments.fast_esa_file import FastEsaFile
from spectro_mpi.instruments.fast_esa_quantities import MISSION, legend, quantity_of
from spectro_mpi.instruments.preset import NamedFile, Quantity
from spectro_mpi.settings.schema import Config

__all__ = ["FastEsa", "legend"]

_NAME = re.compile(
    r"fa_esa_l2_(?P<instrument>ees|eeb|ies|ieb)_(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_(?P<orbit>\d{5,6})"
    r"_v(?P<version>\d{2,3})\.cdf",
    re.IGNORECASE,
)


class FastEsa:
    """FAST ESA level 2: electron and ion spectrometers, survey and burst."""

    files = f"{MISSION} level-2 file"
    example = "fa_esa_l2_ees_20000101001737_13312_v01.cdf"

    def __init__(self, config: Config) -> None:
        self._config = config

    @property
    def quantity(self) -> Quantity:
        """The quantity in the setting `data.quantity`."""
        return quantity_of(self._config.data)

    def names(self, file: str) -> Iterator[NamedFile]:
        """The instrument, orbit, version and start in a file name; none if it is no input file."""
        match = _NAME.fullmatch(file)
        if match is None:
            return
        with contextlib.suppress(ValueError):
            # `strptime` would take longer than all the rest, for 200,000 names.
            start = datetime.fromisoformat("{}-{}-{}T{}:{}:{}+00:00".format(*match.groups()[1:7]))
            orbit, version = str(int(match["orbit"])), (int(match["version"]),)
            yield NamedFile(match["instrument"].lower(), orbit, version, start)

    def is_companion(self, file: str) -> bool:
        """Whether the file has key parameters (k0), such as the ephemeris."""
        return file.startswith("fa_k0_")

    def open(self, instrument: str, reader: CdfReader) -> InputFile:
        """Check an open file. Raises `InvalidCdfError` if it lacks variables or records."""
        config = self._config
        moments = config.species(instrument) is not None
        return FastEsaFile(reader, instrument, config.data, config.pitch_angles, moments)
