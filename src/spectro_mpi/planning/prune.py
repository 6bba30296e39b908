"""Remove figures that the settings no longer list (`spectro-mpi run --prune`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

from spectro_mpi.draw.kinds import KINDS
from spectro_mpi.draw.names import expected_figures, figure_files, find_looks
from spectro_mpi.draw.notes import in_order
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.rundir.digests import DigestLog
from spectro_mpi.rundir.layout import item_folder
from spectro_mpi.settings.schema import (
    SCALE_PAIR_COLORMAPS,
    AxesName,
    Config,
    LimitsKind,
    ScalePair,
)
from spectro_mpi.system.words import count


def prune(plan: RunPlan) -> list[str]:
    """Remove figures of kinds, scale pairs and limits that the settings do not list.

    Only figures of items that are in the input and in the store are looked for. Returns a sentence
    for each sort of figure that is removed. The caller holds the lock. Raises `OSError`.
    """
    removed: dict[str, int] = {}
    dropped: dict[str, list[str]] = {}
    for item, path, part, stem in _unlisted(plan):
        path.unlink(missing_ok=True)
        dropped.setdefault(item, []).append(part)
        if path.suffix == ".png":  # files of other formats are beside it
            removed[stem] = removed.get(stem, 0) + 1
    if dropped:
        log = DigestLog(plan.order.config.run_dir)
        log.drop(dropped)
        log.close()
        plan.known.drop(dropped)
    return [
        f"removed {count(number, 'figure')}: {stem}" for stem, number in sorted(removed.items())
    ] or ["no figure to remove: the settings list all that are on disk"]


def _unlisted(plan: RunPlan) -> Iterator[tuple[str, Path, str, str]]:
    """Yield (item, path, part, stem) of each figure on disk that the settings do not list."""
    config = plan.order.config
    for item, (_, data) in plan.known.data.items():
        if item not in plan.items:
            continue
        listed = {figure.part for figure in expected_figures(config, in_order(config, data))}
        names = dict.fromkeys((*in_order(config, data), *config.select.instruments))
        figures = {
            figure.part: figure
            for everything in _everything(config)
            for figure in expected_figures(everything, names)
        }
        others = [figure for part, figure in figures.items() if part not in listed]
        folder = item_folder(config.run_dir, "plot", plan.items[item])
        for part, files in find_looks(item, others, figure_files(folder)).items():
            for name in files:
                yield item, folder / name, part, figures[part].stem


def _everything(config: Config) -> Iterator[Config]:
    """The settings with all kinds, scale pairs and limits, once for each of the axes there are."""
    scales = cast(tuple[ScalePair, ...], tuple(SCALE_PAIR_COLORMAPS))
    limits = get_args(LimitsKind)
    for axes in get_args(AxesName):
        plot = replace(config.plot, kinds=tuple(KINDS), scales=scales, limits=limits, axes=axes)
        yield replace(config, plot=plot)
