"""Measures what `spectro-mpi plan` simulates with.

Usage: python benchmarks/constants.py [--data DEMO] [--output FILE]

Writes FILE, by default the constants.json of the package; `plan --constants FILE` takes another.
Run it on a machine like the job's. `--data` is the directory of a demo, or of files of your own
with a spectro-mpi.toml. Work is measured in CPU time, medians of several passes; what processes
wait for (their start, a task's way to a compute process and back) in wall time, the least of
several passes, for which the machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import coordinator
from common import machine, sample_data
from item_costs import PASSES, Found, drawing, reducing, writing
from whole import CONFIG, launcher, run_ours, run_process

import spectro_mpi
from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import Item
from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.transport import MpiTransport
from spectro_mpi.phases.executor import ChildExecutor, Executor, InlineExecutor
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.costs import CONSTANTS, Constants, costs_of
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a demo's directory (default: make one)")
    default = Path(spectro_mpi.__file__).parent / "planning" / CONSTANTS
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    with (
        sample_data(arguments.data) as folder,
        tempfile.TemporaryDirectory(prefix="spectro-mpi-constants-") as output,
    ):
        measured = measure(folder, output)
    text = json.dumps(asdict(measured), indent=1, ensure_ascii=False) + "\n"
    arguments.output.write_text(text, encoding="utf-8")
    print(f"{text}written to {arguments.output}")


def measure(folder: Path, output: str) -> Constants:
    """All constants; `output` is an empty directory."""
    overrides = (f'output="{output}"', 'plot.events=""')
    config = load_config(folder / CONFIG, overrides)
    items = take_inventory(config).items
    words = [part for one in (*overrides, 'run.isolation="none"') for part in ("-s", one)]
    run = ["-m", "spectro_mpi", "run", str(folder / CONFIG), "--no-progress", *words]
    run_process([sys.executable, *run])
    made = machine()
    found: Found = {
        "machine": f"{made['processor']}, {made['cores']} cores, Python {made['python']}"
    }
    reduced, outcomes = reducing(config, items)
    found |= reduced | writing(config, items, outcomes) | drawing(config, items)
    found["message"] = coordinator.message_seconds()
    found |= children(config, items, found["frame"]) | ranks(run, items)
    known = Constants(**found, pace=1.0, supervise=0.0)
    found |= in_a_run(folder, config, items, known)
    return Constants(**{name: _rounded(value) for name, value in found.items()})


def in_a_run(folder: Path, config: Config, items: Sequence[Item], known: Constants) -> Found:
    """What tasks and their supervision take in a run, of which the other constants tell nothing."""
    jobs = costs_of(items, config, known, has_fast_reader())
    frames = 0
    for job in jobs:
        frames |= job.frames
    alone = sum(job.reduce + job.plot for job in jobs) + frames.bit_count() * known.frame
    besides = known.child_start + known.plot_start + 2 * len(jobs) * known.task
    smallest = min(items, key=lambda item: item.size)
    paces, supervised = [], []
    for _ in range(PASSES):
        whole, short = run_ours(folder, 3), run_ours(folder, 3, f"select.orbits={smallest.id}")
        taken = sum(seconds for phase in whole.items.values() for seconds in phase.values())
        paces.append((taken - besides) / alone)
        more = whole.ranks[1].work - short.ranks[1].work
        supervised.append(max(0.0, more) / max(1, 2 * (len(jobs) - 1)))
    return {"pace": statistics.median(paces), "supervise": statistics.median(supervised)}


def children(config: Config, items: Sequence[Item], frame: float) -> Found:
    """What a compute process costs: to start, to get ready to draw, and a task."""
    run = open_run(config.run_dir)
    workspace = Workspace(config, config.run_dir, {"extrema": run.extrema})
    smallest = min(items, key=lambda item: item.size)
    plot = Task("plot", smallest, {"reduce": run.progress.shards[smallest.id]})
    starts, plot_starts = [], []
    tasks: dict[str, list[tuple[float, float]]] = {}
    """(in a compute process, here)"""
    inline = InlineExecutor()
    inline.begin("reduce", workspace)
    wake = threading.Event()
    for _ in range(PASSES):
        executor = ChildExecutor(config.run, wake=wake)
        first = Task("reduce", smallest)
        starts.append(
            _computed(executor, wake, first, workspace) - _computed(executor, wake, first)
        )
        for task in (Task("reduce", item) for item in items):
            took = _computed(executor, wake, task), _computed(inline, wake, task)
            tasks.setdefault(task.item.id, []).append(took)
        getting_ready = _computed(executor, wake, plot, workspace) - _computed(executor, wake, plot)
        plot_starts.append(getting_ready - (len(smallest.files) + 1) * frame)
        executor.close()
    least = [[min(took) for took in zip(*ones, strict=True)] for ones in tasks.values()]
    return {
        "child_start": min(starts),
        "plot_start": max(0.0, min(plot_starts)),
        "task": max(0.0, statistics.median(there - here for there, here in least)),
    }


def _computed(
    executor: Executor, wake: threading.Event, task: Task, begin: Workspace | None = None
) -> float:
    """Seconds until the outcome of a task is here; with `begin`, its phase begins before."""
    began, backoff = time.perf_counter(), Backoff(wake)
    if begin is not None:
        executor.begin(task.phase, begin)
    executor.submit(task)
    while executor.poll() is None:
        backoff.pause()
    return time.perf_counter() - began


def ranks(run: Sequence[str], items: Sequence[Item]) -> Found:
    """What a rank costs: to start and end, and to wait."""
    from mpi4py import MPI

    smallest = min(items, key=lambda item: item.size)
    words = ["-s", "run_id=start", "-s", f"select.orbits={smallest.id}", "--fresh"]
    words += ["-s", "report.at_end=false"]
    command = [launcher(), "-n", "1", sys.executable, *run, *words, "--only", "reduce"]
    started = min(run_process(command).seconds for _ in range(PASSES))
    transport, backoff = MpiTransport(MPI.COMM_WORLD), Backoff()
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < 1.0:
        next(transport.receive(), None)
        backoff.pause()
    polling = (time.process_time() - used) / (time.perf_counter() - began)
    return {"start": started, "polling": polling}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
