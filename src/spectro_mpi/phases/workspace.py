"""What every phase gets to work with, and phases as they travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectro_mpi.model.items import Item
from spectro_mpi.model.marks import Marks
from spectro_mpi.rundir.layout import ASSETS, asset_path
from spectro_mpi.settings.schema import Config

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Carried:
    """A phase on its way to another process."""

    name: str
    entry: str
    """Where to load it from, as settings have it; empty: it is in `pickled`."""
    pickled: bytes = b""


BUILT_IN = (Carried("reduce", "reduce"), Carried("plot", "plot"))


@dataclass(frozen=True)
class Workspace:
    """What every phase gets: the settings, the run directory, and what is of the whole run."""

    config: Config
    run_dir: Path
    run_wide: Mapping[str, Any] = field(default_factory=dict)
    """Artifacts of the run, as far as they are known: "extrema" and its like."""
    marks: Marks = field(default_factory=dict)
    """The marked events."""
    phases: tuple[Carried, ...] = BUILT_IN
    phase: str = ""
    """Whose workspace it is, where assets are made."""
    items: tuple[Item, ...] = ()
    """The items of the run, where assets are made."""

    def of(self, phase: str, items: tuple[Item, ...] = ()) -> Workspace:
        """The same for one phase."""
        return replace(self, phase=phase, items=items)

    @property
    def assets(self) -> Path:
        """The folder of the phase's assets."""
        return self.run_dir / ASSETS / self.phase

    def save(self, name: str, values: NDArray[Any]) -> None:
        """Keep an array for every process to map into memory (`Context.asset`)."""
        from spectro_mpi.system.arrays import save_array

        save_array(asset_path(self.run_dir, self.phase, name), values)
