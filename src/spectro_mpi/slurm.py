"""The scheduler: job scripts for a run, submitting, watching and ending them.

Scripts come from `jobs/`, which people also use by hand; what the settings say is put into them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.atomic import write_atomic
from spectro_mpi.config import Config
from spectro_mpi.errors import UserError
from spectro_mpi.run import JOBS

_RECORD = "jobs.json"
_SETTINGS = "settings.toml"
_LOCAL_LOG = "local.log"


@dataclass(frozen=True)
class Submitted:
    """What was started for a run, as kept in its directory."""

    pregenerate: str = ""
    """Slurm's job id."""
    run: str = ""
    """Slurm's job id."""
    local: int = 0
    """Process id of a local mpirun, which leads a process group."""
    host: str = ""
    """Where the local mpirun runs."""


def scripts_of(config: Config, ranks: int) -> dict[str, str]:
    """Job scripts of a run with the settings in them: name → content."""
    return {
        name: _filled(_template(name), config, ranks)
        for name in ("pregenerate.sbatch", "run.sbatch")
    }


def write_scripts(config: Config, ranks: int) -> Path:
    """Write the job scripts and the settings they use into the run directory's `jobs/`."""
    folder = config.run_dir / JOBS
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / _SETTINGS, config.to_toml().encode())
    for name, script in scripts_of(config, ranks).items():
        write_atomic(folder / name, script.encode())
    return folder


def submit(config: Config, ranks: int) -> Submitted:
    """Submit pregeneration, and the run after it. Raises `UserError` where Slurm refuses."""
    if shutil.which("sbatch") is None:
        raise UserError(
            "there is no sbatch on this machine; on a Slurm login node there is, here try: "
            f"mpirun -n {ranks} spectro-mpi run SETTINGS, or submit --local"
        )
    folder = write_scripts(config, ranks)
    first = _sbatch(folder / "pregenerate.sbatch")
    then = _sbatch(
        folder / "run.sbatch", f"--dependency=afterok:{first}", "--kill-on-invalid-dep=yes"
    )
    submitted = Submitted(pregenerate=first, run=then)
    _record(config.run_dir, submitted)
    return submitted


