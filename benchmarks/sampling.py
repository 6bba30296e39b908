"""The cost of sampling a rank and its compute process.

Usage: python benchmarks/sampling.py [--seconds 20] [--runs 3] [--json]

Measures the CPU time of a waiting process with a child of 200 MB, alternately with and without
sampling at the default interval; it is the rank that also samples its node. The reports of a task
are timed separately.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common import Row, benchmark

from spectro_mpi.resources.sampler import Sampler
from spectro_mpi.resources.sampling import Ending, Station
from spectro_mpi.settings.schema import RunSettings
from spectro_mpi.system.activity import doing

ALLOWED = 0.5
"""Percent of a core."""
_CALLS = 2000
_CHILD = "held = bytearray(200 << 20); print(flush=True); import sys; sys.stdin.read()"


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return medians in percent of a core, and in microseconds."""
    with_it, without = [], []
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-sampling-") as name, _child() as pid:
        for _ in range(arguments.runs):
            without.append(_load(arguments.seconds))
            sampler = _sampler(Path(name), RunSettings().sample_interval_seconds)
            sampler.child(pid, ctypes.c_ubyte())
            with_it.append(_load(arguments.seconds))
            sampler.close(Ending())
        sampler = _sampler(Path(name), 1e9)
        sampler.child(pid, ctypes.c_ubyte())
        reports = _microseconds(lambda: _report_task(sampler))
        sampler.close(Ending())
    extra = statistics.median(with_it) - statistics.median(without)
    return [
        Row("sampling", "% core", max(extra, 1e-3), ALLOWED, "allowed", at_least=1),
        Row(
            "CPU time of the waiting process",
            "% core",
            statistics.median(with_it),
            statistics.median(without),
            "without",
        ),
        Row(
            "reports of a task", "µs", reports, 1000.0, "a thousandth of a task of 1 s", at_least=1
        ),
        Row(
            "`with doing(…)`",
            "µs",
            _microseconds(_do),
            10.0,
            "one of about 50 per task",
            at_least=1,
        ),
    ]


def _load(seconds: float) -> float:
    """Return the percentage of a core that this process uses while it waits."""
    before = time.process_time()
    time.sleep(seconds)
    return 100 * (time.process_time() - before) / seconds


def _report_task(sampler: Sampler) -> None:
    sampler.begins("plot", "13312")
    sampler.step("ees")
    sampler.memory(200.0)
    sampler.done("plot", "13312", 0, 1.0, 0, (0.0, 0.2, 0.3, 0.3, 0.1, 0.1))


def _do() -> None:
    with doing("read"):
        pass


def _microseconds(call: object) -> float:
    assert callable(call)
    began = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return 1e6 * (time.perf_counter() - began) / _CALLS


def _sampler(run_dir: Path, interval: float) -> Sampler:
    return Sampler(run_dir, Station(0, 512, "worker", leads_node=True), interval)


@contextmanager
def _child() -> Iterator[int]:
    command = [sys.executable, "-c", _CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()  # The child has allocated its memory.
        yield child.pid
        child.stdin.close()


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, seconds=20)
