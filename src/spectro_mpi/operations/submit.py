"""Starting a run that goes on by itself: as jobs of a scheduler, or detached on this machine.

Job scripts come from `jobs/`, which people also use by hand; what the settings say is put into
them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.rundir.layout import JOB_RECORD, JOB_SETTINGS, JOBS, LOCAL_LOG, LOGS
from spectro_mpi.rundir.lock import beginning_of
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.scheduler import Scheduler, Script, current, named

_OVERSUBSCRIBE = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "true",
}
"""Coordinator and writer need no cores, but Open MPI counts (5 and later, before); MPICH does not
read these."""


@dataclass(frozen=True)
class Submitted:
    """What was started for a run, as kept in its directory."""

    assets: str = ""
    """Id of the job that prepares the run."""
    run: str = ""
    """Id of the job that runs it."""
    scheduler: str = ""
    """Whose jobs they are."""
    local: int = 0
    """Process id of a local mpirun, which leads a process group."""
    host: str = ""
    """Where the local mpirun runs."""
    began: str = ""
    """When it began (see rundir/lock.py): its id alone may belong to another by now."""

    @property
    def is_running_here(self) -> bool:
        """Whether the local mpirun is there, on this host."""
        here = bool(self.local) and self.host == os.uname().nodename
        return here and beginning_of(self.local) == self.began != ""


def scripts_of(config: Config, ranks: int, scheduler: Scheduler) -> dict[str, str]:
    """Job scripts of a run with the settings in them: name → content."""
    names = scheduler.assets_template, scheduler.run_template
    return {name: _script(name, config, ranks, scheduler) for name in names}


def submit(config: Config, ranks: int, scheduler: Scheduler) -> Submitted:
    """Submit what prepares the run, and the run after it. Raises `UserError` if refused."""
    _write_settings(config)
    for name, script in scripts_of(config, ranks, scheduler).items():
        write_atomic(config.run_dir / JOBS / name, script.encode())
    folder = config.run_dir / JOBS
    first = scheduler.submit(folder / scheduler.assets_template)
    try:
        then = scheduler.submit(folder / scheduler.run_template, after=first)
    except UserError:
        scheduler.cancel(first)
        raise
    submitted = Submitted(assets=first, run=then, scheduler=scheduler.name)
    _record(config.run_dir, submitted)
    return submitted


def start_here(config: Config, ranks: int) -> Submitted:
    """Start the run on this machine, detached; its output goes to `logs/local.log`.

    Raises `UserError` if there is no mpirun.
    """
    here = Path(sys.executable).parent
    mpirun = shutil.which("mpirun", path=f"{here}:{os.environ.get('PATH', '')}")
    if mpirun is None:
        raise UserError("there is no mpirun; pip install 'spectro-mpi[mpich]' brings one")
    _write_settings(config)
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
        record: dict[str, Any] = json.loads((run_dir / JOB_RECORD).read_bytes())
        if "pregenerate" in record:  # as 0.1 wrote it
            record["assets"] = record.pop("pregenerate")
            record["scheduler"] = "slurm" if record["run"] else ""
        return Submitted(**record)
    except (OSError, ValueError, TypeError, KeyError):
        return Submitted()


def scheduler_of(submitted: Submitted) -> Scheduler:
    """The scheduler that the jobs of a run are in; that of this machine where none was submitted.

    Raises `UserError` where this installation does not know it.
    """
    return named(submitted.scheduler) if submitted.scheduler else current()


def _write_settings(config: Config) -> None:
    """Write the settings that jobs use into the run directory's `jobs/`."""
    (config.run_dir / JOBS).mkdir(parents=True, exist_ok=True)
    write_atomic(config.run_dir / JOB_SETTINGS, config.to_toml().encode())


def _script(template: str, config: Config, ranks: int, scheduler: Scheduler) -> str:
    settings = config.job_settings(scheduler.name)
    return scheduler.script(
        Script(
            _template(template),
            config.run_dir / JOB_SETTINGS,
            Path(sys.executable).parent,
            config.run_dir / JOBS,
            ranks,
            settings.nodes,
            settings.time,
            settings.partition,
            settings.account,
            settings.mpi,
            settings.extra,
            settings.setup,
        )
    )


def _template(name: str) -> str:
    """A script of `jobs/`: beside the package where it is installed, in a clone at its top."""
    package = Path(__file__).parents[1]
    for folder in (package / JOBS, package.parents[1] / JOBS):
        if (folder / name).exists():
            return (folder / name).read_text(encoding="utf-8")
    raise UserError(f"{name}: is missing from this installation of spectro-mpi")


def _record(run_dir: Path, submitted: Submitted) -> None:
    write_atomic(run_dir / JOB_RECORD, json.dumps(asdict(submitted)).encode())
