"""MPI is started as its launcher needs it; what killed ranks have left of it is taken away."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spectro_mpi.mpi.world import needs_ofi, sweep_shared_memory
from tests.conftest import BIN


def test_shared_memory_is_swept_that_is_old_and_nobodys(tmp_path: Path) -> None:
    names = ("mpich_shm_left_0", "mpich_shm_used_0", "mpich_shm_young_0", "of_something_else")
    for name in names:
        (tmp_path / name).write_bytes(bytes(4096))
        if "young" not in name:
            os.utime(tmp_path / name, (time.time() - 60,) * 2)
    with (
        (tmp_path / "mpich_shm_used_0").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ),
    ):
        sweep_shared_memory(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_a_file_that_another_rank_has_created_anew_meanwhile_is_not_swept(tmp_path: Path) -> None:
    left = tmp_path / "mpich_shm_left_0"
    left.write_bytes(bytes(4096))
    os.utime(left, (time.time() - 60,) * 2)
    (tmp_path / "proc" / "1").mkdir(parents=True)
    os.mkfifo(tmp_path / "proc" / "1" / "maps")  # read when somebody writes: the sweep waits

    def create_anew() -> None:
        with (tmp_path / "proc" / "1" / "maps").open("w"):
            new = tmp_path / "new"
            new.write_bytes(bytes(4096))
            new.replace(left)

    other = threading.Thread(target=create_anew)
    other.start()
    sweep_shared_memory(tmp_path, tmp_path / "proc")
    other.join()
    assert left.exists()


def test_where_there_is_no_shared_memory_nothing_is_swept(tmp_path: Path) -> None:
    sweep_shared_memory(tmp_path / "absent")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no shared memory here")
def test_what_killed_ranks_of_mpirun_left_is_swept_by_the_next_start() -> None:
    left = Path("/dev/shm") / f"mpich_shm_left_by_{os.getpid()}_0"
    young = left.with_name(f"{left.name}_young")
    try:
        for path in (left, young):
            path.write_bytes(bytes(4096))
        os.utime(left, (time.time() - 300,) * 2)
        start = "from spectro_mpi.mpi.world import world; world()"
        mpirun = [str(BIN / "mpirun"), "-n", "2", sys.executable, "-c", start]
        subprocess.run(mpirun, check=True)
        assert not left.exists()
        assert young.exists()
    finally:
        for path in (left, young):
            path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("version", "device", "is_needed"),
    [
        ((5, 0, 2), "ch4:ucx ofi", True),
        ((5, 0, 2), "ch4:ucx", False),
        ((5, 0, 2), "ch4:ofi", False),
        ((4, 3, 1), "ch4:ucx ofi", False),
    ],
)
def test_only_mpich_that_has_both_is_given_ofi(
    version: tuple[int, ...], device: str, is_needed: bool
) -> None:
    library = f"MPICH Version: x\nMPICH Device:       {device}\nMPICH CC: ofi\n"
    assert needs_ofi("MPICH", version, library) is is_needed
    assert not needs_ofi("Open MPI", version, library)
