"""Whole runs, from CDF files to figures with both kinds of limits.

Usage: python benchmarks/run.py [--runs 3] [--copies 6] [--long 48] [--json]

1. On the orbits of the demo: spectro-mpi on one core against the straightforward script
   (straight.py), with the same figures of the same size. N = 1 computes in the rank; N = 3 has one
   worker.
2. On `--copies` times the orbits: two workers (N = 4) against one (N = 3) and, for comparison, two
   independent runs against one; compute processes against none; the CPU time of coordinator and
   writer (also with figures for all four pairs of scales, and on `--long` times the orbits); the
   simulated against the measured makespan.

All runs omit the report at the end, which takes a few seconds whatever the length of the run. Times
are wall times unless marked CPU. Needs a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import Row, benchmark, sample_data
from whole import BENCHMARKS, CONFIG, Whole, run_ours, run_process, with_copies

from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import Item
from spectro_mpi.planning.costs import costs_of, load_constants
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.simulate import simulate
from spectro_mpi.planning.stacks import snake
from spectro_mpi.settings.loading import load_config

INLINE = 'run.isolation="none"'
PAIRS = 'plot.scales=[["linear","log"],["log","log"],["linear","linear"],["log","linear"]]'
SIMULATED = (3, 4, 6)


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in seconds."""
    with sample_data(arguments.data) as folder:
        rows = _per_core(folder, arguments.runs)
        many, long = (with_copies(folder, times) for times in (arguments.copies, arguments.long))
        return rows + _many(many, long, arguments.runs)


def _per_core(folder: Path, runs: int) -> list[Row]:
    singles, threes, straights = [], [], []
    for _ in range(runs):
        singles.append(run_ours(folder, 1, INLINE))
        threes.append(run_ours(folder, 3))
        straights.append(_straight(folder))
    script, cpu = _seconds(straights), statistics.median(run.cpu for run in straights)
    inline_cpu = statistics.median(run.cpu for run in singles)
    three_cpu = statistics.median(run.cpu for run in threes)
    beside = "straightforward script"
    return [
        Row("N = 1, no compute process", "s", _seconds(singles), script, beside, at_least=12),
        Row("N = 1, no compute process, CPU", "s", inline_cpu, cpu, beside, at_least=12),
        Row("N = 3, one worker", "s", _seconds(threes), script, beside, at_least=12),
        Row("N = 3, all processes, CPU", "s", three_cpu, cpu, beside, at_least=12),
    ]


def _many(folder: Path, long: Path, runs: int) -> list[Row]:
    config = load_config(folder / CONFIG, ('plot.events=""',))
    items = take_inventory(config).items
    measured: dict[str, list[Whole]] = {}
    for _ in range(runs):
        for ranks in SIMULATED:
            measured.setdefault(f"N = {ranks}", []).append(run_ours(folder, ranks))
        measured.setdefault("none", []).append(run_ours(folder, 4, INLINE))
        measured.setdefault("cdflib", []).append(run_ours(folder, 4, fast=False))
        measured.setdefault("pairs", []).append(run_ours(folder, 4, PAIRS))
        measured.setdefault("alone", []).append(run_ours(folder, 1, INLINE))
        measured.setdefault("both", []).append(_at_once(folder, items))
        measured.setdefault("long", []).append(run_ours(long, 4))
    took = {name: _seconds(wholes) for name, wholes in measured.items()}
    rows = [
        Row(f"{len(items)} items, N = 4", "s", took["N = 4"], took["N = 3"], "N = 3", at_least=1.9),
        Row("two of N = 1 at once, half the items each", "s", took["both"], took["alone"], "N = 1"),
        Row(
            "N = 4, compute processes, both cdflib",
            "s",
            took["cdflib"],
            took["none"],
            "isolation none",
            at_least=0.97,
        ),
        Row(
            "N = 4, compute processes",
            "s",
            took["N = 4"],
            took["none"],
            "isolation none, which uses cdflib",
            at_least=0.97,
        ),
        *_serving("", measured["N = 4"]),
        *_serving(", four pairs of scales", measured["pairs"]),
        *_serving(f", {len(measured['long'][0].items['plot'])} items", measured["long"]),
    ]
    constants = load_constants()
    jobs = costs_of(items, config, constants, has_fast_reader())
    cores = len(os.sched_getaffinity(0))
    for ranks in SIMULATED:
        name, made = f"N = {ranks}", simulate(jobs, config, constants, ranks, cores)
        rows.append(
            Row(f"{name}, simulated", "s", made.makespan, took[name], "measured", 0.85, 1.15)
        )
    return rows


def _serving(suffix: str, wholes: list[Whole]) -> list[Row]:
    """Compare the CPU time of coordinator and writer with that of all ranks."""
    middle = sorted(wholes, key=lambda whole: whole.seconds)[len(wholes) // 2]
    serving = [middle.ranks[0], middle.ranks[-1]]
    return [
        Row(
            f"coordinator and writer, CPU{suffix}",
            "s",
            sum(rank.cpu for rank in serving),
            sum(rank.cpu for rank in middle.ranks),
            "all ranks",
            at_least=20,
        ),
        Row(
            f"coordinator and writer, CPU after start{suffix}",
            "s",
            sum(rank.work for rank in serving),
            sum(rank.work + rank.children for rank in middle.ranks),
            "all ranks after start",
            at_least=20,
        ),
    ]


def _at_once(folder: Path, items: Sequence[Item]) -> Whole:
    """Start two runs of one rank, each with half the items; return the longer run."""
    halves = [",".join(item.id for item in stack.items) for stack in snake(items, 2)]
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(lambda half: run_ours(folder, 1, INLINE, f"select.orbits={half}"), halves)
        return max(runs, key=lambda whole: whole.seconds)


def _straight(folder: Path) -> Whole:
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-straight-") as name:
        return run_process(
            [sys.executable, str(BENCHMARKS / "straight.py"), str(folder / "FAST_data"), name]
        )


def _seconds(wholes: list[Whole]) -> float:
    return statistics.median(whole.seconds for whole in wholes)


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, copies=6, long=48)
