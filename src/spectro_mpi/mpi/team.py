"""The ranks that mpirun or srun started, as a team for a command other than a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from spectro_mpi.errors import UserError
from spectro_mpi.mpi.ranks import COORDINATOR, broadcast, end_job, meet
from spectro_mpi.mpi.world import leave, world

T = TypeVar("T")


class MpiTeam:
    """The ranks of a communicator; they wait for each other without spinning."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()

    def from_first(self, value: T) -> T:
        """What the first rank passes, on every rank. Collective."""
        return broadcast(self._comm, value)

    def gather(self, value: T) -> list[T]:
        """What each rank passes, on the first; elsewhere an empty list. Collective."""
        meet(self._comm)
        gathered: list[T] | None = self._comm.gather(value, COORDINATOR)
        return gathered or []


def call_on_ranks(call: Callable[[MpiTeam], int]) -> int:
    """Make a call on all ranks of MPI's world; returns this rank's exit code.

    A `UserError` is raised on all of them; any other exception ends the whole job at once.
    """
    comm = world()
    try:
        code = call(MpiTeam(comm))
    except UserError as error:
        leave(error.exit_code)
        raise
    except BaseException as error:  # noqa: BLE001 - no rank may be left waiting
        return end_job(comm, error)
    leave(code)
    return code
