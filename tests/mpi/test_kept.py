"""Contributions that are kept are those of the data in the store, whatever happens to the items."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from spectro_mpi.mpi.messages import Begin, Collect, Partial, WriteRunWide, WriteTallies
from spectro_mpi.phases.contributions import Group
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.rundir.journal import Journal, load_progress
from spectro_mpi.rundir.layout import DATA, TALLIES, data_path, run_wide_path
from spectro_mpi.rundir.reader import read_run_wide
from spectro_mpi.rundir.store import read_datasets
from spectro_mpi.rundir.tallies import KeptGroup, KeptPhase, write_tallies
from spectro_mpi.settings.schema import Config
from tests.mpi.script import Count, config_in, outcome, plan_of
from tests.mpi.test_coordinator import Office, counted, data_file
from tests.mpi.test_roles import Ranks, set_bounds


def keep(folder: Path, *groups: str, version: int = 1) -> None:
    """Have the contributions of items, each a letter, kept in these groups."""
    kept = tuple(
        KeptGroup({item: data_file(item) for item in group}, Count().arrays_of(Counter(group)))
        for group in groups
    )
    write_tallies(config_in(folder).run_dir, {"count": KeptPhase(version, kept)})


def modes(office: Office) -> dict[str, str]:
    return {task.item.id: task.mode for task in office.tasks() if task.phase == "count"}


def test_of_items_whose_contributions_are_kept_none_is_restored(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 1, "2": 1})
    keep(tmp_path, "1", "2")
    office = Office(tmp_path, {"1": 1, "2": 1, "3": 1}).start()
    assert modes(office) == {"3": "run"}
    office.compute()
    office.commit("3")
    office.collect(Counter("3"))
    (written,) = office.of(WriteRunWide)
    assert written.content == {"1": 1, "2": 1, "3": 1}
    (message,) = office.of(WriteTallies)
    (group, other) = message.kept["count"].groups
    assert {**group.data_files, **other.data_files} == {item: data_file(item) for item in "123"}


def test_an_item_that_is_done_again_has_only_its_group_restored(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 1, "2": 1, "3": 1, "4": 1})
    keep(tmp_path, "12", "34")
    office = Office(tmp_path, {"1": 5, "2": 1, "3": 1, "4": 1}).start()
    assert modes(office) == {"1": "run", "2": "restore"}
    office.compute()
    office.commit("1")
    office.collect(Counter("12"))
    assert office.of(WriteRunWide)[0].content == dict.fromkeys("1234", 1)


def test_an_item_that_is_lost_has_its_group_restored(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 1, "2": 1, "3": 1, "4": 1})
    keep(tmp_path, "12", "34")
    config = config_in(tmp_path)
    journal = Journal(config.run_dir, config.run_id, ())
    journal.lose(["1"])
    journal.close()
    office = Office(tmp_path, {"2": 1, "3": 1, "4": 1}).start()
    assert modes(office) == {"2": "restore"}
    office.compute()
    office.commit()
    office.collect(Counter("2"))
    assert office.of(WriteRunWide)[0].content == dict.fromkeys("234", 1)


def test_an_artifact_is_made_again_of_what_is_kept_without_any_task(tmp_path: Path) -> None:
    counted(tmp_path, {"1": 1, "2": 1}, "1", "2")
    keep(tmp_path, "1", "2")
    run_wide_path(config_in(tmp_path).run_dir, "totals").unlink()
    office = Office(tmp_path, {"1": 1, "2": 1})
    assert not office.plan.nothing_to_do
    office.start()
    assert not office.of(Begin) and not office.of(Collect) and not office.of(WriteTallies)
    (written,) = office.of(WriteRunWide)
    assert written.content == {"1": 1, "2": 1}
    assert written.basis == office.plan.progress.made_from["totals"]


@pytest.mark.parametrize("version", [0, 2])
def test_what_another_version_of_the_phase_kept_is_not_used(tmp_path: Path, version: int) -> None:
    counted(tmp_path, {"1": 1})
    keep(tmp_path, "1", version=version)
    office = Office(tmp_path, {"1": 1, "2": 1}).start()
    assert modes(office) == {"1": "restore", "2": "run"}


def test_what_is_done_again_and_has_no_data_any_more_does_not_count_as_merged(
    tmp_path: Path,
) -> None:
    counted(tmp_path, {"1": 1})
    keep(tmp_path, "1")
    office = Office(tmp_path, {"1": 5}).start()
    assert modes(office) == {"1": "run"}
    office.compute()
    office.commit()
    office.coordinator.handle(Partial(1, (Group(["1"], Counter()),)))
    office.coordinator.handle(Partial(2))
    assert office.of(WriteTallies)[0].kept["count"].groups == ()


class Growing:
    """Items that come and grow from run to run; what an item contributes is its size."""

    def __init__(self, folder: Path, order: random.Random) -> None:
        self.order = order
        self.config: Config = config_in(folder, flush_batch_size=order.randint(1, 3))
        self.sizes: dict[str, int] = {}
        self.restored = 0

    def change(self) -> None:
        """Let items come, grow, or be lost."""
        for _ in range(self.order.randint(1, 3)):
            self.sizes[str(len(self.sizes))] = self.order.randint(1, 9)
        for item in self.order.sample(sorted(self.sizes), self.order.randint(0, 1)):
            self.sizes[item] += 10
        if not self.order.randrange(4):
            self.lose_the_store()

    def lose_the_store(self) -> None:
        """Remove all data, as a start repairs it."""
        for path in (self.config.run_dir / DATA).rglob("*.h5"):
            path.unlink()
        journal = Journal(self.config.run_dir, self.config.run_id, ())
        journal.lose(list(journal.state.stores["count"]))
        journal.close()

    def answer(self, task: Task) -> Outcome | None:
        if task.phase != "count":
            return outcome(task)
        if task.mode == "restore":
            self.restored += 1
            path = data_path(self.config.run_dir, task.data_files["count"])
            records = len(read_datasets(path, task.item.id, "ees").datasets["counts"].values)
            return Outcome(partial=Counter({task.item.id: records}))
        contributed = Counter({task.item.id: task.item.size})
        return replace(outcome(task) or Outcome(), partial=contributed)

    def ranks(self) -> Ranks:
        made = Ranks(plan_of(self.config, self.sizes), self.order.randint(1, 4), self.answer)
        made.coordinator.start()
        return made


@pytest.mark.parametrize("seed", range(40))
def test_totals_are_those_of_the_items_as_they_are_whatever_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    set_bounds(monkeypatch)
    order = random.Random(seed)
    run = Growing(tmp_path, order)
    for _ in range(8):
        run.change()
        ranks = run.ranks()
        if order.randrange(2):
            for _ in range(order.randint(0, 150)):  # then it is killed
                ranks.go_on(order)
        else:
            ranks.finish(order)
            assert read_run_wide(run_wide_path(run.config.run_dir, "totals")) == run.sizes
    run.ranks().finish(order)
    assert read_run_wide(run_wide_path(run.config.run_dir, "totals")) == run.sizes
    held = load_progress(run.config.run_dir, run.config.run_id).stores["count"]
    assert set(held) == set(run.sizes)
    run.restored = 0
    run.sizes["new"] = 3
    run.ranks().finish(order)
    assert run.restored == 0
    assert (run.config.run_dir / TALLIES).exists()
    assert read_run_wide(run_wide_path(run.config.run_dir, "totals")) == run.sizes
