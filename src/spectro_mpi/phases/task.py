"""What goes between ranks and compute processes about one phase of one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from spectro_mpi.errors import Failure
from spectro_mpi.model.items import Item

if TYPE_CHECKING:
    from spectro_mpi.rundir.packed import Packed

Mode = Literal["run", "restore", "prepare"]
"""Give what the phase gives; only what a finished item contributes to the run's artifact; or only
make what items share."""


@dataclass(frozen=True)
class Task:
    """One phase of one item."""

    phase: str
    item: Item
    shards: Mapping[str, str] = field(default_factory=dict)
    """Phase → name of the shard that holds what it gave of the item, as far as it is needed."""
    failures: tuple[Failure, ...] = ()
    """What could not be done in earlier phases."""
    mode: Mode = "run"
    careful: bool = False
    """Whether a process has died of it: only readers that do not crash are to be used."""
    again: bool = False
    """Whether it has taken too long once: its time limits are doubled."""
    remade: bool = False
    """Whether what it needs was made anew, because the store did not give it back."""
    fingerprint: str = ""
    """Of what the phase makes it from, besides what earlier phases gave (`Phase.fingerprint`)."""

    @property
    def has_result(self) -> bool:
        """Whether the writer records that the task is done."""
        return self.mode == "run"

    @property
    def size(self) -> int:
        """Bytes of the item's files, which is what it is scheduled by."""
        return self.item.size

    @property
    def order(self) -> tuple[int, str]:
        """Place among tasks of equal size."""
        return self.item.order


@dataclass
class Outcome:
    """What came of a task."""

    failures: list[Failure] = field(default_factory=list)
    packed: Packed | None = None
    """For the writer; None: nothing."""
    partial: Any = None
    """For the coordinator, by way of the worker's own."""
    lost_input: bool = False
    """Whether the store did not give back what an earlier phase gave of the item."""
    spent: tuple[float, ...] = ()
    """Seconds by activity (activity.py); empty: nobody has counted."""
