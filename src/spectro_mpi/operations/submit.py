"""Start a run in the background: as jobs of a scheduler, or detached on this machine.

Job scripts are made from the templates in `jobs/`, which also work by hand, and the settings.
"""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

from annotated_types import Interval

from spectro_mpi.errors import UserError
from spectro_mpi.planning.simulate import MOST_RANKS_WITH_REPORT
from spectro_mpi.rundir.layout import JOB_NEXT, JOB_RECORD, JOB_SETTINGS, JOBS, LOCAL_LOG, LOGS
from spectro_mpi.rundir.lock import Owner, beginning_of
from spectro_mpi.rundir.names import JobId, is_job_id
from spectro_mpi.settings.parsing import as_type
from spectro_mpi.settings.paths import movable
from spectro_mpi.settings.schema import Config, JobSettings
from spectro_mpi.settings.versions import as_json, read_table
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.scheduler import Job, Scheduler, Script, current, named

_OVERSUBSCRIBE = {
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "true",
}
"""Coordinator and writer need no cores, but Open MPI counts them (first variable: version 5 and
later; second: earlier). MPICH ignores these variables."""
_MOST_JOBS = 1000
_MOST_ID = 1000


@dataclass(frozen=True)
class Submitted:
    """Jobs, or a local mpirun, that were started for a run; stored in its directory."""

    assets: JobId = ""
    """Id of the job that prepares the run."""
    run: JobId = ""
    """Id of the job that runs it."""
    scheduler: str = ""
    """Name of the scheduler of the jobs."""
    local: Annotated[int, Interval(ge=0, le=(1 << 31) - 1)] = 0
    """Process id of a local mpirun, the leader of its process group."""
    host: str = ""
    """Host of the local mpirun."""
    began: str = ""
    """Its `beginning_of`: the system may have given the id to another process."""
    report: JobId = ""
    """Id of the job that makes the report; empty: the run makes it."""

    @property
    def is_running_here(self) -> bool:
        """Whether the local mpirun is running, on this host."""
        on_this_host = bool(self.local) and self.host == os.uname().nodename
        return on_this_host and beginning_of(self.local) == self.began != ""


def scripts_of(config: Config, ranks: int, scheduler: Scheduler) -> dict[str, str]:
    """The job scripts of a run: name → text."""
    names = scheduler.assets_template, scheduler.run_template
    scripts = {name: _script(name, config, ranks, scheduler) for name in names}
    if has_report_job(config, ranks, scheduler):
        scripts[scheduler.report_template] = _report_script(config, scheduler)
    return scripts


def has_report_job(config: Config, ranks: int, scheduler: Scheduler) -> bool:
    """Whether a job of its own makes the report, so that many ranks need not wait for it."""
    return config.report.at_end and ranks > MOST_RANKS_WITH_REPORT and bool(_report_of(scheduler))


def submit(config: Config, ranks: int, scheduler: Scheduler) -> Submitted:
    """Submit the job that prepares a run and, depending on it, the job of the run.

    On many ranks the run makes no report; a job of one task that depends on it does. Raises
    `UserError` if the scheduler refuses a job; those submitted before it are then cancelled.
    """
    apart = has_report_job(config, ranks, scheduler)
    report = replace(config.report, at_end=config.report.at_end and not apart)
    _write_settings(replace(config, report=report))
    for name, script in scripts_of(config, ranks, scheduler).items():
        write_atomic(config.run_dir / JOBS / name, script.encode())
    folder = config.run_dir / JOBS
    assets = scheduler.submit(folder / scheduler.assets_template)
    run = reporting = ""
    try:
        run = scheduler.submit(folder / scheduler.run_template, after=assets)
        if apart:
            last = folder / scheduler.report_template
            reporting = scheduler.submit(last, after=run, even_if_failed=True)
    except UserError:
        for job in filter(None, (run, assets)):
            scheduler.cancel(job)
        raise
    submitted = Submitted(assets, run, scheduler.name, report=reporting)
    _record(config.run_dir, submitted)
    return submitted


