"""Spectrograms on matplotlib axes, for notebooks and scripts.

They draw more slowly than the figures of a run, but can be modified afterwards. Cells have the
same edges in time and energy (`columns.records_of`, `raster.tables_of`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectro_mpi.draw.mesh import (
    cells_of,
    collapsed,
    colormap_of,
    colour_limits,
    draw_cells,
    draw_event_lines,
    energy_axis,
    events_of,
    set_x_axis,
    whole_title,
    x_values,
)
from spectro_mpi.model.marks import Event
from spectro_mpi.settings.schema import PlotSettings, ScaleName
from spectro_mpi.system.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ROW_KEYS = (
    *("x", "y", "data", "axis", "collapse", "time_start", "time_end", "energy_edges"),
    *("label", "x_label", "y_label", "z_label"),
    *("y_min", "y_max", "z_min", "z_max", "vmin", "vmax"),
)
"""Keys that a row of `plot_spectrogram_set` may have."""

_LIMITS = ("y_min", "y_max", "z_min", "z_max")


def make_spectrogram(
    time: ArrayLike,
    energy: ArrayLike,
    values: ArrayLike,
    *,
    axis: int | None = None,
    collapse: str = "mean",
    time_start: ArrayLike | None = None,
    time_end: ArrayLike | None = None,
    energy_edges: ArrayLike | None = None,
    gap_factor: float = PlotSettings.gap_factor,
    ax: Axes | None = None,
    x_is_time: bool = True,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    x_min: Any = None,
    x_max: Any = None,
    center: Any = None,
    width: float | None = None,
    y_min: float | None = None,
    y_max: float | None = None,
    z_min: float | None = None,
    z_max: float | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    colormap: str = "",
    label: str = "",
    x_label: str = "",
    y_label: str = "Energy (eV)",
    z_label: str = "",
    colorbar: bool = True,
    events: Sequence[Any] = (),
) -> Axes:
    """Draw one spectrogram, with each value between the edges of its record and channel.

    Parameters
    ----------
    time : array_like, (record,)
        Centres of the records: numpy or Python datetimes, or s since 1970 UTC. Gaps stay blank.
        A few times that are far from all others are left out with a warning.
    energy : array_like, (channel,) or (record, channel)
        Centres of the channels, in any order, eV (or Hz, or as in `y_label`); NaN: no channel.
    values : array_like, (record, channel), or of three dimensions
        Values to draw. NaN is blank. Values below a log colour scale, those at or below 0 too, are
        light grey, shown as a triangle at the lower end of the colour bar.
    axis : int, optional
        Of values of three dimensions: the one that is collapsed, such as 1 of (record, pitch angle,
        channel).
    collapse : {"mean", "sum"}
        What becomes of the finite values along `axis`.
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
    x_is_time : bool
        False: `time` and all other values of x are plain numbers, of any quantity.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axis and of the colours.
    x_min, x_max : time or float, optional
        Limits of the x axis, in a form of `time`. None: where the records begin and end. Colours
        and energies have the limits of all values, also of those not shown.
    center, width : time or float, and float, optional
        The middle of the x axis and its length (s, or in the unit of x), in place of its limits.
    y_min, y_max, z_min, z_max : float, optional
        Limits of energy (y) and colours (z), kept exactly. None: for y the lower edge of the lowest
        channel with a positive value (on a linear axis at most 0), and the upper edge at or below
        which channels with 99 % of the positive values lie; all finite values count if any is
        negative or none is positive. For z the 1st and 99th percentile of the positive values, or
        on linear colours of all finite values if any is negative or none is positive.
    vmin, vmax : float, optional
        Other names of `z_min` and `z_max`, which they override.
    colormap : str
        A matplotlib colour map; empty: by the pair of scales, as in a run's figures.
    label, x_label, y_label, z_label : str
        Title, wrapped to the width of the axes; labels of the axes and of the colour bar.
    colorbar : bool
        Whether to draw a colour bar.
    events : sequence
        Values of x to mark by lines: one, (start, end), or (start, end, label). Each label has its
        colour.

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
    z_min, z_max = (z_min if vmin is None else vmin), (z_max if vmax is None else vmax)
    _check_scales(y_scale=y_scale, z_scale=z_scale)
    _check_limits("y", y_scale, y_min, y_max)
    _check_limits("z", z_scale, z_min, z_max)
    if not gap_factor > 1:
        raise ValueError(f"gap_factor = {gap_factor!r}: expected a number above 1")
    data = collapsed(values, axis, collapse)
    cells = cells_of(
        time, energy, data, time_start, time_end, energy_edges, y_scale, gap_factor, x_is_time
    )
    low, high = _x_limits(x_min, x_max, center, width, x_is_time)
    marked = events_of(events, x_is_time)
    name = colormap_of(colormap, y_scale, z_scale)
    ax = _new_axes() if ax is None else ax
    limits = colour_limits(cells.values[cells.records.order], z_scale, z_min, z_max)
    y = energy_axis(cells, y_scale, y_min, y_max)
    ax.set_yscale(y_scale)
    mesh, extend = draw_cells(ax, cells, z_scale, limits, name)
    ax.set(ylim=(y.low, y.high), ylabel=y_label)
    set_x_axis(ax, cells, low, high, x_label)
    draw_event_lines(ax, marked, cells, name)
    _set_title(ax, label, above=any(event.label for event in marked))
    if colorbar:
        figure: Any = ax.figure
        figure.colorbar(mesh, ax=ax, label=z_label, pad=0.01, extend=extend)
    return ax


