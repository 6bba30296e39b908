"""CPU time of the writer per item, MPI included, and how long workers wait for it.

Usage: python benchmarks/writer.py REVISION [--runs 3] [--items 200] [--json]

The revision is installed beside today's version as by `against.py`. Of each, the real writer gets
the reduced items of the demo by MPI from one rank, as fast as it gives credit; its CPU time is that
of the process, without its start and the first 20 items. The two run in turn, on the same items.

Then the real coordinator, workers and writer play tasks of 60 ms that sleep, with results of 40 kB,
on a file system whose every fsync and rename takes 10 ms more: the share of the workers' time that
is work, from the first task to the last commit.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from against import SETTINGS, git, installed
from common import Row, benchmark, sample_data
from whole import launcher, run_process

AT_LEAST, WORK_AT_LEAST = 3.5, 0.88
WORKERS = (16, 64)
_LATENCY_SECONDS, _TASK_SECONDS, _RESULT_VALUES = 0.010, 0.060, 4500
_TASKS_EACH = 60
_WARM_UP = 20


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return the medians of CPU time per item, in ms, and the shares of work."""
    commit = git("rev-parse", "--verify", f"{arguments.revision}^{{commit}}").strip()
    sides = {"ours": {}, "other": {"PYTHONPATH": str(installed(commit))}}
    cpu: dict[str, list[float]] = {"ours": [], "other": []}
    with sample_data(arguments.data) as folder:
        settings = folder / "against.toml"  # that both revisions understand
        settings.write_text(SETTINGS, encoding="utf-8")
        for turn in range(arguments.runs):
            for side in sorted(sides, reverse=turn % 2 == 1):
                played = _play(3, sides[side], "feed", str(settings), str(arguments.items))
                cpu[side].append(1e3 * played["cpu"] / arguments.items)
    ours, other = (statistics.median(cpu[side]) for side in ("ours", "other"))
    rows = [Row("writer, CPU per item", "ms", ours, other, commit[:7], at_least=AT_LEAST)]
    for workers in WORKERS:
        for batch in (0, 10):
            work = _play(workers + 2, {}, "wait", str(batch))["work"]
            rows.append(
                Row(
                    f"{workers} workers, batch {batch or 'default'}: work",
                    "",
                    1.0,
                    work,
                    "all of the time",
                    at_least=None if batch else WORK_AT_LEAST,
                )
            )
    return rows


def _play(ranks: int, environment: Mapping[str, str], *words: str) -> dict[str, float]:
    command = [launcher(), "-n", str(ranks), sys.executable, __file__, *words]
    played: dict[str, float] = json.loads(run_process(command, environment).out)
    return played


def feed(settings: str, count: int) -> None:
    """Be a rank of three: 1 sends results, 2 is the writer, 0 says when all are on disk."""
    from mpi4py import MPI

    from spectro_mpi.mpi.messages import EndPhase, PhaseCommitted, WriterFinish
    from spectro_mpi.mpi.transport import MpiTransport

    load_config = _any_of("load_config", "settings.loading", "config")
    comm = MPI.COMM_WORLD
    transport = MpiTransport(comm)
    config = load_config(Path(settings), ())
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-writer-") as folder:
        folder = comm.bcast(folder, 2)
        config = replace(config, output=folder, run=replace(config.run, flush_batch_size=10))
        if comm.rank == 2:
            config.run_dir.mkdir(parents=True)
            (config.run_dir / "data").mkdir()
            (config.run_dir / "run.lock").touch()
        results = _results(config, _WARM_UP + count) if comm.rank == 1 else []
        writer = _make_writer(transport, config) if comm.rank == 2 else None
        used = 0.0
        for sent in (results[:_WARM_UP], results[_WARM_UP:]):  # the first import what they need
            comm.Barrier()
            used = time.process_time()
            if writer is not None:
                _write(transport, writer)
            elif comm.rank == 1:
                _send(transport, sent)
                comm.send(len(sent), 0)
            else:
                transport.send(2, EndPhase(comm.recv(source=1)))
                _until(transport, PhaseCommitted)
                transport.send(2, WriterFinish())
        cpu = time.process_time() - used
        barrier = comm.Ibarrier()
        while not (transport.is_flushed() and barrier.Test()):
            list(transport.receive())  # MPI does not end with messages that were not received
            time.sleep(0.001)
        list(transport.receive())
        used_by: Any = comm.gather(cpu, 0)
        if comm.rank == 0:
            print(json.dumps({"cpu": used_by[2]}))