def start_here(config: Config, ranks: int) -> Submitted:
    """Start the run on this machine, detached; its output goes to `logs/local.log`.

    Raises `UserError` if there is no mpirun.
    """
    bin_folder = Path(sys.executable).parent
    mpirun = shutil.which("mpirun", path=f"{bin_folder}:{os.environ.get('PATH', '')}")
    if mpirun is None:
        raise UserError("mpirun was not found; install it with pip install 'spectro-mpi[mpich]'")
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
    """What was started for a run; an empty `Submitted` if nothing is recorded.

    Raises `NewerVersionError` if a newer version recorded it.
    """
    try:
        record = read_table(run_dir / JOB_RECORD)
        if "pregenerate" in record:  # written by version 0.1
            record["assets"] = record.pop("pregenerate")
            record["scheduler"] = "slurm" if record["run"] else ""
        submitted = as_type(Submitted, record)
        return replace(
            submitted,
            assets=_latest(run_dir, submitted.assets),
            run=_latest(run_dir, submitted.run),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return Submitted()


def _latest(run_dir: Path, job: str) -> str:
    """The job that continues a job, where the scheduler's scripts submit the next one."""
    for _ in range(_MOST_JOBS):
        try:
            with (run_dir / JOBS / f"{job}{JOB_NEXT}").open(encoding="utf-8") as file:
                following = file.read(_MOST_ID).strip()
        except (OSError, ValueError):
            break
        if not job or not following or not is_job_id(following):
            break
        job = following
    return job


def scheduler_of(submitted: Submitted) -> Scheduler:
    """The scheduler of the jobs of a run; that of this machine if no job was submitted.

    Raises `UserError` if this installation does not have it.
    """
    return named(submitted.scheduler) if submitted.scheduler else current()


def jobs_of(submitted: Submitted, owner: Owner | None) -> tuple[dict[str, Job], str]:
    """(id → job, why nothing is known of them) of the jobs of a run; the second empty if known."""
    ids = [submitted.assets, submitted.run, submitted.report, owner.job if owner else ""]
    ids = list(dict.fromkeys(job for job in ids if job))
    try:
        return (scheduler_of(submitted).jobs(ids) if ids else {}), ""
    except UserError as error:
        return {}, f"jobs {', '.join(ids)}: {error}"


def _write_settings(config: Config) -> None:
    """Write the settings for the jobs into `jobs/` of the run directory."""
    (config.run_dir / JOBS).mkdir(parents=True, exist_ok=True)
    stored = movable(config, config.run_dir / JOBS, config.plot.events)
    write_atomic(config.run_dir / JOB_SETTINGS, stored.to_toml().encode())


def _report_of(scheduler: Scheduler) -> str:
    """Name of the script of the report; empty if a scheduler of another package has none."""
    return getattr(scheduler, "report_template", "")


def _report_script(config: Config, scheduler: Scheduler) -> str:
    """The script of the report: one task, so that options for ranks and nodes do not apply."""
    settings = config.job_settings(scheduler.name)
    return _script(scheduler.report_template, config, 1, scheduler, replace(settings, nodes=1))


def _script(
    template: str,
    config: Config,
    ranks: int,
    scheduler: Scheduler,
    settings: JobSettings | None = None,
) -> str:
    settings = settings or config.job_settings(scheduler.name)
    return scheduler.script(
        Script(
            _template(template, scheduler),
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


def _template(name: str, scheduler: Scheduler) -> str:
    """A script of `jobs/`: in the package, at the top of a clone, or beside the scheduler."""
    package = Path(__file__).parents[1]
    beside = Path(inspect.getfile(type(scheduler))).parent
    for folder in (package / JOBS, package.parents[1] / JOBS, beside):
        if (folder / name).exists():
            return (folder / name).read_text(encoding="utf-8")
    raise UserError(f"job script {name} of scheduler {scheduler.name} was not found in {beside}")


def _record(run_dir: Path, submitted: Submitted) -> None:
    write_atomic(run_dir / JOB_RECORD, as_json(asdict(submitted)))
