"""A run on all ranks: prepared by the first, served by all, and its end, good or bad."""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
import threading
import time
import traceback
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from spectro_mpi.draw import check_colormap
from spectro_mpi.errors import RunError, UserError, writing
from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.coordinator import Coordinator
from spectro_mpi.mpi.first_rank import make_report, prepare_run
from spectro_mpi.mpi.loop import Role, Stops, loop
from spectro_mpi.mpi.pipe_comm import PipeComm
from spectro_mpi.mpi.ranks import (
    COORDINATOR,
    broadcast,
    meet,
    ranks_on_node,
    roles_of,
    workers_of,
    writer_of,
)
from spectro_mpi.mpi.request import Request
from spectro_mpi.mpi.transport import MpiTransport, QueueTransport, Transport
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.mpi.world import world
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.phases.executor import ChildExecutor, InlineExecutor
from spectro_mpi.phases.order import PhaseOrder, order_phases
from spectro_mpi.planning.events import marks_of
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.resources import fold
from spectro_mpi.resources.sampler import Sampler
from spectro_mpi.resources.sampling import Ending, Sampling, Station
from spectro_mpi.rundir.layout import LOGS, STOP, rank_log
from spectro_mpi.rundir.live import LiveFile
from spectro_mpi.rundir.lock import RunLock
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.limits import share_of_limit
from spectro_mpi.system.logs import RankLog
from spectro_mpi.system.scheduler import current
from spectro_mpi.system.scheduler.walltime import seconds_of
from spectro_mpi.system.signals import StopSignals
from spectro_mpi.terminal.display import Displays, make_display
from spectro_mpi.terminal.summary import SOME_FAILED, print_summary

log = logging.getLogger(__name__)
_LAST_WORDS_SECONDS = 0.3

_DROP_BEFORE_END = 20.0
"""Seconds before a known end of the job at which what is still in hand is dropped."""


def run(request: Request, signals: StopSignals | None = None, comm: Any = None) -> int:
    """Run on the ranks of a communicator (none: MPI's world); the exit code of this rank's process.

    Every rank calls this. An exception on any of them ends the whole job at once. `signals`: a
    caller's who has collected them from earlier on.
    """
    comm = comm or world()
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    try:
        with nullcontext(signals) if signals else StopSignals() as collected:
            return _run(request, comm, rank, size, collected)
    except BaseException as error:  # noqa: BLE001 - no rank may be left waiting
        if isinstance(error, UserError):
            code, words = error.exit_code, f"spectro-mpi: {error}\n"
        else:
            code = 1
            words = f"spectro-mpi: rank {rank} of {size} ends the job:\n{traceback.format_exc()}"
        sys.stderr.write(words)
        sys.stderr.flush()
        if size > 1:
            # The launcher kills everything at once, and what it has not passed on by then is lost.
            time.sleep(_LAST_WORDS_SECONDS)
            comm.Abort(code)
        return code


def _run(request: Request, comm: Any, rank: int, size: int, signals: StopSignals) -> int:
    config: Config | None = None
    order: PhaseOrder | None = None
    code = 0
    if rank == COORDINATOR:
        # A mistake found before anything started: one sentence, and no rank is killed.
        try:
            if callable(request.config):
                loaded = request.config()
            else:
                loaded = load_config(request.config, request.overrides)
            check_colormap(loaded.plot.colormap)
            marks_of(loaded)  # what cannot be read is told before anything is touched
            order = order_phases(loaded, request.phases, request.active)
            order.check_name(request.redo)
            config = loaded
        except UserError as error:
            code = _told(error)
    if size > 1:
        config = broadcast(comm, config)
    if config is None:
        return code
    if not config.run.install_signal_handlers:
        signals.give_back()
    return _run_config(request, config, order, comm, rank, size, signals)


def _run_config(
    request: Request,
    config: Config,
    order: PhaseOrder | None,
    comm: Any,
    rank: int,
    size: int,
    signals: StopSignals,
) -> int:
    lock: RunLock | None = None
    plan: RunPlan | None = None
    code = 0
    if order is not None:
        try:
            plan, lock = prepare_run(request, order)
        except UserError as error:
            code = _told(error)
        if plan is not None and plan.nothing_to_do:
            code = print_summary(config, plan.progress, "")
    try:
        wanted = plan is not None and not plan.nothing_to_do
        if size > 1:
            wanted = broadcast(comm, wanted)
        if wanted:
            transport = _transport(comm, size)
            on_node, place = ranks_on_node(comm, size)
            station = Station(rank, size, roles_of(rank, size), place == 0)
            share = share_of_limit(on_node)
            code = _serve(transport, config, plan, lock, request, signals, station, share)
            _keep_resources(comm, config, station)
    finally:
        if lock is not None:
            # Meant for this execution, and come too late: the next one must not stop of it.
            with suppress(OSError):
                (config.run_dir / STOP).unlink()
            lock.release()
    if plan is not None and config.report.at_end and code in (0, SOME_FAILED):
        make_report(config, request, wanted)
    if size > 1:
        meet(comm)  # in MPI's own end they would spin until the report is made
    return code


