"""What a run costs before and after its items, compared with another revision.

Usage: python benchmarks/start.py REVISION [--runs 5] [--ranks 4] [--json]

Both sides are installed, with compiled modules, beside the same packages. They run one orbit, one
instrument and one small figure on 4 ranks: nearly all that such a run does is to start and to end.
Then four orbits with figures of full size and the page, for which only the CPU is measured.
Calls to the file system are those that strace counts as such (`-e trace=%file`), by all processes,
also those of MPI. "Of files": without /proc, /sys and /dev, which no file server sees. strace must
be installed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from against import SETTINGS, git, install, installed
from common import Row, benchmark, sample_data
from whole import BENCHMARKS, launcher, run_process

from spectro_mpi.demo.orbits import FIRST_ORBIT

_HALF = 2.0
_WHOLE = 1 / 0.58
_CHANGES = (
    ("dpi = 200", "dpi = 40"),
    ('limits = ["given_extrema", "raw"]', 'limits = ["given_extrema"]'),
    ('kinds = ["pitch-angle", "instrument-grid"]', 'kinds = ["pitch-angle"]'),
    ('isolation = "none"', 'isolation = "process"'),
    ('events = ""', f'events = ""\n\n[select]\norbits = "{FIRST_ORBIT}"\ninstruments = ["ees"]'),
)
_WHOLE_CHANGES = (
    ('isolation = "none"', 'isolation = "process"'),
    ("at_end = false", "at_end = true"),
)
_ORBITS = 4
_VIRTUAL = re.compile(r'"/(proc|sys|dev)/')
_FAILED = re.compile(r"= -1 E")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return the calls of one run of each side, and the medians of CPU seconds."""
    if shutil.which("strace") is None:
        raise SystemExit("strace is not installed; calls to the file system cannot be counted")
    commit = git("rev-parse", "--verify", f"{arguments.revision}^{{commit}}").strip()
    with (
        tempfile.TemporaryDirectory(prefix="spectro-mpi-start-") as name,
        sample_data(arguments.data, _ORBITS) as folder,
    ):
        ours = Path(name) / "package"
        install(BENCHMARKS.parent, ours)
        path = _settings(folder / "start.toml", _CHANGES)
        whole_path = _settings(folder / "whole.toml", _WHOLE_CHANGES)
        sides = {"ours": ours, "other": installed(commit)}
        for package in sides.values():
            _run(path, package, arguments.ranks)  # so that all is in the page cache
        cpu = _cpu(path, sides, arguments)
        whole = _cpu(whole_path, sides, arguments)
        traces = {side: _trace(path, sides[side], arguments.ranks) for side in sides}
    counts = {
        "file-system calls": {side: len(lines) for side, lines in traces.items()},
        "of files": {
            side: sum(not _VIRTUAL.search(line) for line in lines) for side, lines in traces.items()
        },
        "failed calls": {
            side: sum(bool(_FAILED.search(line)) for line in lines)
            for side, lines in traces.items()
        },
    }
    rows = [
        Row(what, "calls", of["ours"], of["other"], commit[:7], at_least=_HALF)
        for what, of in counts.items()
    ]
    what = f"CPU, {_ORBITS} orbits and page"
    return [
        Row("CPU", "s", cpu["ours"], cpu["other"], commit[:7], at_least=_HALF),
        Row(what, "s", whole["ours"], whole["other"], commit[:7], at_least=_WHOLE),
        *rows,
    ]


def _settings(path: Path, changes: Sequence[tuple[str, str]]) -> Path:
    """Write the settings of a run, with changes; returns their path."""
    settings = SETTINGS
    for before, after in changes:
        assert before in settings, before
        settings = settings.replace(before, after)
    path.write_text(settings, encoding="utf-8")
    return path


def _cpu(settings: Path, sides: dict[str, Path], arguments: argparse.Namespace) -> dict[str, float]:
    used: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(arguments.runs):
        for side in sorted(sides, reverse=turn % 2 == 1):
            used[side].append(_run(settings, sides[side], arguments.ranks))
    return {side: statistics.median(seconds) for side, seconds in used.items()}


def _run(settings: Path, package: Path, ranks: int, *before: str) -> float:
    """CPU seconds of a run. Raises `RuntimeError` if it fails."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-start-", dir=settings.parent) as output:
        command = [launcher(), "-n", str(ranks), sys.executable, "-m", "spectro_mpi", "run"]
        command += [str(settings), "--no-progress", "-s", f'output="{output}"']
        return run_process([*before, *command], {"PYTHONPATH": str(package)}).cpu


def _trace(settings: Path, package: Path, ranks: int) -> list[str]:
    """The lines of strace for all calls of a run to the file system."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-trace-") as name:
        trace = Path(name) / "trace"
        before = ["strace", "-f", "-qq", "-e", "trace=%file", "-e", "signal=none", "-o", str(trace)]
        _run(settings, package, ranks, *before)
        return [*_complete(trace.read_text(errors="replace"))]


def _complete(text: str) -> Iterator[str]:
    """Lines of calls; one that another process interrupted in the trace is put together."""
    begun: dict[str, str] = {}
    for line in text.splitlines():
        pid, _, call = line.partition(" ")
        if call.endswith("<unfinished ...>"):
            begun[pid] = call
        elif "resumed>" in call:
            yield begun.pop(pid, "") + call
        elif not call.lstrip().startswith("+++"):
            yield call


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=5, revision=True, ranks=4)
