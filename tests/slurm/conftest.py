"""A Slurm for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spectro_mpi.demo import write_demo
from tests.conftest import BIN, NO_REPORT
from tests.slurm.cluster import Cluster, make_folder, missing


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    if missing():
        pytest.skip(f"Slurm is not installed (no {', '.join(missing())})")
    if os.geteuid() != 0:
        pytest.skip("munged and slurmd want to be started by root")
    folder = make_folder()
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a sound demo of six orbits."""
    folder = tmp_path_factory.mktemp("sound")
    write_demo(folder, orbits=6, seed=3)
    settings = folder / "settings.toml"
    settings.write_text(
        f'input = "{folder / "FAST_data"}"\n'
        f'[plot]\ndpi = 50\nevents = "{folder / "events.csv"}"\n'
        '[run]\nflush_batch_size = 1\n[slurm]\nnodes = 2\nextra = ["--ntasks-per-node=2"]\n'
        f"{NO_REPORT}"
    )
    return settings


@pytest.fixture(scope="session")
def alone(data: Path) -> Path:
    """The run directory of a local run on one rank."""
    done = subprocess.run(
        [BIN / "mpirun", "-n", "1", BIN / "spectro-mpi", "run", data, "-s", "run_id=alone"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return data.parent / "runs" / "alone"
