"""Killed between any two changes of the file system, the writer leaves what a run goes on from."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spectro_mpi.rundir.digests import complete_digests
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.repair import repair
from spectro_mpi.settings.schema import Config
from tests.mpi.script import Here, config_in, items_of, outcome, plan_of
from tests.mpi.test_roles import Ranks, check_output, check_state, check_store, set_bounds

SIZES = {str(place): 40 * place + 1 for place in range(5)}
CHANGES = ("write", "fsync", "mkdir", "unlink", "rename", "replace")
"""What HDF5 writes into its temporary files is left out: they are swept, whatever they hold."""
MOST = 400


class Killed(BaseException):
    """Stands for SIGKILL: after it nothing is changed any more."""


class KillPoint:
    """Kills at the `number`th change of the file system."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.is_dead = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count all changes from now on."""
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._counting(getattr(os, name)))
        opened = os.open

        def open_(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
            if flags & (os.O_CREAT | os.O_TRUNC):
                self._change()
            return opened(path, flags, *arguments, **more)

        monkeypatch.setattr(os, "open", open_)

    def _counting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            self._change()
            return call(*arguments, **more)

        return counted

    def _change(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.is_dead = True
            raise Killed


def run(config: Config, sizes: dict[str, int], size: int, seed: int) -> Ranks:
    """A run to its end, as it would begin: with what is on disk repaired."""
    items = items_of(sizes)
    repair(config, items, Here())
    progress = load_progress(config.run_dir, config.run_id)
    complete_digests(config.run_dir, progress, Here())
    ranks = Ranks(plan_of(config, sizes), size, outcome)
    ranks.coordinator.start()
    ranks.finish(random.Random(seed))
    return ranks


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written one after the other, so that the changes have an order."""
    set_bounds(monkeypatch)
    monkeypatch.setattr("spectro_mpi.rundir.batch_files._MOST_AT_ONCE", 0)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("is_redone", [False, True])
def test_every_point_between_two_changes_leaves_a_state_that_resumes(
    tmp_path: Path, is_redone: bool
) -> None:
    number = 0
    while True:
        config = config_in(tmp_path / str(number), flush_batch_size=2)
        if is_redone:  # files that are there already are replaced
            run(config, {item: size + 1000 for item, size in SIZES.items()}, 1, number)
            run(config, {item: size + 2000 for item, size in SIZES.items()}, 1, number)
        sizes = {item: size + 3000 for item, size in SIZES.items()} if is_redone else SIZES
        point = KillPoint(number)
        with pytest.MonkeyPatch.context() as patch:
            point.install(patch)
            with contextlib.suppress(Killed):
                run(config, sizes, 1, number)
        if not is_redone:
            check_store(config, sizes)

        check_state(run(config, sizes, 1, number))
        check_output(config, sizes, {})
        check_store(config, sizes)
        if not point.is_dead:
            break
        number += 1
    assert 20 < number < MOST
