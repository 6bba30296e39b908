"""What an item costs, by its files and the settings, with constants measured beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from spectro_mpi.errors import UserError
from spectro_mpi.model.items import Item
from spectro_mpi.settings.schema import Config

CONSTANTS = "constants.json"


@dataclass(frozen=True)
class Constants:
    """Seconds of one core unless said otherwise; measured by benchmarks/constants.py."""

    machine: str
    """What they were measured on."""
    start: float
    """Of a rank: interpreter, imports, MPI."""
    child_start: float
    """Of a compute process, until it reduces."""
    plot_start: float
    """Of whoever draws, until it can: imports, fonts."""
    task: float
    """To hand a task to a compute process and take the outcome back."""
    pace: float
    """How many times as long a task takes in the compute process of a run as by itself."""
    supervise: float
    """For a worker's rank, whose compute process does a task."""
    reduce_item: float
    reduce_mb: Mapping[str, float]
    """By "reader quantity", a megabyte of input."""
    record_bytes: float
    """Bytes of input a record."""
    plot_item: float
    plot_mb: float
    """A megabyte of input."""
    figure: Mapping[str, float]
    """By limits, a figure without its pixels and frame."""
    megapixel: float
    frame: float
    """A frame that a worker draws for the first time."""
    result_mb: float
    """Megabytes of results a megabyte of input."""
    write_item: float
    write_mb: float
    """A megabyte of results."""
    commit: float
    """A shard and its line of the journal."""
    journal: float
    """A line of the journal."""
    message: float
    """For the coordinator: to take in what a worker has done, and send it more."""
    merge: float
    """To merge one worker's tallies."""
    finish_item: float
    """To end the run, an item."""
    polling: float
    """Share of a core that a waiting rank takes."""


@dataclass(frozen=True)
class ItemCost:
    """An item, by what it costs."""

    size: int
    order: tuple[int, str]
    reduce: float
    """s"""
    plot: float
    """s, with all frames ready."""
    frames: int
    """Bit set of the frames its figures need."""
    result: float
    """MB, for the writer."""


def load_constants(path: Path | None = None) -> Constants:
    """The constants that came with the package, or those in a file. Raises `UserError`."""
    file = path or resources.files("spectro_mpi.planning") / CONSTANTS
    try:
        table: dict[str, Any] = json.loads(file.read_bytes())
        return Constants(**{one.name: table[one.name] for one in fields(Constants)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file}: holds no constants ({type(error).__name__}: {error}); "
            "benchmarks/constants.py makes such a file"
        ) from None


def costs_of(
    items: Sequence[Item], config: Config, constants: Constants, fast_reader: bool
) -> list[ItemCost]:
    """What each item costs: bytes to read and reduce, figures and their pixels to draw.

    `fast_reader`: whether pycdfpp is there, for those that may use it.
    """
    frames: dict[tuple[str, ...], int] = {}
    """What tells a frame from others → its bit."""
    fast = fast_reader and config.run.isolation == "process"
    return [
        ItemCost(
            size=item.size,
            order=item.order,
            reduce=_reducing(item, config, constants, fast),
            plot=_drawing(item, config, constants),
            frames=sum(
                1 << frames.setdefault((*figure, *scales), len(frames))
                for figure, _ in figures_of(item, config)
                for scales in config.plot.scales
                if "given_extrema" in config.plot.limits
            ),
            result=constants.result_mb * item.size / 1e6,
        )
        for item in items
    ]


def _reducing(item: Item, config: Config, constants: Constants, fast: bool) -> float:
    seconds = constants.reduce_item
    for file in item.files:
        # Long files go to the reader that reads chunks.
        short = file.size <= config.data.chunk_records * constants.record_bytes
        reader = "pycdfpp" if fast and short else "cdflib"
        seconds += constants.reduce_mb[f"{reader} {config.data.quantity}"] * file.size / 1e6
    return seconds


def figures_of(item: Item, config: Config) -> list[tuple[tuple[str, ...], int]]:
    """(what its frame depends on, rows) of each of an item's figures in one scale and limits."""
    instruments = tuple(file.instrument for file in item.files)
    figures: list[tuple[tuple[str, ...], int]] = []
    if "pitch-angle" in config.plot.kinds:
        rows = len(config.pitch_angles)
        figures += [((one,), rows if config.has_pitch_angles(one) else 1) for one in instruments]
    if "instrument-grid" in config.plot.kinds:
        figures.append((("grid", *instruments), len(instruments)))
    return figures


def megapixels_of(item: Item, config: Config) -> float:
    """Of all of these figures together."""
    width, height = config.plot.panel_size
    rows = sum(rows for _, rows in figures_of(item, config))
    return rows * width * height * config.plot.dpi**2 / 1e6


def _drawing(item: Item, config: Config, constants: Constants) -> float:
    plot, count = config.plot, len(figures_of(item, config))
    a_scale = count * sum(constants.figure[limits] for limits in plot.limits)
    a_scale += constants.megapixel * megapixels_of(item, config) * len(plot.limits)
    seconds = constants.plot_item + constants.plot_mb * item.size / 1e6
    return seconds + len(plot.scales) * a_scale
