"""Kill runs whose writer is slow and was stopped for seconds, and count what is lost.

By command: python -m tests.faults.loss_rounds [--rounds 50] [--seed 0]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.mpi.ranks import workers_of
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.settings.loading import load_config
from tests.faults.runs import Bench, Started, processes_of

RANKS = (4, 18)
ITEMS = 400
_PHASE = """
import time
import numpy as np
import spectro_mpi

class Tiny(spectro_mpi.Phase):
    name = "tiny"
    gives = (spectro_mpi.Artifact("tiny", dataset="tiny", dims=("record",), units="1"),)

    def run(self, item, inputs, context):
        time.sleep(0.02)
        outputs = spectro_mpi.Outputs()
        outputs.put(self.gives[0], np.full(100, int(item.id)), "ees")
        return outputs
"""
_SITE = """
import time
from spectro_mpi.rundir.journal import Journal
record = Journal.record
def slow(self, batch):
    time.sleep(0.05)
    record(self, batch)
Journal.record = slow
"""


@dataclass(frozen=True)
class Loss:
    """What one kill cost."""

    ranks: int
    committed: int
    lost: int
    """Items that were finished and are not on disk."""
    promised: int
    """Of those at most."""

    def __str__(self) -> str:
        return f"{self.ranks} ranks: {self.lost} lost of at most {self.promised}"


def make_bench(folder: Path) -> tuple[Bench, dict[str, str]]:
    """Many items of a phase that takes 20 ms, and an environment with a writer that is slow."""
    data = folder / "FAST_data"
    data.mkdir()
    for number in range(ITEMS):
        (data / f"fa_esa_l2_ees_20000101000000_{10000 + number}_v01.cdf").touch()
    (folder / "tiny.py").write_text(_PHASE)
    (folder / "slow").mkdir()
    (folder / "slow" / "sitecustomize.py").write_text(_SITE)
    settings = folder / "spectro-mpi.toml"
    settings.write_text(
        f'input = "{data}"\nphases = ["tiny.py:Tiny"]\n[report]\nat_end = false\n'
        '[run]\nisolation = "none"\nlog_flush_batch_size = 1\nsample_interval_seconds = 0\n'
    )
    before = os.environ.get("PYTHONPATH", "")
    paths = os.pathsep.join(filter(None, (str(folder / "slow"), before)))
    return Bench(settings, folder / "runs" / "whole"), {"PYTHONPATH": paths}


def loss_round(
    bench: Bench, slow: dict[str, str], name: str, ranks: int, chance: random.Random
) -> Loss:
    """Stop the writer of a run for seconds, then kill all ranks; go on until all is done."""
    run = bench.start(name, "--no-progress", ranks=ranks, env=slow)
    run.wait_for(lambda: len(_settled(run.run_dir)) > chance.randint(0, ITEMS // 4), 120)
    pids = run.ranks()
    os.kill(pids[-1], signal.SIGSTOP)
    time.sleep(chance.uniform(1, 4))
    if chance.randrange(3) == 0:  # it goes on, and is killed later
        os.kill(pids[-1], signal.SIGCONT)
        time.sleep(chance.uniform(0, 1))
    for pid in [run.launcher.pid, *pids]:
        os.kill(pid, signal.SIGKILL)
    run.end(20)
    assert processes_of(run.run_dir) == []
    loss = _loss(bench, run, ranks)
    assert bench.run(name, "--no-progress", ranks=chance.choice((1, 3))).code == 0
    assert len(_settled(run.run_dir)) == ITEMS
    return loss


def stopped_round(bench: Bench, slow: dict[str, str], name: str, ranks: int) -> Loss:
    """Stop the writer of a run for seconds; then let it go on until all is done."""
    run = bench.start(name, "--no-progress", ranks=ranks, env=slow)
    run.wait_for(lambda: len(_settled(run.run_dir)) > ITEMS // 8, 120)
    writer = run.ranks()[-1]
    os.kill(writer, signal.SIGSTOP)
    time.sleep(3)
    loss = _loss(bench, run, ranks)
    os.kill(writer, signal.SIGCONT)
    ended = run.end(120)
    assert ended.code == 0, ended
    assert len(_settled(run.run_dir)) == ITEMS
    return loss


def _loss(bench: Bench, run: Started, ranks: int) -> Loss:
    """What would be lost now, by the logs of the workers and the journal."""
    workers = len(workers_of(ranks))
    batch = load_config(bench.settings, ()).run.batch_size(workers)
    finished = set()
    for log in (run.run_dir / "logs").glob("rank-*.log"):
        for line in log.read_text().splitlines():
            words = line.split()
            if "computed" in words:
                finished.add(words[words.index("item") + 1].rstrip(":"))
    settled = _settled(run.run_dir)
    return Loss(ranks, len(settled), len(finished - settled), workers + batch - 1)


def _settled(run_dir: Path) -> set[str]:
    return load_progress(run_dir, run_dir.name).settled["tiny"]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        bench, slow = make_bench(Path(folder))
        losses = []
        for number in range(arguments.rounds):
            loss = loss_round(bench, slow, f"loss-{number}", RANKS[number % 2], chance)
            print(loss, flush=True)
            losses.append(loss)
            assert loss.lost <= loss.promised
        for ranks in RANKS:
            most = max((loss.lost for loss in losses if loss.ranks == ranks), default=0)
            print(f"{ranks} ranks: at most {most} lost")


if __name__ == "__main__":
    main()
