"""Figures of a run: its timeline, its load and memory, its stacks as planned and as done.

They need only the record of resources (`spectro_mpi.resources`), so that they can be drawn during
a run and after it was killed. Each public function takes the run directory and, where it applies,
`between`: two times in seconds of the run. It returns None if nothing was sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from spectro_mpi.inert import inert
from spectro_mpi.report.memory_figure import draw_memory_of_steps
from spectro_mpi.report.run_time import RunTime, Span, clock, read_run_time
from spectro_mpi.report.stacks_figure import draw_stacks
from spectro_mpi.report.style import (
    ALARM,
    INK,
    LINE,
    SERIES,
    SOFT,
    RunFigure,
    color_of,
    legend,
    new_figure,
    quiet_grid,
    time_axis,
    title,
)
from spectro_mpi.resources import Ends, Samples
from spectro_mpi.resources.tables import Array
from spectro_mpi.system.atomic import write_atomic
from spectro_mpi.system.words import count

_COLUMNS = 1500
"""Number of columns of a timeline."""
_FEW = 8
"""Up to this many ranks or nodes are drawn as lines; more are drawn as a median and a band."""
_LISTED = 5
"""Limit of lost compute processes listed below a timeline."""


def run_figures(run_dir: Path, between: Span | None = None) -> list[RunFigure]:
    """Return all figures of a run for which there is data."""
    time = read_run_time(run_dir)
    if time is None:
        return []
    drawn = [
        _timeline(time, between),
        _load_and_memory(time, between),
        draw_memory_of_steps(time),
        draw_stacks(time),
    ]
    return [figure for figure in drawn if figure is not None]


def write_run_figures(figures: Iterable[RunFigure], folder: Path) -> list[Path]:
    """Write NAME.svg and NAME.png of each figure; return the paths of the SVG files.

    Raises `OSError` if a file cannot be written.
    """
    written = []
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        write_atomic(path, figure.svg().encode())
        write_atomic(path.with_suffix(".png"), figure.png())
        written.append(path)
    return written


def timeline(run_dir: Path, between: Span | None = None) -> RunFigure | None:
    """Draw ranks × time, coloured by the activity of each rank."""
    return _of(run_dir, lambda time: _timeline(time, between))


def load_and_memory(run_dir: Path, between: Span | None = None) -> RunFigure | None:
    """Draw the activities of the workers; load, memory and I/O of nodes and ranks."""
    return _of(run_dir, lambda time: _load_and_memory(time, between))


def _of(run_dir: Path, draw: Callable[[RunTime], RunFigure | None]) -> RunFigure | None:
    time = read_run_time(run_dir)
    return None if time is None else draw(time)


def _timeline(time: RunTime, between: Span | None) -> RunFigure | None:
    window, ranks = time.window(between), list(time.rank_roles)
    edges = np.linspace(*window, _COLUMNS + 1)
    shares = np.stack([time.shares(rank, edges) for rank in ranks])
    ends = _ends_in(time, window)
    height = min(8.0, 1.3 + 0.28 * len(ranks)) + 0.17 * min(len(ends), _LISTED + 1)
    figure, (axes,) = new_figure(height, [1])
    axes.imshow(
        _mixed(shares, time.kinds),
        aspect="auto",
        interpolation="nearest",
        extent=(*window, len(ranks) - 0.5, -0.5),
    )
    for place in range(1, len(ranks)) if len(ranks) <= 40 else ():
        axes.axhline(place - 0.5, color=LINE, linewidth=0.6)
    _restarts(axes, time, window)
    time_axis(axes, window, time)
    _rank_ticks(axes, ranks, time)
    at = time.of(ends.time, ends.execution)
    places = [ranks.index(rank) for rank in ends.rank]
    axes.plot(at, places, linestyle="none", marker="X", color=ALARM, markersize=7,
              markeredgecolor="white", markeredgewidth=0.7, clip_on=False)  # fmt: skip
    present = [
        kind for kind, share in zip(time.kinds, shares.sum(axis=(0, 2)), strict=True) if share
    ]
    handles: list[Any] = _patches(present, time)
    title(axes, "Activity of each rank")
    if len(ends):
        handles.append(_cross("compute process ended"))
    legend(axes, handles)
    if len(ends):
        lines = [
            f"{clock(float(moment))}  {line}"
            for moment, line in zip(at, _described(ends), strict=False)
        ]
        if len(ends) > _LISTED:
            lines.append(f"… and {len(ends) - _LISTED} more")
        axes.annotate(
            "\n".join(lines),
            (0, 0),
            (0, -48),
            xycoords="axes fraction",
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=SOFT,
            linespacing=1.5,
        )
    workers = [ranks.index(rank) for rank in time.workers]
    busy = shares[workers].sum(axis=(1, 2)) / _COLUMNS
    text = (
        f"Timeline of {count(len(ranks), 'rank')} over {clock(window[1] - window[0])}: workers "
        f"were busy {100 * busy.mean():.0f} % of the time, the least busy worker "
        f"{100 * busy.min():.0f} %"
    )
    if len(ends):
        text += (
            f"; {count(len(ends), 'compute process', 'es')} ended: {'; '.join(_described(ends))}"
        )
    return RunFigure("timeline", "Activity of each rank", text + ".", figure)


def _patches(kinds: Sequence[str], time: RunTime) -> list[Any]:
    """The handles of a legend; names are not mathtext."""
    return [
        Patch(color=color_of(kind, time.kinds), label=inert(kind).replace("$", r"\$"))
        for kind in kinds
    ]


def _mixed(shares: Array, kinds: Sequence[str]) -> Array:
    """Mix the colours of activities by their shares of time; idle time is transparent.

    `shares` is (rank, kind, column); the result is (rank, column, rgba), both float64.
    """
    colors = np.array([to_rgb(color_of(kind, kinds)) for kind in kinds])
    total = np.clip(shares.sum(axis=1), 0, 1)
    mixed = np.einsum("rkt,kc->rtc", shares, colors)
    mixed /= np.maximum(shares.sum(axis=1), 1e-9)[..., None]
    return np.concatenate([np.clip(mixed, 0, 1), total[..., None]], axis=2)


def _load_and_memory(time: RunTime, between: Span | None) -> RunFigure | None:
    window, samples = time.window(between), time.record.samples
    if not len(samples):
        return None
    figure, panels = new_figure(10.5, [1, 1.15, 1.15, 1.15, 1.15, 1])
    activity, cpu, node_memory, load, memory, moved = panels
    _worker_activities(activity, time, window)
    _nodes(cpu, cores_and_load=True, time=time)
    _nodes(node_memory, cores_and_load=False, time=time)
    workers = samples.at(np.isin(samples.rank, time.workers))
    others = samples.at(~np.isin(samples.rank, time.workers))
    _spread(load, time, workers, workers.cpu + workers.child_cpu)
    _others(load, time, others, others.cpu)
    title(load, "Load of each worker and its compute process (cores)")
    total = workers.resident + workers.child_resident
    _spread(memory, time, workers, total / 1024)
    _others(memory, time, others, others.resident / 1024)
    _limits(memory, time)
    title(memory, "Memory of each worker and its compute process (GB)")
    _moved(moved, time, window)
    ends = _ends_in(time, window)
    if len(ends):
        memory.plot(time.of(ends.time, ends.execution), ends.resident / 1024, linestyle="none",
                    marker="X", color=ALARM, markeredgecolor="white", markersize=7,
                    clip_on=False)  # fmt: skip
    for axes in panels:
        quiet_grid(axes)
        axes.set_ylim(0, max(axes.get_ylim()[1], 1.1 * axes.dataLim.ymax))
        _restarts(axes, time, window)
        time_axis(axes, window, time, label=axes is panels[-1])
    figure.align_ylabels(panels)
    text = (
        f"Load and memory over {clock(window[1] - window[0])}. Highest memory of a worker with its "
        f"compute process: {total.max(initial=0):.0f} MB. "
        f"Mean load of a worker: {_mean_load(workers):.2f} cores."
    )
    tasks = time.record.steps.at(time.record.steps.item != "")
    if len(tasks):
        most = int(np.argmax(tasks.peak))
        text += (
            f" Item with the highest memory: {tasks.item[most]}, phase {tasks.phase[most]}, "
            f"{tasks.peak[most]:.0f} MB."
        )
    return RunFigure("load", "Load and memory", text, figure)


def _worker_activities(axes: Axes, time: RunTime, window: Span) -> None:
    """Draw the number of workers by activity, stacked."""
    edges = np.linspace(*window, 301)
    counts = np.sum([time.shares(rank, edges) for rank in time.workers], axis=0)
    present = [place for place in range(len(time.kinds)) if counts[place].any()]
    middles = (edges[1:] + edges[:-1]) / 2
    if present:
        axes.stackplot(
            middles,
            counts[present],
            colors=[color_of(time.kinds[place], time.kinds) for place in present],
            linewidth=0,
            step="mid",
        )
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
    title(axes, "Busy workers, by activity")
    legend(axes, _patches([time.kinds[place] for place in present], time))


def _nodes(axes: Axes, cores_and_load: bool, time: RunTime) -> None:
    nodes, ranks = time.record.nodes, time.record.ranks
    hosts = list(dict.fromkeys(ranks.host.tolist()))
    capacity = dict(zip(ranks.host, ranks.cores if cores_and_load else ranks.memory, strict=True))
    at = time.of(nodes.time, nodes.execution)
    total = np.array([capacity.get(host, np.nan) for host in nodes.host], float)
    values = nodes.cpu if cores_and_load else (total - nodes.available) / 1024
    named = count(len(hosts), "node")
    if len(hosts) <= _FEW:
        for color, host in zip(SERIES, hosts, strict=False):
            rows = nodes.host == host
            name = inert(host).replace("$", r"\$")  # not the begin of mathtext
            axes.plot(at[rows], values[rows], color=color, linewidth=1.3, label=name)
            if cores_and_load:
                axes.plot(at[rows], nodes.load[rows], color=color, linewidth=0.9, linestyle=":")
    else:
        _band(axes, at, values, nodes.host, time)
    if cores_and_load:
        _level(axes, max(capacity.values(), default=0), "cores")
        title(axes, f"Load of {named}: cores busy" + (", dotted: load" if len(hosts) <= 8 else ""))
    else:
        _level(axes, max(capacity.values(), default=0) / 1024, "memory of the node")
        title(axes, f"Memory in use of {named} (GB)")
    if 1 < len(hosts) <= _FEW:
        legend(axes, axes.get_legend_handles_labels()[0])


def _spread(axes: Axes, time: RunTime, samples: Samples, values: Array) -> None:
    """Draw one line per worker, or for many workers the median and the range."""
    at = time.of(samples.time, samples.execution)
    workers = time.workers
    if len(workers) > _FEW:
        _band(axes, at, values, samples.rank, time)
        return
    for color, rank in zip(SERIES, workers, strict=False):
        rows = samples.rank == rank
        axes.plot(at[rows], values[rows], color=color, linewidth=1.2, label=f"rank {rank}")
    legend(axes, axes.get_legend_handles_labels()[0])


def _band(axes: Axes, at: Array, values: Array, whose: Array, time: RunTime) -> None:
    """Draw median and range over many ranks or nodes.

    Samples are grouped into time bins, wide enough that most of `whose` have one in each.
    """
    interval = float(time.record.ranks.interval.max(initial=1.0))
    width = max(1.5 * interval, time.seconds / 250, 1e-3)
    place = np.floor(at / width).astype(int)
    order = np.lexsort((values, place))
    place, values = place[order], values[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1)).tolist()
    spans = [values[a:b] for a, b in zip(starts, [*starts[1:], len(values)], strict=True)]
    middles = (np.array([place[a] for a in starts]) + 0.5) * width
    low, middle, high = (np.array([np.percentile(span, q) for span in spans]) for q in (0, 50, 100))
    axes.fill_between(middles, low, high, color=SERIES[0], alpha=0.25, linewidth=0)
    axes.plot(middles, middle, color=SERIES[0], linewidth=1.4)
    axes.plot(middles, high, color=SERIES[0], linewidth=0.7)
    handles = [
        Line2D([], [], color=SERIES[0], label="median"),
        Patch(color=SERIES[0], alpha=0.25, label=f"range of {len(np.unique(whose))}"),
    ]
    legend(axes, handles)


def _others(axes: Axes, time: RunTime, samples: Samples, values: Array) -> None:
    """Draw a line each for coordinator and writer, unless they are workers."""
    roles, handles = time.rank_roles, list(getattr(axes.get_legend(), "legend_handles", []))
    for style, rank in zip(("--", ":"), np.unique(samples.rank).tolist(), strict=False):
        rows = samples.rank == rank
        at = time.of(samples.time[rows], samples.execution[rows])
        (line,) = axes.plot(at, values[rows], color=SOFT, linestyle=style, linewidth=1.1)
        line.set_label(roles[rank].replace("+", " and "))
        handles.append(line)
    if handles:
        legend(axes, handles, columns=10)


def _limits(axes: Axes, time: RunTime) -> None:
    limits = time.record.ends.limit[time.record.ends.limit > 0]
    if len(limits):
        # Label below the line: the processes killed for the limit are above it.
        _level(axes, float(limits[-1]) / 1024, "limit of a compute process", below=True)


def _level(axes: Axes, value: float, name: str, below: bool = False) -> None:
    if value > 0 and value < 4 * max(1e-9, axes.dataLim.ymax):
        axes.axhline(value, color=SOFT, linewidth=0.9, linestyle=(0, (5, 3)))
        axes.annotate(
            name,
            (1, value),
            (0, -3 if below else 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            fontsize=8,
            color=SOFT,
        )
        axes.set_ylim(top=1.15 * max(value, axes.dataLim.ymax))


def _moved(axes: Axes, time: RunTime, window: Span) -> None:
    """Draw the MB/s that all ranks together read and write."""
    samples = time.record.samples
    end = time.of(samples.time, samples.execution)
    interval = float(time.record.ranks.interval.max(initial=1.0))
    bins = int(np.clip((window[1] - window[0]) / (2 * interval), 8, 250))
    edges = np.linspace(*window, bins + 1)
    for name, color, values in (
        ("read", SERIES[0], samples.read),
        ("written", SERIES[5], samples.written),
    ):
        # The bytes of a sample are distributed evenly over its time span.
        whole = np.zeros(bins)
        for low, high, amount in zip(end - samples.seconds, end, values, strict=True):
            first, last = np.searchsorted(edges, [low, high])
            a, b = max(first - 1, 0), min(last, bins)
            covered = np.minimum(edges[a + 1 : b + 1], high) - np.maximum(edges[a:b], low)
            whole[a:b] += amount * np.clip(covered, 0, None) / max(high - low, 1e-9)
        axes.plot(
            (edges[1:] + edges[:-1]) / 2,
            whole / np.diff(edges),
            color=color,
            linewidth=1.2,
            label=name,
        )
    title(axes, "Read and written by all ranks (MB/s, by system calls)")
    legend(axes, axes.get_legend_handles_labels()[0])


def _rank_ticks(axes: Axes, ranks: Sequence[int], time: RunTime) -> None:
    roles = time.rank_roles
    if len(ranks) <= 40:
        names = [f"{roles[rank].replace('+', ', ')} {rank}" for rank in ranks]
        axes.set_yticks(range(len(ranks)), names)
    else:
        step = next(
            step for step in (8, 16, 32, 64, 128, 256, 512, 1024, 4096) if len(ranks) / step <= 20
        )
        axes.set_yticks([place for place in range(len(ranks)) if place % step == 0])
        axes.set_ylabel("rank (first: coordinator, last: writer)")
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _restarts(axes: Axes, time: RunTime, window: Span) -> None:
    for at in time.offsets[1:]:
        if window[0] < at < window[1]:
            axes.axvline(at, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))


def _ends_in(time: RunTime, window: Span) -> Ends:
    ends = time.record.ends
    at = time.of(ends.time, ends.execution)
    return ends.at((at >= window[0]) & (at <= window[1]) & (ends.item != ""))


def _described(ends: Ends) -> list[str]:
    """Return a line for each of the first lost compute processes."""
    shown = ends.at(np.arange(len(ends))[:_LISTED])
    return [
        f"rank {rank}, item {item}, {_at('', step, doing)}: {reason}, {resident:.0f} MB"
        for rank, item, step, doing, reason, resident in zip(
            shown.rank,
            shown.item,
            shown.step,
            shown.activity,
            shown.reason,
            shown.resident,
            strict=True,
        )
    ]


def _at(item: str, step: str, activity: str) -> str:
    where = f"item {item} " if item else ""
    return (
        f"{where}{step or 'start'} ({activity})" if activity else f"{where}{step}".strip() or "idle"
    )


def _cross(label: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker="X", color=ALARM, markeredgecolor="white",
                  markersize=7, label=label)  # fmt: skip


def _mean_load(samples: Samples) -> float:
    whole = samples.seconds.sum()
    return float(((samples.cpu + samples.child_cpu) * samples.seconds).sum() / max(whole, 1e-9))
