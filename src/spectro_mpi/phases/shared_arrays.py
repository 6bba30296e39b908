"""What phases create ahead of the items: `create_assets` of each, in a process of its own."""

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


def create_assets(order: PhaseOrder, items: tuple[Item, ...], anew: bool) -> None:
    """Have each active phase create its assets, in a process of its own; `anew`: also those there.

    Assets made with other settings of the phase are made anew, too. Raises `RunError` where a
    phase's own code fails.
    """
    config = order.config
    workspace = Workspace(config, config.run_dir, phases=order.carried)
    for phase in order.phases:
        if type(phase).create_assets is Phase.create_assets or not order.is_active(phase):
            continue
        own = workspace.of(phase.name, items)
        note = own.assets / MADE_WITH
        words = json.dumps([dict(phase.settings), config.seed], sort_keys=True, default=str)
        if not anew and note.exists() and note.read_text() == words:
            continue
        _create(phase.name, own)
        own.assets.mkdir(parents=True, exist_ok=True)
        write_atomic(note, words.encode())


def _create(name: str, workspace: Workspace) -> None:
    # Not in this process: a rank that coordinates loads nothing heavy, and must not die of it.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_creating, args=(name, workspace, theirs))
    process.start()
    theirs.close()
    try:
        told = ours.recv()
    except EOFError:
        told = "its process ended without a word"
    process.join()
    if told:
        raise RunError(f'the assets of phase "{name}" cannot be made: {told}')


def _creating(name: str, workspace: Workspace, pipe: Connection) -> None:
    from spectro_mpi.phases.registry import make_phase

    try:
        make_phase(name, workspace).create_assets(workspace)
    except Exception as error:  # noqa: BLE001 - it is the user's code, and may raise anything
        pipe.send(f"{type(error).__name__}: {error}")
    else:
        pipe.send("")
