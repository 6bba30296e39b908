"""What items cost in each phase, split by least squares; for constants.py."""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.extrema import Tallies, merge_tallies
from spectro_mpi.model.items import Item
from spectro_mpi.mpi.messages import EndPhase, Result, WriterFinish
from spectro_mpi.mpi.transport import QueueTransport
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.phases.compute import ReadyPhase, make_ready
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.costs import figures_of, megapixels_of
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.packed import Packed
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.schema import Config, LimitsKind

PASSES = 3

_BATCH = 4
"""Results in one; not so many that the writer would write them before it is full."""

Found = dict[str, Any]
"""Constants by name."""
Floats = NDArray[np.float64]


def reducing(config: Config, items: Sequence[Item]) -> tuple[Found, list[Outcome]]:
    """What reducing and merging costs, and what came of it."""
    megabytes = _megabytes(items)
    found: Found = {"reduce_mb": {}}
    outcomes: list[Outcome] = []
    for quantity in ("eflux", "counts"):
        settings = replace(config, data=replace(config.data, quantity=quantity))
        station = make_ready("reduce", Workspace(settings, config.run_dir))
        for reader in ("cdflib", "pycdfpp"):
            tasks = [Task("reduce", item, careful=reader == "cdflib") for item in items]
            seconds, outcomes = _passes(station, tasks)
            found["reduce_item"], slope = fitted(seconds, np.ones(len(items)), megabytes)
            found["reduce_mb"][f"{reader} {quantity}"] = slope
    given = [outcome.packed for outcome in outcomes if outcome.packed is not None]
    found["record_bytes"] = 1e6 * megabytes.sum() / sum(map(_records, given))
    found["result_mb"] = sum(one.nbytes for one in given) / 1e6 / megabytes.sum()
    whole: Tallies = {}
    for outcome in outcomes:
        merge_tallies(whole, outcome.partial)
    sent = pickle.dumps(whole, protocol=5)
    found["merge"] = statistics.median(
        timed(lambda: merge_tallies(whole, pickle.loads(sent))) for _ in range(PASSES)
    )
    return found, outcomes


def writing(config: Config, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Found:
    """What results cost the writer: in batches, and in one each."""
    count = len(items)
    results = [
        Result(0, "reduce", item.id, (), outcome.packed)
        for item, outcome in zip(items, outcomes, strict=True)
    ]
    reduce: dict[int, Floats] = {}
    for batch in (_BATCH, 1):
        settings = replace(
            config, run_id=f"batch-{batch}", run=replace(config.run, flush_batch_size=batch)
        )
        settings.run_dir.mkdir(parents=True)
        (settings.run_dir / LOCK).touch()  # the writer looks whether the output is still there
        writer = Writer(QueueTransport(), settings, settings.run_dir, 0)
        reduce[batch] = np.array([timed(writer.handle, result) for result in results])
        ending = timed(writer.handle, EndPhase(count))
        drawn = [replace(result, phase="plot", packed=None) for result in results]
        plot = [timed(writer.handle, result) for result in drawn]
        ending += timed(writer.handle, WriterFinish())
    alone, full = reduce[1], count - count % _BATCH
    item, megabyte = fitted(
        alone, np.ones(count), np.array([result.nbytes / 1e6 for result in results])
    )
    commits = full - full // _BATCH
    commit = max(0.0, float(np.sum(alone[:full] - reduce[_BATCH][:full]))) / max(1, commits)
    return {
        "write_item": max(0.0, item - commit),
        "write_mb": megabyte,
        "commit": commit,
        "journal": statistics.median(plot),
        "finish_item": ending / count,
    }


def _records(packed: Packed) -> int:
    """Of all spectrograms of an item."""
    with packed.open() as file:
        return sum(len(group["time"]) for item in file.values() for group in item.values())


def drawing(config: Config, items: Sequence[Item]) -> Found:
    """What figures cost, by their limits and pixels. The run directory holds a whole run."""
    run = open_run(config.run_dir)
    tasks = [Task("plot", item, {"reduce": run.progress.shards[item.id]}) for item in items]
    columns: list[Floats] = []
    seconds: list[Floats] = []
    frame = 0.0
    kinds: tuple[LimitsKind, ...] = ("given_extrema", "raw")
    for dpi in (config.plot.dpi, config.plot.dpi // 2):
        for limits in kinds:
            settings = replace(config, plot=replace(config.plot, dpi=dpi, limits=(limits,)))
            workspace = Workspace(settings, config.run_dir, {"extrema": run.extrema})
            station = make_ready("plot", workspace)
            first, _ = _passes(station, tasks, 1)
            taken, _ = _passes(station, tasks)
            seconds.append(taken)
            given = limits == "given_extrema"
            figures = np.array([float(len(figures_of(item, settings))) for item in items])
            columns.append(
                np.stack(
                    [
                        np.ones(len(items)),
                        _megabytes(items),
                        figures * given,
                        figures * (not given),
                        np.array([megapixels_of(item, settings) for item in items]),
                    ]
                )
            )
            if given and dpi == config.plot.dpi:
                frames = {key for item in items for key, _ in figures_of(item, settings)}
                frame = max(0.0, float((first - taken).sum())) / len(frames)
    item, megabyte, common, own, megapixel = fitted(
        np.concatenate(seconds), *np.concatenate(columns, axis=1)
    )
    return {
        "plot_item": item,
        "plot_mb": megabyte,
        "figure": {"given_extrema": common, "raw": own},
        "megapixel": megapixel,
        "frame": frame,
    }


def fitted(seconds: Floats, *columns: Floats) -> list[float]:
    """Non-negative cost of each column, by least squares of the relative deviations."""
    weight = 1 / np.maximum(seconds, 1e-9)
    matrix = np.stack(columns, axis=1) * weight[:, None]
    kept = list(range(len(columns)))
    while True:
        costs = np.linalg.lstsq(matrix[:, kept], seconds * weight, rcond=None)[0]
        if costs.min() >= 0:
            break
        kept.pop(int(costs.argmin()))
    found = dict(zip(kept, costs.tolist(), strict=True))
    return [found.get(column, 0.0) for column in range(len(columns))]


def timed(call: Callable[..., object], *arguments: object) -> float:
    """Seconds of CPU a call takes: other processes do not count, and the disk is left out."""
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def _passes(
    station: ReadyPhase, tasks: Sequence[Task], passes: int = PASSES
) -> tuple[Floats, list[Outcome]]:
    """Median seconds of each task in so many passes, and the outcomes."""
    outcomes: list[Outcome] = []
    seconds: list[list[float]] = []

    def run(task: Task) -> None:
        outcomes.append(station.compute(task, lambda *_: None))

    for _ in range(passes):
        outcomes.clear()
        seconds.append([timed(run, task) for task in tasks])
    return np.median(seconds, axis=0), outcomes


def _megabytes(items: Sequence[Item]) -> Floats:
    return np.array([item.size / 1e6 for item in items])
