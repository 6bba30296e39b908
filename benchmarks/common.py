"""Shared by the benchmarks: alternating runs, medians, tables, a description of the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# One thread, as in ranks and compute processes.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_PACKAGES = ("numpy", "matplotlib", "pycdfpp", "cdflib", "isal", "h5py", "mpi4py")


@dataclass(frozen=True)
class Row:
    """Two measured values in the same unit: ours and another; the ratio is other / ours."""

    what: str
    unit: str
    ours: float
    other: float
    beside: str
    """Name of the other value."""
    at_least: float | None = None
    at_most: float | None = None
    """Required bounds of the ratio."""

    @property
    def ratio(self) -> float:
        """Other / ours: above 1, ours is smaller."""
        return self.other / self.ours

    @property
    def goal(self) -> str:
        """The required bounds as text; empty if there are none."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least:g} to {self.at_most:g}"
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    @property
    def holds(self) -> str:
        """ "yes" or "no": whether the ratio is within the bounds; empty if there are none."""
        if not self.goal:
            return ""
        low = self.at_least is None or self.ratio >= self.at_least
        return "yes" if low and (self.at_most is None or self.ratio <= self.at_most) else "no"


def benchmark(
    doc: str | None,
    measure: Callable[[argparse.Namespace], Sequence[Row]],
    runs: int,
    revision: bool = False,
    **options: int,
) -> None:
    """Parse the arguments, measure and print; `options` are more integer options with defaults.

    `revision`: whether the first argument is a revision of git.
    """
    description = (doc or "").strip()
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if revision:
        parser.add_argument("revision", help="the revision to compare with")
    parser.add_argument(
        "--runs", type=int, default=runs, help=f"runs of each side (default {runs})"
    )
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    parser.add_argument("--data", type=Path, help="directory of a demo (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    rows = measure(arguments)
    if arguments.json:
        computed = ("ratio", "goal", "holds")
        table = [asdict(row) | {name: getattr(row, name) for name in computed} for row in rows]
        print(json.dumps({"machine": machine(), "rows": table}, indent=1))
        return
    width = max(len(row.what) for row in rows) + 2
    print(f"{description.splitlines()[0]}\n")
    print(f"{'':{width}}{'ours':>10}{'other':>10}       {'ratio':>7}  {'goal':12}{'holds':7}beside")
    for row in rows:
        print(
            f"{row.what:{width}}{number(row.ours):>10}{number(row.other):>10} {row.unit:6}"
            f"{number(row.ratio):>7}  {row.goal:12}{row.holds:7}{row.beside}"
        )


def number(value: float) -> str:
    """Format a number with three significant digits, and all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def in_turn(
    ways: Mapping[str, Callable[[], Any]],
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median time of each call in s, by default wall time.

    Calls alternate, to meet the same load.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            began = clock()
            way()
            times[name].append(clock() - began)
    return {name: statistics.median(measured) for name, measured in times.items()}


@contextmanager
def sample_data(folder: Path | None, orbits: int = 24) -> Iterator[Path]:
    """Yield the directory of a demo: `folder`, filled if necessary, or a temporary directory."""
    from spectro_mpi.demo import write_demo

    if folder is not None:
        if not (folder / "spectro-mpi.toml").exists():
            write_demo(folder, orbits)
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-benchmark-") as name:
        write_demo(Path(name), orbits)
        yield Path(name)


def sample_file(folder: Path) -> Path:
    """Return the electron survey file of median size."""
    files = sorted(folder.rglob("fa_esa_l2_ees_*.cdf"), key=lambda path: path.stat().st_size)
    return files[len(files) // 2]


def machine() -> dict[str, str]:
    """Describe the machine, and the versions of the packages."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        **versions,
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
