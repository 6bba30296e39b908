"""Adding one item to a finished run: with the tallies that are kept, and without.

Usage: python benchmarks/increment.py [--runs 3] [--copies 13] [--json]

The store holds `--copies` times the orbits of the demo, all but one. Then that one is added to
copies of the run: with its tallies.h5 ("ours"), and without it, so that the tallies of all other
items are restored from the store, as in earlier versions. One process reduces (`--only reduce`).
CPU is that of all its processes; "beyond a run with nothing to do" is without what the start of any
run takes, which includes opening every shard once.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
from common import Row, benchmark, sample_data
from whole import CONFIG, Whole, run_process, with_copies

from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.rundir.journal import Journal, load_progress
from spectro_mpi.rundir.layout import EXTREMA, TALLIES, rank_log, shard_path, shards_of
from spectro_mpi.settings.loading import load_config

_STEP = 1000
"""Between the orbit numbers of two copies, as in `whole.with_copies`."""
_WORK = re.compile(r"item (\w+): reduce (?:computed|read back) in")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in seconds, megabytes and numbers."""
    with (
        sample_data(arguments.data) as folder,
        tempfile.TemporaryDirectory(prefix="spectro-mpi-increment-", dir=folder) as name,
    ):
        larger = with_copies(folder, arguments.copies)
        finished, new = _finished_run(larger, Path(name))
        kept, restored, idle = [], [], []
        for number in range(arguments.runs):
            ours, other = (Path(name) / f"{kind}-{number}" for kind in ("ours", "other"))
            for run_dir in (ours, other):
                shutil.copytree(finished, run_dir, copy_function=os.link)
                rank_log(run_dir, 0).unlink()
            (other / TALLIES).unlink()
            kept.append(_reduce(larger, ours))
            restored.append(_reduce(larger, other))
            idle.append(_reduce(larger, ours))
            if (ours / EXTREMA).read_bytes() != (other / EXTREMA).read_bytes():
                raise RuntimeError("the extrema differ")
        return _rows(ours, other, kept, restored, idle, new)


def _rows(
    ours: Path,
    other: Path,
    kept: list[Whole],
    restored: list[Whole],
    idle: list[Whole],
    new: str,
) -> list[Row]:
    cpu, cpu_other, start = (
        statistics.median(run.cpu for run in runs) for runs in (kept, restored, idle)
    )
    shards = load_progress(ours, "").shards
    worked, worked_other = (
        _WORK.findall(rank_log(run_dir, 0).read_text()) for run_dir in (ours, other)
    )
    if set(worked) != {new}:
        raise RuntimeError(f"not only {new} was read: {worked}")
    opened, opened_other = (
        len({shards[item] for item in items}) for items in (worked, worked_other)
    )
    store = sum(path.stat().st_size for path in shards_of(ours))
    without = "without tallies.h5"
    return [
        Row(
            f"{len(shards)} items, reduced or read back",
            "",
            len(worked),
            len(worked_other),
            without,
        ),
        Row("shards written or read back", "", opened, opened_other, without),
        Row("CPU", "s", cpu, cpu_other, without),
        Row("CPU beyond a run with nothing to do", "s", cpu - start, cpu_other - start, without),
        Row("tallies.h5", "MB", (ours / TALLIES).stat().st_size / 1e6, store / 1e6, "all shards"),
    ]


def _finished_run(folder: Path, into: Path) -> tuple[Path, str]:
    """A run directory with all items but the last, whose id is returned, too."""
    config = load_config(folder / CONFIG, _settings(into / "finished"))
    items = [item.id for item in take_inventory(config).items]
    new, first = items[-1], [item for item in items if int(item) < int(items[0]) + _STEP]
    _reduce(folder, config.run_dir, f"select.orbits={','.join(first)}")
    journal = Journal(config.run_dir, config.run_id, config.plot.scales)
    number = len(shards_of(config.run_dir))
    for shard in shards_of(config.run_dir):
        for copied in _copies(shard, items, new):
            path = shard_path(config.run_dir, number)
            with h5py.File(shard) as source, h5py.File(path, "w") as file:
                file.attrs.update(source.attrs)
                for item, name in copied.items():
                    source.copy(item, file, name)
            journal.adopt(path.name, copied.values())
            number += 1
    journal.close()
    _reduce(folder, config.run_dir, f"select.skip=[{new}]")
    return config.run_dir, new


def _copies(shard: Path, items: list[str], new: str) -> Iterator[dict[str, str]]:
    """For each copy of a shard: item in it → id of the copy."""
    with h5py.File(shard) as file:
        held = list(file)
    for copy in range(1, 1 + (int(items[-1]) - int(items[0])) // _STEP):
        names = {item: str(int(item) + _STEP * copy) for item in held}
        yield {item: name for item, name in names.items() if name in items and name != new}


def _reduce(folder: Path, run_dir: Path, *settings: str) -> Whole:
    given = [part for setting in (*_settings(run_dir), *settings) for part in ("-s", setting)]
    command = [sys.executable, "-m", "spectro_mpi", "run", str(folder / CONFIG), "--only", "reduce"]
    return run_process([*command, "--no-progress", *given])


def _settings(run_dir: Path) -> tuple[str, ...]:
    return (
        f'output="{run_dir.parent}"',
        f'run_id="{run_dir.name}"',
        'run.isolation="none"',
        "report.at_end=false",
        'plot.events=""',
    )


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, copies=13)
