"""Messages between ranks: the base class says who receives a message, the docstring who sends it.

Arrays are sent out of band (pickle protocol 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spectro_mpi.errors import Cause, Failure
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.progress import Fact
from spectro_mpi.system.activity import Doing

if TYPE_CHECKING:
    from spectro_mpi.phases.contributions import Group
    from spectro_mpi.rundir.item_file import ItemFile
    from spectro_mpi.rundir.tallies import Kept


class Message:
    """Base class of everything one role sends to another."""


@dataclass(frozen=True)
class Leave(Message):
    """Any rank, to its peers: it sends no more messages."""

    rank: int


class ToWorker(Message):
    """Messages for a worker."""


class ToWriter(Message):
    """Messages for the writer."""


class ToCoordinator(Message):
    """Messages for the coordinator."""


@dataclass(frozen=True)
class Begin(ToWorker):
    """Coordinator: begin a phase."""

    phase: str
    workspace: Workspace
    group_size: int = 0
    """Most items whose contributions the worker merges with each other; 0: any number."""


@dataclass(frozen=True)
class Assign(ToWorker):
    """Coordinator: do these tasks, in this order, after those assigned before."""

    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Credit(ToWorker):
    """Writer: these results of the worker are on disk, and no longer count against its credit."""

    items: int
    nbytes: int


@dataclass(frozen=True)
class Drain(ToWorker):
    """Coordinator: finish the current task and return the others."""


@dataclass(frozen=True)
class Drop(ToWorker):
    """Coordinator: drop the current task and return all tasks."""


@dataclass(frozen=True)
class Collect(ToWorker):
    """Coordinator: send the merged contributions of the worker's items (`Partial`)."""


@dataclass(frozen=True)
class WorkerFinish(ToWorker):
    """Coordinator: there are no more tasks; finish."""


@dataclass(frozen=True)
class TaskDone:
    """A finished task; its result has been sent to the writer, unless `again` is set."""

    item: str
    failures: tuple[Failure, ...]
    seconds: float
    """Time from the task's start to its outcome."""
    again: bool = False
    """Whether it failed for a reason that may be temporary, and is to be tried again."""
    lost_input: bool = False
    """Whether the reason is that its input could not be read from the store."""


@dataclass(frozen=True)
class Done(ToCoordinator):
    """Worker: these tasks are done."""

    worker: int
    tasks: tuple[TaskDone, ...]


@dataclass(frozen=True)
class WorkerStatus(ToCoordinator):
    """Worker: its current task and step, for the display."""

    worker: int
    doing: Doing


@dataclass(frozen=True)
class Drained(ToCoordinator):
    """Worker: it returns this many tasks undone."""

    worker: int
    tasks: int


@dataclass(frozen=True)
class Partial(ToCoordinator):
    """Worker: the merged contributions of its items to the phase's artifact of the run."""

    worker: int
    groups: tuple[Group, ...] = ()
    """In groups of at most `Begin.group_size` items."""


@dataclass(frozen=True)
class Committed(ToCoordinator):
    """Writer: these results of the phase are on disk."""

    items: Mapping[str, tuple[Failure, ...]]
    """Item → its failures in the phase."""
    data_files: Mapping[str, str] = field(default_factory=dict)
    """Item → its data file, for the items that have data."""
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Item → instrument → digest of its reduced data, for the same items."""


@dataclass(frozen=True)
class WriterWaits(ToCoordinator):
    """Writer: it has been waiting for the file system for so long."""

    seconds: float
    """0: not any more."""


@dataclass(frozen=True)
class PhaseCommitted(ToCoordinator):
    """Writer: all results of the phase are on disk."""


@dataclass(frozen=True)
class OutdatedNoted(ToCoordinator):
    """Writer: what `Outdated` names is no longer recorded, on disk."""


@dataclass(frozen=True)
class StopRequest(ToCoordinator):
    """Any rank: stop the run."""

    why: str
    """The reason, as shown to the user."""
    at_once: bool = False
    """Whether to drop the current items."""
    cause: Cause = "stopped"
    """"wall-time" if the job is about to end."""


@dataclass(frozen=True)
class Trouble(ToCoordinator):
    """Any rank: the run cannot continue, usually because the output cannot be written."""

    sentence: str
    """What is wrong and what to do, as shown to the user."""
    cause: Cause = "output-lost"


@dataclass(frozen=True)
class Closed(ToCoordinator):
    """Writer: all results and the state of the run are on disk, and it has finished."""


@dataclass(frozen=True)
class Result(ToWriter):
    """Worker: the result of one item in a phase."""

    worker: int
    phase: str
    item: str
    failures: tuple[Failure, ...]
    data: ItemFile | None = None
    """The file with its datasets; None: there are none."""
    fingerprint: str = ""
    """Fingerprint of its input (`Phase.fingerprint`); empty: none."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Parts of its output that were made → their digests (`PartwisePhase`)."""

    @property
    def nbytes(self) -> int:
        """Bytes that count against the worker's credit."""
        return 0 if self.data is None else self.data.nbytes


@dataclass(frozen=True)
class Forget(ToWriter):
    """Coordinator: these items will be done again in `phases`."""

    items: tuple[str, ...]
    phases: tuple[str, ...]
    all_parts: bool = False
    """Whether all parts of their output will be made again, even those that are up to date."""


@dataclass(frozen=True)
class Outdated(ToWriter):
    """Coordinator: these parts will be made again; reply `OutdatedNoted` when that is on disk."""

    phase: str
    items: tuple[str, ...]
    """Items to be done again in the phase."""
    parts: Mapping[str, tuple[str, ...]]
    """Item → parts of its output."""


@dataclass(frozen=True)
class Lose(ToWriter):
    """Coordinator: these items cannot be read from the store and will be done again."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Note(ToWriter):
    """Coordinator: set fields of the run's progress."""

    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class MadeFrom(ToWriter):
    """Coordinator: record the digest of the run-wide artifacts that a phase is done with."""

    phase: str
    digest: str


@dataclass(frozen=True)
class WriteRunWide(ToWriter):
    """Coordinator: write an artifact of the run, such as extrema.json."""

    name: str
    content: Mapping[str, Any]
    """Content of the JSON file."""
    basis: str
    """Digest of what the artifact was made from."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Name → content of the files of the run that belong to it, which are written first."""


@dataclass(frozen=True)
class WriteTallies(ToWriter):
    """Coordinator: write what items contributed to the artifacts of the run into tallies.h5."""

    kept: Kept


@dataclass(frozen=True)
class EndPhase(ToWriter):
    """Coordinator: after this many results of the phase, commit and reply `PhaseCommitted`."""

    results: int


@dataclass(frozen=True)
class WriterFinish(ToWriter):
    """Coordinator: there are no more results; close the files and reply `Closed`."""
