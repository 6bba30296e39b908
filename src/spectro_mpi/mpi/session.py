"""A run on all ranks: who is what, the event loop, and the end of it, good or bad."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from spectro_mpi.config import Config, load_config
from spectro_mpi.display import Displays, make_display
from spectro_mpi.draw import check_colormap
from spectro_mpi.errors import RunError, UserError, writing
from spectro_mpi.inventory import Inventory, load_inventory, save_inventory, take_inventory
from spectro_mpi.isolation import ChildExecutor, InlineExecutor
from spectro_mpi.line import Line, make_line
from spectro_mpi.live import LiveFile
from spectro_mpi.lock import RunLock
from spectro_mpi.logs import RankLog
from spectro_mpi.memory import share_of_limit
from spectro_mpi.mend import mend
from spectro_mpi.mpi.coordinator import Coordinator
from spectro_mpi.mpi.local import LocalComm
from spectro_mpi.mpi.messages import Message, StopRequest, Trouble
from spectro_mpi.mpi.transport import MpiTransport, QueueTransport, Transport
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.phases import Phase
from spectro_mpi.phases.assets import make_assets
from spectro_mpi.plan import RunPlan, plan_run
from spectro_mpi.report.places import PAGE
from spectro_mpi.resources import fold
from spectro_mpi.resources.sampler import Sampler, Sampling, Station
from spectro_mpi.run import INVENTORY, LOGS, STOP, claim_directory, marks_of, prepare
from spectro_mpi.slurm import end_of_job, keep_from_requeue, seconds_of
from spectro_mpi.stops import SAME_SIGNAL_SECONDS, StopSignals
from spectro_mpi.summary import SOME_FAILED, print_inventory, print_summary

log = logging.getLogger(__name__)

COORDINATOR = 0

T = TypeVar("T")

_SHORTEST_PAUSE = 1e-3
_LONGEST_PAUSE = 10e-3
_LONGEST_SENDING = 1e-3
"""While messages leave, which they may do no faster than they are asked about."""

_LAST_WORDS_SECONDS = 0.3
_REPORT_SECONDS = 600.0
"""Longer than this nobody waits for the report at the end of a run."""
_DROP_BEFORE_END = 20.0
"""Seconds before a known end of the job at which what is still in hand is dropped."""


@dataclass(frozen=True)
class Request:
    """What the command line, or a script, asks of a run."""

    config: Path | Callable[[], Config] | None = None
    """A settings file (None: that of this directory), or what tells the settings."""
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    retry: bool = False
    redo: str = ""
    """A phase all of whose items are done again."""
    active: frozenset[str] | None = None
    """Phases that run; what the others give is expected to be there. None: all run."""
    preparing: bool = False
    """Whether only what items share is to be made ahead of their figures."""
    phases: tuple[Phase | str, ...] | None = None
    """In place of those of the settings."""
    inventory: Inventory | None = None
    """Items in place of those the input holds."""
    walltime: str = ""
    """As Slurm writes it; empty: what Slurm says of the job, if there is one."""
    progress: bool = True


class Role(Protocol):
    """Coordinator, worker or writer: lives on a rank, takes messages of its own kind."""

    finished: bool

    def close(self) -> None:
        """Let go of processes and files, also when the run has failed."""
        ...

    @property
    def accepts(self) -> type[Message]:
        """The kind of messages that are for this role."""
        ...

    def handle(self, message: Message) -> None:
        """Take in one message."""
        ...

    def step(self) -> bool:
        """Do what is due; whether there was anything to do."""
        ...


class Backoff:
    """Pauses that grow while there is nothing to do: a spinning rank takes a worker's core."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` ends a pause: something has come that is not a message of MPI."""
        self._wake = wake
        self._pause = 0.0

    def reset(self) -> None:
        """There was something to do: be quick."""
        self._pause = 0.0

    def pause(self, sending: bool = False) -> None:
        """There was nothing to do: wait, longer each time, but not long while `sending`."""
        if self._wake is None:
            time.sleep(self._pause)
        else:
            self._wake.wait(self._pause)
            self._wake.clear()
        longest = _LONGEST_SENDING if sending else _LONGEST_PAUSE
        self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), longest)


