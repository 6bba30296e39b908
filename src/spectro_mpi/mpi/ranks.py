"""The ranks of a run: which roles each has, and how they wait for each other."""

from __future__ import annotations

import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from spectro_mpi.errors import UserError
from spectro_mpi.mpi.backoff import LONGEST_PAUSE, SENDING_PAUSE, Backoff
from spectro_mpi.mpi.pipe_comm import PipeComm

COORDINATOR = 0
_FORWARD_SECONDS = 0.3
"""Time for the launcher to forward an error message before it kills all ranks."""

T = TypeVar("T")


def writer_of(size: int) -> int:
    """Rank of the writer: the last of `size`; of two, rank 0, so that rank 1 only computes."""
    return size - 1 if size > 2 else 0


def workers_of(size: int) -> range:
    """Ranks of the workers, if there are `size` ranks."""
    return range(1, size - 1) if size > 2 else range(size - 1, size)


def peers_of(rank: int, size: int) -> set[int]:
    """Ranks that `rank` exchanges messages with; workers exchange none with each other."""
    serving = {COORDINATOR, writer_of(size)}
    return ({*range(size)} if rank in serving else serving) - {rank}


def roles_of(rank: int, size: int) -> str:
    """Names of a rank's roles, as in "coordinator+writer"."""
    held = {
        "coordinator": rank == COORDINATOR,
        "worker": rank in workers_of(size),
        "writer": rank == writer_of(size),
    }
    return "+".join(name for name, is_held in held.items() if is_held)


@dataclass(frozen=True)
class Placement:
    """Where the ranks are, as this rank knows it."""

    on_node: int
    """Number of ranks on this rank's node."""
    place: int
    """The place of this rank among them, from 0."""
    nodes: tuple[str, ...]
    """On the coordinator: names of all nodes, in the order of their first ranks. Else empty."""


def placement_of(comm: Any, size: int) -> Placement:
    """Find out where the ranks are. With MPI this is collective: every rank must call it."""
    name = socket.gethostname()
    if size == 1:
        return Placement(1, 0, (name,))
    if isinstance(comm, PipeComm):
        return Placement(size, comm.Get_rank(), (name,))
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks, place = node.Get_size(), node.Get_rank()
    node.Free()
    names = comm.gather("" if place else name, COORDINATOR) or ()
    return Placement(ranks, place, tuple(filter(None, names)))


def broadcast(comm: Any, value: T) -> T:
    """Return the coordinator's value on all ranks, which may wait minutes for it without spinning.

    Collective.
    """
    meet(comm)
    shared: T = comm.bcast(value, COORDINATOR)
    return shared


def meet(comm: Any, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Wait for all ranks without spinning; `meanwhile` is called again and again. Collective.

    Ranks leave a barrier up to a pause apart, and would spin for that long in what follows; after a
    second one with short pauses, they do not.
    """
    for longest in (LONGEST_PAUSE, SENDING_PAUSE):
        backoff, barrier = Backoff(), comm.Ibarrier()
        while not barrier.Test():
            meanwhile()
            backoff.pause(longest)


def end_job(comm: Any, error: BaseException) -> int:
    """Print what went wrong on this rank, and end the whole job; returns the exit code.

    `comm` is None if this is the only rank. Call it where `error` is handled.
    """
    rank, size = (0, 1) if comm is None else (comm.Get_rank(), comm.Get_size())
    if isinstance(error, UserError):
        code, text = error.exit_code, f"spectro-mpi: {error}\n"
    else:
        code = 1
        text = f"spectro-mpi: rank {rank} of {size} ends the job:\n{traceback.format_exc()}"
    sys.stderr.write(text)
    sys.stderr.flush()
    if size > 1:
        # The launcher kills all ranks at once, and loses output it has not forwarded.
        time.sleep(_FORWARD_SECONDS)
        comm.Abort(code)
    return code
