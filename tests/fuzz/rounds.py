"""Spoilt CDF files through both readers in the isolated child: each is done or a recorded error.

By command: python -m tests.fuzz.rounds [--files 10000] [--seed 0]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from spectro_mpi.demo import write_demo
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.phases.executor import ChildExecutor
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import Config, RunSettings
from tests.fuzz.mutate import mutate

LIMIT_SECONDS = 3.0
_MEMORY_MB = 1500
_SLACK_SECONDS = 2.0
"""For ending and noticing, beyond the limits of the tries a file has."""
_START = datetime(2000, 1, 1, tzinfo=timezone.utc)


@dataclass
class Found:
    """What became of the files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """"done", or the reason recorded → files."""
    slowest: float = 0.0
    longest_file: str = ""
    late: list[str] = field(default_factory=list)
    """Files that took longer than their limits."""

    def __str__(self) -> str:
        counts = ", ".join(f"{what} {count}" for what, count in self.outcomes.most_common())
        return (
            f"{sum(self.outcomes.values())} readings: {counts}; slowest {self.slowest:.1f} s "
            f"({self.longest_file}); beyond their limits: {', '.join(self.late) or 'none'}"
        )


def fuzz(
    originals: Sequence[Path], folder: Path, files: int, seed: int, tell: bool = False
) -> Found:
    """Spoil and read `files` files, each by both readers; raises if one has no outcome."""
    found = Found()
    run = RunSettings(instrument_timeout_seconds=LIMIT_SECONDS, memory_limit_mb=_MEMORY_MB)
    child = ChildExecutor(run)
    try:
        child.begin("reduce", Workspace(Config(), folder))
        contents = [(path.name, path.read_bytes()) for path in originals]
        for number in range(files):
            name, content = contents[number % len(contents)]
            path = folder / name
            path.write_bytes(mutate(content, seed * 1_000_003 + number))
            for careful in (False, True):
                _read(child, path, careful, f"{seed}/{number}", found)
            path.unlink()
            if tell and (number + 1) % 500 == 0:
                print(found, flush=True)
    finally:
        child.close()
    return found


def _read(child: ChildExecutor, path: Path, careful: bool, label: str, found: Found) -> None:
    """One file; `careful` leaves out the reader that may crash."""
    file = InputPath(path.name.split("_")[3], str(path), path.stat().st_size, 1)
    began = time.monotonic()
    child.submit(Task("reduce", Item("13312", _START, (file,)), careful=careful))
    outcome: Outcome | None = None
    while outcome is None:
        outcome = child.poll()
        took = time.monotonic() - began
        assert took < 60, f"{label} has no outcome"
        time.sleep(0.0005)
    failures = outcome.failures
    assert bool(failures) != (outcome.data is not None), (label, outcome)
    found.outcomes[failures[0].reason if failures else "done"] += 1
    if took > found.slowest:
        found.slowest, found.longest_file = took, label
    if took > (1 if careful else 2) * (LIMIT_SECONDS + _SLACK_SECONDS):
        found.late.append(label)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        demo = write_demo(Path(folder) / "demo", orbits=2, seed=1)
        originals = sorted(demo.directory.rglob("fa_esa_l2_*.cdf"))
        print(fuzz(originals, Path(folder), arguments.files, arguments.seed, tell=True))


if __name__ == "__main__":
    main()
