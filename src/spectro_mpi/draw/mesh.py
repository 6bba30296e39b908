"""Spectrograms on matplotlib axes: a mesh of cells, with the edges that figures of a run have."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectro_mpi.draw.bars import Ends
from spectro_mpi.draw.columns import Records, records_of
from spectro_mpi.draw.palette import UNDER_COLOR, marker_of, palette_of
from spectro_mpi.draw.raster import EnergyTable, tables_of
from spectro_mpi.draw.scale import Scale, usable_scale
from spectro_mpi.draw.times import left_out_text
from spectro_mpi.model.channels import channel_edges, measured_channels
from spectro_mpi.model.extrema import coloured_values, in_order
from spectro_mpi.model.levels import count_levels, edge_range
from spectro_mpi.model.marks import Event
from spectro_mpi.model.samples import Samples
from spectro_mpi.settings.schema import (
    SCALE_PAIR_COLORMAPS,
    ExtremaSettings,
    ScaleName,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PERCENTILES = (1, 99)
_SECONDS_PER_DAY = 86400.0
_LETTER_EMS = 0.62  # Width of a letter in font sizes; most are narrower.


@dataclass(frozen=True)
class MeshCells:
    """Values, with the edges of their cells in order of time."""

    records: Records
    tables: tuple[EnergyTable, ...]
    values: NDArray[np.float32]
    """(record, channel), in the order given."""
    channels: NDArray[np.float32]
    """(table, channel, 3) centre, lower and upper edge."""
    mode: NDArray[np.intp]
    """(record,) row of `channels`, in the order given."""
    x_is_time: bool = True
    """Whether x is s since 1970 UTC; else any numbers."""

    def on_axis(self, x: ArrayLike) -> NDArray[np.float64]:
        """Values of x as matplotlib's axis has them: days since 1970, or as they are."""
        per_unit = _SECONDS_PER_DAY if self.x_is_time else 1.0
        return np.asarray(x, np.float64) / per_unit


def cells_of(
    time: ArrayLike,
    energy: ArrayLike,
    values: ArrayLike,
    time_start: ArrayLike | None,
    time_end: ArrayLike | None,
    energy_edges: ArrayLike | None,
    y_scale: ScaleName,
    gap_factor: float,
    x_is_time: bool = True,
) -> MeshCells:
    """Values with the edges of their cells. Raises `ValueError` if they do not fit."""
    seconds = x_values("time", time, x_is_time)
    data = np.asarray(values, np.float32)
    centres = np.asarray(energy, np.float64)
    if seconds.ndim != 1 or data.ndim != 2 or len(data) != len(seconds):
        raise ValueError(
            f"values have shape {data.shape} and time {seconds.shape}: "
            "expected (record, channel) and (record,)"
        )
    if centres.shape not in (data.shape, data.shape[1:]):
        raise ValueError(
            f"energy has shape {centres.shape}: expected {data.shape[1:]} or {data.shape} "
            "to match values"
        )
    rows, mode = _tables(centres, energy_edges, y_scale, len(data))
    ends = []
    for name, given in (("time_start", time_start), ("time_end", time_end)):
        end = np.full(len(seconds), np.nan) if given is None else x_values(name, given, x_is_time)
        if end.shape != seconds.shape:
            raise ValueError(
                f"{name} has shape {end.shape}: expected {seconds.shape} to match time"
            )
        ends.append(end)
    records = _records(seconds, ends, gap_factor, x_is_time)
    for times in records.stray:
        warnings.warn(left_out_text(times), stacklevel=3)
    tables = tables_of(rows[..., 0], rows[..., 1:], mode, records)
    return MeshCells(records, tables, data, rows, mode, x_is_time)


def _records(
    x: NDArray[np.float64], ends: Sequence[NDArray[np.float64]], gap_factor: float, is_time: bool
) -> Records:
    """Records sorted by x. Numbers that are not times are never stray."""
    if is_time:
        return records_of(x, ends[0], ends[1], gap_factor)
    finite = x[np.isfinite(x)]
    low = float(finite.min()) if len(finite) else 0.0
    span = (float(finite.max()) - low if len(finite) else 0.0) or 1.0
    start, end = ((values - low) / span for values in ends)
    part = records_of((x - low) / span, start, end, gap_factor)
    edges = (low + part.start * span, low + part.end * span)
    return Records(part.order, low + part.centre * span, *edges)


