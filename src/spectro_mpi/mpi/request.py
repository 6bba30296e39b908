"""What to run, as requested on the command line or by a script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spectro_mpi.phases.interface import Phase
    from spectro_mpi.planning.inventory import Inventory
    from spectro_mpi.settings.schema import Config


@dataclass(frozen=True)
class Request:
    """A run, as requested on the command line or by a script."""

    config: Path | Callable[[], Config] | None = None
    """A settings file (None: `spectro-mpi.toml`), or a function that returns the settings."""
    overrides: tuple[str, ...] = ()
    """Overrides of the settings file, as in "plot.dpi=100"."""
    fresh: bool = False
    """Whether to start over and ignore earlier results."""
    retry: bool = False
    """Whether to do failed items again."""
    redo: str = ""
    """Name of a phase to do again for all items; empty: none."""
    prune: bool = False
    """Whether to remove figures that the settings no longer list."""
    active: frozenset[str] | None = None
    """Names of the phases to run; artifacts of the others must exist. None: all run."""
    assets_only: bool = False
    """Whether to make only assets and what items share, as `spectro-mpi assets` does."""
    phases: tuple[Phase | str, ...] | None = None
    """Phases to use instead of those in the settings."""
    inventory: Inventory | None = None
    """Items to use instead of those found in the input."""
    walltime: str = ""
    """Time limit in Slurm's notation; empty: that of the scheduler's job, if there is one."""
    progress: bool = True
    """Whether to show the progress."""
