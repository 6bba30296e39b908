"""The ranks of a run: which there are, who is what, and how they wait for each other."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

from spectro_mpi.mpi.backoff import Backoff
from spectro_mpi.mpi.local import LocalComm

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


def world() -> Any:
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


def ranks_on_node(comm: Any, size: int) -> tuple[int, int]:
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
