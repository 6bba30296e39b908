"""Resource use of a run: sampled by every rank, stored in `resources.h5`.

Every rank appends rows to its file in `resources/`, which survives the death of the rank
(`lines.py`, `sampler.py`). At the end of a run, or at the start of the next run if the last one
died, these rows are moved into `resources.h5` (`archive.py`). At any time, readers get the rows of
both as tables with columns of equal length (`tables.py`).
"""

from __future__ import annotations

from spectro_mpi.resources.archive import Record, fold, read_record, read_samples, read_steps
from spectro_mpi.resources.tables import Ends, Nodes, Plans, Ranks, Samples, Steps
from spectro_mpi.rundir.layout import RESOURCES

__all__ = [
    "RESOURCES",
    "Ends",
    "Nodes",
    "Plans",
    "Ranks",
    "Record",
    "Samples",
    "Steps",
    "fold",
    "read_record",
    "read_samples",
    "read_steps",
]
