"""Memory and time of burst files of 6,000 and of 60,000 records.

Usage: python benchmarks/memory.py [--runs 3] [--json]

Peak resident memory is that of the process that reduces and draws the file: the compute process of
a run on three ranks, and for comparison the single process of a run without one. Seconds are those
of the item's tasks, reduce and plot together.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from common import Row, benchmark
from whole import Whole, run_ours

from spectro_mpi.demo import write_demo

RECORDS = (6_000, 60_000)
LIMIT_MB = 600.0
_ONLY = ('select.instruments=["eeb"]', "run.orbit_timeout_seconds=600")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Medians in MB and seconds."""
    child: dict[int, list[Whole]] = {records: [] for records in RECORDS}
    alone: list[Whole] = []
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-burst-") as name:
        for records in RECORDS:
            write_demo(Path(name) / str(records), orbits=1, burst_records=records)
        for _ in range(arguments.runs):
            for records, runs in child.items():
                runs.append(run_ours(Path(name) / str(records), 3, *_ONLY))
            alone.append(run_ours(Path(name) / str(RECORDS[1]), 1, *_ONLY, 'run.isolation="none"'))
    short, long = child.values()
    inline = statistics.median(one.ranks[0].peak for one in alone)
    seconds = statistics.median(map(_seconds, short)), statistics.median(map(_seconds, long))
    limit = f"limit, {RECORDS[1]} records"
    return [
        Row("compute process", "MB", _peak(long), LIMIT_MB, limit, at_least=1),
        Row("the same at 6,000 records", "MB", _peak(short), _peak(long), "60,000 records"),
        Row("one process, everything in it", "MB", inline, LIMIT_MB, limit, at_least=1),
        Row(
            "1,000 of 60,000 records",
            "s",
            seconds[1] / 60,
            seconds[0] / 6,
            "of 6,000",
            at_least=0.8,
        ),
    ]


def _peak(runs: list[Whole]) -> float:
    return statistics.median(one.ranks[1].child_peak for one in runs)


def _seconds(run: Whole) -> float:
    return sum(seconds for items in run.items.values() for seconds in items.values())


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3)
