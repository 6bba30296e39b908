"""The scripts of `jobs/` are sound, and the array's shares join to the single run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import spectro_mpi
from tests.fetch.archive_server import Archive, answer, name, serving, stall
from tests.outputs import same_output
from tests.slurm.cluster import Cluster
from tests.slurm.jobs import restarts_of, wait_for

JOBS = Path(__file__).parents[2] / "jobs"
SCRIPTS = sorted([*JOBS.glob("*.sbatch"), *JOBS.glob("*.pbs"), *JOBS.glob("*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse_and_pass_shellcheck(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run(["shellcheck", script], check=True)


def test_four_shares_joined_equal_the_single_run(data: Path, alone: Path) -> None:
    folder = alone.parent
    parts = []
    for share in range(1, 5):
        run_id = f"part-{share}"
        done = spectro_mpi(
            "run",
            data,
            "--only",
            "reduce",
            "-s",
            f"run_id={run_id}",
            "-s",
            f"select.share={share}/4",
        )
        assert done.code == 0, done.err
        parts.append(folder / run_id)
    assert spectro_mpi("join", data, *parts, "-s", "run_id=joined").code == 0
    again = spectro_mpi("join", data, *parts, "-s", "run_id=joined")
    assert again.code == 0, again.err
    assert spectro_mpi("run", data, "-s", "run_id=joined", ranks=3).code == 0
    same_output(alone, folder / "joined")


def test_the_job_that_fetches_is_requeued_until_everything_is_here(
    slurm: Cluster, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    with serving(Archive()) as archive:
        archive.add(13312, 13313)
        settings.write_text(f'input = "data"\n[fetch]\nurl = "{archive.url}"\n')
        path = archive.path_of(name(13312))
        archive.faults[path] = [stall(9000), answer]
        script = ("sbatch", "--parsable", JOBS / "fetch.sbatch", settings)
        job = slurm(*script, cwd=tmp_path).strip()
        assert archive.reached.wait(120)
        slurm("scancel", "--batch", "--signal=USR1", job)
        wait_for(slurm, job, "COMPLETED")
        assert {
            str(path.relative_to(tmp_path / "data")) for path in tmp_path.rglob("*.cdf")
        } == set(archive.files)
    assert restarts_of(slurm, job) == 1


def test_the_array_script_makes_the_shares(
    slurm: Cluster,
    data: Path,
    alone: Path,
) -> None:
    script = Path(__file__).parents[2] / "jobs" / "array.sbatch"
    job = slurm(
        "sbatch", "--parsable", "--array=1-4", "--ntasks=3", script, data, "arr", cwd=alone.parent
    ).strip()
    for share in range(1, 5):
        wait_for(slurm, f"{job}_{share}", "COMPLETED")
    parts = [alone.parent / f"arr-{share}" for share in range(1, 5)]
    assert spectro_mpi("join", data, *parts, "-s", "run_id=arr").code == 0
    assert spectro_mpi("run", data, "-s", "run_id=arr", ranks=3).code == 0
    same_output(alone, alone.parent / "arr")


def test_parts_of_other_settings_are_refused(data: Path, alone: Path) -> None:
    other = spectro_mpi("join", data, alone, "-s", "run_id=other", "-s", "data.quantity=eflux")
    assert other.code == 2
    assert "other settings of data.quantity" in other.err


def test_a_packed_environment_is_used_from_the_disk_of_the_nodes_and_removed(
    slurm: Cluster, tmp_path: Path
) -> None:
    original, script = tmp_path / "original", tmp_path / "job.sh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", original], check=True)
    where = original / "bin" / "where"
    where.write_text(f"#!{original}/bin/python\nimport sys\nprint(sys.prefix)\n")
    where.chmod(0o755)
    archive = tmp_path / "environment.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", original, "."], check=True)
    shutil.rmtree(original)
    disk = tmp_path / "disk"  # both nodes have the same one here
    disk.mkdir()
    script.write_text(
        "#!/usr/bin/env bash\n#SBATCH --nodes=2 --ntasks=4 --output=job.log\n"
        f"export TMPDIR={disk}\nsource {JOBS / 'local-environment.sh'} {archive}\nsrun where\n"
    )
    job = slurm("sbatch", "--parsable", script, cwd=tmp_path).strip()
    wait_for(slurm, job, "COMPLETED")
    assert (tmp_path / "job.log").read_text().split() == 4 * [f"{disk}/spectro-{job}"]
    assert [*disk.iterdir()] == []
