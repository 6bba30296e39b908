"""The figure of the stacks: what was planned for each worker, and what it did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from spectro_mpi.report.run_time import RunTime
from spectro_mpi.report.style import INK, SERIES, RunFigure, legend, new_grid, quiet_grid, title
from spectro_mpi.resources.tables import Array
from spectro_mpi.system.words import count

_BARS = 48
"""Number of workers above which bars have no gaps."""
_PHASES = 4
"""Limit of phases shown, a column each."""


def draw_stacks(time: RunTime) -> RunFigure | None:
    """Draw the planned and the completed input of each worker, and its busy time."""
    plans, steps, workers = time.record.plans, time.record.steps, time.workers
    phases = [phase for phase in dict.fromkeys(plans.phase.tolist()) if phase != "assets"]
    phases = phases[:_PHASES]
    if not phases:
        return None
    figure, rows = new_grid(4.6, 2, len(phases))
    imbalances = []
    for column, phase in enumerate(phases):
        # Of several executions, the one with the most input.
        dealt = plans.at(plans.phase == phase)
        sums = {
            int(number): dealt.size[dealt.execution == number].sum() for number in dealt.execution
        }
        execution = max(sums, key=lambda number: (sums[number], number))
        dealt = dealt.at(dealt.execution == execution)
        done = steps.at((steps.execution == execution) & (steps.phase == phase))
        planned = np.array([dealt.size[dealt.worker == worker].sum() for worker in workers]) / 1e6
        size = np.array([done.size[done.rank == worker].sum() for worker in workers]) / 1e6
        seconds = np.array([done.seconds[done.rank == worker].sum() for worker in workers])
        above, below = rows[0][column], rows[1][column]
        _bars(above, workers, size, SERIES[0], planned)
        title(above, f"{phase.capitalize()}: input of each worker (MB)")
        _bars(below, workers, seconds, SERIES[2], None)
        title(below, f"{phase.capitalize()}: busy time of each worker (s)")
        below.set_xlabel("rank of the worker")
        uneven = seconds.max() / max(seconds.mean(), 1e-9) - 1
        imbalances.append(f"{phase}: the busiest worker is {100 * uneven:.0f} % above the mean")
    handles = [Patch(color=SERIES[0], label="done"), Line2D([], [], color=INK, label="planned")]
    legend(rows[0][-1], handles)
    text = f"Stacks of {count(len(workers), 'worker')}, planned and done; {'; '.join(imbalances)}."
    return RunFigure("stacks", "Stacks planned and done", text, figure)


def _bars(
    axes: Axes, workers: Sequence[int], values: Array, color: str, planned: Array | None
) -> None:
    many = len(workers) > _BARS
    axes.bar(workers, values, width=1.0 if many else 0.5, color=color, linewidth=0)
    if planned is not None:
        edges = np.r_[np.array(workers) - 0.5, workers[-1] + 0.5]
        if many:
            axes.stairs(planned, edges, color=INK, linewidth=1.0)
        else:
            axes.hlines(planned, edges[:-1] + 0.15, edges[1:] - 0.15, color=INK, linewidth=1.6)
    axes.set_ylim(
        0,
        1.12
        * max(float(np.max(values)), float(np.max(planned)) if planned is not None else 0.0, 1e-9),
    )
    axes.set_xlim(workers[0] - 0.6, workers[-1] + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    quiet_grid(axes)
