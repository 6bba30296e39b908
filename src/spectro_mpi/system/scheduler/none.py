"""No scheduler: a workstation, or a machine with an unknown batch system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from spectro_mpi.errors import Cause, UserError
from spectro_mpi.system.scheduler.base import Job, OwnJob, Script, Step


class NoScheduler:
    """A machine without a scheduler: there are no jobs, and `submit` raises `UserError`."""

    name = ""
    assets_template = run_template = report_template = submit_command = launch_hint = ""
    log_patterns: Mapping[Cause, str] = {}

    def is_here(self) -> bool:
        return True

    def own_job(self) -> OwnJob:
        return OwnJob()

    def own_step(self) -> Step | None:
        return None

    def end_of_own_job(self) -> float | None:
        return None

    def jobs(self, ids: Iterable[str]) -> dict[str, Job]:
        return {}

    def submit(self, script: Path, after: str = "", even_if_failed: bool = False) -> str:
        raise UserError(f"{script}: no scheduler was found on this machine; submit on a login node")

    def cancel(self, job: str) -> None: ...

    def ask_to_stop(self, job: str) -> None: ...

    def keep_from_requeue(self, job: str) -> None: ...

    def script(self, script: Script) -> str:
        return script.template