def _make_writer(transport: Any, config: Any) -> Any:
    from spectro_mpi.mpi.writer import Writer

    workers: Any = {"workers": (1,)} if "workers" in inspect.signature(Writer).parameters else {}
    with contextlib.suppress(ImportError):  # earlier revisions do not have it
        _any_of("keep_freed_memory", "system.limits")()
    return Writer(transport, config, config.run_dir, 0, **workers)


def _write(transport: Any, writer: Any) -> None:
    """Let the writer do all that comes, until it has finished."""
    from spectro_mpi.mpi.backoff import Backoff

    writer.finished, backoff = False, Backoff()
    while not writer.finished:
        busy = False
        for message in transport.receive():
            busy = True
            writer.handle(message)
        busy |= writer.step()
        backoff.reset() if busy else backoff.pause(0.008)


def _send(transport: Any, results: list[Any]) -> None:
    from spectro_mpi.mpi.messages import Credit

    waiting, items, nbytes = list(reversed(results)), 0, 0
    counts_items = "items" in inspect.signature(Credit).parameters
    while waiting:
        for message in transport.receive():
            if isinstance(message, Credit):
                items -= message.items if counts_items else 0
                nbytes -= message.nbytes
        free = items < 10 if counts_items else nbytes < 32 << 20
        if free:
            result = waiting.pop()
            items, nbytes = items + 1, nbytes + result.nbytes
            transport.send(2, result)
        else:
            transport.is_flushed()
            time.sleep(0.002)
    while not transport.is_flushed():
        time.sleep(0.002)


def _until(transport: Any, kind: type) -> None:
    while not any([isinstance(message, kind) for message in transport.receive()]):
        time.sleep(0.005)


def _results(config: Any, count: int) -> list[Any]:
    """Return results of `count` items: those of the demo, again and again under other names."""
    from spectro_mpi.mpi.messages import Result

    task = _any_of("Task", "phases.task", "phases")
    workspace = _any_of("Workspace", "phases.workspace", "phases")
    make_ready = _any_of("make_ready", "phases.compute")
    take_inventory = _any_of("take_inventory", "planning.inventory", "inventory")
    phase = make_ready("reduce", workspace(config, config.run_dir))
    items = [item for item in take_inventory(config).items if len(item.files) > 1][:8]
    outcomes: list[Any] = [phase.compute(task("reduce", item), lambda *_: None) for item in items]
    results = []
    for number in range(count):
        outcome, name = outcomes[number % len(outcomes)], str(20000 + number)
        if hasattr(outcome, "packed"):  # up to the revisions with shards
            results.append(Result(1, "reduce", name, (), outcome.packed, "00000000:1"))
        else:
            folder = outcome.data.data_file.rpartition("/")[0]
            data = replace(outcome.data, data_file=f"{folder}/{name}.h5#{0:016}")
            results.append(Result(1, "reduce", name, (), data, "00000000:1"))
    return results


def _any_of(name: str, *modules: str) -> Any:
    """What the first of these modules has by a name; earlier revisions had it elsewhere."""
    for module in modules:
        with contextlib.suppress(ModuleNotFoundError, AttributeError):
            return getattr(importlib.import_module(f"spectro_mpi.{module}"), name)
    raise ImportError(f"no {name} in {', '.join(modules)}")