def start_locally(config: Config, ranks: int) -> Submitted:
    """Start the run on this machine, detached; its output goes to `logs/local.log`."""
    folder = write_scripts(config, ranks)
    logs = config.run_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    here = Path(sys.executable).parent
    mpirun = shutil.which("mpirun", path=f"{here}:{os.environ.get('PATH', '')}")
    if mpirun is None:
        raise UserError("there is no mpirun; pip install 'spectro-mpi[mpich]' brings one")
    command = [mpirun, "-n", str(ranks), sys.executable, "-m", "spectro_mpi", "run"]
    with (logs / _LOCAL_LOG).open("ab") as log:
        process = subprocess.Popen(
            [*command, str(folder / _SETTINGS)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    submitted = Submitted(local=process.pid, host=os.uname().nodename)
    _record(config.run_dir, submitted)
    return submitted


def submitted_for(run_dir: Path) -> Submitted:
    """What was started for a run; empty if nothing is known."""
    try:
        return Submitted(**json.loads((run_dir / JOBS / _RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return Submitted()


def job_states(jobs: Submitted) -> dict[str, str]:
    """Slurm job id → state (PENDING, RUNNING, …); without those Slurm does not list any more."""
    ids = [job for job in (jobs.pregenerate, jobs.run) if job]
    if not ids or shutil.which("squeue") is None:
        return {}
    told = _told("squeue", "-h", "-t", "all", "-o", "%i %T", "-j", ",".join(ids))
    return dict(line.split(maxsplit=1) for line in told.splitlines() if " " in line)


def end_of_job(environment: Mapping[str, str]) -> float | None:
    """When this Slurm job's wall time ends, s since 1970; None outside of a job or if unknown."""
    job = environment.get("SLURM_JOB_ID", "")
    if not job:
        return None
    known = environment.get("SLURM_JOB_END_TIME", "")
    if known.isdecimal():
        return float(known)
    if shutil.which("squeue") is None:
        return None
    told = _told("squeue", "-h", "-j", job, "-o", "%e").strip()
    try:
        return time.mktime(time.strptime(told, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return None


def seconds_of(walltime: str) -> float:
    """A wall time as Slurm writes it (minutes, MM:SS, HH:MM:SS, D-HH[:MM[:SS]]), in seconds.

    Raises `ValueError` for anything else.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", walltime.strip())
    if match is None:
        raise ValueError(f'"{walltime}" is not a wall time such as 90, 01:30:00 or 1-12')
    days, *rest = match.groups()
    numbers = [int(part) for part in rest if part is not None]
    # With days hours come first; without, minutes do, unless there are three numbers.
    first = 3600.0 if days is not None or len(numbers) == 3 else 60.0
    seconds = sum(number * first / 60.0**place for place, number in enumerate(numbers))
    return int(days or 0) * 86400.0 + seconds


def cancel_jobs(jobs: Submitted, now: bool) -> list[str]:
    """End what was started for a run; says what it did.

    Not yet started jobs are cancelled. Running ones are asked to stop, or, with `now`, ended.
    """
    done = []
    for job, state in job_states(jobs).items():
        if state == "PENDING" or (now and state in ("RUNNING", "COMPLETING", "REQUEUED")):
            _told("scancel", job)
            done.append(f"job {job} ({state.lower()}) is cancelled")
        elif state == "RUNNING":
            _told("scancel", "--batch", "--signal=USR1", job)
            done.append(f"job {job} is asked to stop")
    if jobs.local and jobs.host == os.uname().nodename:
        number = signal.SIGKILL if now else signal.SIGUSR1
        try:
            if now:
                os.killpg(jobs.local, number)
            else:
                os.kill(jobs.local, number)
        except ProcessLookupError:
            return done
        told = "is ended" if now else "is asked to stop"
        done.append(f"mpirun, process {jobs.local}, {told}")
    return done


def _template(name: str) -> str:
    """A script of `jobs/`: beside the package where it is installed, in a clone at its top."""
    package = Path(__file__).parent
    for folder in (package / JOBS, package.parents[1] / JOBS):
        if (folder / name).exists():
            return (folder / name).read_text()
    raise UserError(f"{name}: is missing from this installation of spectro-mpi")


def _filled(script: str, config: Config, ranks: int) -> str:
    slurm, folder = config.slurm, config.run_dir / JOBS
    options = {
        "ntasks": str(ranks),
        "nodes": str(slurm.nodes or ""),
        "time": slurm.time,
        "partition": slurm.partition,
        "account": slurm.account,
        "output": f"{folder}/%x-%j.log",
    }
    lines = [f"#SBATCH --{name}={value}" for name, value in options.items() if value]
    lines += [f"#SBATCH {option}" for option in slurm.extra]
    for name, value in options.items():
        # Without a time of the user's the partition's default holds, not the template's example.
        if value or name == "time":
            script = re.sub(rf"^#SBATCH --{name}=.*\n", "", script, flags=re.MULTILINE)
    script = script.replace("#SBATCH --job-name", "\n".join([*lines, "#SBATCH --job-name"]), 1)
    bin_folder = Path(sys.executable).parent
    setup = [*slurm.setup, f'PATH="{bin_folder}:$PATH"']
    script = re.sub(r"# module load.*\n# source.*\n", lambda _: "\n".join(setup) + "\n", script)
    script = script.replace("${1:-spectro-mpi.toml}", f'"{folder / _SETTINGS}"')
    if slurm.mpi:
        script = re.sub(
            r"^LAUNCH=.*$", f'LAUNCH="srun --mpi={slurm.mpi}"', script, flags=re.MULTILINE
        )
    return script


def _sbatch(script: Path, *options: str) -> str:
    command = ["sbatch", "--parsable", *options, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"sbatch refused {script}: {done.stderr.strip()}")
    return done.stdout.strip().partition(";")[0]


def _told(*command: str) -> str:
    """Standard output of a command of Slurm's; empty if it fails."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=30
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def _record(run_dir: Path, submitted: Submitted) -> None:
    write_atomic(run_dir / JOBS / _RECORD, json.dumps(asdict(submitted)).encode())
