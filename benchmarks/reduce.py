"""Time to reduce a file: ours, and a loop over records.

Usage: python benchmarks/reduce.py [--runs 9] [--json]

Both reduce the arrays of one file (the electron survey file of median size of the demo), already in
memory, to four pitch-angle categories; the loop works on whole (bin, channel) arrays. The rows
below compare ways of membership, weights and uncertainties with the first of them, and moments
with the reduction.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from common import Row, benchmark, in_turn, sample_data, sample_file
from straight import load, reduce_by_record

from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.instruments.fast_esa_file import FastEsaFile
from spectro_mpi.model.distribution import Categories, Combine, Distribution
from spectro_mpi.model.moment_sums import moment_sums
from spectro_mpi.model.moments import plan_for
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.settings.schema import Config, DataSettings


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in milliseconds."""
    categories = Config().pitch_angles
    rows = []
    with sample_data(arguments.data) as folder:
        path = sample_file(folder)
        for quantity, variable in (("counts", "data"), ("eflux", "eflux")):
            data = DataSettings(
                quantity=quantity, angle_borders="centre", angle_weight="domega", quality="ignore"
            )
            file = FastEsaFile(CdflibReader(path), "ees", data, categories)
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
            rows += _ways(chunk, categories, file.combine, arguments.runs)
        rows += _moments(path, arguments.runs)
    return rows


def _ways(chunk: Distribution, categories: Categories, combine: Combine, runs: int) -> list[Row]:
    """Ways to reduce the same chunk, each beside whole bins of equal weight without errors."""
    width = (360 / chunk.nbins).astype(np.float32)[:, None, None]
    plain = replace(chunk, weight=None)
    chunks = {"whole bins": plain, "fractions": replace(plain, width=width)}
    if combine == "mean":
        chunks["whole bins, file's weight"] = chunk
        chunks["whole bins, rings"] = replace(plain, ring_width=width)
        chunks["fractions, rings"] = replace(plain, width=width, ring_width=width)
    last = list(chunks)[-1]
    variance = np.abs(chunk.values, dtype=np.float32)
    chunks[f"{last}, errors"] = replace(chunks[last], variance=variance)
    ways = {
        name: partial(reduce_distribution, given, categories, combine)
        for name, given in chunks.items()
    }
    taken = in_turn(ways, runs)
    base = 1e3 * taken["whole bins"]
    return [
        Row(f"  {combine}: {name}", "ms", 1e3 * seconds, base, "whole bins")
        for name, seconds in taken.items()
    ]


def _moments(path: Path, runs: int) -> list[Row]:
    """Moments of 800 records beside the reduction of as many, with and without uncertainties."""
    config = Config()
    rows = []
    for quantity in ("counts", "eflux"):
        data = DataSettings(quantity=quantity)
        file = FastEsaFile(CdflibReader(path), "ees", data, config.pitch_angles, moments=True)
        chunk, plan = file.chunk(0, file.records), plan_for(config, "ees")
        assert chunk.eflux is not None
        assert plan is not None
        plain = replace(chunk, eflux=replace(chunk.eflux, sigma=None))
        taken = in_turn(
            {
                "reduce": partial(reduce_distribution, chunk, config.pitch_angles, file.combine),
                "moments": partial(moment_sums, chunk, file.energy, file.edges, plan),
                "without errors": partial(moment_sums, plain, file.energy, file.edges, plan),
            },
            runs,
        )
        scale = 1e3 * 800 / file.records
        rows += [
            Row(
                f"{what}, 800 records",
                "ms",
                scale * taken[what],
                scale * taken["reduce"],
                f"reduce {quantity}",
            )
            for what in ("moments", "without errors")
        ]
    return rows


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=9)
