"""One more item in a finished run, compared with the whole run: CPU of all processes.

Usage: python benchmarks/increment.py [--items 300] [--runs 3] [--ranks 1] [--json]

The input is `--items` short electron survey files, with the contents of eight. All of them are
reduced and drawn, two small figures each, so that a full run is as cheap as it can be. Then one
more file is added, `--runs` times, which changes no drawn limit; it is checked that nothing else
was read or drawn. CPU is that of all processes: coordinator, workers, writer, report.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from common import Row, benchmark
from whole import CONFIG, Whole, launcher, run_process

from spectro_mpi.demo.damage import write_file
from spectro_mpi.demo.orbits import FIRST_ORBIT, plan_orbit, short_survey
from spectro_mpi.demo.track import ORBIT_SECONDS
from spectro_mpi.rundir.layout import DIGESTS, PLOTS, PROGRESS, TALLIES, rank_logs
from spectro_mpi.settings.loading import load_config

CONTENTS = 8
_FIRST_START = datetime(1999, 12, 31, tzinfo=timezone.utc)
_RECORDS = 40
_AT_LEAST = 20.0
"""The full run takes this many times the CPU of one more item, or more: it takes at most 5 %."""
SETTINGS = """
input = "FAST_data"
[plot]
dpi = 40
panel_size = [4, 1]
kinds = ["pitch-angle"]
"""
_WORK = re.compile(r"item (\w+): reduce (computed|read back) in")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return CPU seconds, and numbers of files."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-increment-", dir=arguments.data) as name:
        folder = Path(name)
        (folder / "FAST_data").mkdir()
        (folder / CONFIG).write_text(SETTINGS)
        contents = write_contents(folder / "contents")
        for number in range(arguments.items):
            add(folder, contents, number)
        ranks, number = arguments.ranks, arguments.items
        full = run_once(folder, ranks)
        idle = statistics.median(run_once(folder, ranks).cpu for _ in range(arguments.runs))
        more: list[float] = []
        with_report: list[float] = []
        for _ in range(arguments.runs):
            for runs, report in ((more, False), (with_report, True)):
                add(folder, contents, number)
                runs.append(_increment(folder, ranks, number, report).cpu)
                number += 1
        (load_config(folder / CONFIG).run_dir / TALLIES).unlink()
        add(folder, contents, number)
        without = run_once(folder, ranks).cpu
        return _rows(
            folder, full, idle, statistics.median(more), statistics.median(with_report), without
        )


def _rows(
    folder: Path, full: Whole, idle: float, more: float, with_report: float, without: float
) -> list[Row]:
    run_dir = load_config(folder / CONFIG).run_dir
    size = sum((run_dir / name).stat().st_size for name in (PROGRESS, DIGESTS, TALLIES))
    whole = sum(path.stat().st_size for path in run_dir.rglob("*") if path.is_file())
    return [
        Row("one more item", "s CPU", more, full.cpu, "the full run", at_least=_AT_LEAST),
        Row("… with the report at the end", "s CPU", with_report, full.cpu, "the full run"),
        Row("… beyond a run with nothing to do", "s CPU", more - idle, idle, "nothing to do"),
        Row("… with its tallies", "s CPU", more, without, "without tallies.h5"),
        Row("state that is read", "MB", size / 1e6, whole / 1e6, "the run directory"),
    ]


def _increment(folder: Path, ranks: int, number: int, report: bool) -> Whole:
    """Run with one more item. Raises `RuntimeError` if more than that was read or drawn."""
    run_dir = load_config(folder / CONFIG).run_dir
    logs = {path: path.stat().st_size for path in rank_logs(run_dir)}
    before = _figures(run_dir)
    done = run_once(folder, ranks, report)
    item = str(FIRST_ORBIT + number)
    drawn = {
        path.name.split("_")[0]
        for path, when in _figures(run_dir).items()
        if before.get(path) != when
    }
    work = set[tuple[str, str]]()
    for path in rank_logs(run_dir):
        work |= {*_WORK.findall(path.read_bytes()[logs.get(path, 0) :].decode())}
    if drawn != {item} or work != {(item, "computed")}:
        raise RuntimeError(f"not only {item} was read and drawn: {work}, {drawn}")
    return done


def _figures(run_dir: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (run_dir / PLOTS).rglob("*.png")}


def run_once(folder: Path, ranks: int = 1, report: bool = False) -> Whole:
    """Run what is left to do. Raises `RuntimeError` if it fails."""
    command = [sys.executable, "-m", "spectro_mpi", "run", str(folder / CONFIG), "--no-progress"]
    command += ["-s", f"report.at_end={str(report).lower()}"]
    return run_process([launcher(), "-n", str(ranks), *command] if ranks > 1 else command)


def write_contents(folder: Path) -> list[Path]:
    """Write the files whose contents all items have; returns their paths."""
    folder.mkdir()
    contents = []
    for number in range(CONTENTS):
        orbit = plan_orbit(FIRST_ORBIT + number, 0)
        contents.append(folder / f"{number}.cdf")
        write_file(contents[-1], orbit, short_survey(orbit, "ees", _RECORDS))
    return contents


def add(folder: Path, contents: list[Path], number: int) -> None:
    """Add an item: a file under the name that it would have in the archive."""
    start = _FIRST_START + number * timedelta(seconds=ORBIT_SECONDS)
    name = f"fa_esa_l2_ees_{start:%Y%m%d%H%M%S}_{FIRST_ORBIT + number:05d}_v01.cdf"
    os.link(contents[number % len(contents)], folder / "FAST_data" / name)


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, items=300, ranks=1)
