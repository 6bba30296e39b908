"""Figure of a run: the memory that each step needed, as sampled."""

from __future__ import annotations

import numpy as np

from spectro_mpi.inert import inert
from spectro_mpi.report.run_time import RunTime
from spectro_mpi.report.style import SERIES, SOFT, RunFigure, color_of, new_figure, title
from spectro_mpi.system.words import count

_MOST = 16
"""Steps in the figure, those with most memory."""
_LONGEST = 36
"""Letters of a name that is shown whole."""


def draw_memory_of_steps(time: RunTime) -> RunFigure | None:
    """Draw the memory of a worker with its compute process by phase and step.

    A bar ends at the highest sample and has a line at the median. None: no step was sampled.
    """
    samples = time.record.samples
    used = samples.resident + samples.child_resident
    by_step: dict[str, list[float]] = {}
    for phase, step, amount in zip(samples.phase, samples.step, used, strict=True):
        if phase:
            name = f"{phase}: {step}" if step else str(phase)
            by_step.setdefault(name, []).append(float(amount))
    if not by_step:
        return None
    names = sorted(by_step, key=lambda name: -max(by_step[name]))[:_MOST]
    figure, (axes,) = new_figure(1.1 + 0.26 * len(names), [1])
    for place, name in enumerate(names):
        is_own = name in time.own_steps
        color = color_of(name, time.kinds) if is_own else SERIES[0]
        middle = float(np.median(by_step[name]))
        axes.barh(place, max(by_step[name]), color=color, height=0.7, alpha=0.75)
        axes.plot([middle, middle], [place - 0.35, place + 0.35], color=SOFT, linewidth=1.4)
    axes.set_yticks(range(len(names)), [_shown(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.set_xlabel("MB; line: median")
    title(axes, "Highest memory of a worker and its compute process, by step")
    most = names[0]
    more = len(by_step) - len(names)
    text = (
        f"Memory by step, of {count(len(by_step), 'step')}: most in {inert(most)}, "
        f"{max(by_step[most]):.0f} MB{f'; {more} with less are left out' if more else ''}."
    )
    return RunFigure("memory", "Memory by step", text, figure)


def _shown(name: str) -> str:
    text = inert(name)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return text.replace("$", r"\$")
