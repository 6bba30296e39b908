"""Spectrograms on matplotlib axes, for notebooks and scripts.

They draw more slowly than the figures of a run, but can be modified afterwards. Cells have the
same edges in time and energy (`columns.records_of`, `raster.tables_of`).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectro_mpi.draw.bars import Ends
from spectro_mpi.draw.columns import Records, records_of
from spectro_mpi.draw.palette import UNDER_COLOR
from spectro_mpi.draw.raster import EnergyTable, tables_of
from spectro_mpi.draw.scale import Scale, usable_scale
from spectro_mpi.draw.times import left_out_text
from spectro_mpi.model.channels import channel_edges
from spectro_mpi.model.extrema import coloured_values, in_order
from spectro_mpi.model.levels import count_levels, edge_range, measured_channels
from spectro_mpi.model.samples import Samples
from spectro_mpi.settings.schema import (
    SCALE_PAIR_COLORMAPS,
    ExtremaSettings,
    PlotSettings,
    ScaleName,
)
from spectro_mpi.system.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ROW_KEYS = (
    *("x", "y", "data", "axis", "collapse", "time_start", "time_end", "energy_edges"),
    *("label", "y_label", "z_label"),
    *("y_min", "y_max", "z_min", "z_max", "vmin", "vmax"),
)
"""Keys that a row of `plot_spectrogram_set` may have."""

_PERCENTILES = (1, 99)
_SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True)
class _Cells:
    """Values, with the edges of their cells in order of time."""

    records: Records
    tables: tuple[EnergyTable, ...]
    values: NDArray[np.float32]
    """(record, channel), in the order given."""
    channels: NDArray[np.float32]
    """(table, channel, 3) centre, lower and upper edge."""
    mode: NDArray[np.intp]
    """(record,) row of `channels`, in the order given."""


def make_spectrogram(
    time: ArrayLike,
    energy: ArrayLike,
    values: ArrayLike,
    *,
    time_start: ArrayLike | None = None,
    time_end: ArrayLike | None = None,
    energy_edges: ArrayLike | None = None,
    gap_factor: float = PlotSettings.gap_factor,
    ax: Axes | None = None,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    y_min: float | None = None,
    y_max: float | None = None,
    z_min: float | None = None,
    z_max: float | None = None,
    colormap: str = "",
    label: str = "",
    y_label: str = "Energy (eV)",
    z_label: str = "",
    colorbar: bool = True,
) -> Axes:
    """Draw one spectrogram, with each value between the edges of its record and channel.

    Parameters
    ----------
    time : array_like, (record,)
        Centres of the records: numpy or Python datetimes, or s since 1970 UTC. Gaps stay blank.
        A few times that are far from all others are left out with a warning.
    energy : array_like, (channel,) or (record, channel)
        Centres of the channels, in any order, eV (or Hz, or as in `y_label`); NaN: no channel.
    values : array_like, (record, channel)
        Values to draw. NaN is blank. Values below a log colour scale, those at or below 0 too, are
        light grey, shown as a triangle at the lower end of the colour bar.
    time_start, time_end : array_like, (record,), optional
        Start and end of the records, in the form of `time`. None: half-way between neighbours.
    energy_edges : array_like, (channel, 2) or (record, channel, 2), optional
        Edges of the channels, the lower one first or last, in the unit of `energy`. None: between
        the centres, at the geometric mean on a log axis or if their ratio is nearly constant, else
        midway. Figures of a run have the edges that the file reports, as ``energy_edges`` of
        `Run.xarray`.
    gap_factor : float
        Local widths of a record in the step to the next above which there is a gap; above 1.
        The local width is the larger of the medians of up to 5 steps before and 5 after a record.
    ax : matplotlib Axes, optional
        Axes to draw on. None: those of a new figure.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axis and of the colours.
    y_min, y_max, z_min, z_max : float, optional
        Limits of energy (y) and colours (z), kept exactly. None: for y the lower edge of the lowest
        channel with a positive value (on a linear axis at most 0), and the upper edge at or below
        which channels with 99 % of the positive values lie; all finite values count if any is
        negative or none is positive. For z the 1st and 99th percentile of the positive values, or
        on linear colours of all finite values if any is negative or none is positive.
    colormap : str
        A matplotlib colour map; empty: by the pair of scales, as in a run's figures.
    label, y_label, z_label : str
        Title, label of the energy axis, label of the colour bar.
    colorbar : bool
        Whether to draw a colour bar.

    Returns
    -------
    matplotlib Axes
        The axes that were drawn on.

    Raises
    ------
    ValueError
        If shapes do not match, times are of another type, `gap_factor` is not above 1, a scale
        or colour map is unknown, or a limit is not finite, not positive on a log axis, or not
        below the upper one.
    """
    _check_scales(y_scale=y_scale, z_scale=z_scale)
    _check_limits("y", y_scale, y_min, y_max)
    _check_limits("z", z_scale, z_min, z_max)
    if not gap_factor > 1:
        raise ValueError(f"gap_factor = {gap_factor!r}: expected a number above 1")
    cells = _cells(time, energy, values, time_start, time_end, energy_edges, y_scale, gap_factor)
    ax = _new_axes() if ax is None else ax
    limits = _limits(cells.values[cells.records.order], z_scale, z_min, z_max)
    y = _energy_axis(cells, y_scale, y_min, y_max)
    ax.set_yscale(y_scale)
    mesh, extend = _draw(ax, cells, z_scale, limits, _colormap(colormap, y_scale, z_scale))
    ax.set(ylim=(y.low, y.high), ylabel=y_label)
    _set_times(ax, cells.records)
    ax.set_title(label, loc="left", fontsize="medium")
    if colorbar:
        figure: Any = ax.figure
        figure.colorbar(mesh, ax=ax, label=z_label, pad=0.01, extend=extend)
    return ax


def _check_scales(**scales: str) -> None:
    for name, scale in scales.items():
        if scale not in ("linear", "log"):
            raise ValueError(f'{name} = {scale!r}: expected "linear" or "log"')


def _check_limits(axis: str, scale: str, low: float | None, high: float | None) -> None:
    for end, limit in (("min", low), ("max", high)):
        if limit is None:
            continue
        if not np.isfinite(limit):
            raise ValueError(f"{axis}_{end} = {limit}: expected a finite number")
        if scale == "log" and limit <= 0:
            raise ValueError(
                f"{axis}_{end} = {limit:g}: expected a value above 0, since that axis is "
                "logarithmic"
            )
    if low is not None and high is not None and not low < high:
        raise ValueError(f"{axis}_min = {low:g} is not below {axis}_max = {high:g}")


def _new_axes() -> Axes:
    import matplotlib.pyplot as plt

    axes: Axes = plt.subplots(figsize=(10, 3), layout="constrained")[1]
    return axes


def _energy_axis(cells: _Cells, scale: ScaleName, low: float | None, high: float | None) -> Scale:
    """The energy axis: of the channels with values that count, as in a run's figures."""
    order = cells.records.order
    energy, edges = cells.channels[..., 0], cells.channels[..., 1:]
    mode, values = cells.mode[order].astype(np.uint32), cells.values[order]
    levels = count_levels(energy, edges, Samples(mode, values, are_means=False))
    computed = levels.limits(scale, ExtremaSettings.energy_coverage)
    if computed is None:
        measured = measured_channels(values[None], mode, len(energy))
        computed = edge_range(energy, edges, measured, scale)
    return _axis(scale, computed or (1.0, 10.0), low, high)


