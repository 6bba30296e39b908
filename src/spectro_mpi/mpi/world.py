"""MPI itself: found and started, and ended so that no launcher mistakes it."""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from spectro_mpi.system.scheduler import current

_START_SECONDS = 900.0
"""MPI that has not found all ranks by then never will."""
_LEAVING_SECONDS = 2.0
"""What ranks may take to go when MPI has ended."""
_LEFT_SECONDS = 1.0
"""Shared memory that is older than this, and nobody's, was left by ranks that were killed."""


def world() -> Any:
    """MPI's world communicator. Raises `SystemExit` where launcher and MPI do not match."""
    try:
        MPI = _started()
    except (ImportError, RuntimeError) as error:
        print(
            f"spectro-mpi: no MPI library can be loaded ({error}); load your cluster's MPI module, "
            "or pip install 'spectro-mpi[mpich]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    comm = MPI.COMM_WORLD
    launched = _launched_ranks()
    if comm.Get_size() == 1 and launched > 1:
        vendor = MPI.get_vendor()[0]
        step, hint = current().own_step(), current().launch_hint
        if os.environ.get("PMI_RANK", str(step.rank if step else 0)) == "0":
            print(
                f"spectro-mpi: the launcher started {launched} ranks, but {vendor} sees only one: "
                "launcher and MPI library do not match. Launch with the mpirun that belongs to "
                f"{vendor}{f', or with {hint}' if hint else ''}",
                file=sys.stderr,
            )
        raise SystemExit(2)
    return comm


def wants_ofi(vendor: str, version: tuple[int, ...], library: str) -> bool:
    """Whether ranks started by `srun --mpi=pmi2` find each other only with MPICH's netmod OFI.

    MPICH 5.0 hands UCX's address of a rank to the others with as much of the heap as follows in
    4,096 bytes (`MPIDI_UCX_comm_addr_exchange`), in lines of up to 1,100 characters; Slurm's
    plugin takes 1,024. The addresses of OFI, which is in the same library, are a line of 70.

    Parameters
    ----------
    vendor, version
        As of `mpi4py.MPI.get_vendor`.
    library
        As of `MPI.Get_library_version`; has the line `MPICH Device: ch4:ucx ofi` for MPICH of PyPI.
    """
    device = next((line for line in library.splitlines() if line.startswith("MPICH Device:")), "")
    return vendor == "MPICH" and version >= (5,) and "ch4:ucx" in device and "ofi" in device


def leave(code: int) -> None:
    """End MPI; a first rank that will exit with another code than 0 lets the others go before it.

    `srun --kill-on-bad-exit` ends those that are still there, and then tells that, not the code.
    """
    from mpi4py import MPI

    alone = MPI.COMM_WORLD.Get_size() == 1
    MPI.Finalize()
    if code and not alone and current().own_step():
        time.sleep(_LEAVING_SECONDS)


def sweep_shared_memory(folder: Path) -> None:
    """Remove what ranks of MPICH that were killed have left.

    MPICH names it by the numbers of job and step. A requeued job has them again, and its ranks
    would wait for ever for what stands there.
    """
    left = set()
    for path in folder.glob("mpich_shm_*"):
        with suppress(OSError):
            facts = path.stat()
            if facts.st_uid == os.getuid() and time.time() - facts.st_mtime > _LEFT_SECONDS:
                left.add(str(path))
    for maps in Path("/proc").glob("[0-9]*/maps") if left else ():
        with suppress(OSError):
            left.difference_update(maps.read_text().split())
    for name in left:
        Path(name).unlink(missing_ok=True)


def _started() -> Any:
    """mpi4py's module of MPI, with MPI started. Raises `ImportError` or `RuntimeError`."""
    import mpi4py

    mpi4py.rc(initialize=False, finalize=True)
    from mpi4py import MPI

    if MPI.Is_initialized():
        return MPI
    if current().own_step():
        sweep_shared_memory(Path("/dev/shm"))
        if wants_ofi(*MPI.get_vendor(), MPI.Get_library_version()):
            os.environ.setdefault("MPIR_CVAR_CH4_NETMOD", "ofi")
    try:
        faulthandler.dump_traceback_later(_START_SECONDS, exit=True)
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
    finally:
        faulthandler.cancel_dump_traceback_later()
    return MPI


def _launched_ranks() -> int:
    """How many ranks the launcher says it started."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    step = current().own_step()
    return step.ranks if step is not None else 1
