"""Kill runs with SIGKILL at random instants, and resume each until it is done.

By command: python -m tests.faults.kill_rounds [--runs 100] [--seed 0]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from spectro_mpi.demo import write_demo
from spectro_mpi.mpi.ranks import workers_of
from spectro_mpi.rundir.journal import load_progress
from tests.faults.runs import Bench, Started, processes_of

_RANKS = 3
_FLUSH = 2
_PROMISED = len(workers_of(_RANKS)) + _FLUSH - 1
_KILLS = 3
"""Of one run, at most."""


@dataclass
class Counts:
    """What the rounds came to."""

    kills: int = 0
    executions: int = 0
    completions: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    """What was killed → how often."""
    done_again: int = 0
    """Items computed again after a kill although they had been computed before."""
    beyond_promise: int = 0
    """Of those, what is more than W + flush_batch_size − 1 of a kill, W being the workers."""
    lost_though_complete: int = 0
    """Items that progress called complete and a later run computed again."""
    instants: list[float] = field(default_factory=list)
    """Of the kills, s since 1970."""
    began: float = 0.0
    """When the latest run did."""

    def __str__(self) -> str:
        killed = ", ".join(f"{what} {count}" for what, count in sorted(self.killed.items()))
        return (
            f"{self.kills} kills ({killed}) in {self.executions} executions of {self.completions} "
            "runs, all completed with the bytes of an undisturbed one; "
            f"items done again {self.done_again}, beyond the "
            f"promise {self.beyond_promise}, complete and done again {self.lost_though_complete}"
        )


def kill_rounds(bench: Bench, runs: int, seed: int, kills: int = 0, tell: bool = False) -> Counts:
    """Kill `runs` runs, each once or more, or more runs until there were so many `kills`.

    Each goes on until it is done and is compared.

    Raises on a difference.
    """
    chance, counts, number = random.Random(seed), Counts(), 0
    longest = _seconds_of_work(bench, seed)
    while counts.completions < runs or counts.kills < kills:
        number += 1
        name = f"rounds-{seed}-{number}"
        times = 0
        while times < _KILLS:
            settled = _settled(bench.run_dir(name))
            ended = _round(bench, name, chance, counts, longest)
            again = _computed(bench.run_dir(name), settled, counts)
            if tell:
                print(f"{name}: {'done' if ended else 'killed'}, {again} done again", flush=True)
            if ended:
                break
            times += 1
        if not times:
            continue  # done before it could be killed
        settled, counts.began = _settled(bench.run_dir(name)), time.time()
        done = bench.run(name, ranks=chance.choice((1, 2, 3, 4)))
        counts.executions += 1
        assert done.code == 3, done
        _computed(bench.run_dir(name), settled, counts)
        bench.same_as_whole(name)
        counts.completions += 1
        shutil.rmtree(bench.run_dir(name))
    return counts


def _round(bench: Bench, name: str, chance: random.Random, counts: Counts, longest: float) -> bool:
    """One run, killed after a while; whether it was done before."""
    run = bench.start(name, "-s", "run.log_flush_batch_size=1", "--no-progress")
    counts.executions += 1
    counts.began = time.time()
    what = chance.choice(("launcher", "coordinator", "worker", "writer", "all"))
    # Once it has begun: nearly all instants lie in the work then, and not in the imports.
    with contextlib.suppress(AssertionError):
        run.wait_for(partial(_has_begun, run.run_dir, counts.began))
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.launcher.wait(chance.uniform(0, longest))
    if run.launcher.poll() is not None:
        run.end()
        return True
    try:
        victims = _victims(run, what)
    except (IndexError, OSError):
        victims = [run.launcher.pid]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    counts.instants.append(time.time())
    counts.kills += 1
    counts.killed[what] += 1
    run.end(20)
    assert processes_of(run.run_dir) == []
    return False


def _seconds_of_work(bench: Bench, seed: int) -> float:
    """How long an undisturbed run takes from its lock to its end, at the load of now."""
    began = time.time()
    run = bench.start(f"timed-{seed}", "-s", "run.log_flush_batch_size=1", "--no-progress")
    run.wait_for(partial(_has_begun, run.run_dir, began))
    work = time.time()
    run.end()
    return time.time() - work


def _has_begun(run_dir: Path, since: float) -> bool:
    try:
        return (run_dir / "run.lock").stat().st_mtime >= since - 0.1
    except FileNotFoundError:
        return False


def _victims(run: Started, what: str) -> list[int]:
    if what == "launcher":
        return [run.launcher.pid]
    if what == "all":
        return [run.launcher.pid, *run.ranks()]
    return [run.pid_of(what)]


def _settled(run_dir: Path) -> dict[str, set[str]]:
    return load_progress(run_dir, run_dir.name).settled


def _computed(run_dir: Path, settled: dict[str, set[str]], counts: Counts) -> int:
    """Count what the last run computed that an earlier one had; the logs tell of each item."""
    again: list[float] = []
    done: dict[tuple[str, str], float] = {}
    lines = [line for line in _lines(run_dir) if " INFO " in line and " computed in " in line]
    for line in lines:
        words = line.split()
        at = words.index("item")
        task = (words[at + 2], words[at + 1].rstrip(":"))
        finished = datetime.fromisoformat(line[:23].replace(",", ".")).timestamp()
        if finished > counts.began:
            if task in done:
                again.append(done[task])
            counts.lost_though_complete += task[1] in settled[task[0]]
        done[task] = finished
    by_kill: Counter[float] = Counter()
    for finished in again:
        killed = min(kill for kill in counts.instants if kill >= finished)
        by_kill[killed] += 1
    counts.done_again += len(again)
    counts.beyond_promise += sum(max(0, lost - _PROMISED) for lost in by_kill.values())
    return len(again)


def _lines(run_dir: Path) -> list[str]:
    """Lines of all logs, by time."""
    logs = sorted((run_dir / "logs").glob("rank-*.log"))
    return sorted(line for log in logs for line in log.read_text(errors="replace").splitlines())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        demo = write_demo(Path(folder) / "demo", orbits=8, seed=1, damaged=True)
        settings = Path(folder) / "spectro-mpi.toml"
        settings.write_text(
            f'input = "{demo.directory / "FAST_data"}"\n[plot]\ndpi = 50\n'
            f"[run]\nflush_batch_size = {_FLUSH}\n"
        )
        bench = Bench(settings, Path(folder) / "runs" / "whole")
        assert bench.run("whole").code == 3
        print(kill_rounds(bench, arguments.runs, arguments.seed, tell=True))


if __name__ == "__main__":
    main()
