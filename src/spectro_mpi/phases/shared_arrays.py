"""Create the assets of the phases, ahead of the items: each phase in a separate process."""

from __future__ import annotations

import json
import multiprocessing
from multiprocessing.connection import Connection

from spectro_mpi.errors import RunError
from spectro_mpi.model.items import Item
from spectro_mpi.phases.interface import Phase
from spectro_mpi.phases.order import PhaseOrder
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.rundir.layout import MADE_WITH
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.processes import die_with_parent, start


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
        _create(phase.name, phase_workspace)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(note, made_with.encode())


def _create(name: str, workspace: Workspace) -> None:
    # Not in this process: the coordinator loads nothing heavy, and a crash must not kill it.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_create_in_child, args=(name, workspace, sender))
    start(process)
    sender.close()
    try:
        error = receiver.recv()
    except EOFError:
        error = "its process ended unexpectedly"
    process.join()
    if error:
        raise RunError(
            f'the assets of phase "{name}" cannot be created: {error}; fix its create_assets()'
        )


def _create_in_child(name: str, workspace: Workspace, pipe: Connection) -> None:
    """Create the assets; send the error, or an empty string if there is none."""
    from spectro_mpi.phases.registry import make_phase

    die_with_parent()
    try:
        make_phase(name, workspace).create_assets(workspace)
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        pipe.send(f"{type(error).__name__}: {error}")
    else:
        pipe.send("")
