"""A compute process whose run has lost its lock renames no file any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import Item
from spectro_mpi.phases.context import Context
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import LOCK
from spectro_mpi.rundir.lock import RunLock
from spectro_mpi.settings.schema import Config


def test_figures_get_their_names_only_while_the_lock_is_held(tmp_path: Path) -> None:
    lock = RunLock(tmp_path)
    lock.acquire()
    workspace = Workspace(Config(), tmp_path, owner=lock.owner)
    for name, is_held in (("first.png", True), ("second.png", False)):
        context = Context(Task("plot", Item("1", None, ())), workspace, {}, True, lambda *_: None)
        context.write(name, b"a figure")
        if not is_held:
            owner = '{"host": "elsewhere", "pid": 1, "started": "", "job": ""}'
            (tmp_path / LOCK).write_text(owner)
            with pytest.raises(RunError, match="is now held by process 1 on elsewhere"):
                context.commit()
            context.discard()
        else:
            context.commit()
    assert [path.name for path in tmp_path.rglob("*.png*")] == ["first.png"]
