"""Start and end MPI, on all launchers and MPI libraries."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from spectro_mpi.system.launchers import launched
from spectro_mpi.system.scheduler import current

_START_SECONDS = 900.0
"""If MPI_Init has not connected all ranks by then, it never will."""
_LEAVING_SECONDS = 2.0
"""Time for the other ranks to exit after MPI_Finalize."""
_STALE_SECONDS = 1.0
"""Shared memory older than this that no process maps was left by ranks that were killed."""
_UNCLAIMED_SECONDS = 120.0
"""The same, where nothing is lost by waiting longer."""


def world() -> Any:
    """MPI's world communicator.

    Raises `SystemExit` with a sentence if no MPI library can be loaded, or if launcher and MPI
    library do not match.
    """
    try:
        MPI = _start()
    except (ImportError, RuntimeError) as error:
        print(
            f"spectro-mpi: no MPI library can be loaded ({error}); load your cluster's MPI module "
            "or run pip install 'spectro-mpi[mpich]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    comm = MPI.COMM_WORLD
    start = launched()
    if comm.Get_size() == 1 and start is not None and start.ranks > 1:
        vendor = MPI.get_vendor()[0]
        hint = current().launch_hint
        if start.rank == 0:
            print(
                f"spectro-mpi: the launcher started {start.ranks} ranks, but {vendor} sees only "
                "one, because launcher and MPI library do not match; launch with the mpirun of "
                f"{vendor}{f', or with {hint}' if hint else ''}",
                file=sys.stderr,
            )
        raise SystemExit(2)
    return comm


def needs_ofi(vendor: str, version: tuple[int, ...], library: str) -> bool:
    """Whether ranks started by `srun --mpi=pmi2` can connect only with MPICH's netmod OFI.

    With UCX, MPICH 5.0 publishes the address of a rank padded to 4,096 bytes of heap
    (`MPIDI_UCX_comm_addr_exchange`), in lines of up to 1,100 characters; Slurm's plugin accepts
    1,024. An address of OFI, which is part of the same library, is one line of 70 characters.

    Parameters
    ----------
    vendor, version
        As returned by `mpi4py.MPI.get_vendor`.
    library
        As returned by `MPI.Get_library_version`. For MPICH from PyPI it has the line
        `MPICH Device: ch4:ucx ofi`.
    """
    device = next((line for line in library.splitlines() if line.startswith("MPICH Device:")), "")
    return vendor == "MPICH" and version >= (5,) and "ch4:ucx" in device and "ofi" in device


def leave(code: int) -> None:
    """Finalize MPI. A rank that will exit with a `code` other than 0 lets the others exit first.

    Otherwise `srun --kill-on-bad-exit` would kill them and report that instead of the code.
    """
    from mpi4py import MPI

    alone = MPI.COMM_WORLD.Get_size() == 1
    MPI.Finalize()
    if code and not alone and current().own_step():
        time.sleep(_LEAVING_SECONDS)


def sweep_shared_memory(
    folder: Path, processes: Path = Path("/proc"), older_than: float = _STALE_SECONDS
) -> None:
    """Remove the shared memory files that killed ranks of MPICH have left in `folder`.

    They are of this user, not used, and `older_than` so many seconds. With `srun`, MPICH names them
    by the ids of job and step: a requeued job has the same ids, and its ranks would wait for ever
    for the ranks that created the files. With `mpirun` their names do not recur, but each is a
    megabyte of memory for every rank. `processes` is where Linux shows which files are in use.
    """
    stale: dict[str, int] = {}
    for path in folder.glob("mpich_shm_*"):
        with suppress(OSError):
            facts = path.stat()
            if facts.st_uid == os.getuid() and time.time() - facts.st_mtime > older_than:
                stale[str(path)] = facts.st_ino
    for maps in processes.glob("[0-9]*/maps") if stale else ():
        with suppress(OSError):
            for word in maps.read_text().split():
                stale.pop(word, None)
    for name, inode in stale.items():
        with suppress(OSError):
            # Meanwhile another rank may have swept it, and created the file of this run.
            if Path(name).stat().st_ino == inode:
                Path(name).unlink()


def _is_one_node() -> bool:
    """Whether MPICH's mpirun has started all ranks on this node."""
    here = os.environ.get("MPI_LOCALNRANKS", "")
    return here.isdecimal() and here == os.environ.get("PMI_SIZE")


def _start() -> Any:
    """Initialize MPI and return the module `mpi4py.MPI`.

    Raises `ImportError` or `RuntimeError` if no MPI library can be loaded.
    """
    import mpi4py

    mpi4py.rc(initialize=False, finalize=True)
    from mpi4py import MPI

    if MPI.Is_initialized():
        return MPI
    if MPI.get_vendor()[0] == "MPICH" and _is_one_node():
        # UCX would look at all network devices, with 700 calls to the file system per rank.
        os.environ.setdefault("UCX_TLS", "sm,self")
    if current().own_step():
        sweep_shared_memory(Path("/dev/shm"))
        if needs_ofi(*MPI.get_vendor(), MPI.Get_library_version()):
            os.environ.setdefault("MPIR_CVAR_CH4_NETMOD", "ofi")
    elif os.environ.get("MPI_LOCALRANKID") == "0":
        sweep_shared_memory(Path("/dev/shm"), older_than=_UNCLAIMED_SECONDS)
    try:
        faulthandler.dump_traceback_later(_START_SECONDS, exit=True)
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
    finally:
        faulthandler.cancel_dump_traceback_later()
    return MPI
