"""Phases: the steps every item goes through, each a class that computes one task at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spectro_mpi.config import Config
from spectro_mpi.errors import Failure, RunError, reason_of
from spectro_mpi.events import Marks
from spectro_mpi.extrema import Tallies
from spectro_mpi.inventory import Item
from spectro_mpi.spectrogram import Spectrogram

Report = Callable[[str], None]
"""Called with the name of each step (an instrument, a kind of figure) as it begins."""


@dataclass(frozen=True)
class Task:
    """One phase of one item."""

    phase: str
    item: Item
    shard: str = ""
    """Name of the shard that holds the item; empty: it is not reduced yet."""
    failures: tuple[Failure, ...] = ()
    """What could not be done in earlier phases."""
    careful: bool = False
    """Whether a process has died of it: only readers that do not crash are to be used."""
    again: bool = False
    """Whether it has failed once for a reason that may pass: its time limits are doubled."""

    @property
    def is_restore(self) -> bool:
        """Whether only the tallies of an item that is in the store already are wanted."""
        return self.phase == "reduce" and bool(self.shard)

    @property
    def has_result(self) -> bool:
        """Whether the writer records that the task is done."""
        return self.phase != "assets" and not self.is_restore

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
    spectrograms: list[Spectrogram] = field(default_factory=list)
    """For the writer."""
    tallies: Tallies = field(default_factory=dict)
    """For the coordinator, by way of the worker's own."""
    spent: tuple[float, ...] = ()
    """Seconds by activity (activity.py); empty: nobody has counted."""


class Phase(Protocol):
    """A step of the pipeline."""

    def run(self, task: Task, report: Report) -> Outcome:
        """Compute one task; what goes wrong with one instrument is in the outcome's failures."""
        ...


@dataclass(frozen=True)
class Workspace:
    """What every phase gets: the settings and the run directory."""

    config: Config
    run_dir: Path
    extrema: dict[str, float] = field(default_factory=dict)
    """The common extrema, once they are known."""
    marks: Marks = field(default_factory=dict)
    """The marked events."""


def make_phase(name: str, workspace: Workspace) -> Phase:
    """The phase called `name`; imports what it needs, and only that."""
    if name == "reduce":
        from spectro_mpi.phases.reduce import ReducePhase

        return ReducePhase(workspace)
    if name == "assets":
        from spectro_mpi.phases.assets import AssetsPhase

        return AssetsPhase(workspace)
    if name == "plot":
        from spectro_mpi.phases.plot import PlotPhase

        return PlotPhase(workspace)
    raise ValueError(f"no phase is called {name}")


def is_of_store(failure: Failure) -> bool:
    """Whether a figure failed because the store does not give back its item."""
    return failure.instrument == "store" and failure.reason in ("generic", "plotting")


@contextmanager
def boundary(failures: list[Failure], phase: str, instrument: str) -> Iterator[None]:
    """The boundary round one instrument of one item: its exceptions become failures.

    But for a `RunError`, which is nothing of the item's: the output cannot be written.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
        message = str(error) or type(error).__name__
        failures.append(Failure(instrument, phase, reason_of(error, phase), message))
