"""The costs of items in each phase, separated by least squares; for constants.py."""

from __future__ import annotations

import io
import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spectro_mpi.model.items import Item
from spectro_mpi.model.tally import Tallies, merge_tallies
from spectro_mpi.mpi.messages import EndPhase, Result, WriterFinish
from spectro_mpi.mpi.transport import QueueTransport
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.phases.compute import ReadyPhase, make_ready
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.costs import figures_of, megapixels_of
from spectro_mpi.rundir.item_file import ItemFile
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.schema import Config, LimitsKind

PASSES = 3

_BATCH = 4
"""Results per batch; so few that the writer does not flush before the batch is full."""

Measured = dict[str, Any]
"""Name of a constant → value."""
Floats = NDArray[np.float64]


def reducing(config: Config, items: Sequence[Item]) -> tuple[Measured, list[Outcome]]:
    """Measure the costs of reducing and merging; return them with the outcomes."""
    megabytes = _megabytes(items)
    costs: Measured = {"reduce_mb": {}}
    outcomes: list[Outcome] = []
    # The default comes last: what follows is of its outcomes.
    for quantity in reversed(config.preset.quantities):
        settings = replace(config, data=replace(config.data, quantity=quantity))
        station = make_ready("reduce", Workspace(settings, config.run_dir))
        for reader in ("cdflib", "pycdfpp"):
            tasks = [Task("reduce", item, careful=reader == "cdflib") for item in items]
            seconds, outcomes = _passes(station, tasks)
            costs["reduce_item"], slope = fitted(seconds, np.ones(len(items)), megabytes)
            costs["reduce_mb"][f"{reader} {quantity}"] = slope
    given = [outcome.data for outcome in outcomes if outcome.data is not None]
    costs["record_bytes"] = 1e6 * megabytes.sum() / sum(map(_records, given))
    costs["result_mb"] = sum(data.nbytes for data in given) / 1e6 / megabytes.sum()
    whole: Tallies = {}
    for outcome in outcomes:
        merge_tallies(whole, outcome.partial)
    sent = pickle.dumps(whole, protocol=5)
    costs["merge"] = statistics.median(
        timed(lambda: merge_tallies(whole, pickle.loads(sent))) for _ in range(PASSES)
    )
    return costs, outcomes


def writing(config: Config, items: Sequence[Item], outcomes: Sequence[Outcome]) -> Measured:
    """Measure the costs of writing results, in batches and singly."""
    count = len(items)
    results = [
        Result(0, "reduce", item.id, (), outcome.data)
        for item, outcome in zip(items, outcomes, strict=True)
    ]
    reduce: dict[int, Floats] = {}
    for batch in (_BATCH, 1):
        settings = replace(
            config, run_id=f"batch-{batch}", run=replace(config.run, flush_batch_size=batch)
        )
        settings.run_dir.mkdir(parents=True)
        (settings.run_dir / LOCK).touch()  # The writer checks that its output still exists.
        writer = Writer(QueueTransport(), settings, settings.run_dir, 0, range(1))
        reduce[batch] = np.array([timed(take, writer, result) for result in results])
        ending = timed(writer.handle, EndPhase(count))
        drawn = [replace(result, phase="plot", data=None) for result in results]
        plot = [timed(take, writer, result) for result in drawn]
        ending += timed(writer.handle, WriterFinish())
        writer.close()
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


def take(writer: Writer, result: Result) -> None:
    """Hand a result to the writer, and let it do what is due."""
    writer.handle(result)
    writer.step()


def _records(data: ItemFile) -> int:
    """Return the number of records in all spectrograms of an item."""
    with h5py.File(io.BytesIO(data.content.tobytes())) as file:
        return sum(len(group["time"]) for group in file.values())


def drawing(config: Config, items: Sequence[Item]) -> Measured:
    """Measure the costs of figures by limits and pixels; needs a finished run of `config`."""
    run = open_run(config.run_dir)
    tasks = [Task("plot", item, {"reduce": run.progress.data_files[item.id]}) for item in items]
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
    item, megabyte, common, raw, megapixel = fitted(
        np.concatenate(seconds), *np.concatenate(columns, axis=1)
    )
    return {
        "plot_item": item,
        "plot_mb": megabyte,
        "figure": {"given_extrema": common, "raw": raw},
        "megapixel": megapixel,
        "frame": frame,
    }


def fitted(seconds: Floats, *columns: Floats) -> list[float]:
    """Fit a non-negative cost of each column, by least squares of the relative deviations."""
    weight = 1 / np.maximum(seconds, 1e-9)
    matrix = np.stack(columns, axis=1) * weight[:, None]
    kept = list(range(len(columns)))
    while True:
        costs = np.linalg.lstsq(matrix[:, kept], seconds * weight, rcond=None)[0]
        if costs.min() >= 0:
            break
        kept.pop(int(costs.argmin()))
    by_column = dict(zip(kept, costs.tolist(), strict=True))
    return [by_column.get(column, 0.0) for column in range(len(columns))]


def timed(call: Callable[..., object], *arguments: object) -> float:
    """Return the CPU seconds of a call: without other processes and without waiting for disks."""
    began = time.process_time()
    call(*arguments)
    return time.process_time() - began


def _passes(
    station: ReadyPhase, tasks: Sequence[Task], passes: int = PASSES
) -> tuple[Floats, list[Outcome]]:
    """Return the median seconds of each task, (task,), and the outcomes of the last pass."""
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
