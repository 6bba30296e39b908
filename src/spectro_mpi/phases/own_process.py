"""Call a method of a phase in a separate process, on rank 0.

The coordinator loads nothing heavy, and a crash must not kill it.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

from spectro_mpi.errors import UserError
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.system.atomic import name_parts_for
from spectro_mpi.system.processes import die_with_parent, start


def call_in_process(phase: str, method: str, workspace: Workspace) -> str:
    """Call `method(workspace)` of a phase of a workspace; return the error, empty: there is none.

    The error of the method begins with the name of its class, unless it is a `UserError`.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(phase, method, workspace, sender))
    start(process)
    sender.close()
    try:
        error = str(receiver.recv())
    except EOFError:
        error = "its process ended unexpectedly"
    process.join()
    return error


def _call(phase: str, method: str, workspace: Workspace, pipe: Connection) -> None:
    """Call the method; send the error, or an empty string if there is none."""
    from spectro_mpi.phases.registry import make_phase

    die_with_parent()
    if workspace.owner is not None:
        name_parts_for(workspace.owner.tag)
    try:
        getattr(make_phase(phase, workspace), method)(workspace)
    except UserError as error:
        pipe.send(str(error))
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        pipe.send(f"{type(error).__name__}: {error}")
    else:
        pipe.send("")
