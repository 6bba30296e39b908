"""The scheduler Slurm."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from spectro_mpi.errors import Cause
from spectro_mpi.system.scheduler.base import Job, OwnJob, Script, Step
from spectro_mpi.system.scheduler.commands import answer, submitted

_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
_ON_NODES = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
_VERDICTS: Mapping[str, Cause] = {
    "TIMEOUT": "wall-time",
    "DEADLINE": "wall-time",
    "OUT_OF_MEMORY": "out-of-memory",
    "NODE_FAIL": "node-lost",
    "CANCELLED": "cancelled",
    "PREEMPTED": "cancelled",
}


class Slurm:
    """Uses the commands of Slurm, and the environment variables that it sets in jobs."""

    name = "slurm"
    assets_template = "assets.sbatch"
    run_template = "run.sbatch"
    report_template = "report.sbatch"
    submit_command = "sbatch"
    launch_hint = "srun --mpi=pmi2 (MPICH) or srun --mpi=pmix (Open MPI), and --kill-on-bad-exit=1"
    log_patterns: Mapping[Cause, str] = {
        "wall-time": r"DUE TO TIME LIMIT",
        "node-lost": r"DUE TO NODE FAILURE|NODE_FAIL",
        "out-of-memory": r"oom[-_]kill|OUT_OF_MEMORY",
        "cancelled": r"CANCELLED AT|DUE TO PREEMPTION",
    }

    def is_here(self) -> bool:
        return "SLURM_JOB_ID" in os.environ or shutil.which(self.submit_command) is not None

    def own_job(self) -> OwnJob:
        restarts = os.environ.get("SLURM_RESTART_COUNT", "")
        return OwnJob(
            os.environ.get("SLURM_JOB_ID", ""),
            int(restarts) if restarts.isdecimal() else 0,
            os.environ.get("SLURM_CLUSTER_NAME", ""),
        )

    def own_step(self) -> Step | None:
        # A batch script runs outside srun: its process is not one of the job's tasks.
        ranks, rank = os.environ.get("SLURM_NTASKS", ""), os.environ.get("SLURM_PROCID", "")
        if "SLURM_STEP_ID" not in os.environ:
            return None
        return Step(int(ranks) if ranks.isdecimal() else 1, int(rank) if rank.isdecimal() else 0)

    def end_of_own_job(self) -> float | None:
        job = self.own_job().id
        if not job:
            return None
        known = os.environ.get("SLURM_JOB_END_TIME", "")
        if known.isdecimal():
            return float(known)
        end = answer("squeue", "-h", "-j", job, "-o", "%e").strip()
        try:
            return time.mktime(time.strptime(end, "%Y-%m-%dT%H:%M:%S"))
        except ValueError:
            return None

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        ids = [job for job in ids if job]
        if not ids or shutil.which("squeue") is None:
            return {}
        columns = "JobID:40,State:40,RestartCnt:40"
        lines = answer("squeue", "-h", "-t", "all", "-O", columns, "-j", ",".join(ids))
        rows = [line.split() for line in lines.splitlines()]
        return {row[0]: _job(row[1], int(row[2])) for row in rows if len(row) == 3}

    def submit(self, script: Path, after: str = "", even_if_failed: bool = False) -> str:
        condition = "afterany" if even_if_failed else "afterok"
        options = [f"--dependency={condition}:{after}", "--kill-on-invalid-dep=yes"]
        command = ["sbatch", "--parsable", *(options if after else [])]
        return submitted(command, script).partition(";")[0]

    def cancel(self, job: str) -> None:
        answer("scancel", job)

    def ask_to_stop(self, job: str) -> None:
        self.keep_from_requeue(job)
        answer("scancel", "--batch", "--signal=USR1", job)

    def keep_from_requeue(self, job: str) -> None:
        answer("scontrol", "update", f"JobId={job}", "Requeue=0")

    def script(self, script: Script) -> str:
        head, last, rest = script.template.rpartition("\n#SBATCH ")
        last, _, rest = rest.partition("\n")
        options = _options(script)
        replaced = {option.partition("=")[0] for option in options}
        # Without a time in the settings, the default of the partition applies, not the template's.
        replaced.add("--time")
        lines = [
            line
            for line in f"{head}\n#SBATCH {last}".splitlines()
            if not line.startswith("#SBATCH ") or line.split()[1].partition("=")[0] not in replaced
        ]
        lines += [f"#SBATCH {option}" for option in options]
        setup = [*script.setup, f"PATH={shlex.quote(str(script.bin_folder))}:$PATH"]
        rest = re.sub(r"# module load.*\n# source.*\n", lambda _: "\n".join(setup) + "\n", rest)
        rest = rest.replace("${1:-spectro-mpi.toml}", shlex.quote(str(script.settings)))
        if script.mpi:
            launch = shlex.quote(f"srun --kill-on-bad-exit=1 --mpi={script.mpi}")
            rest = re.sub(r"^LAUNCH=.*$", lambda _: f"LAUNCH={launch}", rest, flags=re.MULTILINE)
        return "\n".join(lines) + "\n" + rest


def _options(script: Script) -> list[str]:
    """Options of sbatch for `#SBATCH` lines."""
    # A percent sign starts a pattern in the name of an output file.
    folder = str(script.log_folder).replace("%", "%%")
    options = {
        "ntasks": str(script.ranks),
        "nodes": str(script.nodes or ""),
        "time": shlex.quote(script.time) if script.time else "",
        "partition": shlex.quote(script.partition) if script.partition else "",
        "account": shlex.quote(script.account) if script.account else "",
        "output": shlex.quote(f"{folder}/%x-%j.log"),
    }
    return [f"--{name}={value}" for name, value in options.items() if value] + list(script.extra)


def _job(state: str, restarts: int) -> Job:
    # After the word, Slurm may add who cancelled the job.
    verdict = next((cause for word, cause in _VERDICTS.items() if state.startswith(word)), None)
    return Job(state, state in _WAITING, state in _ON_NODES, restarts, verdict)
