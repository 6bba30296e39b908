"""What the command line, or a script, asks of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spectro_mpi.phases.interface import Phase
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.settings.schema import Config


@dataclass(frozen=True)
class Request:
    """What the command line, or a script, asks of a run."""

    config: Path | Callable[[], Config] | None = None
    """A settings file (None: that of this directory), or what tells the settings."""
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    retry: bool = False
    redo: str = ""
    """A phase all of whose items are done again."""
    active: frozenset[str] | None = None
    """Phases that run; what the others give is expected to be there. None: all run."""
    assets_only: bool = False
    """Whether only what items share is to be made ahead of their figures."""
    phases: tuple[Phase | str, ...] | None = None
    """In place of those of the settings."""
    inventory: Inventory | None = None
    """Items in place of those the input holds."""
    walltime: str = ""
    """As Slurm writes it; empty: what Slurm says of the job, if there is one."""
    progress: bool = True
