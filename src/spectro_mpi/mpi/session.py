"""Run on all ranks: rank 0 prepares the run, all ranks do their roles, and errors end the job.

What only some ranks need is imported when it is used: every rank of a large job reads each file.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spectro_mpi.errors import SOME_FAILED, STOPPED, RunError, UserError, writing
from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.loop import Role, Stops, loop
from spectro_mpi.mpi.pipe_comm import PipeComm
from spectro_mpi.mpi.ranks import (
    COORDINATOR,
    broadcast,
    end_job,
    meet,
    placement_of,
    roles_of,
    workers_of,
    writer_of,
)
from spectro_mpi.mpi.request import Request
from spectro_mpi.mpi.transport import MpiTransport, QueueTransport, Transport
from spectro_mpi.mpi.world import world
from spectro_mpi.planning.stacks import window_of
from spectro_mpi.resources.sampler import Sampler
from spectro_mpi.resources.sampling import Ending, Sampling, Station
from spectro_mpi.rundir.layout import LOGS, STOP, rank_log
from spectro_mpi.rundir.lock import LockWatch, Owner, RunLock
from spectro_mpi.system.atomic import name_parts_for
from spectro_mpi.system.launchers import launched
from spectro_mpi.system.limits import keep_freed_memory, share_of_limit
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.scheduler import current
from spectro_mpi.system.scheduler.walltime import seconds_of
from spectro_mpi.system.signals import StopSignals
from spectro_mpi.system.words import duration

if TYPE_CHECKING:
    from spectro_mpi.mpi.coordinator import Coordinator
    from spectro_mpi.phases.early_child import EarlyChild
    from spectro_mpi.phases.executor import Executor
    from spectro_mpi.phases.order import PhaseOrder
    from spectro_mpi.planning.todo import RunPlan
    from spectro_mpi.settings.schema import Config

log = logging.getLogger(__name__)
_FINISHED = (0, SOME_FAILED)
"""Exit codes of a run that has done all items."""
_REGULAR = (*_FINISHED, STOPPED)
"""Exit codes of a run that ended as it should."""

_DROP_BEFORE_END = 20.0
"""The current items are dropped this long before a known end of the job (s)."""


def get_ready(rank: int | None = None, size: int = 1) -> EarlyChild | None:
    """Import what a rank needs and fork its compute process, before the ranks find each other.

    Later, ranks that are ready would spin in MPI_Init until the others are. `rank` of `size` is by
    default what the launcher says. Returns the compute process; None if the rank has none, or if a
    fork is not safe. Only for the process of a rank, in which nothing else runs.
    """
    if rank is None:
        start = launched()
        rank, size = (start.rank, start.ranks) if start is not None else (0, 1)
    if rank == COORDINATOR:
        import spectro_mpi.mpi.coordinator
        import spectro_mpi.mpi.first_rank
    if rank == writer_of(size):
        import spectro_mpi.mpi.writer
        import spectro_mpi.resources.archive
    if rank in workers_of(size):
        import spectro_mpi.mpi.worker
        import spectro_mpi.phases.reduce
        import spectro_mpi.rundir.item_file  # noqa: F401 - both processes share it
        from spectro_mpi.phases.early_child import fork_child

        return fork_child()
    return None


def run(
    request: Request,
    signals: StopSignals | None = None,
    comm: Any = None,
    early: EarlyChild | None = None,
) -> int:
    """Run on the ranks of a communicator (None: MPI's world). Every rank calls this.

    Returns the exit code of this rank's process. An exception on any rank ends the whole job at
    once. `signals`: stop signals that the caller has been collecting; None: collect them here.
    `early`: the compute process from `get_ready`, if this is a worker and the settings want one.
    """
    comm = comm or world()
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    began = time.monotonic()
    try:
        with nullcontext(signals) if signals else StopSignals() as collected:
            code = _run(request, comm, rank, size, collected, early)
            if rank == COORDINATOR and code in _REGULAR:
                print(f"took {duration(time.monotonic() - began)}", flush=True)
            return code
    except BaseException as error:  # noqa: BLE001 - no rank may be left waiting
        return end_job(comm, error)
    finally:
        if early is not None:
            early.end()


def _run(
    request: Request,
    comm: Any,
    rank: int,
    size: int,
    signals: StopSignals,
    early: EarlyChild | None,
) -> int:
    config: Config | None = None
    order: PhaseOrder | None = None
    code = 0
    if rank == COORDINATOR:
        from spectro_mpi.mpi.first_rank import settings_of

        # A mistake found before anything starts is reported in one sentence; no rank is killed.
        try:
            order = settings_of(request)
            config = order.config
        except UserError as error:
            code = _report(error)
    if size > 1:
        config = broadcast(comm, config)
    if config is None:
        return code
    if not config.run.install_signal_handlers:
        signals.give_back()
    return _run_config(request, config, order, comm, rank, size, signals, early)


def _run_config(
    request: Request,
    config: Config,
    order: PhaseOrder | None,
    comm: Any,
    rank: int,
    size: int,
    signals: StopSignals,
    early: EarlyChild | None,
) -> int:
    began = time.monotonic()
    lock: RunLock | None = None
    plan: RunPlan | None = None
    code = 0
    placement = placement_of(comm, size)
    if order is not None:
        from spectro_mpi.mpi.first_rank import prepare_run
        from spectro_mpi.terminal.summary import print_ranks, print_summary

        print_ranks(size, len(workers_of(size)), placement.nodes, isinstance(comm, PipeComm))
        try:
            plan, lock = prepare_run(request, order, signals)
        except UserError as error:
            code = _report(error)
    owner: Owner | None = None
    try:
        if plan is not None and lock is not None:
            owner = None if plan.nothing_to_do else lock.owner
            code = 0 if owner is not None else print_summary(config, plan.progress, "")
        if size > 1:
            owner = broadcast(comm, owner)
        if owner is not None:
            name_parts_for(owner.tag)
            transport = _transport(comm, size)
            station = Station(rank, size, roles_of(rank, size), placement.place == 0)
            share = share_of_limit(placement.on_node)
            watch = lock or LockWatch(config.run_dir, owner)
            code = _serve(transport, config, plan, watch, request, signals, station, share, early)
            _keep_resources(comm, config, station)
            if size > 1:
                _pack_shares(comm, config, code in _FINISHED, watch, rank, size)
        if order is not None and lock is not None and code in _FINISHED:
            _complete(order, request, lock, comm if owner is not None and size > 1 else None)
    finally:
        if lock is not None:
            # A STOP file that came too late for this execution must not stop the next one.
            with suppress(OSError):
                (config.run_dir / STOP).unlink()
            lock.release()
    if plan is not None and config.report.at_end and code in _FINISHED:
        from spectro_mpi.mpi.first_rank import make_report

        make_report(config, request, owner is not None, time.monotonic() - began)
    if size > 1:
        meet(comm)  # in MPI_Finalize they would spin until the report is made
    return code


def _report(error: UserError) -> int:
    """Print the error's sentence and return its exit code."""
    print(f"spectro-mpi: {error}", file=sys.stderr, flush=True)
    return error.exit_code


def _transport(comm: Any, size: int) -> Transport:
    if size == 1:
        return QueueTransport()
    return comm if isinstance(comm, PipeComm) else MpiTransport(comm)


def _keep_resources(comm: Any, config: Config, station: Station) -> None:
    """Move the samples of all ranks into one file, once all have written their last ones."""
    if station.size > 1:
        meet(comm)
    if station.rank == writer_of(station.size):
        from spectro_mpi.resources.archive import fold

        try:
            fold(config.run_dir)
        except OSError as error:
            log.warning("the samples cannot be moved into one file and stay as lines: %s", error)
    if station.size > 1:
        meet(comm)


def _complete(order: PhaseOrder, request: Request, lock: RunLock, comm: Any) -> None:
    """Draw the figures of the whole run and pack the previews, on the first rank.

    `comm`: its other ranks pack meanwhile; None: there are none.
    """
    from spectro_mpi.mpi.first_rank import draw_results, keep_previews

    draw_results(order, request, lock)
    if order.config.report.at_end:
        if comm is not None:
            meet(comm, lock.beat)
        keep_previews(order.config, lock)


def _pack_shares(
    comm: Any, config: Config, is_finished: bool, lock: LockWatch, rank: int, size: int
) -> None:
    """Pack previews of some months on each rank but the first, once all items are done. Collective.

    What one of them cannot pack is left to the first rank, which waits for them after its figures
    of the run. `is_finished` is that of the first rank.
    """
    if not (config.report.at_end and broadcast(comm, is_finished)) or rank == COORDINATOR:
        return
    from spectro_mpi.previews.packs import pack_previews

    with suppress(OSError):
        pack_previews(config.run_dir, lock.beat, rank - 1, size - 1)
    meet(comm)


def _serve(
    transport: Transport,
    config: Config,
    plan: RunPlan | None,
    lock: LockWatch,
    request: Request,
    signals: StopSignals,
    station: Station,
    memory_share: int,
    early: EarlyChild | None,
) -> int:
    """Create this rank's roles and run the event loop; returns the exit code."""
    rank, size = transport.rank, transport.size
    coordinator: Coordinator | None = None
    with writing(config.run_dir / LOGS):
        log_file = RankLog(rank_log(config.run_dir, rank), config.run.log_batch)
    log.info("rank %d of %d, process %d", rank, size, os.getpid())
    end = _time_to_drop(request.walltime) if plan is not None else math.inf
    sampling = _sampling(config, station, end)
    wake = threading.Event()
    make = partial(_executor, config, memory_share, sampling, wake, early)
    roles = _working_roles(transport, config, make, sampling, lock)
    if plan is not None:
        coordinator = _coordinator(transport, config, plan, request, sampling, lock, end)
        roles.append(coordinator)
    stops = Stops(signals, end)
    signals.is_starting = False
    if coordinator is not None:
        for stop_request in stops.requests(rank):
            coordinator.handle(stop_request)  # so that it assigns no tasks
        coordinator.start()
    ending: Ending | None = None
    gc.freeze()  # modules and inventory stay: collections need not traverse them
    gc.enable()
    try:
        told = loop(transport, roles, lock, stops, log_file, Backoff(wake))
        ending = coordinator.ending if coordinator is not None else Ending()
    finally:
        for role in roles:
            role.close()
        sampling.close(ending or _ending_of(sys.exc_info()[1]))
        log_file.close()
    if coordinator is not None and coordinator.trouble:
        return _report(RunError(coordinator.trouble))
    if log_file.trouble is not None and not told:
        return _report(log_file.trouble)
    if coordinator is None or plan is None:
        return 0
    job = current().own_job().id
    if job and coordinator.stopped_for_good:
        current().keep_from_requeue(job)
    from spectro_mpi.terminal.summary import print_summary

    return print_summary(config, plan.progress, coordinator.stopped_by)


def _coordinator(
    transport: Transport,
    config: Config,
    plan: RunPlan,
    request: Request,
    sampling: Sampling,
    lock: LockWatch,
    end: float,
) -> Coordinator:
    from spectro_mpi.mpi.coordinator import Coordinator
    from spectro_mpi.rundir.live import LiveFile
    from spectro_mpi.terminal.display import Displays, make_display

    workers, writer = workers_of(transport.size), writer_of(transport.size)
    shown = make_display(request.progress, len(workers))
    display = Displays(shown, LiveFile(config.run_dir))
    return Coordinator(transport, config, plan, workers, writer, display, end, sampling, lock.owner)


def _working_roles(
    transport: Transport,
    config: Config,
    make_executor: Callable[[], Executor],
    sampling: Sampling,
    lock: LockWatch,
) -> list[Role]:
    """The roles of writer and worker, if this rank has them."""
    rank, workers, writer = transport.rank, workers_of(transport.size), writer_of(transport.size)
    roles: list[Role] = []
    if rank == writer:
        from spectro_mpi.mpi.writer import Writer

        keep_freed_memory()
        roles.append(
            Writer(transport, config, config.run_dir, COORDINATOR, workers, sampling, lock)
        )
    if rank in workers:
        from spectro_mpi.mpi.worker import Worker

        executor = make_executor()
        window = window_of(workers.index(rank), len(workers), config.run.batch_size(len(workers)))
        roles.append(Worker(transport, executor, COORDINATOR, writer, window, sampling))
    return roles


def _executor(
    config: Config,
    memory_share: int,
    sampling: Sampling,
    wake: threading.Event,
    early: EarlyChild | None,
) -> Executor:
    """Where this rank's tasks are computed; a child process sets `wake` when it sends."""
    from spectro_mpi.phases.executor import ChildExecutor, InlineExecutor

    if config.run.isolation == "process":
        return ChildExecutor(config.run, memory_share, sampling, wake, early)
    if early is not None:
        early.end()
    return InlineExecutor(sampling)


def _ending_of(error: BaseException | None) -> Ending:
    """The ending to record for a rank that raised `error`."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, RunError):
        return Ending(error.cause, text)
    return Ending("out-of-memory" if isinstance(error, MemoryError) else "exception", text)


def _sampling(config: Config, station: Station, drop_at: float) -> Sampling:
    interval = config.run.sample_interval_seconds
    if not interval:
        return Sampling()
    if math.isfinite(drop_at):
        ends = time.time() + drop_at + _DROP_BEFORE_END - time.monotonic()
        station = replace(station, job_ends=round(ends))
    return Sampler(config.run_dir, station, interval)


def _time_to_drop(walltime: str) -> float:
    """Time on the monotonic clock at which to drop the current items; inf if no end is known."""
    if walltime:
        return time.monotonic() + seconds_of(walltime) - _DROP_BEFORE_END
    end = current().end_of_own_job()
    return math.inf if end is None else time.monotonic() + end - time.time() - _DROP_BEFORE_END
