"""What ranks say to each other. Each class names who takes it; arrays travel out of band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spectro_mpi.errors import Cause, Failure
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.progress import Fact
from spectro_mpi.system.activity import Doing

if TYPE_CHECKING:
    from spectro_mpi.rundir.packed import Packed


class Message:
    """Anything sent from a role to a role."""


@dataclass(frozen=True)
class Leave(Message):
    """Any rank to those it talks to: nothing more will come from it."""

    rank: int


class ToWorker(Message):
    """Taken by the workers."""


class ToWriter(Message):
    """Taken by the writer."""


class ToCoordinator(Message):
    """Taken by the coordinator."""


@dataclass(frozen=True)
class Begin(ToWorker):
    """Coordinator: a phase begins."""

    phase: str
    workspace: Workspace


@dataclass(frozen=True)
class Assign(ToWorker):
    """Coordinator: do these, in this order, after what you have."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Credit(ToWorker):
    """Writer: these bytes of yours are dealt with."""

    nbytes: int


@dataclass(frozen=True)
class Drain(ToWorker):
    """Coordinator: finish the task at hand, give back the others."""


@dataclass(frozen=True)
class Drop(ToWorker):
    """Coordinator: leave the task at hand, give back all."""


@dataclass(frozen=True)
class Collect(ToWorker):
    """Coordinator: send what your items contribute to the phase's artifact of the run."""


@dataclass(frozen=True)
class WorkerFinish(ToWorker):
    """Coordinator: nothing more will come."""


@dataclass(frozen=True)
class TaskDone:
    """One task that is done, and its result sent to the writer, unless it is to be done again."""

    item: str
    failures: tuple[Failure, ...]
    seconds: float
    """From the task's start to its outcome."""
    again: bool = False
    """Whether it failed for a reason that may pass: it is to be tried once more."""
    lost_input: bool = False
    """Whether the reason is that the store did not give back what an earlier phase gave."""


@dataclass(frozen=True)
class Done(ToCoordinator):
    """Worker: these tasks are done."""

    worker: int
    tasks: tuple[TaskDone, ...]


@dataclass(frozen=True)
class WorkerStatus(ToCoordinator):
    """Worker: what it is doing."""

    worker: int
    doing: Doing


@dataclass(frozen=True)
class Drained(ToCoordinator):
    """Worker: the tasks it gives back."""

    worker: int
    tasks: int


@dataclass(frozen=True)
class Partial(ToCoordinator):
    """Worker: what its items contribute to the phase's artifact of the run, merged."""

    worker: int
    partial: Any
    """None: nothing."""


@dataclass(frozen=True)
class PhaseCommitted(ToCoordinator):
    """Writer: all results of the phase are on disk."""

    shards: Mapping[str, str]
    """Item → shard, of what was written in the phase."""


@dataclass(frozen=True)
class StopRequest(ToCoordinator):
    """Any rank: it was asked to stop (by what)."""

    why: str
    at_once: bool = False
    """Whether the current items are to be dropped."""
    cause: Cause = "stopped"
    """"wall-time" where the end of the job is the reason."""


@dataclass(frozen=True)
class Trouble(ToCoordinator):
    """Any rank: the output cannot be written, so the run cannot go on."""

    sentence: str
    cause: Cause = "output-lost"


@dataclass(frozen=True)
class Closed(ToCoordinator):
    """Writer: all there will be is on disk."""


@dataclass(frozen=True)
class Result(ToWriter):
    """Worker: what came of an item in a phase."""

    worker: int
    phase: str
    item: str
    failures: tuple[Failure, ...]
    packed: Packed | None = None
    """For the store; None: nothing."""
    fingerprint: str = ""
    """Of what it was made from."""

    @property
    def nbytes(self) -> int:
        """What it weighs against the worker's credit."""
        return 0 if self.packed is None else self.packed.nbytes


@dataclass(frozen=True)
class Forget(ToWriter):
    """Coordinator: these items will be done again in `phases`."""

    items: tuple[str, ...]
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Lose(ToWriter):
    """Coordinator: the store cannot give back these items, they will be done again."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Note(ToWriter):
    """Coordinator: fields of the progress to set."""

    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class MadeFrom(ToWriter):
    """Coordinator: what a phase's items are done with."""

    phase: str
    digest: str


@dataclass(frozen=True)
class WriteRunWide(ToWriter):
    """Coordinator: the content of an artifact of the run, as in extrema.json."""

    name: str
    content: Mapping[str, Any]
    basis: str
    """Digest of what they were made from."""


@dataclass(frozen=True)
class EndPhase(ToWriter):
    """Coordinator: once you have had this many results of the phase, commit and tell."""

    results: int


@dataclass(frozen=True)
class WriterFinish(ToWriter):
    """Coordinator: nothing more will come."""
