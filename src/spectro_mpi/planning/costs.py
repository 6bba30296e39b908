"""Estimate what an item costs from its files and the settings, with measured constants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from spectro_mpi.draw.kinds import kinds_of
from spectro_mpi.errors import UserError
from spectro_mpi.model.items import Item
from spectro_mpi.settings.parsing import as_type, parsed_json
from spectro_mpi.settings.schema import Config

CONSTANTS = "constants.json"
"""The file of measured constants in this package."""


@dataclass(frozen=True)
class Constants:
    """Costs in seconds of one core unless said otherwise, measured by benchmarks/constants.py."""

    machine: str
    """The machine they were measured on."""
    start: float
    """Start of a rank: interpreter, imports, MPI."""
    child_start: float
    """Start of a compute process, until it can reduce."""
    plot_start: float
    """Start of drawing in a process: imports, fonts."""
    task: float
    """To hand a task to a compute process and receive the outcome."""
    pace: float
    """Time of a task in the compute process of a run, relative to its time alone."""
    supervise: float
    """For a worker's rank to supervise a task in its compute process."""
    reduce_item: float
    """To reduce an item, besides its megabytes."""
    reduce_mb: Mapping[str, float]
    """"reader quantity" → to reduce a megabyte of input."""
    record_bytes: float
    """Bytes of input per record."""
    plot_item: float
    """To plot an item, besides its megabytes and figures."""
    plot_mb: float
    """To plot a megabyte of input."""
    figure: Mapping[str, float]
    """Kind of limits → to draw a figure, without its pixels and frame."""
    megapixel: float
    """To draw a megapixel."""
    frame: float
    """To draw a frame, which a worker does once."""
    result_mb: float
    """Megabytes of results per megabyte of input."""
    write_item: float
    """For the writer to receive a reduced item and write it, besides its megabytes."""
    write_mb: float
    """To write a megabyte of results."""
    write_drawn: float
    """For the writer to receive the result of a plotted item, which has no data."""
    commit: float
    """To commit a batch of reduced items, without waiting for the disk."""
    journal: float
    """To commit a batch of plotted items, likewise: a line of the journal."""
    commit_syncs: float
    """Calls of fsync, one after the other, of a commit of reduced items."""
    journal_syncs: float
    """Those of a commit of plotted items."""
    figure_syncs: float
    """Those of a worker for each plotted item."""
    fsync: float
    """Wall time of an fsync. `plan` measures that of the output's file system."""
    message: float
    """For the coordinator to process a worker's message and send it more tasks."""
    message_busy: float
    """The same, if more messages have arrived."""
    mark: float
    """To send a marked event to one worker."""
    merge: float
    """To merge the tallies of one worker."""
    inventory_item: float
    """To find an item. `plan` measures that of the input's file system."""
    plan_item: float
    """To check and plan an item before the workers begin."""
    finish_item: float
    """To end the run, per item: state and links."""
    fold_row: float
    """To move a sample or a task of a rank into `resources.h5`."""
    report: float
    """To start the report and end it."""
    report_item: float
    """To report an item."""
    polling: float
    """Share of a core that a waiting rank uses."""


@dataclass(frozen=True)
class ItemCost:
    """The costs of one item."""

    size: int
    """Bytes of input."""
    order: tuple[int, str]
    """Sort key of the item."""
    reduce: float
    """Time to reduce, s."""
    plot: float
    """Time to plot once all frames are drawn, s."""
    frames: int
    """Bit set of the frames its figures need."""
    result: float
    """Size of the results, MB."""


def load_constants(path: Path | None = None) -> Constants:
    """Load the constants of the package, or those in a file.

    Raises `UserError` if the file cannot be read or lacks a constant.
    """
    file = path or resources.files("spectro_mpi.planning") / CONSTANTS
    try:
        table: dict[str, Any] = parsed_json(file.read_bytes())
        known = {constant.name: table[constant.name] for constant in fields(Constants)}
        return as_type(Constants, known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file}: holds no constants ({type(error).__name__}: {error}); "
            "create such a file with benchmarks/constants.py"
        ) from None


def costs_of(
    items: Sequence[Item], config: Config, constants: Constants, fast_reader: bool
) -> list[ItemCost]:
    """The cost of each item: bytes to read and reduce, figures and their pixels to draw.

    `fast_reader` says whether pycdfpp is installed; it is used only in compute processes.
    """
    frames: dict[tuple[str, ...], int] = {}
    """What identifies a frame → its bit."""
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
        # Long files are read by cdflib, which reads in chunks.
        short = file.size <= config.data.chunk_records * constants.record_bytes
        reader = "pycdfpp" if fast and short else "cdflib"
        costs = constants.reduce_mb
        # Of a quantity that was not measured, as much as of counts.
        cost = costs.get(f"{reader} {config.data.quantity}", costs[f"{reader} counts"])
        seconds += cost * file.size / 1e6
    return seconds


def figures_of(item: Item, config: Config) -> list[tuple[tuple[str, ...], float]]:
    """(what the frame depends on, rows) of each figure of an item, for one scale and limits.

    Lower rows count as parts of one.
    """
    instruments = tuple(file.instrument for file in item.files)
    return [
        (
            (kind.name, instrument, *(() if instrument else instruments)),
            kind.row_count(config, instrument, instruments) * kind.row_height,
        )
        for kind, instrument in kinds_of(config, instruments)
    ]


def megapixels_of(item: Item, config: Config) -> float:
    """Megapixels of all figures of an item, for one scale and limits."""
    width, height = config.plot.panel_size
    rows = sum(rows for _, rows in figures_of(item, config))
    return rows * width * height * config.plot.dpi**2 / 1e6


def _drawing(item: Item, config: Config, constants: Constants) -> float:
    plot, count = config.plot, len(figures_of(item, config))
    per_scale = count * sum(constants.figure[limits] for limits in plot.limits)
    per_scale += constants.megapixel * megapixels_of(item, config) * len(plot.limits)
    seconds = constants.plot_item + constants.plot_mb * item.size / 1e6
    return seconds + len(plot.scales) * per_scale
