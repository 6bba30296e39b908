"""Memory and time of burst files of 6,000 and of 60,000 records, and memory of many figures.

Usage: python benchmarks/memory.py [--runs 3] [--figures 10000] [--json]

Peak resident memory is that of the process that reduces and draws the file: the compute process of
a run on three ranks and, for comparison, the single process of a run without compute processes.
Seconds are those of the item's tasks, reduce and plot together. The figures, 1200 × 1200 pixels
with common limits and with the limits of the item, are drawn in one process, each of a different
orbit.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
from common import Row, benchmark
from figures import ORBIT_SECONDS, STYLE, orbit, raw
from whole import Whole, run_ours

from spectro_mpi.demo import write_demo
from spectro_mpi.draw.figure import FigureContent, Painter

RECORDS = (6_000, 60_000)
LIMIT_MB = 600.0
_ONLY = ('select.instruments=["eeb"]', "run.orbit_timeout_seconds=600")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in MB and seconds."""
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
    inline = statistics.median(run.ranks[0].peak for run in alone)
    seconds = statistics.median(map(_seconds, short)), statistics.median(map(_seconds, long))
    limit = f"limit, {RECORDS[1]} records"
    return [
        Row("compute process", "MB", _peak(long), LIMIT_MB, limit, at_least=1),
        Row("the same at 6,000 records", "MB", _peak(short), _peak(long), "60,000 records"),
        Row("single process", "MB", inline, LIMIT_MB, limit, at_least=1),
        Row(
            "1,000 of 60,000 records",
            "s",
            seconds[1] / 60,
            seconds[0] / 6,
            "of 6,000",
            at_least=0.8,
        ),
        _many_figures(arguments.figures),
    ]


def _many_figures(figures: int) -> Row:
    """Measure the memory of this process after a tenth of the figures, and after all."""
    painter, me, style = Painter(), psutil.Process(), replace(STYLE, dpi=100)
    common = [orbit(number, 800) for number in range(10)]
    contents = [*common, *map(raw, common)]
    megabytes = []
    for number in range(figures):
        painter.draw(_later(contents[number % len(contents)], number), style)
        if number + 1 in (figures // 10, figures):
            megabytes.append(me.memory_info().rss / 2**20)
    after = f"after {figures // 10:,}"
    return Row(f"after {figures:,} figures", "MB", megabytes[1], megabytes[0], after, at_least=0.95)


def _later(content: FigureContent, number: int) -> FigureContent:
    """Return the figure, moved to a later orbit."""
    data, shift = content.panels[0].spectrogram, ORBIT_SECONDS * number
    moved = replace(
        data,
        time=data.time + shift,
        time_start=data.time_start + shift,
        time_end=data.time_end + shift,
    )
    panels = tuple(replace(panel, spectrogram=moved) for panel in content.panels)
    return replace(content, title=f"Orbit {number}", panels=panels)


def _peak(runs: list[Whole]) -> float:
    return statistics.median(run.ranks[1].child_peak for run in runs)


def _seconds(run: Whole) -> float:
    return sum(seconds for items in run.items.values() for seconds in items.values())


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, figures=10_000)
