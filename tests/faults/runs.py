"""Real runs to damage: small input, a run to compare with, and what to look at afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.conftest import BIN, Finished, spectro_mpi
from tests.outputs import same_output

ROLES = {"coordinator": 0, "worker": 1, "writer": 2}
"""Role → its rank in a run of three."""
_RUN = "FAULTS_RUN"
"""Environment variable of all processes of a run: its directory."""


@dataclass(frozen=True)
class Bench:
    """Settings whose run takes a few seconds, and the run nobody disturbed."""

    settings: Path
    whole: Path
    """Its run directory."""

    def run_dir(self, name: str) -> Path:
        return self.whole.with_name(name)

    def arguments(self, name: str, *more: str) -> list[str]:
        return ["run", str(self.settings), "-s", f"run_id={name}", *more]

    def run(
        self, name: str, *more: str, ranks: int = 3, env: Mapping[str, str] | None = None
    ) -> Finished:
        """A run to its end."""
        marked = {**(env or {}), _RUN: str(self.run_dir(name))}
        return spectro_mpi(*self.arguments(name, *more), ranks=ranks, env=marked)

    def start(
        self, name: str, *more: str, ranks: int = 3, env: Mapping[str, str] | None = None
    ) -> Started:
        """A run that goes on while the test does things to it."""
        command = [str(BIN / "mpirun"), "-n", str(ranks), str(BIN / "spectro-mpi")]
        process = subprocess.Popen(
            [*command, *self.arguments(name, *more)],
            env={**os.environ, **(env or {}), _RUN: str(self.run_dir(name))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return Started(process, self.run_dir(name))

    def same_as_whole(self, name: str) -> None:
        """Figures, extrema and store values are those of the undisturbed run, byte for byte."""
        same_output(self.whole, self.run_dir(name))


@dataclass
class Started:
    """A run that goes on."""

    launcher: subprocess.Popen[str]
    run_dir: Path

    def wait_for(self, what: Callable[[], object], seconds: float = 60) -> None:
        """Wait until something is so; the run must not end before."""
        end = time.monotonic() + seconds
        while not what():
            assert self.launcher.poll() is None, self.launcher.communicate()
            assert time.monotonic() < end
            time.sleep(0.005)

    def wait_for_data(self) -> None:
        """Wait until the data of an item is on disk."""
        self.wait_for(lambda: any((self.run_dir / "data").glob("*/*/*.h5")))

    def pid_of(self, role: str) -> int:
        """Process id of a role's rank, by its log or the launcher's children."""
        return self.ranks()[ROLES[role]]

    def ranks(self) -> list[int]:
        """Process ids of the ranks, in order."""
        pids: dict[int, int] = {}
        for process in psutil.Process(self.launcher.pid).children(recursive=True):
            try:
                rank = process.environ().get("PMI_RANK")
            except psutil.Error:
                continue
            if rank is not None:
                pids.setdefault(int(rank), process.pid)  # its compute process comes after it
        return [pids[rank] for rank in sorted(pids)]

    def child(self) -> int:
        """Process id of the first worker's compute process, once it has one."""
        worker = psutil.Process(self.ranks()[ROLES["worker"]])
        alive: list[int] = []

        def is_there() -> bool:
            alive[:] = [
                child.pid for child in worker.children() if child.status() != psutil.STATUS_ZOMBIE
            ]
            return len(alive) == 1

        self.wait_for(is_there)
        return alive[0]

    def end(self, seconds: float = 60) -> Finished:
        """Wait for the end."""
        out, err = self.launcher.communicate(timeout=seconds)
        return Finished(self.launcher.returncode, out, err)


def progress_of(run_dir: Path) -> dict[str, dict[str, dict[str, str]]]:
    """The content of progress.json."""
    content: dict[str, dict[str, dict[str, str]]] = json.loads(
        (run_dir / "progress.json").read_text()
    )
    return content


def processes_of(run_dir: Path, seconds: float = 10) -> list[int]:
    """Processes of runs in this directory that are still there after so long."""
    end = time.monotonic() + seconds
    while True:
        pids = [process.pid for process in psutil.process_iter() if _run_of(process) == run_dir]
        if not pids or time.monotonic() > end:
            return pids
        time.sleep(0.05)


def _run_of(process: psutil.Process) -> Path | None:
    """The run directory of a process, by the environment that all of a run inherit."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        run_dir = process.environ().get(_RUN)
    except psutil.Error:
        return None
    return None if run_dir is None else Path(run_dir)
