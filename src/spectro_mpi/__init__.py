"""Spectrograms of space-physics particle CDF files, by the thousand, under MPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectro_mpi.run import Run as Run
    from spectro_mpi.run import open_run as open_run

__all__ = ["Run", "open_run"]


def __getattr__(name: str) -> Any:
    # Late, so that importing the package costs nothing on a rank that does not need it.
    if name in __all__:
        from spectro_mpi import run

        return getattr(run, name)
    if name == "__version__":
        from importlib.metadata import version

        return version("spectro-mpi")
    raise AttributeError(f"module {__name__} has no attribute {name}")
