"""Time to read a FAST ESA file, with either library.

Usage: python benchmarks/reading.py [--runs 15] [--json]

"Needed" reads the variables for a reduction, in chunks, as `spectro-mpi run` does. "Everything"
reads all variables, as for an unknown file. The file is the electron survey file of median size of
the demo; it is in the page cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cdflib
from common import Row, benchmark, in_turn, sample_data, sample_file

from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader
from spectro_mpi.instruments.fast_esa_file import FastEsaFile
from spectro_mpi.settings.schema import Config, DataSettings


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in milliseconds."""
    with sample_data(arguments.data) as folder:
        path = sample_file(folder)
        taken = in_turn(
            {
                "fast": lambda: needed(PycdfppReader(path), "counts"),
                "slow": lambda: needed(CdflibReader(path), "counts"),
                "fast eflux": lambda: needed(PycdfppReader(path), "eflux"),
                "slow eflux": lambda: needed(CdflibReader(path), "eflux"),
                "everything": lambda: everything(path),
            },
            arguments.runs,
        )
    ms = {name: 1e3 * seconds for name, seconds in taken.items()}
    return [
        Row("needed for counts", "ms", ms["fast"], ms["slow"], "cdflib, needed"),
        Row("needed for eflux", "ms", ms["fast eflux"], ms["slow eflux"], "cdflib, needed"),
        Row("needed for counts", "ms", ms["fast"], ms["everything"], "cdflib, everything"),
        Row("needed, by cdflib", "ms", ms["slow"], ms["everything"], "cdflib, everything"),
    ]


def needed(reader: CdfReader, quantity: str) -> None:
    """Read a file as the reduce phase does."""
    file = FastEsaFile(reader, "ees", DataSettings(quantity=quantity), Config().pitch_angles)
    for first in range(0, file.records, DataSettings.chunk_records):
        file.chunk(first, min(first + DataSettings.chunk_records, file.records))


def everything(path: Path) -> None:
    """Read all variables."""
    cdf = cdflib.CDF(path)
    info = cdf.cdf_info()
    for name in [*info.zVariables, *info.rVariables]:
        cdf.varget(name)


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=15)
