"""CPU and memory of a rank, start and end included, with tasks that sleep; against a revision.

Usage: python benchmarks/sleeping.py REVISION [--runs 1] [--ranks 64] [--json]

Runs of 2, 4, 16 and 64 ranks, up to `--ranks`, have one phase, of which each worker gets two tasks
of half a second. Both sides are installed with compiled modules, beside the same packages. Memory
is the largest sum of the proportional set sizes of all processes of a run, divided by the number
of ranks: what is shared, such as the modules of a rank and its compute process, counts once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from against import git, install, installed
from common import Row, benchmark
from increment import add, write_contents
from whole import BENCHMARKS, children_cpu, launcher

_RANKS = (2, 4, 16, 64)
_TASKS, _TASK_SECONDS = 2, 0.5
_LOOK_SECONDS = 0.2
_PHASE = f"""
import time

from spectro_mpi import Outputs, Phase


class Sleep(Phase):
    name = "sleep"

    def run(self, item, inputs, context):
        time.sleep({_TASK_SECONDS})
        return Outputs()
"""
_SETTINGS = """
input = "FAST_data"
phases = ["sleep.py:Sleep"]
[report]
at_end = false
"""


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return CPU seconds and MB of a rank."""
    commit = git("rev-parse", "--verify", f"{arguments.revision}^{{commit}}").strip()
    rows = []
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-sleeping-") as name:
        folder = Path(name)
        install(BENCHMARKS.parent, folder / "package")
        sides = {"ours": folder / "package", "other": installed(commit)}
        for ranks in (number for number in _RANKS if number <= arguments.ranks):
            settings = _settings(folder / str(ranks), _TASKS * max(1, ranks - 2))
            taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
            for turn in range(arguments.runs):
                for side in sorted(sides, reverse=turn % 2 == 1):
                    taken[side].append(_run(settings, sides[side], ranks))
            for place, what, unit in ((0, "CPU", "s"), (1, "memory", "MB")):
                ours, other = (
                    statistics.median(each[place] for each in taken[side]) / ranks for side in sides
                )
                rows.append(Row(f"{ranks} ranks, {what} of each", unit, ours, other, commit[:7]))
    return rows


def _settings(folder: Path, items: int) -> Path:
    """Settings of a run with so many items, beside its input; returns their path."""
    (folder / "FAST_data").mkdir(parents=True)
    contents = write_contents(folder / "contents")
    for number in range(items):
        add(folder, contents, number)
    (folder / "sleep.py").write_text(_PHASE)
    path = folder / "sleeping.toml"
    path.write_text(_SETTINGS)
    return path


def _run(settings: Path, package: Path, ranks: int) -> tuple[float, float]:
    """CPU seconds and MB of a run. Raises `CalledProcessError` if it fails."""
    with tempfile.TemporaryDirectory(prefix="runs-", dir=settings.parent) as output:
        command = [launcher(), "-n", str(ranks), sys.executable, "-m", "spectro_mpi", "run"]
        command += [str(settings), "--no-progress", "-s", f'output="{output}"']
        environment = {**os.environ, "PYTHONPATH": str(package)}
        before, most = children_cpu(), 0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
            while process.poll() is None:
                most = max(most, sum(_sizes(process.pid)))
                time.sleep(_LOOK_SECONDS)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return children_cpu() - before, most / 1e6


def _sizes(pid: int) -> Iterator[int]:
    """The proportional set sizes of a process and all below it, bytes."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                yield each.memory_full_info().pss


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=1, revision=True, ranks=64)
