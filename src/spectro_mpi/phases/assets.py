"""Arrays made once ahead of the items, and mapped into memory by every process."""

from __future__ import annotations

import io
import json
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectro_mpi.atomic import write_atomic
from spectro_mpi.errors import RunError
from spectro_mpi.inventory import Item
from spectro_mpi.phases import Phase, Workspace

if TYPE_CHECKING:
    from spectro_mpi.line import Line

_NOTE = "made-with.json"
"""In a phase's folder of assets: the settings they were made with."""


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Keep an array. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    write_atomic(path, content.getvalue())


def map_array(path: Path) -> NDArray[Any]:
    """An array that was kept, read-only. Raises `OSError`."""
    values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return values


def make_assets(line: Line, items: tuple[Item, ...], anew: bool) -> None:
    """Have each active phase create its assets, in a process of its own; `anew`: also those there.

    Assets made with other settings of the phase are made anew, too. Raises `RunError` where a
    phase's own code fails.
    """
    config = line.config
    workspace = Workspace(config, config.run_dir, phases=line.carried)
    for phase in line.phases:
        if type(phase).create_assets is Phase.create_assets or not line.is_active(phase):
            continue
        own = workspace.of(phase.name, items)
        note = own.assets / _NOTE
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
