"""Compute one task: provide the inputs, call the phase, rename its files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spectro_mpi.errors import Failure
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.phases.context import Context, Inputs, ReportStep
from spectro_mpi.phases.interface import MergingPhase, Outputs, Phase, PreparingPhase
from spectro_mpi.phases.registry import make_phase
from spectro_mpi.phases.task import Outcome, Task
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.system import activity

if TYPE_CHECKING:
    from spectro_mpi.rundir.item_file import ItemFile


@dataclass(frozen=True)
class ReadyPhase:
    """A phase that has imported what it needs, and the artifacts it may read."""

    phase: Phase
    workspace: Workspace
    kinds: dict[str, tuple[str, Artifact]]
    """Artifacts that the phase needs or gives: name → (phase that gives it, artifact)."""

    def compute(self, task: Task, report: ReportStep) -> Outcome:
        """Compute a task. Exceptions of the phase become failures of the item.

        Raises `RunError` if the output cannot be written.
        """
        if task.item.problem:
            return Outcome([Failure("name", task.phase, "generic", task.item.problem)])
        activity.start_counting()
        context = Context(task, self.workspace, self.phase.settings, self.phase.gives_files, report)
        inputs = Inputs(self.kinds, task, self.workspace)
        outcome: Outcome | None = None
        with context.boundary():
            outputs = _call(self.phase, task, inputs, context) or Outputs()
            data = _data_of(task, outputs)
            context.commit()
            outcome = Outcome(data=data, partial=outputs.partial)
        if outcome is None:
            context.discard()
            outcome = Outcome()
        return replace(
            outcome,
            failures=context.failures,
            lost_input=context.lost_input,
            spent=activity.spent(),
        )


def make_ready(name: str, workspace: Workspace) -> ReadyPhase:
    """Load the phase called `name` and call its `begin`."""
    phase = make_phase(name, workspace)
    kinds: dict[str, tuple[str, Artifact]] = {}
    for carried in workspace.phases:
        if carried.name == name:
            kinds |= {kind.name: (name, kind) for kind in phase.gives}
            break
        missing = {kind.name for kind in phase.needs} - kinds.keys()
        if missing:
            given = make_phase(carried.name, workspace).gives
            kinds |= {kind.name: (carried.name, kind) for kind in given if kind.name in missing}
    phase.begin(workspace)
    if phase.in_store:
        import spectro_mpi.rundir.item_file  # noqa: F401 - not within the time of a task
    return ReadyPhase(phase, workspace, kinds)


def _call(phase: Phase, task: Task, inputs: Inputs, context: Context) -> Outputs | None:
    match task.mode:
        case "run":
            return phase.run(task.item, inputs, context)
        case "restore":
            assert isinstance(phase, MergingPhase)
            return Outputs(partial=phase.restore(task.item, inputs, context))
        case "prepare":
            assert isinstance(phase, PreparingPhase)
            phase.prepare(task.item, inputs, context)
    return Outputs()


def _data_of(task: Task, outputs: Outputs) -> ItemFile | None:
    """The file of the store with the groups of the item; None if there are none."""
    if not outputs.groups:
        return None
    from spectro_mpi.rundir.item_file import make_item_file

    with activity.doing("write"):
        return make_item_file(task.phase, task.item, outputs.groups)
