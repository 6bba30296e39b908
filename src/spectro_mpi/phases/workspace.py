"""The workspace that every phase gets, and phases in a form that can be sent to processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.rundir.layout import ASSETS, asset_path
from spectro_mpi.rundir.lock import Owner
from spectro_mpi.settings.schema import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Carried:
    """A phase in a form that can be sent to another process."""

    name: str
    entry: str
    """Entry of the setting `phases` to load it from; empty: it is in `pickled`."""
    pickled: bytes = b""
    """The phase, pickled by cloudpickle."""


BUILT_IN = (Carried("reduce", "reduce"), Carried("plot", "plot"))


@dataclass(frozen=True)
class Workspace:
    """What every phase gets: the settings, the run directory, and what is common to all items."""

    config: Config
    run_dir: Path
    run_wide: Mapping[str, Any] = field(default_factory=dict)
    """Name → content of the artifacts of the run that exist so far, such as "extrema"."""
    marks: Marks = field(default_factory=dict)
    """The marked events, by item."""
    phases: tuple[Carried, ...] = BUILT_IN
    """All phases of the run, in order."""
    phase: str = ""
    """Name of the phase that creates its assets; empty otherwise."""
    items: tuple[Item, ...] = ()
    """The items of the run, when assets are created; empty otherwise."""
    owner: Owner | None = None
    """Who holds the lock, without which nothing is written; None: that is not checked."""

    def of(self, phase: str, items: tuple[Item, ...] = ()) -> Workspace:
        """A copy of the workspace for a phase that creates its assets."""
        return replace(self, phase=phase, items=items)

    @property
    def assets(self) -> Path:
        """The folder of the phase's assets."""
        return self.run_dir / ASSETS / self.phase

    def save(self, name: str, values: NDArray[Any]) -> None:
        """Save an array as an asset of the phase.

        Every process can map it into memory (`Context.asset`). Raises `OSError` if it cannot be
        written.
        """
        from spectro_mpi.system.arrays import save_array

        save_array(asset_path(self.run_dir, self.phase, name), values)
