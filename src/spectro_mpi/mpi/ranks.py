"""The ranks of a run: which there are, who is what, and how they wait for each other."""

from __future__ import annotations

from typing import Any, TypeVar

from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.pipe_comm import PipeComm

COORDINATOR = 0

T = TypeVar("T")


def writer_of(size: int) -> int:
    """The writer's rank among `size`: the last; of two, the first, so that one is free to work."""
    return size - 1 if size > 2 else 0


def workers_of(size: int) -> range:
    """The workers' ranks among `size`."""
    return range(1, size - 1) if size > 2 else range(size - 1, size)


def peers_of(rank: int, size: int) -> set[int]:
    """The ranks it talks to: workers do not talk to each other."""
    serving = {COORDINATOR, writer_of(size)}
    return ({*range(size)} if rank in serving else serving) - {rank}


def roles_of(rank: int, size: int) -> str:
    """The names of a rank's roles, joined by +."""
    held = {
        "coordinator": rank == COORDINATOR,
        "worker": rank in workers_of(size),
        "writer": rank == writer_of(size),
    }
    return "+".join(name for name, is_held in held.items() if is_held)


def ranks_on_node(comm: Any, size: int) -> tuple[int, int]:
    """How many ranks are on this rank's node, and its place among them."""
    if size == 1:
        return 1, 0
    if isinstance(comm, PipeComm):
        return size, comm.Get_rank()
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    ranks, place = node.Get_size(), node.Get_rank()
    node.Free()
    return ranks, place


def broadcast(comm: Any, value: T) -> T:
    """The coordinator's value. The others wait for it without spinning: it may take minutes."""
    meet(comm)
    shared: T = comm.bcast(value, COORDINATOR)
    return shared


def meet(comm: Any) -> None:
    """Wait without spinning until all ranks are here."""
    backoff, everyone_is_here = Backoff(), comm.Ibarrier()
    while not everyone_is_here.Test():
        backoff.pause()
