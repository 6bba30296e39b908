"""Draw figures of any items: the user's function loads the rows, the rest is done as in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spectro_mpi.api import axes
from spectro_mpi.api.runs import run_locally
from spectro_mpi.errors import NoDataError, UserError, writing
from spectro_mpi.model.artifacts import Artifact
from spectro_mpi.model.items import Item
from spectro_mpi.phases.context import Context, Inputs
from spectro_mpi.phases.interface import Outputs, Phase
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.planning.inventory import Inventory
from spectro_mpi.planning.item_names import problem_of_name
from spectro_mpi.rundir.reader import Run
from spectro_mpi.settings.loading import config_from
from spectro_mpi.settings.schema import Config, ScaleName
from spectro_mpi.system.atomic import write_atomic

_MOST_BYTES = 240
"""Most bytes of a name; file names have 255, and the suffixes follow."""


def batch_plot(
    items: Iterable[Any],
    output_dir: Path | str,
    load_rows: Callable[[Any], Sequence[Mapping[str, Any]]],
    *,
    name: Callable[[Any], str] = str,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    colormap: str = "",
    panel_size: tuple[float, float] = (12.0, 3.0),
    dpi: float = 100,
    events: Callable[[Any], Sequence[Any]] | None = None,
    center: Callable[[Any], Any] | None = None,
    width: float | None = None,
    zoom_minutes: float | None = None,
    max_workers: int | None = None,
    item_timeout_seconds: float = 60.0,
    flush_batch_size: int = 10,
    ignore_progress: bool = False,
    retry: bool = False,
    show_progress: bool = True,
) -> Run:
    """Draw a figure of each item, using processes on this machine.

    An item that fails, hangs or crashes its process is recorded with the reason, and the others
    continue. A second call draws only what is not drawn yet.

    Parameters
    ----------
    items : iterable
        Anything that can be pickled: file names, dates, orbits.
    output_dir : path
        Directory for the figures, ``{name}.png``, and for the state of the run (`progress.json`).
    load_rows : callable
        Item → the rows of its figure, as `plot_spectrogram_set` takes them. It is called in
        other processes, and may be defined in a notebook. An item without rows, or without a finite
        value in any of them, is recorded with the reason "no-data".
    name : callable
        Item → its name, which must be unique and valid in a file name.
    y_scale, z_scale, colormap, panel_size, dpi, width, zoom_minutes
        As for `plot_spectrogram_set`.
    events, center : callable, optional
        Item → what `plot_spectrogram_set` takes by that name; may return None.
    max_workers : int, optional
        Number of processes that compute. None: one for each core this process may use.
    item_timeout_seconds : float
        An item that takes longer is recorded as an error.
    flush_batch_size : int
        Items recorded as done at a time; after a kill, at most this many and one for each worker,
        less one, are drawn again.
    ignore_progress : bool
        Start over.
    retry : bool
        Try failed items again.
    show_progress : bool
        Print the progress.

    Returns
    -------
    Run
        ``completed("figures")`` gives the names of the items drawn, ``errors`` the failed ones.

    Raises
    ------
    UserError
        If there are no items, a name is not valid or not unique, or another argument is wrong.
    RunError
        If the run could not continue.
    """
    named = _named(items, name)
    style = dict(
        y_scale=y_scale,
        z_scale=z_scale,
        colormap=colormap,
        panel_size=panel_size,
        dpi=dpi,
        zoom_minutes=zoom_minutes,
    )
    by_item = _ByItem(load_rows, events, center, width)
    return run_locally(
        _config(Path(output_dir).absolute(), item_timeout_seconds, flush_batch_size),
        phases=(_FiguresPhase(named, by_item, style),),
        inventory=Inventory(tuple(Item(item_id, None, ()) for item_id in named), ()),
        max_workers=max_workers,
        fresh=ignore_progress,
        retry=retry,
        show=show_progress,
    )


def _config(run_dir: Path, timeout_seconds: float, flush_batch_size: int) -> Config:
    table = {
        "run_id": run_dir.name,
        "input": str(run_dir),
        "output": str(run_dir.parent),
        "report": {"at_end": False},
        "run": {
            "orbit_timeout_seconds": timeout_seconds,
            "instrument_timeout_seconds": timeout_seconds,
            "flush_batch_size": flush_batch_size,
        },
    }
    return config_from(table, Path.cwd(), "arguments")


@dataclass(frozen=True)
class _ByItem:
    """The user's functions of an item."""

    load_rows: Callable[[Any], Sequence[Mapping[str, Any]]]
    events: Callable[[Any], Sequence[Any]] | None
    center: Callable[[Any], Any] | None
    width: float | None

    def arguments(self, item: Any) -> dict[str, Any]:
        """Arguments of `plot_spectrogram_set` for an item, besides its rows and the style."""
        events = self.events(item) if self.events else None
        center = self.center(item) if self.center else None
        width = None if center is None else self.width
        return {"events": () if events is None else events, "center": center, "width": width}


class _FiguresPhase(Phase):
    """Draws what the user's function loads."""

    name = "figures"
    gives = (Artifact("set-figures", extension=".png"),)

    def __init__(
        self,
        items: Mapping[str, Any],
        by_item: _ByItem,
        style: Mapping[str, Any],
    ) -> None:
        self._items = items
        self._by_item = by_item
        self._style = style

    def begin(self, workspace: Workspace) -> None:
        """Import matplotlib."""
        axes.preload()

    def run(self, item: Item, inputs: Inputs, context: Context) -> Outputs:
        """Load the rows of an item and draw them."""
        context.status("load")
        named = self._items[item.id]
        rows = self._by_item.load_rows(named)
        if not len(rows):
            raise NoDataError("load_rows gave no rows")
        if not any(map(_has_data, rows)):
            raise NoDataError(f"none of the {len(rows)} rows has a value")
        context.status("draw")
        content = axes.figure_file(
            axes.plot_spectrogram_set(rows, **self._style, **self._by_item.arguments(named)), "png"
        )
        path = context.run_dir / f"{item.id}.png"
        with writing(path):
            write_atomic(path, content)
        return Outputs()


def _has_data(row: Mapping[str, Any]) -> bool:
    """Whether a row has a finite value. What is wrong with a row is found when it is drawn."""
    import numpy as np

    try:
        return bool(np.isfinite(np.asarray(row["data"], np.float64)).any())
    except (KeyError, TypeError, ValueError):
        return True


def _named(items: Iterable[Any], name: Callable[[Any], str]) -> dict[str, Any]:
    """Name → item. Raises `UserError` if a name is not valid or not unique, or there is none."""
    named: dict[str, Any] = {}
    for item in items:
        item_id = name(item)
        if not isinstance(item_id, str) or problem_of_name(item_id, _MOST_BYTES):
            raise UserError(
                f"items: {item!r} is named {item_id!r}, which cannot be a file name; "
                "give valid names by `name=`"
            )
        if item_id in named:
            raise UserError(f"items: two are named {item_id!r}; give unique names by `name=`")
        named[item_id] = item
    if not named:
        raise UserError("items: there are none; give at least one")
    return named
