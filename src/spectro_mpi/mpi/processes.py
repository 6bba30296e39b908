"""Run on processes of this machine, without a launcher.

`spectro-mpi run -n N` calls `run_on_processes`. A notebook or a script starts
`python -m spectro_mpi.mpi.processes` and sends it a pickled (number of ranks, `Request`) on
standard input. That process is rank 0 and starts the other ranks.
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from spectro_mpi.mpi.pipe_comm import PipeComm
from spectro_mpi.system.processes import die_with_parent
from spectro_mpi.system.signals import STOP_SIGNALS, StopSignals


def run_on_processes(size: int, request: Any, signals: StopSignals | None = None) -> int:
    """Run a request (`mpi.request.Request`) on `size` ranks. This process is rank 0.

    `signals`: stop signals that the caller has been collecting; None: collect them here. Returns
    the exit code.
    """
    from spectro_mpi.mpi.session import run

    context = multiprocessing.get_context("spawn")
    pipes: dict[int, dict[int, Connection]] = {rank: {} for rank in range(size)}
    for hub in {0, size - 1}:
        for rank in range(size):
            if rank != hub and rank not in pipes[hub]:
                pipes[hub][rank], pipes[rank][hub] = context.Pipe()
    processes: dict[int, BaseProcess] = {}
    # A new rank collects signals only after its imports; until then, they have to wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for rank in range(1, size):
        process = context.Process(target=_rank, args=(rank, size, pipes[rank]))
        process.start()
        processes[rank] = process
        for pipe in pipes[rank].values():
            pipe.close()  # these ends belong to the process now
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    comm = PipeComm(0, size, pipes[0])
    comm.processes = processes
    code = run(request, signals, comm=comm)
    comm.close()
    return code


def _rank(rank: int, size: int, pipes: dict[int, Connection]) -> None:
    die_with_parent()
    from spectro_mpi.mpi.request import Request
    from spectro_mpi.mpi.session import run

    with StopSignals() as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        comm = PipeComm(rank, size, pipes)
        code = run(Request(), signals, comm=comm)
        comm.close()
        sys.exit(code)


def main() -> int:
    """Run the request on standard input as rank 0; returns the exit code."""
    size, request = pickle.load(sys.stdin.buffer)
    return run_on_processes(size, request)


if __name__ == "__main__":
    # Import this module by its name, under which the other processes import it too.
    from spectro_mpi.mpi.processes import main as begin

    sys.exit(begin())