class Sleeping:
    """An executor whose tasks sleep, and give a small result.

    As with a compute process, an end wakes the rank.
    """

    step = how_far = ""

    def __init__(self, wake: threading.Event) -> None:
        from spectro_mpi.model.artifacts import Dataset, Group
        from spectro_mpi.model.items import Item
        from spectro_mpi.rundir.item_file import make_item_file

        dataset = Dataset("counts", np.zeros(_RESULT_VALUES), ("record",))
        self._data = make_item_file("reduce", Item("0", None, ()), [Group("ees", {"c": dataset})])
        self._wake = wake
        self._task: Any = None
        self._ends = math.inf

    def begin(self, phase: str, workspace: Any) -> None: ...

    def submit(self, task: Any) -> None:
        self._task, self._ends = task, time.monotonic() + _TASK_SECONDS
        threading.Timer(_TASK_SECONDS, self._wake.set).start()

    def poll(self) -> Any:
        from spectro_mpi.phases.task import Outcome

        if time.monotonic() < self._ends:
            return None
        self._ends = math.inf
        name = f"undated/00/{self._task.item.id}.h5#{0:016}"
        return Outcome(data=replace(self._data, data_file=name))

    def close(self) -> None: ...


def wait(batch: int) -> None:
    """Be a rank of a run whose tasks sleep, with a writer on a slow file system."""
    from mpi4py import MPI

    from spectro_mpi.model.items import InputPath, Item
    from spectro_mpi.mpi.backoff import Backoff
    from spectro_mpi.mpi.coordinator import Coordinator
    from spectro_mpi.mpi.loop import Stops, loop
    from spectro_mpi.mpi.ranks import workers_of, writer_of
    from spectro_mpi.mpi.transport import MpiTransport
    from spectro_mpi.mpi.worker import Worker
    from spectro_mpi.mpi.writer import Writer
    from spectro_mpi.phases.order import order_phases
    from spectro_mpi.planning.stacks import window_of
    from spectro_mpi.planning.todo import RunPlan
    from spectro_mpi.rundir.progress import Progress
    from spectro_mpi.settings.schema import Config, RunSettings
    from spectro_mpi.system.logs import RankLog
    from spectro_mpi.system.signals import StopSignals
    from spectro_mpi.terminal.display import NoDisplay

    comm = MPI.COMM_WORLD
    rank, size = comm.rank, comm.size
    workers, transport = workers_of(size), MpiTransport(comm)
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-writer-") as name:
        folder = comm.bcast(name, 0)
        config = Config(output=folder, run=RunSettings(flush_batch_size=batch))
        roles: list[Any] = []
        wake = threading.Event()
        if rank == 0:
            config.run_dir.mkdir(parents=True)
            (config.run_dir / "run.lock").touch()
        comm.Barrier()
        if rank == writer_of(size):
            _slow_down()
            roles.append(Writer(transport, config, config.run_dir, 0, workers))
        if rank in workers:
            window = window_of(
                workers.index(rank), len(workers), config.run.batch_size(len(workers))
            )
            roles.append(Worker(transport, Sleeping(wake), 0, writer_of(size), window))
        comm.Barrier()
        began = time.perf_counter()
        tasks = _TASKS_EACH * len(workers)
        if rank == 0:
            files = (InputPath("ees", "/data/ees.cdf", 1 << 21, 1),)
            items = {str(number): Item(str(number), None, files) for number in range(tasks)}
            plan = RunPlan(order_phases(config, ["reduce"]), Progress("fast"), items)
            roles.append(
                Coordinator(transport, config, plan, workers, writer_of(size), NoDisplay())
            )
            roles[-1].start()
        stops, rank_log = Stops(StopSignals(), math.inf), RankLog(Path(name) / "rank.log", 10)
        loop(transport, roles, None, stops, rank_log, Backoff(wake))
        seconds = time.perf_counter() - began
        rank_log.close()
        for role in roles:
            role.close()
        comm.Barrier()
        if rank == 0:
            print(json.dumps({"work": tasks * _TASK_SECONDS / len(workers) / seconds}))


def _slow_down() -> None:
    """Let every fsync and rename of this process take longer."""

    def slow(call: Any) -> Any:
        def slowed(*arguments: Any, **more: Any) -> Any:
            time.sleep(_LATENCY_SECONDS)
            return call(*arguments, **more)

        return slowed

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, slow(getattr(os, name)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["feed"]:
        feed(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["wait"]:
        wait(int(sys.argv[2]))
    else:
        benchmark(__doc__, measure, runs=3, revision=True, items=200)
