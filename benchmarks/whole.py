"""Whole runs in processes of their own, as a user starts them, and what they took."""

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

HERE = Path(__file__).parent
CONFIG = "spectro-mpi.toml"

_DONE = re.compile(r"item (\w+): ([\w-]+) computed in ([\d.]+) s")


@dataclass(frozen=True)
class Rank:
    """What one_rank.py tells."""

    rank: int
    start: float
    work: float
    children: float
    peak: float
    child_peak: float

    @property
    def cpu(self) -> float:
        """s, its compute process included."""
        return self.start + self.work + self.children


@dataclass(frozen=True)
class Whole:
    """A process, or a job of several."""

    seconds: float
    """Wall time, from launch to exit."""
    cpu: float
    """s, of all its processes."""
    ranks: tuple[Rank, ...] = ()
    items: dict[str, dict[str, float]] = field(default_factory=dict)
    """Phase → item → s, by the logs."""
    out: str = ""


def run_ours(folder: Path, ranks: int, *settings: str, fast: bool = True) -> Whole:
    """One run on `ranks` MPI ranks over a demo's directory; `settings` are `-s` words.

    The demo's events and the report at the end are left out: the straightforward script makes
    none. `fast`: with the fast reader, if there is one.
    """
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-run-", dir=folder) as name:
        told = Path(name) / "told"
        told.mkdir()
        words = [f'output="{name}"', 'plot.events=""', "report.at_end=false", *settings]
        hidden = Path(name) / "hidden"
        hidden.mkdir()
        if not fast:
            (hidden / "pycdfpp.py").write_text("raise ImportError('hidden')")
        done = run_process(
            [launcher(), "-n", str(ranks), sys.executable, str(HERE / "one_rank.py"), str(told)]
            + ["run", str(folder / CONFIG), "--no-progress"]
            + [part for word in words for part in ("-s", word)],
            {"PYTHONPATH": f"{hidden}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        )
        of_ranks = [Rank(**json.loads(path.read_bytes())) for path in told.iterdir()]
        items: dict[str, dict[str, float]] = {}
        for log in Path(name).glob("*/logs/*.log"):
            for item, phase, seconds in _DONE.findall(log.read_text()):
                items.setdefault(phase, {})[item] = float(seconds)
    of_ranks.sort(key=lambda one: one.rank)
    return Whole(done.seconds, done.cpu, tuple(of_ranks), items)


def launcher() -> str:
    """The mpirun of the interpreter's environment, or else the PATH's."""
    beside = Path(sys.executable).parent
    return shutil.which("mpirun", path=f"{beside}{os.pathsep}{os.environ['PATH']}") or "mpirun"


def run_process(command: list[str], environment: Mapping[str, str] | None = None) -> Whole:
    """Run a command to its end, with more in its environment. Raises `RuntimeError` if it fails."""
    before, began = _children_cpu(), time.perf_counter()
    more = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=more)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return Whole(seconds, _children_cpu() - before, out=done.stdout)


def with_copies(folder: Path, copies: int) -> Path:
    """A directory of `copies` times the demo's orbits, by hard links: a longer run."""
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


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
