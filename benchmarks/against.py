"""CPU time of today's version compared with that of another revision, on the same files.

Usage: python benchmarks/against.py REVISION [--runs 3] [--items 12] [--json]

The revision is installed beside today's version, with the same packages, once per commit, into a
folder `spectro-mpi-COMMIT` of the temporary directory. Both reduce the same sample data and draw
the same figures: the same categories, scales and sizes, and with "eflux" the same quantity.
"counts" are today's decoded counts and, in revisions before them, sums of telemetry codes. Each
runs on one rank without compute processes, in turn. The time of a run with one item is subtracted
from that with all, so that starting up and what all items share do not count.

The ratio is other / ours: from 0.909 on, today's version takes at most 1.10 times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import Row, benchmark, sample_data
from whole import BENCHMARKS, launcher, run_process

PHASES = {"reduce": "reduced item", "plot": "figure"}
QUANTITIES = ("counts", "eflux")
AT_LEAST = 0.909
SETTINGS = """\
# Everything that the default of a revision may decide otherwise.
run_id = "against"
input = "FAST_data"

[pitch_angles]
all = [[0, 360]]
parallel = [[0, 30], [330, 360]]
antiparallel = [[150, 210]]
perpendicular = [[40, 140], [220, 320]]
downgoing = []
upgoing = []

[plot]
scales = [["log", "log"]]
limits = ["given_extrema", "raw"]
kinds = ["pitch-angle", "instrument-grid"]
category_limits = "own"
dpi = 200
panel_size = [12.0, 3.0]
events = ""

[run]
isolation = "none"
sample_interval_seconds = 0.0

[report]
at_end = false
"""


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a phase, and how many results it gave."""

    cpu: float
    results: int

    def without(self, other: Cost) -> float:
        """Seconds per result of this run's results that the other has not."""
        return (self.cpu - other.cpu) / (self.results - other.results)


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Return the medians of CPU time per result, in ms."""
    commit = git("rev-parse", "--verify", f"{arguments.revision}^{{commit}}").strip()
    sides = {"ours": {}, "other": {"PYTHONPATH": str(installed(commit))}}
    taken: dict[tuple[str, str, str], list[float]] = {}
    with sample_data(arguments.data, arguments.items) as folder:
        settings = folder / "against.toml"
        settings.write_text(SETTINGS, encoding="utf-8")
        for turn in range(arguments.runs):
            for quantity in QUANTITIES:
                for side in sorted(sides, reverse=turn % 2 == 1):
                    for phase, seconds in _costs(settings, quantity, sides[side]):
                        taken.setdefault((side, phase, quantity), []).append(1e3 * seconds)
    medians = {key: statistics.median(values) for key, values in taken.items()}
    return [
        Row(
            f"{what}, {quantity}",
            "ms",
            medians["ours", phase, quantity],
            medians["other", phase, quantity],
            commit[:7],
            at_least=AT_LEAST if phase == "plot" else None,
        )
        for phase, what in PHASES.items()
        for quantity in QUANTITIES
    ]


def _costs(
    settings: Path, quantity: str, environment: Mapping[str, str]
) -> Iterator[tuple[str, float]]:
    """Each phase and its CPU seconds per result, from a run with one item and one with all."""
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-against-", dir=settings.parent) as name:
        output = Path(name)
        orbits = sorted({path.stem.split("_")[5] for path in settings.parent.rglob("fa_esa_l2_*")})
        for phase in PHASES:
            one, everything = (
                _cost(settings, output / which, quantity, phase, selected, environment)
                for which, selected in (("one", orbits[:1]), ("all", orbits))
            )
            yield phase, everything.without(one)


def _cost(
    settings: Path,
    output: Path,
    quantity: str,
    phase: str,
    orbits: Sequence[str],
    environment: Mapping[str, str],
) -> Cost:
    """Run a phase of some orbits. Raises `RuntimeError` if the run fails."""
    usage = output / "usage" / phase
    usage.mkdir(parents=True)
    overrides = [
        f'output="{output}"',
        f'data.quantity="{quantity}"',
        f'select.orbits="{",".join(orbits)}"',
    ]
    run_process(
        [launcher(), "-n", "1", sys.executable, str(BENCHMARKS / "one_rank.py"), str(usage)]
        + ["run", str(settings), "--no-progress", "--only", phase]
        + [part for override in overrides for part in ("-s", override)],
        environment,
    )
    (path,) = usage.iterdir()
    cpu = json.loads(path.read_bytes())["work"]
    figures = len(list(output.glob("against/plots/**/*.png")))
    return Cost(cpu, figures if phase == "plot" else len(orbits))


def installed(commit: str) -> Path:
    """Return the folder with the package of a commit; installs it if it is not there."""
    folder = Path(tempfile.gettempdir()) / f"spectro-mpi-{commit}"
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory(prefix="spectro-mpi-source-") as name:
        source, package = Path(name) / "source", Path(name) / "package"
        source.mkdir()
        archive = Path(name) / "source.tar"
        git("archive", "--output", str(archive), commit)
        shutil.unpack_archive(archive, source)
        install(source, package)
        incomplete = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.copytree(package, incomplete)
        incomplete.rename(folder)
    return folder


def install(source: Path, folder: Path) -> None:
    """Install the package of a source tree, with its compiled modules, into a folder."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "install", "--no-deps", "--target", str(folder), str(source)]
    subprocess.run(command, check=True, stdout=sys.stderr)


def git(*arguments: str) -> str:
    """Output of a command of git. Raises `SystemExit` with its message if it fails."""
    command = ["git", "-C", str(BENCHMARKS.parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    benchmark(__doc__, measure, runs=3, revision=True, items=12)
