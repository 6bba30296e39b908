"""Contributions are merged in groups, and only those of a group are lost with one of its items."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from spectro_mpi.phases.contributions import Contributions, Group, group_size
from spectro_mpi.phases.interface import MergingPhase
from tests.mpi.script import Count


class Unkept(Count):
    """Contributions to this cannot be kept."""

    kept_version = 0


@pytest.mark.parametrize("items", [0, 1, 8, 16, 17, 100, 5000])
def test_there_are_about_sixteen_groups_however_the_contributions_come(items: int) -> None:
    order = random.Random(items)
    most = group_size(Count(), items)
    workers = [Contributions(Count(), most) for _ in range(5)]
    for number in range(items):
        order.choice(workers).add(Group([f"{number}"], Counter([f"{number}"])))
    together = Contributions(Count(), most)
    for group in [group for worker in workers for group in worker.groups]:
        assert len(group.items) <= most
        together.add(group)
    groups = together.to_keep({str(number): "shard" for number in range(items)})
    assert all(len(group.data_files) <= most for group in groups)
    assert len(groups) <= 2 * MergingPhase.kept_groups
    assert together.whole() == Counter(str(number) for number in range(items))


def test_an_item_a_day_fills_up_groups_and_leaves_the_others_as_they_are() -> None:
    shards: dict[str, str] = {}
    kept: tuple[object, ...] = ()
    for number in range(300):
        shards[str(number)] = f"shard-{number}"
        today = Contributions(Count(), group_size(Count(), number + 1), kept)  # type: ignore[arg-type]
        today.add(Group([str(number)], Counter([str(number)])))
        after = today.to_keep(shards)
        assert len({id(group) for group in after} - {id(group) for group in kept}) == 1
        assert today.whole() == Counter(shards.keys())
        kept = after
    assert len(kept) <= 2 * MergingPhase.kept_groups


def test_items_without_data_are_not_listed() -> None:
    contributions = Contributions(Count(), 8)
    contributions.add(Group(["1", "2"], Counter("1")))
    (group,) = contributions.to_keep({"1": "shard-00000.h5"})
    assert group.data_files == {"1": "shard-00000.h5"}


def test_contributions_that_cannot_be_kept_are_in_one_group() -> None:
    contributions = Contributions(Unkept(), group_size(Unkept(), 5000))
    for number in range(100):
        contributions.add(Group([str(number)], Counter([str(number)])))
    assert len(contributions.groups) == 1
    assert contributions.whole() == Counter(map(str, range(100)))


def test_of_no_items_the_whole_is_empty() -> None:
    assert Contributions(Count(), 0).whole() == Counter()
    assert Contributions(Count(), 8).to_keep({}) == ()
