"""Which figures an item has, and what they are called; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from spectro_mpi.atomic import sweep
from spectro_mpi.config import Plot, ScalePair
from spectro_mpi.inventory import Item

PLOTS = "plots"


def plots_dir(run_dir: Path, item: Item) -> Path:
    """`plots/YYYY/MM/{item}`, by the start of the item's data."""
    return run_dir / PLOTS / f"{item.start:%Y}" / f"{item.start:%m}" / item.id


def kinds_of(plot: Plot, instruments: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(kind, instrument) of each figure; the grid has no instrument of its own."""
    for kind in plot.kinds:
        if kind == "pitch-angle":
            yield from ((kind, instrument) for instrument in instruments)
        else:
            yield kind, ""


def figure_name(
    plot: Plot, item_id: str, instrument: str, scales: ScalePair, limits: str, marked: bool
) -> str:
    """Name of a figure; `instrument` is empty for the grid, `marked` items have events."""
    cusp = "_cusp" if marked else ""
    what = f"{cusp}_pitch-angle_ESA_{instrument}" if instrument else "_instrument-grid_ESA"
    scale_names = f"y-{scales[0]}_z-{scales[1]}"
    return f"{item_id}{what}_{scale_names}_{limits}-{plot.colormap_of(scales)}.png"


def figure_names(
    plot: Plot, item_id: str, instruments: Iterable[str], marked: bool
) -> Iterator[str]:
    """Names of all figures of an item that has data of `instruments`."""
    for _, instrument in kinds_of(plot, instruments):
        for scales, limits in product(plot.scales, plot.limits):
            yield figure_name(plot, item_id, instrument, scales, limits, marked)


def sweep_figures(run_dir: Path, item: Item) -> list[Path]:
    """Remove half-written figures of an item; returns what they were. Raises `OSError`."""
    return sweep(plots_dir(run_dir, item))
