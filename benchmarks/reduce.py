"""Time to reduce a file: ours, and a loop over records.

Usage: python benchmarks/reduce.py [--runs 9] [--json]

Both reduce the arrays of one file (the electron survey file of median size of the demo), already in
memory, to four pitch-angle categories; the loop works on whole (bin, channel) arrays. The rows
below compare ways of membership, weights and uncertainties with the first of them, moments with
their bound, and their parts with the whole.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from common import Row, benchmark, in_turn, sample_data, sample_file
from straight import load, reduce_by_record

from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.instruments.fast_esa_file import FastEsaFile
from spectro_mpi.model.distribution import Categories, Combine, Distribution, blocks
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.moment_sums import MomentPlan, moment_sums
from spectro_mpi.model.moments import moments_of, plan_for
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.model.series import all_series
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.tally import tally_series
from spectro_mpi.phases.reduce import reduce_with, with_moments
from spectro_mpi.settings.moments import MomentSettings
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
    """CPU time of the moments of 800 records, without reading, and of the parts of them."""
    config = Config(moments=MomentSettings(compute=True))
    file = FastEsaFile(CdflibReader(path), "ees", config.data, config.pitch_angles, moments=True)
    chunk, plan = file.chunk(0, file.records), plan_for(config, "ees")
    assert chunk.eflux is not None
    assert chunk.eflux.sigma is not None
    assert plan is not None
    sigma = chunk.eflux.sigma
    plain = replace(chunk, eflux=replace(chunk.eflux, sigma=None))
    sums = moment_sums(chunk, file.energy, file.edges, plan)
    input_path = InputPath("ees", str(path), path.stat().st_size, 1)
    spectrogram = with_moments(reduce_with(input_path, config, fast=False))
    slabs = list(blocks(chunk.valid, chunk.nbins, chunk.nenergy))
    ways: dict[str, Callable[[], object]] = {
        "moments": lambda: _sum_and_tally(chunk, file, plan, spectrogram),
        "  sums": partial(moment_sums, chunk, file.energy, file.edges, plan),
        "  sums without uncertainties": partial(moment_sums, plain, file.energy, file.edges, plan),
        "  uncertainties of cells": lambda: [
            sigma(rows, slice(bins), slice(channels)) for rows, bins, channels in slabs
        ],
        "  what is stored": partial(moments_of, sums, chunk.time),
        "  tallies": partial(_tally_series, spectrogram),
    }
    scale = 1e3 * 800 / file.records
    measured = in_turn(ways, runs, time.process_time)
    taken = {what: scale * seconds for what, seconds in measured.items()}
    whole = taken.pop("moments")
    parts = [Row(what, "ms", part, whole, "moments") for what, part in taken.items()]
    return [Row("moments, 800 records", "ms", whole, 15, "bound", at_least=1), *parts]


def _sum_and_tally(
    chunk: Distribution, file: FastEsaFile, plan: MomentPlan, spectrogram: Spectrogram
) -> None:
    """All that moments add to a reduction; the tallies are those of the finished `spectrogram`."""
    moments_of(moment_sums(chunk, file.energy, file.edges, plan), chunk.time)
    _tally_series(spectrogram)


def _tally_series(spectrogram: Spectrogram) -> None:
    spectrogram.known_series.clear()
    for series in all_series(spectrogram):
        tally_series(series)


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=9)
