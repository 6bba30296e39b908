"""How a run used the machine: sampled by every rank, kept in `resources.h5`.

Every rank appends to a file of lines of its own in `resources/`, which survives whatever becomes
of it (`lines.py`, `sampler.py`). At the end of a run, or at the start of the next after one that
died, the lines are taken into `resources.h5` (`archive.py`). Readers get both as tables of equally
long columns (`tables.py`), at any time.
"""

from __future__ import annotations

from spectro_mpi.resources.archive import Record, fold, read_record, read_samples, read_steps
from spectro_mpi.resources.tables import Ends, Nodes, Plans, Ranks, Samples, Steps

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
