"""Launchers of MPI ranks: their names, and what they tell a rank by its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from spectro_mpi.errors import UserError
from spectro_mpi.system.scheduler import current

MPIRUN = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "prterun", "orterun"})
"""Launchers that print the output of ranks on the terminal they were started from."""

LAUNCHERS = MPIRUN | {"srun"}
"""All launchers."""

_OF_MPIRUN = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
"""Variables of Open MPI and of MPICH with the rank and the number of ranks."""


@dataclass(frozen=True)
class Launched:
    """This process as its launcher sees it."""

    rank: int
    ranks: int
    """Number of ranks that the launcher started."""


def launched() -> Launched | None:
    """How a launcher started this process; None if none did. Needs no MPI."""
    try:
        step = current().own_step()
    except UserError:  # the environment names a scheduler that is not installed
        step = None
    for rank, ranks in _OF_MPIRUN:
        number, size = os.environ.get(rank, "0"), os.environ.get(ranks, "")
        if number.isdecimal() and size.isdecimal():
            # In a shell that srun started, the variables are those of the shell.
            is_shell = step is not None and int(size) == 1
            return None if is_shell else Launched(int(number), int(size))
    return Launched(step.rank, step.ranks) if step is not None and step.ranks > 1 else None
