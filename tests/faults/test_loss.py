"""A killed run loses no more finished items than promised, however slow the writer is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.loss_rounds import loss_round, make_bench, stopped_round


@pytest.mark.parametrize(("ranks", "seed"), [(4, 1), (4, 2), (4, 3), (18, 4), (18, 5)])
def test_with_a_writer_that_is_slow_and_stops_no_more_is_lost_than_promised(
    tmp_path: Path, ranks: int, seed: int
) -> None:
    bench, slow = make_bench(tmp_path)
    loss = loss_round(bench, slow, "loss", ranks, random.Random(seed))
    assert 0 < loss.lost <= loss.promised
    assert loss.promised == {4: 11, 18: 48}[ranks]


def test_a_run_whose_writer_was_stopped_completes_when_it_goes_on(tmp_path: Path) -> None:
    bench, slow = make_bench(tmp_path)
    loss = stopped_round(bench, slow, "stopped", 4)
    assert 0 < loss.lost <= loss.promised  # all of it, if none of the workers waits for a task
