"""Names of the processes that launch MPI ranks."""

from __future__ import annotations

MPIRUN = frozenset({"mpirun", "mpiexec", "mpiexec.hydra", "prterun", "orterun"})
"""Launchers that print the output of ranks on the terminal they were started from."""

LAUNCHERS = MPIRUN | {"srun"}
"""All launchers."""
