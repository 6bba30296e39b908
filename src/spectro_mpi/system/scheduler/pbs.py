"""The scheduler PBS Professional, also as OpenPBS.

Forms of commands and output are those of its manual, named in brackets: qsub(1B), qstat(1B),
qalter(1B), qsig(1B), qdel(1B), qrerun(1B), pbs_job_attributes(7B), pbs_resources(7B) of OpenPBS 23.

A user may not put a running job back into the queue [qrerun(1B): "PBS Manager or Operator
privilege is required"]. Instead, the script of a job that stopped early submits the next one, and
writes its id into the file `JOB.next` beside its log. It does so only while its job may be rerun
(attribute `Rerunable`, which its owner may change at any time).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spectro_mpi.errors import Cause
from spectro_mpi.system.scheduler.base import Job, OwnJob, Script, Step
from spectro_mpi.system.scheduler.commands import answer, submitted
from spectro_mpi.system.scheduler.walltime import seconds_of

_STATES = {
    "B": "BEGUN",
    "E": "EXITING",
    "F": "FINISHED",
    "H": "HELD",
    "M": "MOVED",
    "Q": "QUEUED",
    "R": "RUNNING",
    "S": "SUSPENDED",
    "T": "TRANSITING",
    "U": "SUSPENDED",
    "W": "WAITING",
    "X": "FINISHED",
}
"""Letter of a state → its name [qstat(1B), "Job Status in Default Format"]."""
_WAITING = "HQTW"
_ON_NODES = "BERSU"
_VERDICTS: Mapping[int, Cause] = {-29: "wall-time", -27: "out-of-memory", -26: "out-of-memory"}
"""Exit status of a job that PBS ended → why (src/include/job.h of OpenPBS: JOB_EXEC_KILL_…)."""
_SIGNALLED = 256
"""Added to the number of the signal that ended a job [User's Guide, "Job Exit Status Codes"]."""
_RESTARTS = "SPECTRO_MPI_RESTARTS"
"""Environment variable with which a script tells the next job how many were before it."""
_TIME = "%a %b %d %H:%M:%S %Y"
"""As in "Fri Nov 11 17:57:05 2016" [qstat(1B), option -F dsv]."""


class Pbs:
    """Uses the commands of PBS, and the environment variables that it sets in jobs."""

    name = "pbs"
    assets_template = "assets.pbs"
    run_template = "run.pbs"
    report_template = ""  # a job that goes on is another one, which no dependency can name ahead
    submit_command = "qsub"
    launch_hint = ""  # mpirun starts the ranks
    log_patterns: Mapping[Cause, str] = {
        "wall-time": r"PBS: job killed: walltime \d+ exceeded limit",
        "out-of-memory": r"PBS: job killed: v?mem \S+ exceeded limit",
    }

    def is_here(self) -> bool:
        # Torque, Grid Engine and wrappers of other schedulers also have a qsub.
        if shutil.which(self.submit_command) is None:
            return False
        configuration = os.environ.get("PBS_CONF_FILE", "/etc/pbs.conf")
        return shutil.which("pbs_rstat") is not None or Path(configuration).is_file()

    def own_job(self) -> OwnJob:
        restarts = os.environ.get(_RESTARTS, "")
        job = os.environ.get("PBS_JOBID", "")
        # The name of the server is a part of the id.
        return OwnJob(job, int(restarts) if restarts.isdecimal() and job else 0)

    def own_step(self) -> Step | None:
        return None  # PBS has no launcher of its own

    def end_of_own_job(self) -> float | None:
        job = self.own_job().id
        attributes = _attributes([job]).get(job, {}) if job else {}
        resources = attributes.get("Resource_List")
        walltime = resources.get("walltime") if isinstance(resources, dict) else None
        try:
            return _seconds_since_1970(attributes["stime"]) + seconds_of(str(walltime))
        except (KeyError, ValueError, OverflowError):
            return None

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        return {job: _job(attributes) for job, attributes in _attributes(ids).items()}

    def submit(self, script: Path, after: str = "", even_if_failed: bool = False) -> str:
        # If job `after` ends with an error, PBS deletes the other [qsub(1B), -W depend].
        condition = "afterany" if even_if_failed else "afterok"
        options = ["-W", f"depend={condition}:{after}"] if after else []
        return submitted(["qsub", *options], script)

    def cancel(self, job: str) -> None:
        answer("qdel", job)

    def ask_to_stop(self, job: str) -> None:
        self.keep_from_requeue(job)
        answer("qsig", "-s", "SIGUSR1", job)

    def keep_from_requeue(self, job: str) -> None:
        answer("qalter", "-r", "n", job)

    def script(self, script: Script) -> str:
        head, last, rest = script.template.rpartition("\n#PBS ")
        last, _, rest = rest.partition("\n")
        options = _options(script)
        replaced = {" ".join(option.split("=")[0].split()) for option in options}
        # Without a time in the settings, the default of the queue applies, not the template's.
        replaced |= {"-l walltime", "-l select"}
        lines = [
            line
            for line in f"{head}\n#PBS {last}".splitlines()
            if not line.startswith("#PBS ") or _name_of(line.removeprefix("#PBS ")) not in replaced
        ]
        lines += [f"#PBS {option}" for option in options]
        setup = [*script.setup, f"PATH={shlex.quote(str(script.bin_folder))}:$PATH"]
        rest = re.sub(r"# module load.*\n# source.*\n", lambda _: "\n".join(setup) + "\n", rest)
        logs = shlex.quote(str(script.log_folder))
        for name, value in (
            ("SETTINGS=${SETTINGS:-spectro-mpi.toml}", shlex.quote(str(script.settings))),
            ("LOGS=${LOGS:-.}", logs),
            (f"SCRIPT=${{SCRIPT:-jobs/{self.assets_template}}}", f"{logs}/{self.assets_template}"),
            (f"SCRIPT=${{SCRIPT:-jobs/{self.run_template}}}", f"{logs}/{self.run_template}"),
        ):
            rest = rest.replace(name, f"{name.partition('=')[0]}={value}")
        return "\n".join(lines) + "\n" + rest


def _options(script: Script) -> list[str]:
    """Options of qsub for `#PBS` lines [qsub(1B), "Requesting Resources and Placing Jobs"]."""
    options = [f"-l select={_select(script.ranks, script.nodes)}"]
    if script.time:
        options.append(f"-l walltime={_clock(seconds_of(script.time))}")
    if script.partition:
        options.append(f"-q {shlex.quote(script.partition)}")
    if script.account:
        options.append(f"-A {shlex.quote(script.account)}")
    # What PBS itself writes, such as why it killed the job; the script has a log of its own.
    name = re.search(r"^#PBS -N (\S+)", script.template, re.MULTILINE)
    path = script.log_folder / f"{name[1] if name else 'job'}-pbs.log"
    options.append(f"-o {shlex.quote(str(path))}")
    return [*options, *script.extra]


def _select(ranks: int, nodes: int) -> str:
    """Chunks with a core for each rank, wherever there is room, or spread evenly over nodes."""
    if not nodes:
        return f"{ranks}:ncpus=1:mpiprocs=1"
    each, more = divmod(ranks, nodes)
    chunks = [(more, each + 1), (nodes - more, each)]
    return "+".join(f"{n}:ncpus={size}:mpiprocs={size}" for n, size in chunks if n and size)


def _name_of(option: str) -> str:
    """What an option sets: "-l walltime" of "-l walltime=01:00:00", "-q" of "-q normal"."""
    flag, _, value = option.partition(" ")
    return f"{flag} {value.partition('=')[0].strip()}" if "=" in value else flag


def _clock(seconds: float) -> str:
    """A duration in the notation of PBS, HH:MM:SS."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest:02d}"


def _attributes(ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Job id → attributes, for those of `ids` that PBS still knows, as they are given.

    [qstat(1B): -f -F json; -x shows finished jobs, too, if the server keeps their history.]
    """
    ids = [job for job in ids if job]
    if not ids or shutil.which("qstat") is None:
        return {}
    try:
        jobs = json.loads(answer("qstat", "-x", "-f", "-F", "json", *ids))["Jobs"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(jobs, dict):
        return {}
    known = {name: each for name, each in jobs.items() if isinstance(each, dict)}
    # The answer has the full id, with the name of the server.
    numbers = {name.partition(".")[0]: each for name, each in known.items()}
    found = {job: known.get(job) or numbers.get(job.partition(".")[0]) for job in ids}
    return {job: each for job, each in found.items() if each is not None}


def _job(attributes: Mapping[str, Any]) -> Job:
    letter = str(attributes.get("job_state", ""))[:1]
    variables = attributes.get("Variable_List")
    before = variables.get(_RESTARTS) if isinstance(variables, dict) else 0
    # The run count is 1 during the first run [pbs_job_attributes(7B): run_count].
    restarts = _whole(before) + max(0, _whole(attributes.get("run_count")) - 1)
    status = attributes.get("Exit_status")
    verdict = _VERDICTS.get(status) if isinstance(status, int) else None
    if isinstance(status, int) and status == _SIGNALLED + 15:
        verdict = "cancelled"
    return Job(
        _STATES.get(letter, letter or "UNKNOWN"),
        bool(letter) and letter in _WAITING,
        bool(letter) and letter in _ON_NODES,
        restarts,
        verdict,
    )


def _whole(value: Any) -> int:
    """A number that PBS may write as text; 0 if it is none."""
    return int(value) if str(value).isdecimal() and len(str(value)) < 10 else 0


def _seconds_since_1970(value: Any) -> float:
    if isinstance(value, int):
        return float(value)
    return time.mktime(time.strptime(str(value), _TIME))
