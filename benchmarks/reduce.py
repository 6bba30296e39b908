"""Time to reduce a file: ours, and a loop over records.

Usage: python benchmarks/reduce.py [--runs 9] [--json]

Both reduce the arrays of one file (the electron survey file of median size of the demo), already in
memory, to four pitch-angle categories; the loop works on whole (bin, channel) arrays.
"""

from __future__ import annotations

import argparse

from common import Row, benchmark, in_turn, sample_data, sample_file
from straight import load, reduce_by_record

from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.instruments.fast_esa import FastEsaFile
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.settings.schema import Config


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in milliseconds."""
    categories = Config().pitch_angles
    rows = []
    with sample_data(arguments.data) as folder:
        path = sample_file(folder)
        for quantity, variable in (("counts", "data"), ("eflux", "eflux")):
            file = FastEsaFile(CdflibReader(path), "ees", quantity, categories)
            chunk, loaded = file.chunk(0, file.records), load(path, variable)
            taken = in_turn(
                {
                    "ours": lambda: reduce_distribution(chunk, categories, file.combine),  # noqa: B023
                    "loop": lambda: reduce_by_record(loaded, variable),  # noqa: B023
                },
                arguments.runs,
            )
            what = f"{quantity}, {file.records} records"
            rows.append(Row(what, "ms", 1e3 * taken["ours"], 1e3 * taken["loop"], "loop"))
    return rows


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=9)
