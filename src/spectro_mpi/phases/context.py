"""What a phase works with while it computes one item: inputs, and the context of the run."""

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
from spectro_mpi.rundir.layout import DATA, asset_path, item_folder
from spectro_mpi.rundir.store import UNREADABLE, read_item
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import doing
from spectro_mpi.system.arrays import map_array
from spectro_mpi.system.atomic import commit, make_below, part_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ReportStep = Callable[[str, str], None]
"""Called with the step that is being done, and how far it is (as in "3/10"; empty: it begins)."""

_TOLD_SECONDS = 0.2
"""How far a step is is told at most so often."""


class LostInputError(Exception):
    """The store does not give back what an earlier phase gave."""


class Context:
    """One item in one phase: settings, reporting, randomness, files, failures.

    Attributes
    ----------
    item : Item
    config : Config
        The settings of the run.
    settings : mapping
        The phase's own, `[phase.NAME]`.
    run_dir : Path
    log : logging.Logger
        Its warnings and errors go to the log of the rank.
    earlier_failures : tuple of Failure
        What could not be done of the item in earlier phases.
    careful : bool
        Whether a process has died of this item before.
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
        """Those of this phase so far."""
        self.lost_input = False
        """Whether one of them is that the store does not give back what an earlier phase gave."""
        self.marks: tuple[Mark, ...] = tuple(workspace.marks.get(task.item.id, ()))
        """The marked events of the item."""
        self.step = "start"
        self._phase = task.phase
        self._report = report
        self._folder = item_folder(workspace.run_dir, task.phase, task.item)
        self._gives_files = gives_files and task.mode == "run"
        self._folder_made = False
        self._written: list[Path] = []
        self._done: dict[str, float] = {}
        self._told = 0.0

    def status(self, step: str, increment: float = 0, total: float = 0) -> None:
        """Tell what is being done: a step (an instrument, say), and how far it is.

        A step has `instrument_timeout_seconds`; another name begins another step.
        """
        begins, self.step = step != self.step, step
        if begins:
            self._report(step, "")
        if not (increment or total):
            return
        done = self._done[step] = self._done.get(step, 0) + increment
        now = time.monotonic()
        if now - self._told > _TOLD_SECONDS:
            self._told = now
            self._report(step, f"{done:g}" + (f"/{total:g}" if total else ""))

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random numbers of this item and phase, by the run's `seed`.

        The same for any number of ranks, in any order, and when the item is done again.
        """
        import numpy as np

        digest = hashlib.sha256(f"{self._phase}/{self.item.id}".encode()).digest()
        words = tuple(int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4))
        return np.random.default_rng(np.random.SeedSequence(self.config.seed, spawn_key=words))

    def asset(self, name: str) -> NDArray[Any]:
        """An array the phase made in `create_assets`, mapped into memory, read-only."""
        return map_array(asset_path(self.run_dir, self._phase, name))

    @contextmanager
    def boundary(self, instrument: str = "") -> Iterator[None]:
        """The boundary round one instrument of the item: exceptions become its failures.

        But for a `RunError`, which is nothing of the item's: the output cannot be written. If no
        `instrument` is named, it is the step that the phase was in.
        """
        try:
            yield
        except RunError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run goes on
            self.lost_input |= isinstance(error, LostInputError)
            whose = "store" if isinstance(error, LostInputError) else instrument or self.step
            message = str(error) or type(error).__name__
            reason = reason_of(error, self._phase)
            failure = Failure(whose, self._phase, reason, message)
            if failure not in self.failures:  # one cause may spoil every figure of an instrument
                self.failures.append(failure)

    def path(self, name: str) -> Path:
        """Where to write a file that is to be called `name` once the item is done."""
        self._make_folder()
        path = self._folder / name
        if path not in self._written:
            self._written.append(path)
        return part_path(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the item; it has its name, whole and on disk, once the item is done."""
        path = self.path(name)
        with writing(path), doing("write"):
            path.write_bytes(content)

    def _make_folder(self) -> None:
        if not self._folder_made:
            with writing(self._folder):
                make_below(self.run_dir, self._folder)
            self._folder_made = True

    def commit(self) -> None:
        """Give the files written their names; a folder tells that the item is done."""
        if self._gives_files:
            self._make_folder()
        if self._written:
            with writing(self._folder), doing("write"):
                commit(*self._written)

    def discard(self) -> None:
        """Take away the files written."""
        for path in self._written:
            part_path(path).unlink(missing_ok=True)


class Inputs(Mapping[str, Any]):
    """What earlier phases gave, by kind; read when it is asked for.

    Of a kind with files: their paths. Of a kind with datasets: group → `Dataset`, or, of
    "spectrograms", instrument → `Spectrogram`. Of the run: what its JSON file holds.
    """

    def __init__(
        self, kinds: Mapping[str, tuple[str, Artifact]], task: Task, workspace: Workspace
    ) -> None:
        """`kinds`: name → (phase that gives it, what it is)."""
        self._kinds = kinds
        self._task = task
        self._workspace = workspace
        self._found: dict[str, Any] = {}
        self._groups: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> Any:
        """Raises `KeyError` for what the phase does not need, `LostInputError` if it is lost."""
        if name not in self._found:
            phase, kind = self._kinds[name]
            self._found[name] = self._find(phase, kind)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def _find(self, phase: str, kind: Artifact) -> Any:
        if kind.of == "run":
            return self._workspace.run_wide.get(kind.name, {})
        if kind.extension:
            folder = item_folder(self._workspace.run_dir, phase, self._task.item)
            return tuple(sorted(folder.glob(f"*{kind.extension}")))
        found = self._stored(phase)
        return {
            name: one if isinstance(one, Spectrogram) else one.datasets[kind.dataset]
            for name, one in found.items()
            if isinstance(one, Spectrogram) or kind.dataset in one.datasets
        }

    def _stored(self, phase: str) -> dict[str, Any]:
        if phase not in self._groups:
            shard = self._workspace.run_dir / DATA / self._task.shards[phase]
            try:
                with doing("read"):
                    found = {one.name: one for one in read_item(shard, self._task.item.id)}
            except UNREADABLE as error:
                raise LostInputError(f"{shard}: {error}") from error
            self._groups[phase] = found
        return self._groups[phase]
