"""A run on all ranks: who is what, the event loop, and the end of it, good or bad."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from spectro_mpi.config import Config, load_config
from spectro_mpi.display import make_display
from spectro_mpi.draw import check_colormap
from spectro_mpi.errors import UserError
from spectro_mpi.inventory import load_inventory, save_inventory, take_inventory
from spectro_mpi.isolation import ChildExecutor, InlineExecutor
from spectro_mpi.lock import RunLock
from spectro_mpi.logs import start_logging, stop_logging
from spectro_mpi.mpi.coordinator import Coordinator
from spectro_mpi.mpi.messages import Message, StopRequest
from spectro_mpi.mpi.transport import MpiTransport, QueueTransport, Transport
from spectro_mpi.mpi.worker import Worker
from spectro_mpi.mpi.writer import Writer
from spectro_mpi.run import INVENTORY, LOGS, RunPlan, claim_directory, plan_run, prepare, sweep
from spectro_mpi.summary import print_inventory, print_summary

log = logging.getLogger(__name__)

COORDINATOR = 0

_SHORTEST_PAUSE = 20e-6
_LONGEST_PAUSE = 1e-3
_LAST_WORDS_SECONDS = 0.3


@dataclass(frozen=True)
class Request:
    """What the command line asks of a run."""

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    retry: bool = False
    only: str = ""
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

    def __init__(self) -> None:
        self._pause = 0.0

    def reset(self) -> None:
        """There was something to do: be quick."""
        self._pause = 0.0

    def pause(self) -> None:
        """There was nothing to do: wait, longer each time."""
        time.sleep(self._pause)
        self._pause = min(max(2 * self._pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)


def writer_of(size: int) -> int:
    """The writer's rank among `size`: the last; of two, the first, so that one is free to work."""
    return size - 1 if size > 2 else 0


def workers_of(size: int) -> range:
    """The workers' ranks among `size`."""
    return range(1, size - 1) if size > 2 else range(size - 1, size)


def run(request: Request) -> int:
    """Run on the ranks of MPI's world; the exit code of this rank's process.

    Every rank calls this. An exception on any of them ends the whole job at once.
    """
    comm = _world()
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    try:
        with _stop_signals() as asked:
            return _run(request, comm, rank, size, asked)
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


def _run(request: Request, comm: Any, rank: int, size: int, asked: deque[int]) -> int:
    lock: RunLock | None = None
    config: Config | None = None
    plan: RunPlan | None = None
    code = 0
    if rank == COORDINATOR:
        try:
            config, plan, lock = _prepare(request)
            if plan.nothing_to_do:
                code = print_summary(config, plan.progress, "")
        except UserError as error:
            # A mistake found before anything started: one sentence, and no rank is killed.
            print(f"spectro-mpi: {error}", file=sys.stderr, flush=True)
            code, plan = error.exit_code, None
        if plan is None or plan.nothing_to_do:
            config = None
    try:
        if size > 1:
            config = comm.bcast(config, COORDINATOR)
        if config is not None:
            transport: Transport = MpiTransport(comm) if size > 1 else QueueTransport()
            code = _serve(transport, config, plan, lock, request.progress, asked)
    finally:
        if lock is not None:
            lock.release()
    return code


def _prepare(request: Request) -> tuple[Config, RunPlan, RunLock]:
    config = load_config(request.config, request.overrides)
    check_colormap(config.plot.colormap)
    kept = config.run_dir / INVENTORY
    anew = request.fresh or request.only == "assets"
    known = None if anew else load_inventory(kept, config)
    inventory = known or take_inventory(config)
    claim_directory(config)
    lock = RunLock(config.run_dir)
    lock.acquire()
    try:
        prepare(config, request.fresh)
        sweep(config.run_dir)
        if request.only == "assets":
            save_inventory(kept, inventory, config)
        plan = plan_run(config, inventory, retry=request.retry, only=request.only)
    except BaseException:
        lock.release()
        raise
    print_inventory(config, inventory)
    if known is not None:
        print(f"  by {kept}; `spectro-mpi assets` searches anew")
    return config, plan, lock


def _serve(
    transport: Transport,
    config: Config,
    plan: RunPlan | None,
    lock: RunLock | None,
    progress: bool,
    asked: deque[int],
) -> int:
    """Make this rank's roles and let them work until all are finished."""
    rank, size = transport.rank, transport.size
    roles: list[Role] = []
    coordinator: Coordinator | None = None
    logging_handler = start_logging(config.run_dir / LOGS, rank, config.run.log_batch)
    log.info("rank %d of %d, process %d", rank, size, os.getpid())
    if rank == writer_of(size):
        roles.append(Writer(transport, config, config.run_dir, COORDINATOR))
    if rank in workers_of(size):
        isolated = config.run.isolation == "process"
        executor = ChildExecutor(config.run) if isolated else InlineExecutor()
        roles.append(Worker(transport, executor, COORDINATOR, writer_of(size)))
    if plan is not None:
        display = make_display(progress, len(workers_of(size)))
        coordinator = Coordinator(
            transport, config, plan, workers_of(size), writer_of(size), display
        )
        roles.append(coordinator)
        coordinator.start()
    try:
        _loop(transport, roles, lock, asked)
    finally:
        for role in roles:
            role.close()
        stop_logging(logging_handler)
    if coordinator is None or plan is None:
        return 0
    return print_summary(config, plan.progress, coordinator.stopped_by)


def _loop(
    transport: Transport, roles: Sequence[Role], lock: RunLock | None, asked: deque[int]
) -> None:
    """Take in messages and let the roles work, until all have finished."""
    backoff = Backoff()
    while not (all(role.finished for role in roles) and transport.is_flushed()):
        busy = False
        while asked:
            name = signal.Signals(asked.popleft()).name
            transport.send(COORDINATOR, StopRequest(f"rank {transport.rank} got {name}"))
        for message in transport.receive():
            next(role for role in roles if isinstance(message, role.accepts)).handle(message)
            busy = True
        for role in roles:
            busy |= not role.finished and role.step()
        if lock is not None:
            lock.beat()
        if busy:
            backoff.reset()
        else:
            backoff.pause()


@contextmanager
def _stop_signals() -> Iterator[deque[int]]:
    """While inside, the signals that ask for a stop are collected instead of obeyed."""
    asked: deque[int] = deque()
    numbers = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda n, _: asked.append(n)) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
