"""The time of a run: its executions end to end, and what the ranks were at meanwhile."""

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
"""What is left of a task's time: its compute process starts, or its result is handed over."""

DONE_WITH: tuple[str, ...] = (WAITING, *ACTIVITIES)
"""What a rank can be at, in the order in which it is drawn within a task."""

Span = tuple[float, float]
"""Two times."""


@dataclass(frozen=True)
class RunTime:
    """A record, and its time counted from the start without the pauses between executions."""

    record: Record

    @cached_property
    def executions(self) -> list[Span]:
        """First and last moment of each, s since 1970."""
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
        """Length of all executions together."""
        return sum(end - begin for begin, end in self.executions)

    def of(self, times: Array, execution: Array) -> Array:
        """Seconds of the run, of times (s since 1970) in executions."""
        first = np.array([begin for begin, _ in self.executions])
        at = times - first[execution] + np.array(self.offsets)[execution]
        moved: Array = np.clip(at, 0, self.seconds)
        return moved

    def window(self, between: Span | None) -> Span:
        """The part of the run that is wanted, within what there is."""
        low, high = between or (0.0, self.seconds)
        low = min(max(low, 0.0), self.seconds)
        return low, max(min(high, self.seconds), low + 1e-3)

    @property
    def workers(self) -> list[int]:
        """Ranks that compute, of any execution."""
        return self._with_role("worker")

    @property
    def rank_roles(self) -> dict[int, str]:
        """Rank → its roles, as of the last execution it was in."""
        ranks = self.record.ranks
        return dict(sorted(zip(ranks.rank.tolist(), ranks.roles.tolist(), strict=True)))

    def shares(self, rank: int, edges: Array) -> Array:
        """Share of each span between `edges` (s of the run) a rank is at something.

        (len(DONE_WITH), spans) f8; what is left is idle.
        """
        found = np.zeros((len(DONE_WITH), len(edges) - 1))
        width = np.diff(edges)
        begin, seconds = self._segments(rank)
        for kind in range(len(DONE_WITH)):
            held = seconds[:, kind] > 0
            if held.any():
                done = np.r_[0.0, np.cumsum(seconds[held, kind])]
                # Time spent up to any moment: it grows within segments and stays between them.
                moments = np.stack([begin[held, kind], begin[held, kind] + seconds[held, kind]], 1)
                spent = np.stack([done[:-1], done[1:]], 1)
                found[kind] = np.diff(np.interp(edges, moments.ravel(), spent.ravel())) / width
        return found

    def _segments(self, rank: int) -> tuple[Array, Array]:
        """Begin and length of what a rank was at in each of its tasks: (task, DONE_WITH)."""
        steps = self.record.steps.at(self.record.steps.rank == rank)
        spent = np.clip(steps.spent, 0, None).astype(float)
        waiting = np.clip(steps.seconds - spent.sum(axis=1), 0, None)
        seconds = np.column_stack([waiting, spent])
        first = self.of(steps.begin, steps.execution)
        begin = first[:, None] + np.cumsum(seconds, axis=1) - seconds
        for at, length, kind in self._unfinished(rank, steps):
            row = np.zeros((1, len(DONE_WITH)))
            row[0, DONE_WITH.index(kind)] = length
            begin = np.r_[begin, np.full_like(row, at)]
            seconds = np.r_[seconds, row]
        order = np.argsort(begin[:, 0], kind="stable")
        return begin[order], seconds[order]

    def _unfinished(self, rank: int, steps: Steps) -> Iterator[tuple[float, float, str]]:
        """(begin, seconds, what) of what a rank was at when it last told, and did not finish."""
        samples = self.record.samples.at(self.record.samples.rank == rank)
        for execution in np.unique(samples.execution):
            own = samples.at(samples.execution == execution)
            done = steps.at(steps.execution == execution)
            end = float((done.begin + done.seconds).max(initial=0.0))
            late = own.at((own.time > end) & (own.item == own.item[-1]))
            if own.item[-1] and len(late):
                begin = max(end, float(late.time[0] - late.seconds[0]))
                at = self.of(np.array([begin, own.time[-1]]), np.array([execution] * 2))
                yield float(at[0]), float(at[1] - at[0]), str(own.activity[-1]) or WAITING

    def _with_role(self, role: str) -> list[int]:
        return [rank for rank, roles in self.rank_roles.items() if role in roles]


def read_run_time(run_dir: Path) -> RunTime | None:
    """The time of a run as its directory shows it; None if nothing was sampled."""
    record = read_record(run_dir)
    return RunTime(record) if record is not None else None


def seconds_at(word: str) -> float:
    """A time of the run written as h:mm:ss, m:ss or seconds. Raises `ValueError`."""
    seconds = 0.0
    for part in word.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def clock(seconds: float) -> str:
    """A time of the run as h:mm:ss, or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