def _told(error: UserError) -> int:
    """Say what is wrong in its one sentence; the exit code for it."""
    print(f"spectro-mpi: {error}", file=sys.stderr, flush=True)
    return error.exit_code


def _transport(comm: Any, size: int) -> Transport:
    if size == 1:
        return QueueTransport()
    return comm if isinstance(comm, PipeComm) else MpiTransport(comm)


def _keep_resources(comm: Any, config: Config, station: Station) -> None:
    """When all ranks have written their last samples, take them into one file, under the lock."""
    if station.size > 1:
        meet(comm)
    if station.rank == writer_of(station.size):
        try:
            fold(config.run_dir)
        except OSError as error:
            log.warning("the samples stay as they are: %s", error)
    if station.size > 1:
        meet(comm)


def _serve(
    transport: Transport,
    config: Config,
    plan: RunPlan | None,
    lock: RunLock | None,
    request: Request,
    signals: StopSignals,
    station: Station,
    memory_share: int,
) -> int:
    """Make this rank's roles and let them work until all are finished."""
    rank, size = transport.rank, transport.size
    roles: list[Role] = []
    coordinator: Coordinator | None = None
    with writing(config.run_dir / LOGS):
        own_log = RankLog(rank_log(config.run_dir, rank), config.run.log_batch)
    log.info("rank %d of %d, process %d", rank, size, os.getpid())
    end = _time_to_drop(request.walltime) if plan is not None else math.inf
    sampling = _sampling(config, station, end)
    if rank == writer_of(size):
        roles.append(Writer(transport, config, config.run_dir, COORDINATOR, sampling))
    wake: threading.Event | None = None
    if rank in workers_of(size):
        wake = threading.Event()
        isolated = config.run.isolation == "process"
        executor = (
            ChildExecutor(config.run, memory_share, sampling, wake)
            if isolated
            else InlineExecutor(sampling)
        )
        roles.append(Worker(transport, executor, COORDINATOR, writer_of(size), sampling))
    if plan is not None:
        display = Displays(
            make_display(request.progress, len(workers_of(size))), LiveFile(config.run_dir)
        )
        coordinator = Coordinator(
            transport, config, plan, workers_of(size), writer_of(size), display, end, sampling
        )
        roles.append(coordinator)
    stops = Stops(signals, end)
    signals.is_starting = False
    if coordinator is not None:
        for asked in stops.requests(rank):
            coordinator.handle(asked)  # so that it hands out nothing
        coordinator.start()
    ending: Ending | None = None
    gc.collect()
    gc.freeze()  # modules and inventory live on: not to be gone through again and again
    try:
        loop(transport, roles, lock, stops, own_log, Backoff(wake))
        ending = coordinator.ending if coordinator is not None else Ending()
    finally:
        for role in roles:
            role.close()
        sampling.close(ending or _ending_of(sys.exc_info()[1]))
        own_log.close()
    if coordinator is not None and coordinator.trouble:
        return _told(RunError(coordinator.trouble))
    if own_log.trouble is not None:
        return _told(own_log.trouble)
    if coordinator is None or plan is None:
        return 0
    job = current().own_job().id
    if job and coordinator.stopped_for_good:
        current().keep_from_requeue(job)
    return print_summary(config, plan.progress, coordinator.stopped_by)


def _ending_of(error: BaseException | None) -> Ending:
    """How an exception ends the work of a rank."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, RunError):
        return Ending(error.cause, words)
    return Ending("out-of-memory" if isinstance(error, MemoryError) else "exception", words)


def _sampling(config: Config, station: Station, drop_at: float) -> Sampling:
    interval = config.run.sample_interval_seconds
    if not interval:
        return Sampling()
    if math.isfinite(drop_at):
        ends = time.time() + drop_at + _DROP_BEFORE_END - time.monotonic()
        station = replace(station, job_ends=round(ends))
    return Sampler(config.run_dir, station, interval)


def _time_to_drop(walltime: str) -> float:
    """When what is in hand is to be dropped, by the monotonic clock; infinite if none is known."""
    if walltime:
        return time.monotonic() + seconds_of(walltime) - _DROP_BEFORE_END
    end = current().end_of_own_job()
    return math.inf if end is None else time.monotonic() + end - time.time() - _DROP_BEFORE_END