def writer_of(size: int) -> int:
    """The writer's rank among `size`: the last; of two, the first, so that one is free to work."""
    return size - 1 if size > 2 else 0


def workers_of(size: int) -> range:
    """The workers' ranks among `size`."""
    return range(1, size - 1) if size > 2 else range(size - 1, size)


def roles_of(rank: int, size: int) -> str:
    """The names of a rank's roles, joined by +."""
    held = {
        "coordinator": rank == COORDINATOR,
        "worker": rank in workers_of(size),
        "writer": rank == writer_of(size),
    }
    return "+".join(name for name, is_held in held.items() if is_held)


def run(request: Request, signals: StopSignals | None = None, comm: Any = None) -> int:
    """Run on the ranks of a communicator (none: MPI's world); the exit code of this rank's process.

    Every rank calls this. An exception on any of them ends the whole job at once. `signals`: a
    caller's who has collected them from earlier on.
    """
    comm = comm or _world()
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


def _world() -> Any:
    """MPI's world communicator. Raises `UserError` where launcher and MPI do not match."""
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        print(
            f"spectro-mpi: no MPI library can be loaded ({error}); load your cluster's MPI module, "
            "or pip install 'spectro-mpi[mpich]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    comm = MPI.COMM_WORLD
    launched = _launched_ranks()
    if comm.Get_size() == 1 and launched > 1:
        vendor = MPI.get_vendor()[0]
        if os.environ.get("PMI_RANK", os.environ.get("SLURM_PROCID", "0")) == "0":
            print(
                f"spectro-mpi: the launcher started {launched} ranks, but {vendor} sees only one: "
                "launcher and MPI library do not match. Launch with the mpirun that belongs to "
                f"{vendor}, or with srun --mpi=pmi2 (MPICH) or srun --mpi=pmix (Open MPI)",
                file=sys.stderr,
            )
        raise SystemExit(2)
    return comm


def _launched_ranks() -> int:
    """How many ranks the launcher says it started."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"):
        if os.environ.get(name, "").isdecimal():
            # A batch script runs outside of srun: its own process is no rank of the job's tasks.
            if name == "SLURM_NTASKS" and "SLURM_STEP_ID" not in os.environ:
                continue
            return int(os.environ[name])
    return 1


def _run(request: Request, comm: Any, rank: int, size: int, signals: StopSignals) -> int:
    config: Config | None = None
    line: Line | None = None
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
            line = make_line(loaded, request.phases, request.active)
            line.check_name(request.redo)
            config = loaded
        except UserError as error:
            code = _told(error)
    if size > 1:
        config = _broadcast(comm, config)
    if config is None:
        return code
    if not config.run.install_signal_handlers:
        signals.give_back()
    return _run_config(request, config, line, comm, rank, size, signals)


def _run_config(
    request: Request,
    config: Config,
    line: Line | None,
    comm: Any,
    rank: int,
    size: int,
    signals: StopSignals,
) -> int:
    lock: RunLock | None = None
    plan: RunPlan | None = None
    code = 0
    if line is not None:
        try:
            plan, lock = _prepare(request, line)
        except UserError as error:
            code = _told(error)
        if plan is not None and plan.nothing_to_do:
            code = print_summary(config, plan.progress, "")
    try:
        wanted = plan is not None and not plan.nothing_to_do
        if size > 1:
            wanted = _broadcast(comm, wanted)
        if wanted:
            transport = _transport(comm, size)
            on_node, place = _ranks_on_node(comm, size)
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
        _make_report(config, request, wanted)
    if size > 1:
        _meet(comm)  # in MPI's own end they would spin until the report is made
    return code


def _make_report(config: Config, request: Request, anything_done: bool) -> None:
    """Make the run's report, in a process of its own: whatever becomes of it, the run is done."""
    if request.preparing or not (anything_done or not (config.run_dir / PAGE).exists()):
        return
    command = [sys.executable, "-m", "spectro_mpi", "report", "--no-previews", "--quiet"]
    trouble = ""
    try:
        made = subprocess.run(
            [*command, str(config.run_dir)],
            capture_output=True,
            text=True,
            timeout=_REPORT_SECONDS,
            check=False,
        )
        if made.returncode:
            trouble = made.stderr.strip().rpartition("\n")[2]
    except subprocess.TimeoutExpired:
        trouble = f"it took longer than {_REPORT_SECONDS:.0f} s"
    except OSError as error:
        trouble = str(error)
    if trouble:
        print(f"the report was not made ({trouble}); `spectro-mpi report {config.run_dir}` does it")
    else:
        print(f"report: {config.run_dir / PAGE}", flush=True)


def _broadcast(comm: Any, value: T) -> T:
    """The coordinator's value. The others wait for it without spinning: it may take minutes."""
    _meet(comm)
    shared: T = comm.bcast(value, COORDINATOR)
    return shared


def _meet(comm: Any) -> None:
    """Wait without spinning until all ranks are here."""
    backoff, everyone_is_here = Backoff(), comm.Ibarrier()
    while not everyone_is_here.Test():
        backoff.pause()


def _told(error: UserError) -> int:
    """Say what is wrong in its one sentence; the exit code for it."""
    print(f"spectro-mpi: {error}", file=sys.stderr, flush=True)
    return error.exit_code


def _transport(comm: Any, size: int) -> Transport:
    if size == 1:
        return QueueTransport()
    return comm if isinstance(comm, LocalComm) else MpiTransport(comm)


def _ranks_on_node(comm: Any, size: int) -> tuple[int, int]:
    """How many ranks are on this rank's node, and its place among them."""
    if size == 1:
        return 1, 0
    if isinstance(comm, LocalComm):
        return size, comm.Get_rank()
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks, place = node.Get_size(), node.Get_rank()
    node.Free()
    return ranks, place


def _keep_resources(comm: Any, config: Config, station: Station) -> None:
    """When all ranks have written their last samples, take them into one file, under the lock."""
    if station.size > 1:
        _meet(comm)
    if station.rank == writer_of(station.size):
        try:
            fold(config.run_dir)
        except OSError as error:
            log.warning("the samples stay as they are: %s", error)
    if station.size > 1:
        _meet(comm)


def _prepare(request: Request, line: Line) -> tuple[RunPlan, RunLock]:
    config = line.config
    kept = config.run_dir / INVENTORY
    anew = request.fresh or request.preparing
    known = None if anew or request.inventory else load_inventory(kept, config)
    inventory = request.inventory or known or take_inventory(config)
    claim_directory(config)
    lock = RunLock(config.run_dir)
    with writing(config.run_dir):
        lock.acquire()
    try:
        with writing(config.run_dir):
            prepare(config, request.fresh)
            with closing(_rank_log(config, COORDINATOR)):
                mended = mend(config, inventory)
                fold(config.run_dir)  # what an execution that died has left
            if request.preparing:
                save_inventory(kept, inventory, config)
        plan = plan_run(
            line,
            inventory,
            retry=request.retry,
            redo=request.redo,
            preparing=request.preparing,
        )
        make_assets(line, inventory.items, anew=anew)
    except BaseException:
        lock.release()
        raise
    print_inventory(config, inventory)
    if known is not None:
        print(f"  by {kept}; `spectro-mpi assets` searches anew")
    for sentence in [*mended, *plan.told]:
        print(f"  {sentence}")
    return plan, lock


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
        rank_log = _rank_log(config, rank)
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
    signals.is_preparing = False
    if coordinator is not None:
        for asked in stops.requests(rank):
            coordinator.handle(asked)  # so that it hands out nothing
        coordinator.start()
    ending = ""
    try:
        _loop(transport, roles, lock, stops, rank_log, Backoff(wake))
        ending = coordinator.ending if coordinator is not None else "done"
    finally:
        for role in roles:
            role.close()
        error = sys.exc_info()[1]
        sampling.close(ending or f"{type(error).__name__}: {error}")
        rank_log.close()
    if coordinator is not None and coordinator.trouble:
        return _told(RunError(coordinator.trouble))
    if rank_log.trouble is not None:
        return _told(rank_log.trouble)
    if coordinator is None or plan is None:
        return 0
    job = os.environ.get("SLURM_JOB_ID")
    if job and coordinator.stopped_for_good:
        keep_from_requeue(job)
    return print_summary(config, plan.progress, coordinator.stopped_by)


def _sampling(config: Config, station: Station, drop_at: float) -> Sampling:
    interval = config.run.sample_interval_seconds
    if not interval:
        return Sampling()
    if math.isfinite(drop_at):
        ends = time.time() + drop_at + _DROP_BEFORE_END - time.monotonic()
        station = replace(station, job_ends=round(ends))
    return Sampler(config.run_dir, station, interval)


def _rank_log(config: Config, rank: int) -> RankLog:
    return RankLog(config.run_dir / LOGS, rank, config.run.log_batch)


def _loop(
    transport: Transport,
    roles: Sequence[Role],
    lock: RunLock | None,
    stops: Stops,
    rank_log: RankLog,
    backoff: Backoff,
) -> None:
    """Take in messages and let the roles work, until all have finished."""
    troubled, flushed = False, True
    while not (all(role.finished for role in roles) and flushed):
        busy = False
        for request in stops.requests(transport.rank):
            transport.send(COORDINATOR, request)
        for message in transport.receive():
            next(role for role in roles if isinstance(message, role.accepts)).handle(message)
            busy = True
        for role in roles:
            busy |= not role.finished and role.step()
        if not troubled and (trouble := _trouble_of(lock, rank_log)):
            troubled = True
            transport.send(COORDINATOR, Trouble(str(trouble)))
        flushed = transport.is_flushed()
        if busy:
            backoff.reset()
        else:
            backoff.pause(sending=not flushed)


def _trouble_of(lock: RunLock | None, rank_log: RankLog) -> RunError | None:
    """Why this rank's own files do not let the run go on, if so."""
    if lock is not None:
        try:
            lock.beat()
        except RunError as error:
            return error
    return rank_log.trouble


class Stops:
    """What asks this rank for a stop: signals, and on the first rank the end of the job.

    A second signal, or an end that is near, wants the items in hand dropped.
    """

    def __init__(self, signals: StopSignals, end: float) -> None:
        self._asked = signals.asked
        self._first = math.inf
        self._end = end

    def requests(self, rank: int) -> list[StopRequest]:
        """What has been asked since the last call."""
        found = []
        now = time.monotonic()
        while self._asked:
            name = signal.Signals(self._asked.popleft()).name
            # One Ctrl-C may come twice: from the terminal and by way of the launcher.
            if now - self._first > SAME_SIGNAL_SECONDS:
                found.append(StopRequest(f"rank {rank} got {name} again", at_once=True))
            elif self._first == math.inf:
                self._first = now
                found.append(StopRequest(f"rank {rank} got {name}"))
        if now > self._end:
            self._end = math.inf
            found.append(StopRequest("the job is about to end", at_once=True))
        return found


def _time_to_drop(walltime: str) -> float:
    """When what is in hand is to be dropped, by the monotonic clock; infinite if none is known."""
    if walltime:
        return time.monotonic() + seconds_of(walltime) - _DROP_BEFORE_END
    end = end_of_job(os.environ)
    return math.inf if end is None else time.monotonic() + end - time.time() - _DROP_BEFORE_END
