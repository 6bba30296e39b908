"""Create the assets of the phases, ahead of the items: each phase in a separate process."""

from __future__ import annotations

import json

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import Item
from spectro_mpi.phases.interface import Phase
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.phases.own_process import call_in_process
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import MADE_WITH
from spectro_mpi.system.atomic import write_atomic


def create_assets(order: PhaseOrder, items: tuple[Item, ...], recreate: bool) -> None:
    """Call `Phase.create_assets` of each active phase, in a separate process.

    Assets that exist are kept, unless `recreate` is set or the settings of the phase or the seed
    have changed. Raises `RunError` if the code of a phase fails.
    """
    config = order.config
    workspace = Workspace(config, config.run_dir, phases=order.carried)
    for phase in order.phases:
        if type(phase).create_assets is Phase.create_assets or not order.is_active(phase):
            continue
        phase_workspace = workspace.of(phase.name, items)
        folder = phase_workspace.assets
        note = folder / MADE_WITH
        made_with = json.dumps([dict(phase.settings), config.seed], sort_keys=True, default=str)
        if not recreate and note.exists() and note.read_text() == made_with:
            continue
        error = call_in_process(phase.name, "create_assets", phase_workspace)
        if error:
            raise RunError(
                f'the assets of phase "{phase.name}" cannot be created: {error}; '
                "fix its create_assets()"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(note, made_with.encode())