def _x_limits(
    x_min: Any, x_max: Any, center: Any, width: float | None, x_is_time: bool
) -> tuple[float | None, float | None]:
    """The limits of the x axis, s since 1970 UTC or numbers; None: not set."""
    if (center is None) != (width is None):
        raise ValueError("center and width: give both or none")
    low, high = (
        None if end is None else _single(name, end, x_is_time)
        for name, end in (("x_min", x_min), ("x_max", x_max))
    )
    if center is not None and width is not None:
        if not width > 0:
            raise ValueError(f"width = {width:g} is not above 0")
        middle = _single("center", center, x_is_time)
        low, high = middle - width / 2, middle + width / 2
    if low is not None and high is not None and not low < high:
        raise ValueError("x_min is not below x_max")
    return low, high


def _single(name: str, x: Any, x_is_time: bool) -> float:
    return float(x_values(name, np.asarray([x]), x_is_time)[0])


def _set_title(ax: Axes, text: str, above: bool) -> None:
    """Set the title of axes at the left, in as many lines as it needs; `above` event labels."""
    figure: Any = ax.figure
    inches = figure.get_figwidth() * ax.get_position().width
    wrapped = whole_title(text, inches, _points("medium"))
    ax.set_title(wrapped, loc="left", fontsize="medium", pad=18 if above and text else None)


def _points(size: str) -> float:
    """A font size such as "large" in points."""
    from matplotlib.font_manager import FontProperties

    points: Any = FontProperties(size=size).get_size_in_points()
    return float(points)


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


