"""What the tests of the roles share: two small phases, and an executor that follows a script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.errors import Failure, Reason
from spectro_mpi.model.artifacts import Artifact, Dataset, Group
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.phases.interface import MergingPhase, Phase
from spectro_mpi.phases.order import PhaseOrder, order_phases
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.planning.todo import RunPlan, plan_run
from spectro_mpi.rundir.item_file import ItemFile, make_item_file
from spectro_mpi.rundir.journal import load_progress
from spectro_mpi.rundir.layout import DATA, LOCK
from spectro_mpi.rundir.tallies import drop_stale
from spectro_mpi.settings.schema import Config, RunSettings
from spectro_mpi.system.untrusted import UntrustedCalls

P = ParamSpec("P")
T = TypeVar("T")

Fate = Literal[
    "sound",
    "empty",  # done, without any data
    "partly",  # one instrument failed, the data of another is there
    "fails",
    "times-out-once",
    "times-out",
    "lost-once",  # the store does not give back its input, until that was made again
    "lost",
    "hangs",  # no outcome until the task is dropped
]

_CRASHES: tuple[Reason, ...] = (
    "invalid-cdf",
    "divide-by-zero",
    "plotting",
    "out-of-memory",
    "killed",
    "generic",
)


class Count(MergingPhase["Counter[str]"]):
    """Gives a dataset of each item; of the run, how often each item has contributed."""

    name = "count"
    kept_version = 1
    gives = (
        Artifact("counts", dataset="counts", dims=("record",), units="1"),
        Artifact("totals", of="run"),
    )

    def fingerprint(self, item: Item, marks: Marks) -> str:
        return str(item.size)

    def empty(self) -> Counter[str]:
        return Counter()

    def merge(self, into: Counter[str], other: Counter[str]) -> Counter[str]:
        into.update(other)
        return into

    def conclude(self, whole: Counter[str]) -> dict[str, Any]:
        return dict(sorted(whole.items()))

    def arrays_of(self, whole: Counter[str]) -> dict[str, NDArray[Any]]:
        return {"item": np.array(list(whole), np.str_), "times": np.array(list(whole.values()))}

    def contribution_from(self, arrays: Mapping[str, NDArray[Any]]) -> Counter[str]:
        return Counter(dict(zip(arrays["item"].tolist(), arrays["times"].tolist(), strict=True)))


class Draw(Phase):
    """Needs what `Count` gives, of the item and of the run."""

    name = "draw"
    needs = (Artifact("counts"), Artifact("totals"))


@dataclass
class Clock:
    """Stands in for the module `time`; it stands still until a test sets it."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Let all roles go by this clock."""
        for module in ("coordinator", "worker", "writer", "loop", "backoff"):
            monkeypatch.setattr(f"spectro_mpi.mpi.{module}.time", self)
        return self


class ScriptedExecutor:
    """Computes what `answer` says, once `is_done` is set; checks that it is used as it must be."""

    def __init__(self, answer: Callable[[Task], Outcome | None]) -> None:
        self.step = self.how_far = ""
        self.is_done = True
        """Whether the current task has an outcome when it is asked for."""
        self.task: Task | None = None
        self.tasks: list[Task] = []
        """All that were submitted."""
        self.is_closed = False
        self._answer = answer
        self.phase = ""
        """The phase that it has begun."""

    def begin(self, phase: str, workspace: Workspace) -> None:
        assert self.task is None, "a phase begins while a task is computed"
        self.phase = phase

    def submit(self, task: Task) -> None:
        assert not self.is_closed, "a task for an executor that has ended"
        assert self.task is None, "two tasks at once"
        assert task.phase == self.phase, "a task of another phase"
        self.task = task
        self.tasks.append(task)

    def poll(self) -> Outcome | None:
        if self.task is None or not self.is_done:
            return None
        outcome = self._answer(self.task)
        if outcome is not None:
            self.task = None
        return outcome

    def close(self) -> None:
        self.is_closed, self.task = True, None


def lost_input(task: Task) -> Outcome:
    """The outcome of a task whose input the store does not give back."""
    failure = Failure("store", task.phase, "generic", "cannot be read")
    return Outcome([failure], lost_input=True)


def failure(task: Task, reason: Reason) -> Failure:
    """Why an instrument of a task's item could not be done."""
    return Failure("ees", task.phase, reason, f"{task.item.id} is damaged")


def reason_for(item: str) -> Reason:
    """The reason for which an item fails, if it does."""
    return _CRASHES[int(item) % len(_CRASHES)]


def outcome(task: Task, fate: Fate = "sound") -> Outcome | None:
    """What comes of a task; None: nothing ever."""
    counts = task.phase == "count"
    sound = Outcome(
        data=data(task.item.id, task.item.size) if counts and task.has_result else None,
        partial=Counter([task.item.id]) if counts else None,
    )
    timeout = failure(task, "timeout")
    match fate:
        case "empty":
            return Outcome()
        case "partly":
            return Outcome([failure(task, reason_for(task.item.id))], sound.data, sound.partial)
        case "fails":
            return Outcome([failure(task, reason_for(task.item.id))])
        case "times-out-once" if not task.again:
            # One instrument took too long; of the others there is data.
            return Outcome([timeout], sound.data, sound.partial)
        case "times-out":
            return Outcome([timeout])
        case "lost-once" if not task.remade:
            return lost_input(task)
        case "lost":
            return lost_input(task)
        case "hangs":
            return None
    return sound


@cache
def data(item: str, records: int) -> ItemFile:
    """A small real result of an item, larger for more records."""
    values = np.arange(records, dtype=float)
    counts = Group("ees", {"counts": Dataset("counts", values, ("record",), "1")})
    return make_item_file("count", Item(item, None, ()), [counts])


def config_in(folder: Path, **settings: Any) -> Config:
    """Settings, with a run directory that is ready to be written; `settings` are those of run."""
    config = Config(run_id="run", output=str(folder), run=RunSettings(**settings))
    (config.run_dir / DATA).mkdir(parents=True, exist_ok=True)
    (config.run_dir / LOCK).touch()
    return config


def items_of(sizes: Mapping[str, int]) -> tuple[Item, ...]:
    """Items by name and size."""
    return tuple(
        Item(name, None, (InputPath("ees", f"{name}.cdf", size, 1),))
        for name, size in sizes.items()
    )


def order_of(config: Config, active: set[str] | None = None) -> PhaseOrder:
    """`Count` and `Draw`, of which those called `active` run (None: both)."""
    return order_phases(config, (Count(), Draw()), active)


class Here(UntrustedCalls):
    """Calls functions in this process: the files of these tests are sound."""

    def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)


def plan_of(config: Config, sizes: Mapping[str, int], active: set[str] | None = None) -> RunPlan:
    """What there is to do, by what is on disk."""
    stores = load_progress(config.run_dir, config.run_id).stores
    tallies, sentences = drop_stale(config.run_dir, stores, Here())
    assert not sentences
    inventory = Inventory(items_of(sizes), ())
    return plan_run(order_of(config, active), inventory, tallies=tallies)
