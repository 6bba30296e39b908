"""Starting a run that goes on by itself: as jobs of Slurm, or detached on this machine.

Job scripts come from `jobs/`, which people also use by hand; what the settings say is put into
them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.layout import JOB_RECORD, JOB_SETTINGS, JOBS, LOCAL_LOG, LOGS
from spectro_mpi.rundir.lock import beginning_of
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.scheduler import slurm

_SCRIPTS = ("pregenerate.sbatch", "run.sbatch")
_OVERSUBSCRIBE = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "true",
}
"""Coordinator and writer need no cores, but Open MPI counts (5 and later, before); MPICH does not
read these."""


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
    began: str = ""
    """When it began (see lock.py): its id alone may belong to another by now."""

    @property
    def is_running_here(self) -> bool:
        """Whether the local mpirun is there, on this host."""
        here = bool(self.local) and self.host == os.uname().nodename
        return here and beginning_of(self.local) == self.began != ""


def scripts_of(config: Config, ranks: int) -> dict[str, str]:
    """Job scripts of a run with the settings in them: name → content."""
    return {name: _filled(_template(name), config, ranks) for name in _SCRIPTS}


def write_scripts(config: Config, ranks: int) -> Path:
    """Write the job scripts and the settings they use into the run directory's `jobs/`."""
    folder = config.run_dir / JOBS
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(config.run_dir / JOB_SETTINGS, config.to_toml().encode())
    for name, script in scripts_of(config, ranks).items():
        write_atomic(folder / name, script.encode())
    return folder


def submit(config: Config, ranks: int) -> Submitted:
    """Submit pregeneration, and the run after it. Raises `UserError` where Slurm refuses."""
    folder = write_scripts(config, ranks)
    first = slurm.sbatch(folder / "pregenerate.sbatch")
    try:
        then = slurm.sbatch(
            folder / "run.sbatch", f"--dependency=afterok:{first}", "--kill-on-invalid-dep=yes"
        )
    except UserError:
        slurm.scancel(first)
        raise
    submitted = Submitted(pregenerate=first, run=then)
    _record(config.run_dir, submitted)
    return submitted


def start_locally(config: Config, ranks: int) -> Submitted:
    """Start the run on this machine, detached; its output goes to `logs/local.log`.

    Raises `UserError` if there is no mpirun.
    """
    here = Path(sys.executable).parent
    mpirun = shutil.which("mpirun", path=f"{here}:{os.environ.get('PATH', '')}")
    if mpirun is None:
        raise UserError("there is no mpirun; pip install 'spectro-mpi[mpich]' brings one")
    write_scripts(config, ranks)
    (config.run_dir / LOGS).mkdir(exist_ok=True)
    command = [mpirun, "-n", str(ranks), sys.executable, "-m", "spectro_mpi", "run"]
    with (config.run_dir / LOCAL_LOG).open("ab") as log:
        process = subprocess.Popen(
            [*command, str(config.run_dir / JOB_SETTINGS)],
            env={**_OVERSUBSCRIBE, **os.environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    submitted = Submitted(
        local=process.pid, host=os.uname().nodename, began=beginning_of(process.pid)
    )
    _record(config.run_dir, submitted)
    return submitted


def submitted_for(run_dir: Path) -> Submitted:
    """What was started for a run; empty if nothing is known."""
    try:
        return Submitted(**json.loads((run_dir / JOB_RECORD).read_bytes()))
    except (OSError, ValueError, TypeError):
        return Submitted()


def _template(name: str) -> str:
    """A script of `jobs/`: beside the package where it is installed, in a clone at its top."""
    package = Path(__file__).parents[1]
    for folder in (package / JOBS, package.parents[1] / JOBS):
        if (folder / name).exists():
            return (folder / name).read_text(encoding="utf-8")
    raise UserError(f"{name}: is missing from this installation of spectro-mpi")


def _filled(script: str, config: Config, ranks: int) -> str:
    head, last, rest = script.rpartition("\n#SBATCH ")
    last, _, rest = rest.partition("\n")
    options = _options(config, ranks)
    told = {option.partition("=")[0] for option in options}
    # Without a time of the user's the partition's default holds, not the template's example.
    told.add("--time")
    lines = [
        line
        for line in f"{head}\n#SBATCH {last}".splitlines()
        if not line.startswith("#SBATCH ") or line.split()[1].partition("=")[0] not in told
    ]
    lines += [f"#SBATCH {option}" for option in options]
    bin_folder = shlex.quote(str(Path(sys.executable).parent))
    setup = [*config.slurm.setup, f"PATH={bin_folder}:$PATH"]
    rest = re.sub(r"# module load.*\n# source.*\n", lambda _: "\n".join(setup) + "\n", rest)
    rest = rest.replace("${1:-spectro-mpi.toml}", shlex.quote(str(config.run_dir / JOB_SETTINGS)))
    if config.slurm.mpi:
        launch = f'LAUNCH="srun --kill-on-bad-exit=1 --mpi={config.slurm.mpi}"'
        rest = re.sub(r"^LAUNCH=.*$", launch, rest, flags=re.MULTILINE)
    return "\n".join(lines) + "\n" + rest


def _options(config: Config, ranks: int) -> Sequence[str]:
    """Options of sbatch that the settings ask for."""
    settings = config.slurm
    # A percent sign begins a pattern in the name of an output file.
    folder = str(config.run_dir / JOBS).replace("%", "%%")
    options = {
        "ntasks": str(ranks),
        "nodes": str(settings.nodes or ""),
        "time": settings.time,
        "partition": settings.partition,
        "account": settings.account,
        "output": shlex.quote(f"{folder}/%x-%j.log"),
    }
    return [f"--{name}={value}" for name, value in options.items() if value] + list(settings.extra)


def _record(run_dir: Path, submitted: Submitted) -> None:
    write_atomic(run_dir / JOB_RECORD, json.dumps(asdict(submitted)).encode())
