"""Draw the figures of the whole run, at its end: each phase in a separate process."""

from __future__ import annotations

from collections.abc import Iterator

from spectro_mpi.phases.interface import MergingPhase
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.phases.own_process import call_in_process
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import run_wide_path
from spectro_mpi.rundir.lock import Owner


def draw_run_figures(order: PhaseOrder, owner: Owner) -> Iterator[str]:
    """Call `MergingPhase.draw` of each active phase whose artifact exists.

    `owner` has the lock. Yields a sentence for each phase that fails.
    """
    config = order.config
    for phase in order.phases:
        if not isinstance(phase, MergingPhase) or type(phase).draw is MergingPhase.draw:
            continue
        if order.is_active(phase) and run_wide_path(config.run_dir, phase.run_wide.name).exists():
            workspace = Workspace(config, config.run_dir, phases=order.carried, owner=owner)
            error = call_in_process(phase.name, "draw", workspace)
            if error:
                yield f"the figures of phase {phase.name} were not drawn: {error}"
