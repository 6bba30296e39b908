"""The interface of phases, `Phase`, which built-in and user-defined phases implement.

Phases are the steps that every item goes through. A phase computes one item at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from spectro_mpi.errors import Failure
from spectro_mpi.model.artifacts import Artifact, Dataset, Group
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

PartDigests = Callable[[Item, Mapping[str, str], Sequence[Failure]], dict[str, str]]
"""Item, instrument → digest of its reduced data, failures in earlier phases → part → digest."""
PartsOnDisk = Callable[[Item, Sequence[str]], set[str]]
"""Item, parts → those of them of which there is a file. May be called from several threads."""


@dataclass
class Outputs:
    """What a phase gives of one item, in addition to files."""

    groups: list[Group | Spectrogram] = field(default_factory=list)
    """Datasets to write to the store."""
    partial: Any = None
    """Contribution of the item to the phase's artifact of the run (`MergingPhase`)."""

    def put(
        self,
        kind: Artifact,
        values: NDArray[Any],
        group: str,
        coordinates: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        """Add a dataset of the item.

        Parameters
        ----------
        kind : Artifact
            An artifact in the `gives` of the phase.
        values : ndarray
            Values with the dimensions `kind.dims`, in `kind.units`.
        group : str
            Name of the item's group to put it in, often an instrument.
        coordinates : mapping, optional
            Dimension → its coordinates, one-dimensional.

        Raises
        ------
        ValueError
            If the shapes of values and coordinates do not match the dimensions.
        """
        dataset = Dataset(
            kind.dataset, values, kind.dims, kind.units, kind.long_name, dict(coordinates or {})
        )
        for place, other in enumerate(self.groups):
            if other.name == group and isinstance(other, Group):
                self.groups[place] = Group(group, {**other.datasets, kind.dataset: dataset})
                return
        self.groups.append(Group(group, {kind.dataset: dataset}))


class Phase:
    """A step of the pipeline. Derive from it, and set its name and what it needs and gives."""

    name: str = ""
    """Name of the phase in errors and progress: letters, digits, "_" and "-"."""
    needs: Sequence[Artifact] = ()
    """Artifacts that earlier phases must give."""
    gives: Sequence[Artifact] = ()
    """Artifacts that this phase gives."""
    config: Config = Config()
    """The settings of the run. They are set before any method is called."""

    def mistakes(self) -> Iterable[str]:
        """What in the settings keeps this phase from its work, a sentence each; default: nothing.

        Called before anything runs, with `config` set.
        """
        return ()

    def create_assets(self, workspace: Workspace) -> None:
        """Create arrays that every process needs, and save them with `workspace.save`.

        Called once per run directory, before any item, in a separate process.
        """

    def begin(self, workspace: Workspace) -> None:
        """Get ready: do slow imports, load tables. Called once in each compute process."""

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Compute one item.

        Any exception is recorded as a failure of the item; inside `context.boundary`, of one
        instrument only.

        Parameters
        ----------
        item : Item
            The item, with its input files.
        inputs : Inputs
            The artifacts in `needs`, by name.
        context : Context
            Settings, progress, random numbers and output files.

        Returns
        -------
        Outputs
            Datasets for the store, and the contribution to an artifact of the run.
        """
        raise NotImplementedError

    def depends_on(self, run_wide: Mapping[str, Any]) -> Any:
        """The part of the run's artifacts that the outputs depend on, as a JSON value.

        When it changes, all items are done again. By default it is all artifacts in `needs`.
        `run_wide`: name of an artifact of the run → its content.
        """
        return {kind.name: run_wide.get(kind.name) for kind in self.needs if kind.name in run_wide}

    def fingerprint(self, item: Item, marks: Marks) -> str:
        """A fingerprint of the input that is not in `needs`; empty (the default): there is none.

        It is recorded when the item is done, for `is_outdated`.
        """
        return ""

    def is_outdated(self, before: str, now: str) -> bool:
        """Whether to do an item again whose fingerprint was `before` and is `now`."""
        return before != now

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of this phase, from the table `[phase.NAME]`."""
        return self.config.phase.get(self.name, {})

    @property
    def in_store(self) -> bool:
        """Whether it gives datasets."""
        return any(kind.dataset for kind in self.gives)

    @property
    def gives_files(self) -> bool:
        """Whether it gives files for each item."""
        return any(kind.extension and kind.of == "item" for kind in self.gives)


class MergingPhase(Phase, Generic[T]):
    """A phase that also gives one artifact of the whole run, merged from contributions of items.

    `run` returns the contribution of its item in `Outputs.partial`.
    """

    kept_version: int = 0
    """Version of what `arrays_of` gives; 0 (the default): contributions are not kept in tallies.h5,
    and `restore` is called for all finished items whenever one is added. What was kept under
    another version is not used.

    A phase may keep them if the contribution of an item follows from the datasets that this phase
    or `kept_from` gives of it alone, whatever settings are not in the version.
    """
    result_files: Sequence[str] = ()
    """Names of the files that `files` gives; if one is missing, they are written again."""
    kept_from: str = ""
    """Name of the phase from whose datasets contributions follow; empty: this one."""
    kept_groups: int = 16
    """Groups that the items of a run are kept in, about: as few items as this part of all are
    restored when one of them is done again."""

    @property
    def run_wide(self) -> Artifact:
        """The artifact of the run."""
        return next(kind for kind in self.gives if kind.of == "run")

    def restore(self, item: Item, inputs: Inputs, context: Context) -> T:
        """The contribution of an item that an earlier execution has finished.

        `inputs` has the artifacts that this phase gave of the item.
        """
        raise NotImplementedError

    def empty(self) -> T:
        """The merged contribution of no items."""
        raise NotImplementedError

    def merge(self, into: T, other: T) -> T:
        """Merge two contributions, in any order. It may change and return `into`."""
        raise NotImplementedError

    def conclude(self, whole: T) -> dict[str, Any]:
        """The content of the artifact as JSON values, from the contributions of all items."""
        raise NotImplementedError

    def files(self, whole: T) -> dict[str, bytes]:
        """Files of the run, from the contributions of all items: name → content. Default: none.

        The writer puts them into `results/` of the run directory, before the artifact. They must
        not depend on the order of merging.
        """
        return {}

    def draw(self, workspace: Workspace) -> None:
        """Draw figures of the run into `results/NAME/`: those that are missing or outdated.

        Called at the end of every run that has the artifact, in a separate process, where
        matplotlib may be imported. The report shows the PNG files. Default: none.
        """

    def arrays_of(self, whole: T) -> dict[str, NDArray[Any]]:
        """A contribution as arrays of numbers or text, to be kept; if `kept_version` is set."""
        raise NotImplementedError

    def contribution_from(self, arrays: Mapping[str, NDArray[Any]]) -> T:
        """The contribution that `arrays_of` made arrays of."""
        raise NotImplementedError

    def basis(self) -> Any:
        """The settings that `conclude` depends on, as a JSON value. Default: `settings`."""
        return dict(self.settings)


class PartwisePhase(Phase):
    """A phase whose output of an item has parts, made again one by one when what they show changes.

    `run` makes the parts in `Context.parts`.
    """

    def part_digests(self, run_wide: Mapping[str, Any], marks: Marks) -> PartDigests:
        """A function of an item: part → digest of all that it depends on, in order.

        `run_wide`: name of an artifact of the run → its content.
        """
        raise NotImplementedError

    def parts_on_disk(self, run_dir: Path) -> PartsOnDisk:
        """A function that finds those parts of an item of which there is a file."""
        raise NotImplementedError

    def is_common(self, part: str) -> bool:
        """Whether a part is made today, and may depend on artifacts of the run."""
        raise NotImplementedError


class PreparingPhase(Phase):
    """A phase that can prepare what many items share ahead of a run (`spectro-mpi assets`)."""

    def alike(self, task: Task, marks: Marks) -> Hashable:
        """A key that is equal for items which share all that `prepare` makes.

        None: there is nothing to prepare.
        """
        raise NotImplementedError

    def prepare(self, item: Item, inputs: Inputs, context: Context) -> None:
        """Make what the item shares with other items, without any outputs."""
        raise NotImplementedError
