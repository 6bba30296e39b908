"""Advice for the next run follows from what this one was seen to need."""

from __future__ import annotations

import re
from pathlib import Path

from spectro_mpi.report.advice import advice


def test_a_run_says_what_memory_it_needs_how_busy_it_was_and_what_more_ranks_would_bring(
    sampled: Path,
) -> None:
    told = " ".join(advice(sampled))
    peak = re.search(r"Peak memory of a worker with its compute process: (\d+) MB", told)
    asked = re.search(r"--mem-per-cpu=(\d+)M", told)
    assert peak is not None
    assert asked is not None
    assert 1.2 < int(asked[1]) / int(peak[1]) < 3
    busy = re.search(r"busy (\d+) % of the time, computing (\d+) %", told)
    assert busy is not None
    assert 0 < int(busy[2]) <= int(busy[1]) <= 100


def test_what_was_not_sampled_gives_no_advice(tmp_path: Path) -> None:
    assert advice(tmp_path) == []
