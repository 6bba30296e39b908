"""The costs of items in each phase, separated by least squares; for constants.py."""

from __future__ import annotations

import io
import pickle
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import h5py
import numpy as np
from numpy.typing import NDArray
from transfer import receive_seconds

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
from spectro_mpi.system.folder_commit import FolderCommit

PASSES = 3

_BATCH = 16
"""Results per batch; so few that the writer does not flush before the batch is full."""

_WORKER = 1
"""Rank of the only worker, whose window is the batch."""
_COPIES = 20
"""Times the items that a run ends with, to find what ending it costs for each."""
_SYNC_CALLS = 6
_SYNC_SECONDS = 0.05
"""Injected latency of an fsync."""

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
    """Measure the costs of writing results, in batches and singly, and of receiving them."""
    results = [
        Result(_WORKER, "reduce", item.id, (), outcome.data)
        for item, outcome in zip(items, outcomes, strict=True)
    ]
    copies = [
        replace(result, item=f"{result.item}{copy}")
        for copy in range(_COPIES)
        for result in results
    ][: -(_COPIES * len(results) % _BATCH) or None]
    alone, full = _Written(config, results, 1), _Written(config, copies, _BATCH)
    of_batch = full.reduce.reshape(-1, _BATCH).sum(axis=1)
    sizes = np.array([result.nbytes / 1e6 for result in copies])
    whole, megabyte = fitted(
        of_batch, np.ones(len(of_batch)), sizes.reshape(-1, _BATCH).sum(axis=1)
    )
    commit, journal = (
        max(0.0, float(np.mean(one) - np.mean(many))) * _BATCH / (_BATCH - 1)
        for one, many in ((alone.reduce, full.reduce), (alone.plot, full.plot))
    )
    message, received_mb = receive_seconds()
    return {
        "write_item": message + max(0.0, whole - commit) / _BATCH,
        "write_mb": received_mb + megabyte,
        "write_drawn": message + max(0.0, float(np.mean(full.plot)) - journal / _BATCH),
        "commit": commit,
        "journal": journal,
        "commit_syncs": full.commit_syncs,
        "journal_syncs": full.journal_syncs,
        "finish_item": max(0.0, full.ending - alone.ending) / (len(copies) - len(results)),
    }


class _Written:
    """What the writer takes to write results of both phases in batches of `size`, CPU seconds."""

    def __init__(self, config: Config, results: Sequence[Result], size: int) -> None:
        settings = replace(
            config, run_id=f"batch-{size}", run=replace(config.run, flush_batch_size=size)
        )
        settings.run_dir.mkdir(parents=True)
        (settings.run_dir / LOCK).touch()  # The writer checks that its output still exists.
        drawn = [replace(result, phase="plot", data=None) for result in results]
        writer = Writer(QueueTransport(), settings, settings.run_dir, 0, [_WORKER])

        def write(batch: Sequence[Result]) -> None:
            for result in batch:
                take(writer, result)

        count = len(results) + _SYNC_CALLS * size
        self.reduce = np.array([timed(write, [result]) for result in results])
        """Of each result, the last one of a batch with the commit."""
        self.commit_syncs = syncs_in_a_row(partial(write, results[:size]))
        """Fsyncs in a row of a commit of reduced items."""
        self.ending = timed(writer.handle, EndPhase(count))
        """Of the end of both phases, and of the run."""
        self.plot = np.array([timed(write, [result]) for result in drawn])
        self.journal_syncs = syncs_in_a_row(partial(write, drawn[:size]))
        self.ending += timed(writer.handle, EndPhase(count))
        self.ending += timed(writer.handle, WriterFinish())
        writer.close()


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
    frame = syncs = 0.0
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
                syncs = syncs_in_a_row(partial(_passes, station, tasks, 1)) / len(tasks)
    item, megabyte, common, raw, megapixel = fitted(
        np.concatenate(seconds), *np.concatenate(columns, axis=1)
    )
    return {
        "plot_item": item,
        "plot_mb": megabyte,
        "figure": {"given_extrema": common, "raw": raw},
        "megapixel": megapixel,
        "frame": frame,
        "figure_syncs": syncs,
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


def syncs_in_a_row(call: Callable[[], object]) -> float:
    """How many fsyncs a call waits for, one after the other: those side by side count once.

    It is called `_SYNC_CALLS` times.
    """
    took: dict[float, list[float]] = {0.0: [], _SYNC_SECONDS: []}
    for _ in range(_SYNC_CALLS // 2):
        for pause, seconds in took.items():
            with (
                mock.patch("os.fsync", lambda _, pause=pause: time.sleep(pause)),
                mock.patch.object(FolderCommit, "slow", True),  # each file has its own fsync
            ):
                began = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - began)
    return max(0.0, min(took[_SYNC_SECONDS]) - min(took[0.0])) / _SYNC_SECONDS


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
