"""The rate at which the coordinator feeds its workers, with tasks that take no time.

Usage: python benchmarks/coordinator.py [--runs 5] [--tasks 1000] [--json]

"One per message": workers report that a task took 0.2 s, so that each task has its own messages, as
in a run. "Batched": the real worker, with an executor that does nothing, so that tasks share
messages. Over MPI there are four ranks (two workers); with the queue one process has all roles. CPU
is that of the coordinator's rank. The writer writes nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from common import Row, benchmark, sample_data
from whole import CONFIG, launcher, run_process

from spectro_mpi.instruments.cdf import has_fast_reader
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.coordinator import Coordinator
from spectro_mpi.mpi.loop import Role, Stops, loop
from spectro_mpi.mpi.messages import (
    Assign,
    Closed,
    Collect,
    Committed,
    Credit,
    Done,
    EndPhase,
    Message,
    Partial,
    PhaseCommitted,
    Result,
    TaskDone,
    ToWorker,
    ToWriter,
    WorkerFinish,
    WriterFinish,
)
from spectro_mpi.mpi.ranks import workers_of, writer_of
from spectro_mpi.mpi.transport import MpiTransport, QueueTransport, Transport
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.phases.order import order_phases
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.costs import costs_of, load_constants
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.signals import StopSignals
from spectro_mpi.terminal.display import NoDisplay

RANKS = 4
_UNBATCHED_SECONDS = 0.2


class Echo:
    """A worker that reports every task as done at once."""

    accepts = ToWorker
    is_starved = False
    troubled = False

    def __init__(self, transport: Transport) -> None:
        self.finished = False
        self._transport = transport

    def handle(self, message: Message) -> None:
        rank = self._transport.rank
        match message:
            case Assign():
                for task in message.tasks:
                    done = TaskDone(task.item.id, (), _UNBATCHED_SECONDS)
                    self._transport.send(0, Done(rank, (done,)))
            case Collect():
                self._transport.send(0, Partial(rank))
            case WorkerFinish():
                self.finished = True

    def step(self) -> bool:
        return False

    def close(self) -> None: ...


class Nothing:
    """An executor that does nothing."""

    step = how_far = ""

    def begin(self, phase: str, workspace: Workspace) -> None: ...

    def submit(self, task: Task) -> None: ...

    def poll(self) -> Outcome | None:
        return Outcome()

    def close(self) -> None: ...


class Counter:
    """A writer that only answers messages."""

    accepts = ToWriter
    is_starved = False
    troubled = False

    def __init__(self, transport: Transport) -> None:
        self.finished = False
        self._transport = transport

    def handle(self, message: Message) -> None:
        if isinstance(message, EndPhase):
            self._transport.send(0, PhaseCommitted())
        if isinstance(message, Result):
            self._transport.send(0, Committed({message.item: ()}))
            self._transport.send(message.worker, Credit(1, 0))
        if isinstance(message, WriterFinish):
            self._transport.send(0, Closed())
            self.finished = True

    def step(self) -> bool:
        return False

    def close(self) -> None: ...


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in microseconds per task."""
    tasks, runs = arguments.tasks, arguments.runs
    timings: dict[str, list[dict[str, float]]] = {}
    for _ in range(runs):
        for way in ("echo", "worker"):
            timings.setdefault(f"queue {way}", []).append(play(QueueTransport(), tasks, way))
            timings.setdefault(f"mpi {way}", []).append(_play_with_mpi(tasks, way))
    us = {
        f"{name} {what}": 1e6 / tasks * statistics.median(timing[what] for timing in of_name)
        for name, of_name in timings.items()
        for what in ("seconds", "cpu")
    }
    rate = {name: 1e6 / us[f"{name} seconds"] for name in timings}
    item = 1e6 * _seconds_of_task(arguments.data)
    return [
        Row("one per message, MPI", "1/s", rate["mpi echo"], rate["queue echo"], "queue"),
        Row("batched, MPI", "1/s", rate["mpi worker"], rate["queue worker"], "queue"),
        Row(
            "batched, MPI",
            "µs",
            us["mpi worker seconds"],
            us["mpi echo seconds"],
            "one per message",
        ),
        Row(
            "CPU per task, one per message",
            "µs",
            us["mpi echo cpu"],
            item,
            "a worker's task (demo)",
        ),
    ]


def message_seconds(tasks: int = 1000, runs: int = 3, ranks: int = RANKS) -> float:
    """Return the CPU seconds that the coordinator needs to receive a result and send a task.

    With many ranks it is busy: more messages have arrived when it has processed one.
    """
    return statistics.median(
        _play_with_mpi(tasks, "echo", ranks)["cpu"] / tasks for _ in range(runs)
    )


def _play_with_mpi(tasks: int, way: str, size: int = RANKS) -> dict[str, float]:
    ranks = [launcher(), "-n", str(size)]
    timing: dict[str, float] = json.loads(
        run_process([*ranks, sys.executable, __file__, "rank", str(tasks), way]).out
    )
    return timing


def _seconds_of_task(data: Path | None) -> float:
    """Return the mean seconds of a task of the demo, by the constants of `plan`."""
    with sample_data(data) as folder:
        config = load_config(folder / CONFIG)
        jobs = costs_of(take_inventory(config).items, config, load_constants(), has_fast_reader())
    return statistics.fmean((job.reduce + job.plot) / 2 for job in jobs)


def play(transport: Transport, tasks: int, way: str) -> dict[str, float]:
    """Feed `tasks` tasks to workers; return wall and CPU seconds of this rank."""
    rank, size = transport.rank, transport.size
    roles: list[Role] = []
    if rank == writer_of(size):
        roles.append(Counter(transport))
    if rank in workers_of(size):
        real = Worker(transport, Nothing(), 0, writer_of(size), 10)
        roles.append(real if way == "worker" else Echo(transport))
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-coordinator-") as folder:
        began, used = time.perf_counter(), time.process_time()
        if rank == 0:
            start = datetime(2000, 1, 1, tzinfo=timezone.utc)
            items = [
                Item(str(number), start, (InputPath("ees", f"/data/ees_{number}.cdf", 1 << 21, 1),))
                for number in range(tasks)
            ]
            config = Config(output=folder)
            plan = RunPlan(
                order=order_phases(config, ["reduce"]),
                progress=Progress("fast"),
                items={item.id: item for item in items},
            )
            coordinator = Coordinator(
                transport,
                config,
                plan,
                workers_of(size),
                writer_of(size),
                NoDisplay(),
            )
            roles.append(coordinator)
            coordinator.start()
        stops, rank_log = (
            Stops(StopSignals(), math.inf),
            RankLog(Path(folder) / f"rank-{rank}.log", 10),
        )
        loop(transport, roles, None, stops, rank_log, Backoff())
        rank_log.close()
    return {"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}


def _rank(tasks: int, way: str) -> None:
    from mpi4py import MPI

    taken = play(MpiTransport(MPI.COMM_WORLD), tasks, way)
    if MPI.COMM_WORLD.Get_rank() == 0:
        print(json.dumps(taken))


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        _rank(int(sys.argv[2]), sys.argv[3])
    else:
        benchmark(__doc__, measure, runs=5, tasks=1000)
