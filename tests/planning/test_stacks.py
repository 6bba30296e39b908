"""Snake stacks share the bytes evenly, and no worker idles while another has work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from spectro_mpi.planning.stacks import Feeder, imbalance, snake, window_of, worker_count


@dataclass(frozen=True)
class Weight:
    size: int
    name: int = 0

    @property
    def order(self) -> tuple[int, str]:
        return (self.name, "")


def test_dealt_by_size_there_and_back_again() -> None:
    items = [Weight(size, size) for size in (1, 2, 3, 4, 5, 6, 7)]
    stacks = snake(items, 3)
    assert [[item.size for item in stack.items] for stack in stacks] == [[7, 2, 1], [6, 3], [5, 4]]
    assert [round(stack.percent, 6) for stack in stacks] == [
        round(100 * share / 28, 6) for share in (10, 9, 9)
    ]
    assert imbalance(stacks) == 10 / (28 / 3) - 1


def test_ties_go_by_item_id_whatever_the_order_of_finding() -> None:
    items = [Weight(5, name) for name in range(9)]
    there = snake(items, 2)
    assert there == snake(items[::-1], 2)
    assert [item.name for item in there[0].items] == [0, 3, 4, 7, 8]


def test_more_stacks_than_items_and_no_bytes_at_all() -> None:
    stacks = snake([Weight(0, 1)], 3)
    assert [len(stack.items) for stack in stacks] == [1, 0, 0]
    assert imbalance(stacks) == 0
    assert stacks[0].percent == 0


def test_workers_are_all_ranks_but_two_and_at_least_one() -> None:
    assert [worker_count(ranks) for ranks in (1, 2, 3, 4, 64)] == [1, 1, 1, 2, 62]


def test_every_item_is_fed_once_its_own_stack_first_then_from_the_fullest_tail() -> None:
    items = [Weight(size, size) for size in (10, 9, 8, 7, 6, 5)]
    feeder = Feeder(snake(items, 3))  # 10 5 | 9 6 | 8 7
    assert [feeder.next_for(0), feeder.next_for(0)] == [Weight(10, 10), Weight(5, 5)]
    assert feeder.next_for(1) == Weight(9, 9)
    # Stack 2 has 15 bytes left, stack 1 six: worker 0 gets stack 2's smallest.
    assert feeder.next_for(0) == Weight(7, 7)
    assert len(feeder) == 2
    rest = {feeder.next_for(0), feeder.next_for(0)}
    assert rest == {Weight(8, 8), Weight(6, 6)}
    assert feeder.next_for(1) is None


def test_snake_only_feeding_keeps_to_the_stacks() -> None:
    feeder = Feeder(snake([Weight(2, 1), Weight(1, 2)], 2), balanced=False)
    assert feeder.next_for(0) == Weight(2, 1)
    assert feeder.next_for(0) is None
    assert len(feeder) == 1


def test_log_normal_sizes_are_shared_within_a_few_percent() -> None:
    sizes = np.random.default_rng(1).lognormal(15, 0.7, 2000).astype(int)
    items = [Weight(int(size), name) for name, size in enumerate(sizes)]
    assert imbalance(snake(items, 16)) < 0.05


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 16, 1022])
@pytest.mark.parametrize("batch", [1, 2, 10, 33, 2045])
def test_windows_share_the_batch_so_that_the_promise_holds(workers: int, batch: int) -> None:
    windows = [window_of(place, workers, batch) for place in range(workers)]
    assert min(windows) >= 1
    assert max(windows) - min(windows) <= 1
    assert sum(windows) == workers + batch - 1
