"""The time of a run, without the pauses between executions, and the activities of its ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from spectro_mpi.resources import Record, read_record
from spectro_mpi.resources.tables import Array, Steps
from spectro_mpi.system.activity import ACTIVITIES

WAITING = "start or wait"
"""The rest of a task's time: the compute process starts, or the result is handed over."""

RANK_ACTIVITIES: tuple[str, ...] = (WAITING, *ACTIVITIES)
"""The activities of a rank, in the order in which they are drawn within a task."""

Span = tuple[float, float]
"""Begin and end, s."""


@dataclass(frozen=True)
class RunTime:
    """The record of a run on one time axis: executions follow each other without pauses.

    "Seconds of the run" are the position on this axis.
    """

    record: Record

    @cached_property
    def executions(self) -> list[Span]:
        """Begin and end of each execution, s since 1970."""
        record, spans = self.record, []
        for execution in np.unique(record.ranks.execution):
            ranks = record.ranks.at(record.ranks.execution == execution)
            samples = record.samples.at(record.samples.execution == execution)
            times = np.r_[ranks.began, samples.time, ranks.ended[np.isfinite(ranks.ended)]]
            spans.append((float(times.min()), float(times.max())))
        return spans

    @cached_property
    def offsets(self) -> list[float]:
        """Seconds of the run at which each execution begins."""
        lengths = [end - begin for begin, end in self.executions]
        return [float(sum(lengths[:place])) for place in range(len(lengths))]

    @property
    def seconds(self) -> float:
        """Total length of all executions."""
        return sum(end - begin for begin, end in self.executions)

    def of(self, times: Array, execution: Array) -> Array:
        """Convert times, (row,), s since 1970, to seconds of the run.

        `execution` (row,) is the execution that each time belongs to.
        """
        first = np.array([begin for begin, _ in self.executions])
        at = times - first[execution] + np.array(self.offsets)[execution]
        moved: Array = np.clip(at, 0, self.seconds)
        return moved

    def window(self, between: Span | None) -> Span:
        """Return `between`, clipped to the run; without it, the whole run."""
        low, high = between or (0.0, self.seconds)
        low = min(max(low, 0.0), self.seconds)
        return low, max(min(high, self.seconds), low + 1e-3)

    @property
    def workers(self) -> list[int]:
        """Ranks that are a worker in their last execution."""
        return self._with_role("worker")

    @property
    def rank_roles(self) -> dict[int, str]:
        """Rank → its roles in its last execution."""
        ranks = self.record.ranks
        order = np.lexsort((ranks.execution, ranks.rank))  # of a rank, the last one stays
        return dict(zip(ranks.rank[order].tolist(), ranks.roles[order].tolist(), strict=True))

    def shares(self, rank: int, edges: Array) -> Array:
        """Return the shares of time that a rank spends on each activity.

        `edges` (edge,) are seconds of the run. The shares are (activity, edge − 1), float64, in
        the order of `RANK_ACTIVITIES`; the rest to 1 is idle time.
        """
        shares = np.zeros((len(RANK_ACTIVITIES), len(edges) - 1))
        width = np.diff(edges)
        begin, seconds = self._segments(rank)
        for kind in range(len(RANK_ACTIVITIES)):
            held = seconds[:, kind] > 0
            if held.any():
                done = np.r_[0.0, np.cumsum(seconds[held, kind])]
                # Time spent up to each moment: it grows within segments, not between them.
                moments = np.stack([begin[held, kind], begin[held, kind] + seconds[held, kind]], 1)
                spent = np.stack([done[:-1], done[1:]], 1)
                shares[kind] = np.diff(np.interp(edges, moments.ravel(), spent.ravel())) / width
        return shares

    def _segments(self, rank: int) -> tuple[Array, Array]:
        """Return begin and length of the activities of a rank in its tasks, (task, activity)."""
        steps = self.record.steps.at(self.record.steps.rank == rank)
        spent = np.clip(steps.spent, 0, None).astype(float)
        waiting = np.clip(steps.seconds - spent.sum(axis=1), 0, None)
        seconds = np.column_stack([waiting, spent])
        first = self.of(steps.begin, steps.execution)
        begin = first[:, None] + np.cumsum(seconds, axis=1) - seconds
        for at, length, kind in self._unfinished(rank, steps):
            row = np.zeros((1, len(RANK_ACTIVITIES)))
            row[0, RANK_ACTIVITIES.index(kind)] = length
            begin = np.r_[begin, np.full_like(row, at)]
            seconds = np.r_[seconds, row]
        order = np.argsort(begin[:, 0], kind="stable")
        return begin[order], seconds[order]

    def _unfinished(self, rank: int, steps: Steps) -> Iterator[tuple[float, float, str]]:
        """Yield (begin, seconds, activity) of tasks that a rank began and did not finish."""
        samples = self.record.samples.at(self.record.samples.rank == rank)
        for execution in np.unique(samples.execution):
            sampled = samples.at(samples.execution == execution)
            done = steps.at(steps.execution == execution)
            end = float((done.begin + done.seconds).max(initial=0.0))
            late = sampled.at((sampled.time > end) & (sampled.item == sampled.item[-1]))
            if sampled.item[-1] and len(late):
                begin = max(end, float(late.time[0] - late.seconds[0]))
                at = self.of(np.array([begin, sampled.time[-1]]), np.array([execution] * 2))
                yield float(at[0]), float(at[1] - at[0]), str(sampled.activity[-1]) or WAITING

    def _with_role(self, role: str) -> list[int]:
        return [rank for rank, roles in self.rank_roles.items() if role in roles]


def read_run_time(run_dir: Path) -> RunTime | None:
    """Read the record of a run; None if nothing was sampled."""
    record = read_record(run_dir)
    return RunTime(record) if record is not None else None


def seconds_at(word: str) -> float:
    """Convert a time of the run, "h:mm:ss", "m:ss" or seconds, to seconds.

    Raises `ValueError` if `word` has another form.
    """
    seconds = 0.0
    for part in word.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def clock(seconds: float) -> str:
    """Format seconds of the run as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
