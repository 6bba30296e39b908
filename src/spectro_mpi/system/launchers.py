"""Launchers of MPI ranks, by the names of their processes."""

from __future__ import annotations

MPIRUN = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "prterun", "orterun"})
"""Those that pass on what ranks print to the terminal they were started from."""

LAUNCHERS = MPIRUN | {"srun"}
