"""Measures the constants that `spectro-mpi plan` simulates with.

Usage: python benchmarks/constants.py [--data DEMO] [--output FILE]

Writes FILE, by default the constants.json of the package; `plan --constants FILE` reads another.
Run it on a machine like those of the job. `--data` is the directory of a demo, or of your files
with a spectro-mpi.toml. Work is measured in CPU time, as the median of several passes. Waiting (the
start of a process, the way of a task to a compute process and back) is measured in wall time, as
the minimum of several passes; the machine should do nothing else.
"""

from __future__ import annotations

import argparse
import json
import pickle
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
from item_costs import PASSES, Measured, drawing, reducing, timed, writing
from serial_costs import around
from whole import CONFIG, launcher, run_ours, run_process

import spectro_mpi
from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Mark, PackedMarks
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

_BUSY_RANKS, _BUSY_TASKS = 18, 5000
"""Of a run whose coordinator always has messages waiting."""
_MARKS = 5000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="directory of a demo (default: a temporary one)")
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
    """Measure all constants; `output` is an empty directory."""
    overrides = (f'output="{output}"', 'plot.events=""')
    config = load_config(folder / CONFIG, overrides)
    items = take_inventory(config).items
    settings = (*overrides, 'run.isolation="none"')
    options = [part for setting in settings for part in ("-s", setting)]
    run = ["-m", "spectro_mpi", "run", str(folder / CONFIG), "--no-progress", *options]
    run_process([sys.executable, *run])
    made = machine()
    measured: Measured = {
        "machine": f"{made['processor']}, {made['cores']} cores, Python {made['python']}"
    }
    reduced, outcomes = reducing(config, items)
    measured |= reduced | writing(config, items, outcomes) | drawing(config, items)
    measured["message"] = coordinator.message_seconds()
    measured["message_busy"] = coordinator.message_seconds(_BUSY_TASKS, ranks=_BUSY_RANKS)
    measured |= around(folder) | {"mark": _mark_seconds()}
    measured |= children(config, items, measured["frame"]) | ranks(run, items)
    known = Constants(**measured, pace=1.0, supervise=0.0)
    measured |= in_a_run(folder, config, items, known)
    return Constants(**{name: _rounded(value) for name, value in measured.items()})


def in_a_run(folder: Path, config: Config, items: Sequence[Item], known: Constants) -> Measured:
    """Measure in whole runs what the other constants miss: slower tasks, and their supervision."""
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


def children(config: Config, items: Sequence[Item], frame: float) -> Measured:
    """Measure the costs of a compute process: its start, its preparation to draw, each task."""
    run = open_run(config.run_dir)
    workspace = Workspace(config, config.run_dir, {"extrema": run.extrema})
    smallest = min(items, key=lambda item: item.size)
    plot = Task("plot", smallest, {"reduce": run.progress.data_files[smallest.id]})
    starts, plot_starts = [], []
    tasks: dict[str, list[tuple[float, float]]] = {}
    """Item → seconds (in a compute process, in this process) of each pass."""
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
    least = [[min(took) for took in zip(*passes, strict=True)] for passes in tasks.values()]
    return {
        "child_start": min(starts),
        "plot_start": max(0.0, min(plot_starts)),
        "task": max(0.0, statistics.median(child - inline for child, inline in least)),
    }


def _mark_seconds() -> float:
    """Measure what each marked event adds to the message that begins a phase of a worker."""
    marks = PackedMarks({str(item): (Mark("ees", item, item + 1),) for item in range(_MARKS)})

    def dump() -> bytes:
        # As it is sent between nodes: with a copy of its buffers.
        return b"".join(
            [pickle.dumps(marks, 5, buffer_callback=buffers.append), buffers.pop().raw().tobytes()]
        )

    buffers: list[pickle.PickleBuffer] = []
    dump()  # once for all workers
    return statistics.median(timed(dump) for _ in range(20 * PASSES)) / _MARKS


def _computed(
    executor: Executor, wake: threading.Event, task: Task, begin: Workspace | None = None
) -> float:
    """Return the seconds until a task is computed; `begin` starts its phase first."""
    began, backoff = time.perf_counter(), Backoff(wake)
    if begin is not None:
        executor.begin(task.phase, begin)
    executor.submit(task)
    while executor.poll() is None:
        backoff.pause()
    return time.perf_counter() - began


def ranks(run: Sequence[str], items: Sequence[Item]) -> Measured:
    """Measure the costs of a rank: its start and end, and polling."""
    from mpi4py import MPI

    smallest = min(items, key=lambda item: item.size)
    options = ["-s", "run_id=start", "-s", f"select.orbits={smallest.id}", "--fresh"]
    options += ["-s", "report.at_end=false"]
    command = [launcher(), "-n", "1", sys.executable, *run, *options, "--only", "reduce"]
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
        return {name: _rounded(part) for name, part in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