def plot_spectrogram_set(
    rows: Sequence[Mapping[str, Any]],
    *,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    title: str = "",
    colormap: str = "",
    gap_factor: float = PlotSettings.gap_factor,
    panel_size: tuple[float, float] = (12.0, 3.0),
    dpi: float = 100,
    path: Path | str | None = None,
) -> Figure:
    """Draw spectrograms one below the other, on a common time axis.

    Parameters
    ----------
    rows : sequence of mappings
        For each panel: ``x`` (record,), ``y`` (channel,) or (record, channel), and ``data``
        (record, channel), as `time`, `energy` and `values` of `make_spectrogram`. ``data`` may have
        a third axis, whose number is ``axis``. It is collapsed by the mean of its finite values or,
        with ``collapse="sum"``, by their sum. Optional, as the arguments of
        `make_spectrogram`: ``time_start``, ``time_end``, ``energy_edges``, ``label``, ``y_label``,
        ``z_label``, ``y_min``, ``y_max``, ``z_min``, ``z_max``. ``vmin`` and ``vmax`` are other
        names for the last two and take precedence.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axes and of the colours.
    title : str
        Title of the figure.
    colormap : str
        A matplotlib colour map; empty: by the pair of scales.
    gap_factor : float
        As for `make_spectrogram`.
    panel_size : (float, float)
        Width of the figure and height of one row, inches.
    dpi : float
        Pixels per inch.
    path : path, optional
        File to write the figure to, in the format of its suffix. It is complete or absent.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        If there are no rows, or a row has unknown or missing keys or values that
        `make_spectrogram` refuses; the message gives the number of the row.
    OSError
        If `path` cannot be written.
    """
    from matplotlib.figure import Figure

    panels = [{**_panel(n, row), "gap_factor": gap_factor} for n, row in enumerate(rows)]
    if not panels:
        raise ValueError("rows is empty: expected at least one row")
    width, height = panel_size
    figure = Figure(figsize=(width, height * len(panels)), dpi=dpi, layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for number, (panel, ax) in enumerate(zip(panels, axes, strict=True)):
        try:
            make_spectrogram(**panel, ax=ax, y_scale=y_scale, z_scale=z_scale, colormap=colormap)
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from None
    _share_times(list(axes))
    if title:
        figure.suptitle(title)
    if path is not None:
        path = Path(path)
        write_atomic(path, figure_file(figure, path.suffix.removeprefix(".") or "png"))
    return figure


def _share_times(axes: Sequence[Axes]) -> None:
    """Have panels that share their time axis show the times of all."""
    spans = [ax.dataLim for ax in axes if np.isfinite(ax.dataLim.x0)]
    if len(axes) > 1 and spans:
        axes[0].set_xlim(min(span.x0 for span in spans), max(span.x1 for span in spans))


def preload() -> None:
    """Import matplotlib, which is slow, before it is needed."""
    import matplotlib.figure  # noqa: F401


def figure_file(figure: Figure, kind: str) -> bytes:
    """The content of a file of the figure in format `kind` ("png", "pdf", …)."""
    content = io.BytesIO()
    figure.savefig(content, format=kind)
    return content.getvalue()


def _panel(number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `make_spectrogram` for a row."""
    unknown = sorted(set(row) - set(ROW_KEYS))
    missing = [key for key in ("x", "y", "data") if key not in row]
    if unknown or missing:
        problems = [f"has unknown keys {', '.join(unknown)}"] if unknown else []
        problems += [f"lacks {', '.join(missing)}"] if missing else []
        raise ValueError(
            f"row {number} {' and '.join(problems)}; its keys may be {', '.join(ROW_KEYS)}"
        )
    same = ("time_start", "time_end", "energy_edges", "label", "y_label", "z_label")
    taken = {key: row[key] for key in same if key in row}
    limits = {key: row.get(key) for key in ("y_min", "y_max", "z_min", "z_max")}
    for key, other in (("z_min", "vmin"), ("z_max", "vmax")):
        limits[key] = limits[key] if row.get(other) is None else row[other]
    data = _collapsed(number, row)
    return {"time": row["x"], "energy": row["y"], "values": data, **taken, **limits}


def _collapsed(number: int, row: Mapping[str, Any]) -> NDArray[np.float64]:
    data = np.asarray(row["data"], np.float64)
    axis, how = row.get("axis"), row.get("collapse", "mean")
    if how not in ("mean", "sum"):
        raise ValueError(f'row {number}: collapse = {how!r}: expected "mean" or "sum"')
    if data.ndim == 2 and axis is None:
        return data
    if data.ndim != 3 or axis is None or not -3 <= axis < 3:
        raise ValueError(
            f"row {number}: data has shape {data.shape} and axis is {axis}; expected two "
            "dimensions, or three and the axis of them (0, 1, 2) to collapse"
        )
    finite = np.isfinite(data)
    count = finite.sum(axis=axis)
    total = np.where(finite, data, 0).sum(axis=axis)
    collapsed = total / np.maximum(count, 1) if how == "mean" else total
    return np.where(count > 0, collapsed, np.nan)


def _cells(
    time: ArrayLike,
    energy: ArrayLike,
    values: ArrayLike,
    time_start: ArrayLike | None,
    time_end: ArrayLike | None,
    energy_edges: ArrayLike | None,
    y_scale: ScaleName,
    gap_factor: float,
) -> _Cells:
    seconds = _seconds("time", time)
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
        end = np.full(len(seconds), np.nan) if given is None else _seconds(name, given)
        if end.shape != seconds.shape:
            raise ValueError(
                f"{name} has shape {end.shape}: expected {seconds.shape} to match time"
            )
        ends.append(end)
    records = records_of(seconds, ends[0], ends[1], gap_factor)
    for times in records.stray:
        warnings.warn(left_out_text(times), stacklevel=3)
    tables = tables_of(rows[..., 0], rows[..., 1:], mode, records)
    return _Cells(records, tables, data, rows, mode)


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


def _seconds(name: str, time: ArrayLike) -> NDArray[np.float64]:
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


def _limits(
    values: NDArray[np.float32], scale: str, low: float | None, high: float | None
) -> tuple[float, float]:
    cells = coloured_values(values.reshape(-1), scale)
    computed = np.percentile(cells, _PERCENTILES) if len(cells) else (1.0, 10.0)
    usable = _axis(scale, (float(computed[0]), float(computed[1])), low, high)
    return usable.low, usable.high


def _axis(kind: str, computed: tuple[float, float], low: float | None, high: float | None) -> Scale:
    """An axis between computed limits; given ones (not None) are kept."""
    ends = computed[0] if low is None else low, computed[1] if high is None else high
    return usable_scale(kind, *in_order(*ends, low is not None, high is not None))


def _colormap(name: str, y_scale: ScaleName, z_scale: ScaleName) -> str:
    import matplotlib as mpl

    if name and name not in mpl.colormaps:
        raise ValueError(f"colormap = {name!r}: matplotlib has no colour map of that name")
    return name or SCALE_PAIR_COLORMAPS[y_scale, z_scale]


def _draw(
    ax: Axes, cells: _Cells, z_scale: str, limits: tuple[float, float], colormap: str
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
            edges / _SECONDS_PER_DAY,
            np.maximum.accumulate(bounds[drawn].reshape(-1)),
            columns.T,
            norm=norm,
            cmap=colors,
            rasterized=True,
        )
    ends = Ends(below, above)
    return ScalarMappable(norm, colors) if mesh is None else mesh, ends.extend


def _set_times(ax: Axes, records: Records) -> None:
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(untyped.ConciseDateFormatter(locator))
    if len(records.start):
        first, last = records.start.min(), records.end.max()
        ax.set_xlim(first / _SECONDS_PER_DAY, last / _SECONDS_PER_DAY)