def _tables(
    centres: NDArray[np.float64], energy_edges: ArrayLike | None, y_scale: str, records: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Distinct channels, (table, channel, 3): centre, lower, upper edge; and (record,) tables."""
    if energy_edges is None:
        edges = channel_edges(centres, is_log=True if y_scale == "log" else None)
    else:
        edges = np.asarray(energy_edges, np.float32)
        if edges.shape not in ((*centres.shape, 2), (*centres.shape[-1:], 2)):
            raise ValueError(
                f"energy_edges have shape {edges.shape}: expected {(*centres.shape, 2)} to match "
                "energy"
            )
        edges = np.broadcast_to(np.sort(edges, axis=-1), (*centres.shape, 2))
    channels = np.concatenate([centres[..., None].astype(np.float32), edges], axis=-1)
    if channels.ndim == 2:
        return channels[None], np.zeros(records, np.intp)
    # Records with equal channels share a table; NaN does not equal itself.
    bare = np.where(np.isfinite(channels), channels, -np.inf)
    rows, mode = np.unique(bare, axis=0, return_inverse=True)
    return np.where(np.isfinite(rows), rows, np.nan), mode.reshape(-1)


def x_values(name: str, x: ArrayLike, is_time: bool) -> NDArray[np.float64]:
    """Times as s since 1970 UTC, or numbers. Raises `ValueError` for other types."""
    given = np.asarray(x)
    if is_time:
        return seconds_of(name, given)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {given.dtype}: expected numbers, since x is no time")
    return given.astype(np.float64)


def seconds_of(name: str, time: ArrayLike) -> NDArray[np.float64]:
    """Times as s since 1970 UTC; NaN for NaT. Raises `ValueError` for other types."""
    given = np.asarray(time)
    if given.dtype.kind == "M":
        seconds = given.astype("datetime64[ns]").astype(np.int64) / 1e9
        return np.where(np.isnat(given), np.nan, seconds)
    if given.dtype.kind == "O":
        stamps = [getattr(entry, "timestamp", lambda entry=entry: entry)() for entry in given]
        return np.asarray(stamps, np.float64)
    if given.dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {given.dtype}: expected times, or s since 1970 UTC")
    return given.astype(np.float64)


def colour_limits(
    values: NDArray[np.float32], scale: str, low: float | None, high: float | None
) -> tuple[float, float]:
    cells = coloured_values(values.reshape(-1), scale)
    computed = np.percentile(cells, _PERCENTILES) if len(cells) else (1.0, 10.0)
    usable = _axis(scale, (float(computed[0]), float(computed[1])), low, high)
    return usable.low, usable.high


def energy_axis(cells: MeshCells, scale: ScaleName, low: float | None, high: float | None) -> Scale:
    """The energy axis: of the channels with values that count, as in a run's figures."""
    order = cells.records.order
    energy, edges = cells.channels[..., 0], cells.channels[..., 1:]
    mode, values = cells.mode[order].astype(np.uint32), cells.values[order]
    levels = count_levels(energy, edges, Samples(mode, values, are_means=False))
    computed = levels.limits(scale, ExtremaSettings.energy_coverage)
    if computed is None:
        measured = measured_channels(values[None], mode, len(energy))[0]
        computed = edge_range(energy, edges, measured, scale)
    return _axis(scale, computed or (1.0, 10.0), low, high)


def _axis(kind: str, computed: tuple[float, float], low: float | None, high: float | None) -> Scale:
    """An axis between computed limits; given ones (not None) are kept."""
    ends = computed[0] if low is None else low, computed[1] if high is None else high
    return usable_scale(kind, *in_order(*ends, low is not None, high is not None))


def colormap_of(name: str, y_scale: ScaleName, z_scale: ScaleName) -> str:
    import matplotlib as mpl

    if name and name not in mpl.colormaps:
        raise ValueError(f"colormap = {name!r}: matplotlib has no colour map of that name")
    return name or SCALE_PAIR_COLORMAPS[y_scale, z_scale]


def draw_cells(
    ax: Axes, cells: MeshCells, z_scale: str, limits: tuple[float, float], colormap: str
) -> tuple[Any, str]:
    """Draw a mesh for each energy table; records of other tables are gaps in it.

    Returns what the colour bar is made of, and the word for which of its ends are pointed.
    """
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    is_log = z_scale == "log"
    norm = LogNorm(*limits, clip=False) if is_log else Normalize(*limits)
    colors = mpl.colormaps[colormap]
    if is_log:
        colors = colors.with_extremes(under=UNDER_COLOR)
    mesh: Any = None
    below, above = is_log, False
    records = cells.records
    for table in cells.tables:
        bounds = table.log_edges if ax.get_yscale() == "log" else table.edges
        drawn = np.isfinite(bounds).all(axis=1)
        if not drawn.any():
            continue
        rows = cells.values[records.order[table.records]]
        shown = rows[:, table.lead].copy()
        for channel, members in table.repeated:
            finite = np.isfinite(rows[:, members])
            total = np.where(finite, rows[:, members], 0).sum(axis=1, dtype=np.float64)
            mean = np.where(finite.any(axis=1), total / np.maximum(finite.sum(axis=1), 1), np.nan)
            shown[:, channel] = mean
        shown = shown[:, drawn]
        # Edges alternate between start and end of a record: every second column is a gap. So do
        # those of channels, and every second row.
        edges = np.stack(
            [records.start[table.records], records.end[table.records]], axis=1
        ).reshape(-1)
        columns = np.full((2 * len(shown) - 1, 2 * shown.shape[1] - 1), np.nan)
        columns[::2, ::2] = shown
        below |= bool((shown < limits[0]).any())
        above |= bool((shown > limits[1]).any())
        if is_log:
            columns[columns <= 0] = limits[0] / 10  # LogNorm would mask them
        mesh = ax.pcolormesh(
            cells.on_axis(edges),
            np.maximum.accumulate(bounds[drawn].reshape(-1)),
            columns.T,
            norm=norm,
            cmap=colors,
            rasterized=True,
        )
    ends = Ends(below, above)
    return ScalarMappable(norm, colors) if mesh is None else mesh, ends.extend


OFFSETS = ("UTC", "%Y UTC", "%Y-%b UTC", "%Y-%b-%d UTC", "%Y-%b-%d UTC", "%Y-%b-%d %H:%M UTC")
"""What matplotlib writes once below a time axis, whose ticks are years, months, … or seconds."""


def set_x_axis(
    ax: Axes, cells: MeshCells, low: float | None, high: float | None, label: str
) -> None:
    """Set ticks, limits and label of the x axis; None: where the records begin or end."""
    records = cells.records
    if cells.x_is_time:
        from matplotlib import dates

        untyped: Any = dates
        locator = untyped.AutoDateLocator()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator, offset_formats=OFFSETS))
    if len(records.start):
        low = records.start.min() if low is None else low
        high = records.end.max() if high is None else high
    if low is not None and high is not None:
        ax.set_xlim(*map(float, cells.on_axis([low, high])))
    if label:
        ax.set_xlabel(label)