def plot_spectrogram_set(
    rows: Sequence[Mapping[str, Any]],
    *,
    y_scale: ScaleName = "log",
    z_scale: ScaleName = "log",
    title: str = "",
    colormap: str = "",
    gap_factor: float = PlotSettings.gap_factor,
    axis: int | None = None,
    collapse: str = "mean",
    x_is_time: bool = True,
    x_label: str = "",
    x_min: Any = None,
    x_max: Any = None,
    center: Any = None,
    width: float | None = None,
    y_min: float | None = None,
    y_max: float | None = None,
    z_min: float | None = None,
    z_max: float | None = None,
    events: Sequence[Any] = (),
    zoom_minutes: float | None = None,
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
        `make_spectrogram`: ``time_start``, ``time_end``, ``energy_edges``, ``label``, ``x_label``,
        ``y_label``, ``z_label``, ``y_min``, ``y_max``, ``z_min``, ``z_max``, ``vmin``, ``vmax``.
    y_scale, z_scale : {"linear", "log"}
        Scale of the energy axes and of the colours.
    title : str
        Title of the figure, wrapped to its width.
    colormap : str
        A matplotlib colour map; empty: by the pair of scales.
    gap_factor : float
        As for `make_spectrogram`.
    axis, collapse
        As for `make_spectrogram`, for the rows that do not have them.
    x_is_time, x_min, x_max, center, width
        As for `make_spectrogram`, for all rows.
    x_label : str
        Label below the last row.
    y_min, y_max, z_min, z_max : float, optional
        Limits of the rows that have none of their own.
    events : sequence
        Values of x to mark in all rows, as for `make_spectrogram`; labels are above the first row.
    zoom_minutes : float, optional
        Add a second column that shows the first event, as wide as so many minutes (units of x if
        it is not time), or as one and a half events if that is more. It is left out if no row has
        a finite value there.
    panel_size : (float, float)
        Width of a column and height of one row, inches.
    dpi : float
        Pixels per inch.
    path : path, optional
        File to write the figure to, in the format of its suffix; text in PDF files stays text. It
        is complete or absent.

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

    shared = {"axis": axis, "collapse": collapse}
    limits = dict(zip(_LIMITS, (y_min, y_max, z_min, z_max), strict=True))
    panels = [_panel(number, row, shared | limits) for number, row in enumerate(rows)]
    if not panels:
        raise ValueError("rows is empty: expected at least one row")
    low, high = _x_limits(x_min, x_max, center, width, x_is_time)
    marked = events_of(events, x_is_time)
    columns = [(low, high), *_zoom(panels, marked, zoom_minutes, x_is_time)]
    size = panel_size[0] * len(columns), panel_size[1] * len(panels)
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    grid = figure.subplots(len(panels), len(columns), sharex="col", squeeze=False)
    style = {"y_scale": y_scale, "z_scale": z_scale, "colormap": colormap}
    panels[-1]["x_label"] = panels[-1]["x_label"] or x_label
    _fill(
        grid, panels, columns, marked, {**style, "gap_factor": gap_factor, "x_is_time": x_is_time}
    )
    _share_times(list(grid[:, 0]), low, high, x_is_time)
    if title:
        figure.suptitle(whole_title(title, size[0] * 0.96, _points("large")), fontsize="large")
    if path is not None:
        path = Path(path)
        write_atomic(path, figure_file(figure, path.suffix.removeprefix(".") or "png"))
    return figure


def _fill(
    grid: NDArray[Any],
    panels: Sequence[Mapping[str, Any]],
    columns: Sequence[tuple[float | None, float | None]],
    events: Sequence[Event],
    style: Mapping[str, Any],
) -> None:
    """Draw panels on a grid of axes, (row, column); `columns` are their x limits."""
    for (begin, end), column in zip(columns, grid.T, strict=True):
        for number, (panel, ax) in enumerate(zip(panels, column, strict=True)):
            lines = [replace(event, label="") if number else event for event in events]
            shown = {**panel, **style, "x_min": begin, "x_max": end, "events": lines}
            with _row_in_errors(number):
                make_spectrogram(**shown, ax=ax)


def _zoom(
    panels: Sequence[Mapping[str, Any]],
    events: Sequence[Event],
    minutes: float | None,
    x_is_time: bool,
) -> list[tuple[float, float]]:
    """The limits of the zoom column, about the first event; empty: there is none to show."""
    if minutes is None or not events:
        return []
    start, end = events[0].start, events[0].end
    half = max(minutes * (60 if x_is_time else 1), 1.5 * abs(end - start)) / 2
    low, high = (start + end) / 2 - half, (start + end) / 2 + half
    for number, panel in enumerate(panels):
        with _row_in_errors(number):
            x = x_values("x", panel["time"], x_is_time)
        inside = (x >= low) & (x <= high)
        values = panel["values"]
        if len(values) == len(x) and np.isfinite(values[inside]).any():
            return [(low, high)]
    return []


@contextmanager
def _row_in_errors(number: int) -> Iterator[None]:
    """Begin the message of a `ValueError` with the number of the row."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from None


def _share_times(
    axes: Sequence[Axes], low: float | None, high: float | None, x_is_time: bool
) -> None:
    """Have panels that share their time axis show the times of all, unless limits are set."""
    spans = [ax.dataLim for ax in axes if np.isfinite(ax.dataLim.x0)]
    per_unit = 86400.0 if x_is_time else 1.0
    if len(axes) > 1 and spans:
        begin = min(span.x0 for span in spans) if low is None else low / per_unit
        end = max(span.x1 for span in spans) if high is None else high / per_unit
        axes[0].set_xlim(begin, end)


def preload() -> None:
    """Import matplotlib, which is slow, before it is needed."""
    import matplotlib.figure  # noqa: F401


def figure_file(figure: Figure, kind: str) -> bytes:
    """The content of a file of the figure in format `kind` ("png", "pdf", …).

    Text in PDF and PostScript is in TrueType fonts, which can be edited and searched.
    """
    import matplotlib as mpl

    content = io.BytesIO()
    fonts: Any = {"pdf.fonttype": 42, "ps.fonttype": 42}
    with mpl.rc_context(fonts):
        figure.savefig(content, format=kind)
    return content.getvalue()


def _panel(number: int, row: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `make_spectrogram` for a row; `shared`: of rows that lack them."""
    unknown = sorted(set(row) - set(ROW_KEYS))
    missing = [key for key in ("x", "y", "data") if key not in row]
    if unknown or missing:
        problems = [f"has unknown keys {', '.join(unknown)}"] if unknown else []
        problems += [f"lacks {', '.join(missing)}"] if missing else []
        raise ValueError(
            f"row {number} {' and '.join(problems)}; its keys may be {', '.join(ROW_KEYS)}"
        )
    names = {"x": "time", "y": "energy", "data": "values"}
    given = {names.get(key, key): value for key, value in row.items()}
    own = {key: value for key, value in given.items() if value is not None}
    panel = {"x_label": "", **shared, **own}
    with _row_in_errors(number):
        panel["values"] = collapsed(
            panel["values"], panel.pop("axis"), panel.pop("collapse"), "data"
        )
    return panel
