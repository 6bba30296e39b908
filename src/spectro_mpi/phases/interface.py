"""Phases: the steps every item goes through, each a class that computes one item at a time.

The built-in phases and anybody's own keep the same interface, `Phase`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from spectro_mpi.model.artifacts import Artifact, Dataset, Group
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.settings.schema import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace

T = TypeVar("T")


@dataclass
class Outputs:
    """What a phase gives of an item, besides files."""

    groups: list[Group | Spectrogram] = field(default_factory=list)
    """For the store."""
    partial: Any = None
    """What the item contributes to the phase's artifact of the run (`MergingPhase`)."""

    def put(
        self,
        kind: Artifact,
        values: NDArray[Any],
        group: str,
        coordinates: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Give a dataset of a kind, in the item's group `group` (an instrument's name, say).

        `coordinates`: dimension → where its points lie. Raises `ValueError` where shapes do not
        fit the kind's dimensions.
        """
        dataset = Dataset(
            kind.dataset, values, kind.dims, kind.units, kind.long_name, dict(coordinates or {})
        )
        for place, one in enumerate(self.groups):
            if one.name == group and isinstance(one, Group):
                self.groups[place] = Group(group, {**one.datasets, kind.dataset: dataset})
                return
        self.groups.append(Group(group, {kind.dataset: dataset}))


class Phase:
    """A step of the pipeline. Derive from it, name it, and say what it needs and gives."""

    name: str = ""
    """Letters, digits, "_" and "-"; as errors and progress have it."""
    needs: Sequence[Artifact] = ()
    """What earlier phases must give."""
    gives: Sequence[Artifact] = ()
    """What comes of it."""
    config: Config = Config()
    """The settings of the run; set before anything is asked of the phase."""

    def create_assets(self, workspace: Workspace) -> None:
        """Make, once and before any item, what every process needs (`workspace.save`)."""

    def begin(self, workspace: Workspace) -> None:
        """Get ready, once in each compute process: slow imports, tables to load."""

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Compute one item.

        What it raises is recorded as the item's failure; `context.boundary` makes it that of one
        instrument only.
        """
        raise NotImplementedError

    def depends_on(self, run_wide: Mapping[str, Any]) -> Any:
        """Of the run's artifacts what its outputs depend on, as JSON has it.

        When that changes its items are done again. Not said otherwise: all that it needs.
        """
        return {one.name: run_wide.get(one.name) for one in self.needs if one.name in run_wide}

    def fingerprint(self, item: Item, marks: Marks) -> str:
        """Of what of the item's input the outputs are made from, besides `needs`; empty: nothing.

        It is kept with what is done (`is_outdated`).
        """
        return ""

    def is_outdated(self, before: str, now: str) -> bool:
        """Whether an item is to be done again that was done by another fingerprint."""
        return before != now

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its own table of the settings, `[phase.NAME]`."""
        return self.config.phase.get(self.name, {})

    @property
    def in_store(self) -> bool:
        """Whether it gives datasets."""
        return any(one.dataset for one in self.gives)

    @property
    def gives_files(self) -> bool:
        """Whether it gives files of each item."""
        return any(one.extension and one.of == "item" for one in self.gives)


class MergingPhase(Phase, Generic[T]):
    """A phase that also gives one artifact of the whole run, made of what items contribute."""

    @property
    def run_wide(self) -> Artifact:
        """That artifact."""
        return next(one for one in self.gives if one.of == "run")

    def restore(self, item: Item, inputs: Inputs, context: Context) -> T:
        """What an item contributes that is finished: by what the phase gave of it (`inputs`)."""
        raise NotImplementedError

    def empty(self) -> T:
        """What no item contributes."""
        raise NotImplementedError

    def merge(self, into: T, other: T) -> T:
        """Both together, which may be `into` itself; the order must make no difference."""
        raise NotImplementedError

    def conclude(self, whole: T) -> dict[str, Any]:
        """The artifact, as JSON has it."""
        raise NotImplementedError

    def basis(self) -> Any:
        """What of the settings `conclude` depends on, as JSON has it."""
        return dict(self.settings)


class PreparingPhase(Phase):
    """A phase that can make ahead of a run what many items share (`spectro-mpi assets`)."""

    def alike(self, task: Task, marks: Marks) -> Hashable:
        """Items of which this is equal share all that `prepare` makes; None: nothing to make."""
        raise NotImplementedError

    def prepare(self, item: Item, inputs: Inputs, context: Context) -> None:
        """Make what the item shares with others, and give nothing."""
        raise NotImplementedError