def events_of(given: Iterable[Any], x_is_time: bool) -> list[Event]:
    """Events from single values of x, pairs, or (start, end, label); each label has its number.

    Those that are an `Event` already are kept.

    Raises `ValueError` for anything else.
    """
    events: list[Event] = []
    numbers: dict[str, int] = {}
    for entry in given:
        if isinstance(entry, Event):
            events.append(entry)
            continue
        parts = tuple(entry) if isinstance(entry, tuple | list) else (entry, entry)
        if len(parts) not in (2, 3):
            raise ValueError(f"events: {entry!r}: expected a time, (start, end), or with a label")
        label = str(parts[2]) if len(parts) == 3 else ""
        start, end = x_values("events", np.asarray(list(parts[:2])), x_is_time)
        number = numbers.setdefault(label, len(numbers))
        events.append(Event(float(start), float(end), label, number))
    return events


def draw_event_lines(
    ax: Axes, events: Iterable[Event], cells: MeshCells, colormap: str, with_labels: bool = True
) -> None:
    """Draw dashed lines at start and end of events, on a dark line; labels above the axes."""
    rgb = palette_of(colormap).rgb / 255
    shown = sorted(ax.get_xlim())
    for event in events:
        color = tuple(rgb[marker_of(event.number)])
        ends = [float(x) for x in cells.on_axis([event.start, event.end])]
        for x in dict.fromkeys(ends):
            if shown[0] <= x <= shown[1]:
                ax.axvline(x, color="black", linewidth=2.4, zorder=10)
                ax.axvline(x, color=color, linewidth=1.4, linestyle=(0, (4, 3)), zorder=11)
        middle = (max(ends[0], shown[0]) + min(ends[1], shown[1])) / 2
        if with_labels and event.label and shown[0] <= middle <= shown[1]:
            ax.annotate(
                event.label,
                (middle, 1.0),
                (0, 2),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                color=color,
                fontsize="small",
                ha="center",
                va="bottom",
            )


def whole_title(text: str, inches: float, points: float) -> str:
    """Wrap a title to a width, so that none of it is outside of the figure."""
    letters = max(8, int(inches * 72 / (points * _LETTER_EMS)))
    return "\n".join(
        line for part in text.split("\n") for line in (textwrap.wrap(part, letters) or [""])
    )


def collapsed(
    values: ArrayLike, axis: int | None, how: str, data_name: str = "values"
) -> NDArray[np.float64]:
    """Values of two dimensions, or of three collapsed along one by "mean" or "sum" of the finite.

    Raises `ValueError` if the shape or an argument is wrong.
    """
    data = np.asarray(values, np.float64)
    if how not in ("mean", "sum"):
        raise ValueError(f'collapse = {how!r}: expected "mean" or "sum"')
    if data.ndim == 2:
        return data
    if data.ndim != 3 or axis is None or not -3 <= axis < 3:
        raise ValueError(
            f"{data_name} has shape {data.shape} and axis is {axis}; expected two "
            "dimensions, or three and the axis of them (0, 1, 2) to collapse"
        )
    finite = np.isfinite(data)
    count = finite.sum(axis=axis)
    total = np.where(finite, data, 0).sum(axis=axis)
    result = total / np.maximum(count, 1) if how == "mean" else total
    return np.asarray(np.where(count > 0, result, np.nan))
