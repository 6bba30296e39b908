"""Resource use of a run: sampled by every rank, stored in `resources.h5`.

Every rank appends rows to its file in `resources/`, which survives the death of the rank
(`lines.py`, `sampler.py`). At the end of a run, or at the start of the next run if the last one
died, these rows are moved into `resources.h5` (`archive.py`). At any time, readers get the rows of
both as tables with columns of equal length (`tables.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectro_mpi.resources.archive import Record as Record
    from spectro_mpi.resources.archive import fold as fold
    from spectro_mpi.resources.archive import read_record as read_record
    from spectro_mpi.resources.archive import read_samples as read_samples
    from spectro_mpi.resources.archive import read_steps as read_steps
    from spectro_mpi.resources.tables import Ends as Ends
    from spectro_mpi.resources.tables import Nodes as Nodes
    from spectro_mpi.resources.tables import Plans as Plans
    from spectro_mpi.resources.tables import Ranks as Ranks
    from spectro_mpi.resources.tables import Samples as Samples
    from spectro_mpi.resources.tables import Steps as Steps
    from spectro_mpi.rundir.layout import RESOURCES as RESOURCES

_MODULES = {
    "RESOURCES": "spectro_mpi.rundir.layout",
    "Ends": "spectro_mpi.resources.tables",
    "Nodes": "spectro_mpi.resources.tables",
    "Plans": "spectro_mpi.resources.tables",
    "Ranks": "spectro_mpi.resources.tables",
    "Record": "spectro_mpi.resources.archive",
    "Samples": "spectro_mpi.resources.tables",
    "Steps": "spectro_mpi.resources.tables",
    "fold": "spectro_mpi.resources.archive",
    "read_record": "spectro_mpi.resources.archive",
    "read_samples": "spectro_mpi.resources.archive",
    "read_steps": "spectro_mpi.resources.archive",
}
"""Public name → the module that defines it."""

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    # Imported lazily: ranks write samples, and only one of them reads them, with HDF5.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
