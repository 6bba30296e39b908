"""Whole runs in separate processes, as a user starts them, and the time they take."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BENCHMARKS = Path(__file__).parent
CONFIG = "spectro-mpi.toml"

_DONE = re.compile(r"item (\w+): ([\w-]+) computed in ([\d.]+) s")


@dataclass(frozen=True)
class Rank:
    """Time (s) and memory (MB) of one rank, from one_rank.py."""

    rank: int
    start: float
    work: float
    children: float
    peak: float
    child_peak: float

    @property
    def cpu(self) -> float:
        """CPU seconds, including the compute process."""
        return self.start + self.work + self.children


@dataclass(frozen=True)
class Whole:
    """Time of one process, or of a job of several."""

    seconds: float
    """Wall time, from launch to exit."""
    cpu: float
    """CPU seconds of all its processes."""
    ranks: tuple[Rank, ...] = ()
    items: dict[str, dict[str, float]] = field(default_factory=dict)
    """Phase → item → seconds, from the logs."""
    out: str = ""


def run_ours(folder: Path, ranks: int, *settings: str, fast: bool = True) -> Whole:
    """Run the demo in `folder` on `ranks` MPI ranks; `settings` are values of `-s`.

    The run has no events and no report at the end, because the straightforward script makes
    none. `fast` uses the fast reader, if it is installed. Raises `RuntimeError` if the run fails.
    """
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-run-", dir=folder) as name:
        usage = Path(name) / "usage"
        usage.mkdir()
        overrides = [f'output="{name}"', 'plot.events=""', "report.at_end=false", *settings]
        hidden = Path(name) / "hidden"
        hidden.mkdir()
        if not fast:
            (hidden / "pycdfpp.py").write_text("raise ImportError('hidden')")
        done = run_process(
            [
                launcher(),
                "-n",
                str(ranks),
                sys.executable,
                str(BENCHMARKS / "one_rank.py"),
                str(usage),
            ]
            + ["run", str(folder / CONFIG), "--no-progress"]
            + [part for override in overrides for part in ("-s", override)],
            {"PYTHONPATH": f"{hidden}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        )
        of_ranks = [Rank(**json.loads(path.read_bytes())) for path in usage.iterdir()]
        items: dict[str, dict[str, float]] = {}
        for log in Path(name).glob("*/logs/*.log"):
            for item, phase, seconds in _DONE.findall(log.read_text()):
                items.setdefault(phase, {})[item] = float(seconds)
    of_ranks.sort(key=lambda rank: rank.rank)
    return Whole(done.seconds, done.cpu, tuple(of_ranks), items)


def launcher() -> str:
    """Return the mpirun beside the Python interpreter, or else the one on PATH."""
    beside = Path(sys.executable).parent
    return shutil.which("mpirun", path=f"{beside}{os.pathsep}{os.environ['PATH']}") or "mpirun"


def run_process(command: list[str], environment: Mapping[str, str] | None = None) -> Whole:
    """Run a command with additional `environment`. Raises `RuntimeError` if it fails."""
    before, began = children_cpu(), time.perf_counter()
    more = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=more)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return Whole(seconds, children_cpu() - before, out=done.stdout)


def with_copies(folder: Path, copies: int) -> Path:
    """Return a directory with `copies` times the orbits of the demo, as hard links."""
    larger = folder / f"times-{copies}"
    if larger.exists():
        return larger
    (larger / "FAST_data").mkdir(parents=True)
    shutil.copy(folder / CONFIG, larger / CONFIG)
    (larger / "events.csv").write_text("orbit,start,end\n")
    files = sorted((folder / "FAST_data").rglob("fa_esa_l2_*.cdf"))
    for copy in range(copies):
        for path in files:
            parts = path.stem.split("_")
            parts[5] = f"{int(parts[5]) + 1000 * copy:05d}"
            os.link(path, larger / "FAST_data" / f"{'_'.join(parts)}.cdf")
    return larger


def children_cpu() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
