"""Runs spectro-mpi on one rank, and writes the time and memory that it used.

Usage: mpirun -n N python benchmarks/one_rank.py FOLDER ARGUMENT …

Writes FOLDER/rank-N.json: CPU seconds of start-up (imports), of the rest and of child processes,
and peak resident memory. The exit code is that of spectro-mpi.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import spectro_mpi.mpi.session  # noqa: E402, F401 - start-up ends here
from spectro_mpi.cli import main  # noqa: E402


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _peak_mb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


if __name__ == "__main__":
    start = _cpu(resource.RUSAGE_SELF)
    code = main(sys.argv[2:])
    rank = int(os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"])
    usage = {
        "rank": rank,
        "start": start,
        "work": _cpu(resource.RUSAGE_SELF) - start,
        "children": _cpu(resource.RUSAGE_CHILDREN),
        "peak": _peak_mb(resource.RUSAGE_SELF),
        "child_peak": _peak_mb(resource.RUSAGE_CHILDREN),
    }
    (Path(sys.argv[1]) / f"rank-{rank}.json").write_text(json.dumps(usage))
    sys.exit(code)
