"""What a phase is given to compute one item: its inputs, and the context of the run."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.errors import Failure, RunError, reason_of, writing
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Mark
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.task import Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import asset_path, data_path, item_folder
from spectro_mpi.rundir.lock import LockWatch
from spectro_mpi.rundir.store import UNREADABLE, read_item
from spectro_mpi.settings.paths import input_name, input_root
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import doing
from spectro_mpi.system.arrays import map_array
from spectro_mpi.system.atomic import make_below, part_path, write_part
from spectro_mpi.system.folder_commit import FolderCommit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ReportStep = Callable[[str, str], None]
"""Called with the name of the current step and its progress ("3/10"; empty: the step begins)."""

_REPORT_SECONDS = 0.2
"""Least time between two progress messages."""


class LostInputError(Exception):
    """The output of an earlier phase cannot be read from the store."""


class Context:
    """One item in one phase: settings, progress, random numbers, files and failures.

    Attributes
    ----------
    item : Item
        The item to compute.
    config : Config
        The settings of the run.
    settings : mapping
        The settings of the phase, from `[phase.NAME]`.
    run_dir : Path
        The run directory.
    log : logging.Logger
        A logger whose warnings and errors go to the log of the rank.
    earlier_failures : tuple of Failure
        The failures of the item in earlier phases.
    failures : list of Failure
        The failures of the item in this phase, so far.
    marks : tuple of Mark
        The marked events of the item.
    step : str
        The current step, as last passed to `status`.
    careful : bool
        Whether a compute process has died of this item before, so that libraries which may crash
        should be avoided.
    """

    def __init__(
        self,
        task: Task,
        workspace: Workspace,
        settings: Mapping[str, Any],
        gives_files: bool,
        report: ReportStep,
    ) -> None:
        self.item: Item = task.item
        self.config: Config = workspace.config
        self.settings: Mapping[str, Any] = settings
        self.run_dir: Path = workspace.run_dir
        self.log = logging.getLogger(f"spectro_mpi.phase.{task.phase}")
        self.earlier_failures = task.failures
        self.careful = task.careful
        self.failures: list[Failure] = []
        self.lost_input = False
        """Whether an input could not be read from the store."""
        self.marks: tuple[Mark, ...] = tuple(workspace.marks.get(task.item.id, ()))
        self.parts: Mapping[str, str] | None = task.parts
        """Parts of the output to make → their digests (`PartwisePhase`); None: all."""
        self.step = "start"
        owner = workspace.owner
        self._lock = None if owner is None else LockWatch(workspace.run_dir, owner)
        self._phase = task.phase
        self._report = report
        self._folder = item_folder(workspace.run_dir, task.phase, task.item)
        self._gives_files = gives_files and task.mode == "run"
        self._commit: FolderCommit | None = None
        """Of the item's folder, once that exists."""
        self._written: list[Path] = []
        self._replaced: list[Path] = []
        self._done: dict[str, float] = {}
        """Step → the sum of its increments."""
        self._reported = 0.0
        """When progress was last reported, on the monotonic clock."""

    def status(self, step: str, increment: float = 0, total: float = 0) -> None:
        """Report the current step and its progress, for the display and the logs.

        Parameters
        ----------
        step : str
            Name of the step, often an instrument. A new name begins a new step, and the time limit
            `instrument_timeout_seconds` starts again.
        increment, total : float
            Work done since the last call for this step, and all of its work, in any unit.
        """
        begins, self.step = step != self.step, step
        if begins:
            self._report(step, "")
        if not (increment or total):
            return
        done = self._done[step] = self._done.get(step, 0) + increment
        now = time.monotonic()
        if now - self._reported > _REPORT_SECONDS:
            self._reported = now
            self._report(step, f"{done:g}" + (f"/{total:g}" if total else ""))

    @cached_property
    def rng(self) -> np.random.Generator:
        """A random number generator for this item and phase, seeded by the setting `seed`.

        It gives the same numbers for any number of ranks, in any order, and when the item is done
        again.
        """
        import numpy as np

        digest = hashlib.sha256(f"{self._phase}/{self.item.id}".encode()).digest()
        words = tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))
        return np.random.default_rng(np.random.SeedSequence(self.config.seed, spawn_key=words))

    def asset(self, name: str) -> NDArray[Any]:
        """An array that the phase saved in `create_assets`, mapped into memory, read-only.

        Raises `FileNotFoundError` if it saved no array of that name.
        """
        return map_array(asset_path(self.run_dir, self._phase, name))

    @contextmanager
    def boundary(self, instrument: str = "") -> Iterator[None]:
        """Record exceptions inside as failures of one instrument, so that the others continue.

        Without `instrument`, they are recorded for the current step. A `RunError` is raised,
        because it is not about the item: the output cannot be written.
        """
        try:
            yield
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 - the run continues after any error
            self.lost_input |= isinstance(error, LostInputError)
            step = "store" if isinstance(error, LostInputError) else instrument or self.step
            message = self._without_places(str(error)) or type(error).__name__
            reason = reason_of(error, self._phase)
            failure = Failure(step, self._phase, reason, message)
            if failure not in self.failures:  # all figures of an instrument may fail alike
                self.failures.append(failure)

    def path(self, name: str) -> Path:
        """Path to write a file to that will be renamed to `name` once the item is done.

        Raises `RunError` if the item's folder cannot be created.
        """
        self._make_folder()
        path = self._folder / name
        if path not in self._written:
            self._written.append(path)
        return part_path(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the item, which appears under its name once the item is done.

        Raises `RunError` if it cannot be written.
        """
        self.path(name)
        with writing(self._folder / name), doing("write"):
            write_part(self._folder / name, content)

    def replace(self, name: str) -> None:
        """Remove an earlier file of the item, once the files that are written are on disk."""
        self._replaced.append(self._folder / name)

    def _without_places(self, message: str) -> str:
        """A message in which paths are relative to the input or the run directory.

        It is kept in the run directory, which may be moved.
        """
        root = input_root(self.config)
        for newest in (*self.item.files, *self.item.ephemeris):
            for file in (newest, *newest.older):
                message = message.replace(file.path, input_name(file.path, root))
        return message.replace(f"{self.run_dir}/", "")

    def _make_folder(self) -> None:
        if self._commit is None:
            with writing(self._folder):
                make_below(self.run_dir, self._folder)
                self._commit = FolderCommit(self._folder)

    def commit(self) -> None:
        """Sync the files written to disk and rename them; then remove those that they replace.

        Raises `RunError` if that fails, or if another run has taken over the lock.
        """
        if self._lock is not None and (self._written or self._replaced):
            with writing(self._folder):
                self._lock.check_before_writing()
        if self._gives_files:
            self._make_folder()  # even if it stays empty: it shows that the item is done
        if self._commit is not None:
            with writing(self._folder), doing("write"):
                self._commit.commit(self._written)
            self._commit.close()
        with writing(self._folder):
            for path in self._replaced:
                if path not in self._written:
                    path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the files written."""
        if self._commit is not None:
            self._commit.close()
        for path in self._written:
            part_path(path).unlink(missing_ok=True)


class Inputs(Mapping[str, Any]):
    """The artifacts that earlier phases gave, by name; each is read when it is accessed.

    An artifact with datasets is a mapping group → `Dataset`; "spectrograms" is a mapping
    instrument → `Spectrogram`. An artifact with files is a sorted tuple of paths. An artifact of
    the run is the content of its JSON file.
    """

    def __init__(
        self, kinds: Mapping[str, tuple[str, Artifact]], task: Task, workspace: Workspace
    ) -> None:
        """`kinds`: name → (phase that gives it, artifact)."""
        self._kinds = kinds
        self._task = task
        self._workspace = workspace
        self._artifacts: dict[str, Any] = {}
        """Name → content, for the artifacts accessed so far."""
        self._groups: dict[str, dict[str, Any]] = {}
        """Phase → group → its datasets or spectrogram, as read from the store."""

    def __getitem__(self, name: str) -> Any:
        """Read an artifact.

        Raises `KeyError` if it is not in the `needs` of the phase, `LostInputError` if it cannot
        be read from the store.
        """
        if name not in self._artifacts:
            phase, kind = self._kinds[name]
            self._artifacts[name] = self._read(phase, kind)
        return self._artifacts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def _read(self, phase: str, kind: Artifact) -> Any:
        if kind.of == "run":
            return self._workspace.run_wide.get(kind.name, {})
        if kind.extension:
            folder = item_folder(self._workspace.run_dir, phase, self._task.item)
            return tuple(sorted(folder.glob(f"*{kind.extension}")))
        return {
            name: group if isinstance(group, Spectrogram) else group.datasets[kind.dataset]
            for name, group in self._read_groups(phase).items()
            if isinstance(group, Spectrogram) or kind.dataset in group.datasets
        }

    def _read_groups(self, phase: str) -> dict[str, Any]:
        """Group → content, of all that a phase gave of the item in the store."""
        if phase not in self._groups:
            path = data_path(self._workspace.run_dir, self._task.data_files[phase])
            try:
                with doing("read"):
                    groups = {group.name: group for group in read_item(path, self._task.item.id)}
            except UNREADABLE as error:
                raise LostInputError(f"{path}: {error}") from error
            self._groups[phase] = groups
        return self._groups[phase]
