"""Run on processes of this machine, without a launcher.

`spectro-mpi run -n N` calls `run_on_processes`. A notebook or a script starts
`python -m spectro_mpi.mpi.processes` and sends it, on standard input, its process id and a pickled
(number of ranks, `Request`). That process is rank 0 and starts the other ranks. On Linux, each
process is killed when the one that started it ends, and a run with the notebook that waits for it.
"""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from spectro_mpi.errors import UserError
from spectro_mpi.system.imports import call, read_folders_once
from spectro_mpi.system.limits import cores_allowed
from spectro_mpi.system.processes import die_with_parent, start
from spectro_mpi.system.signals import STOP_SIGNALS, StopSignals
from spectro_mpi.system.words import count

if TYPE_CHECKING:
    from spectro_mpi.mpi.pipe_comm import PipeComm
    from spectro_mpi.mpi.request import Request


def run_on_processes(size: int, request: Request, signals: StopSignals | None = None) -> int:
    """Run a request on `size` ranks. This process is rank 0.

    `signals`: stop signals that the caller has been collecting; None: collect them here. Returns
    the exit code.
    """
    context = multiprocessing.get_context("spawn")
    pipes = _pipes(size)
    processes: dict[int, BaseProcess] = {}
    # A new rank collects signals only after its imports; until then, they have to wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for rank in range(1, size):
        begin = (__name__, "work_as_rank", rank, size, pipes[rank])
        process = context.Process(target=call, args=begin)
        start(process)
        processes[rank] = process
        for pipe in pipes[rank].values():
            pipe.close()  # these ends belong to the process now
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    code, comm = _run(0, size, pipes[0], request, signals, processes)
    comm.close()
    return code


def _pipes(size: int) -> list[dict[int, Connection]]:
    """For each rank, its pipes to other ranks. Raises `UserError` for more than can be open."""
    pipes: list[dict[int, Connection]] = [{} for _ in range(size)]
    try:
        for hub in {0, size - 1}:
            for rank in range(size):
                if rank != hub and rank not in pipes[hub]:
                    pipes[hub][rank], pipes[rank][hub] = multiprocessing.Pipe()
    except OSError as error:
        raise UserError(
            f"{size} ranks are too many for processes of this machine ({error.strerror}); it has "
            f"{count(cores_allowed(), 'core')}"
        ) from None
    return pipes


def work_as_rank(rank: int, size: int, pipes: dict[int, Connection]) -> None:
    """Be one of the other ranks, until the run ends; exits with its code."""
    die_with_parent()
    from spectro_mpi.mpi.request import Request

    with StopSignals() as signals:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        code, comm = _run(rank, size, pipes, Request(), signals, {})
        comm.close()
        sys.exit(code)


def _run(
    rank: int,
    size: int,
    pipes: dict[int, Connection],
    request: Request,
    signals: StopSignals | None,
    processes: dict[int, BaseProcess],
) -> tuple[int, PipeComm]:
    """Run as one of the ranks; returns its exit code, and its communicator, still open."""
    gc.disable()  # what imports and planning make is no garbage
    from spectro_mpi.mpi.pipe_comm import PipeComm
    from spectro_mpi.mpi.session import get_ready, run

    early = get_ready(rank, size)
    comm = PipeComm(rank, size, pipes)  # starts threads
    comm.processes = processes
    return run(request, signals, comm=comm, early=early), comm


def main() -> int:
    """Run the request on standard input as rank 0; returns the exit code."""
    die_with_parent(int(sys.stdin.buffer.readline()))
    size, request = pickle.load(sys.stdin.buffer)
    return run_on_processes(size, request)


if __name__ == "__main__":
    read_folders_once()
    # Import this module by its name, under which the other processes import it too.
    from spectro_mpi.mpi.processes import main as begin

    sys.exit(begin())
