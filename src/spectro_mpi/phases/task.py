"""A task, which is one phase of one item, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from spectro_mpi.errors import Failure
from spectro_mpi.model.items import Item

if TYPE_CHECKING:
    from spectro_mpi.rundir.item_file import ItemFile

Mode = Literal["run", "restore", "prepare"]
"""What to call: `Phase.run`; `MergingPhase.restore` for a finished item, whose contribution to the
run's artifact is needed; or `PreparingPhase.prepare`."""


@dataclass(frozen=True)
class Task:
    """A task for a worker: one phase of one item."""

    phase: str
    item: Item
    data_files: Mapping[str, str] = field(default_factory=dict)
    """Phase → the file with its datasets of the item, for the phases it reads from."""
    failures: tuple[Failure, ...] = ()
    """Failures of the item in earlier phases."""
    mode: Mode = "run"
    careful: bool = False
    """Whether a compute process has died of it, so that only readers that do not crash are used."""
    again: bool = False
    """Whether it has timed out once, so that its time limits are doubled."""
    remade: bool = False
    """Whether its input has been computed again, because the store could not be read."""
    parts: Mapping[str, str] | None = None
    """Parts of the item's output to make (`PartwisePhase`) → their digests; None: all."""
    fingerprint: str = ""
    """Fingerprint of the input that earlier phases do not give (`Phase.fingerprint`)."""

    @property
    def has_result(self) -> bool:
        """Whether the writer records that the task is done."""
        return self.mode == "run"

    @property
    def size(self) -> int:
        """Bytes of the item's files, by which it is scheduled."""
        return self.item.size

    @property
    def order(self) -> tuple[int, str]:
        """Sort key among tasks of equal size."""
        return self.item.order


@dataclass
class Outcome:
    """The result of a task."""

    failures: list[Failure] = field(default_factory=list)
    data: ItemFile | None = None
    """The file with its datasets, for the writer; None: there are none."""
    partial: Any = None
    """Contribution to the artifact of the run, which the worker merges; None: there is none."""
    lost_input: bool = False
    """Whether the output of an earlier phase could not be read from the store."""
    spent: tuple[float, ...] = ()
    """Seconds per activity, in the order of `activity.ACTIVITIES`; empty: not measured."""
