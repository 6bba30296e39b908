"""The time of a run, without the pauses between executions, and the activities of its ranks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spectro_mpi.errors import UserError
from spectro_mpi.resources import Record, read_record
from spectro_mpi.resources.tables import Array, Steps
from spectro_mpi.rundir.progress import PHASES
from spectro_mpi.system.activity import ACTIVITIES
from spectro_mpi.system.words import utc

WAITING = "start or wait"
"""The rest of a task's time: the compute process starts, or the result is handed over."""

RANK_ACTIVITIES: tuple[str, ...] = (WAITING, *ACTIVITIES)
"""The activities of a rank, in the order in which they are drawn within a task."""

Span = tuple[float, float]
"""Begin and end, s."""

MOST_STEPS = 6
"""Steps of your phases that have a colour each; the others are "other"."""
_DAY = 86400.0


@dataclass(frozen=True)
class TimeOfDay:
    """A clock time without a date."""

    seconds: float
    """Since midnight UTC."""


Moment: TypeAlias = "float | datetime | TimeOfDay"
"""Seconds of the run, or a clock time."""


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

    @cached_property
    def own_steps(self) -> tuple[str, ...]:
        """Steps of your phases as "PHASE: STEP", those with most time first, at most `MOST_STEPS`.

        Without a step, it is the phase.
        """
        seconds: dict[str, float] = {}
        for name, length in zip(self._steps_sampled, self.record.samples.seconds, strict=True):
            if name:
                seconds[name] = seconds.get(name, 0.0) + float(length)
        return tuple(sorted(seconds, key=lambda name: (-seconds[name], name))[:MOST_STEPS])

    @cached_property
    def _steps_sampled(self) -> list[str]:
        """For each sample, the name of the step of one of your phases; empty: of another."""
        samples = self.record.samples
        return [
            "" if not phase or phase in PHASES else f"{phase}: {step}" if step else str(phase)
            for phase, step in zip(samples.phase, samples.step, strict=True)
        ]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What `shares` distinguishes: the activities, and the steps of your phases."""
        return (*RANK_ACTIVITIES, *self.own_steps)

    def clock_at(self, seconds: float) -> str:
        """The clock time (UTC) of seconds of the run, hh:mm:ss."""
        place = max(i for i, offset in enumerate(self.offsets) if i == 0 or offset <= seconds)
        return utc(self.executions[place][0] + seconds - self.offsets[place])[11:19]

    @property
    def day(self) -> str:
        """The date (UTC) on which the run began."""
        return utc(self.executions[0][0])[:10]

    def span(self, first: Moment, last: Moment) -> Span:
        """The seconds of the run between two moments.

        Raises `UserError` if nothing of the run is between them.
        """
        if isinstance(first, TimeOfDay) and isinstance(last, TimeOfDay):
            low, high = self._of_day(first, last)
        else:
            low, high = self._seconds_of(first), self._seconds_of(last)
        if not 0 <= low < high or low >= self.seconds:
            begin, end = self.executions[0][0], self.executions[-1][1]
            raise UserError(
                f"--between: nothing of the run is between these times; it took "
                f"{clock(self.seconds)}, from {utc(begin)} to {utc(end)}"
            )
        return low, min(high, self.seconds)

    def _of_day(self, first: TimeOfDay, last: TimeOfDay) -> Span:
        """The seconds of the run between two clock times, on the day that has most of the run."""
        begin, end = self.executions[0][0], self.executions[-1][1]
        length = (last.seconds - first.seconds) % _DAY
        at = max(self._on_days(first), key=lambda time: min(time + length, end) - max(time, begin))
        return self._nearest(at), self._nearest(at + length)

    def _seconds_of(self, moment: Moment) -> float:
        """Seconds of the run at a moment; in a pause, or outside of the run, the nearest."""
        if isinstance(moment, float):
            return moment
        if isinstance(moment, TimeOfDay):
            begin, end = self.executions[0][0], self.executions[-1][1]
            # In the run, or as near to it as can be.
            return self._nearest(
                min(self._on_days(moment), key=lambda time: max(begin - time, time - end, 0.0))
            )
        return self._nearest(moment.timestamp())

    def _on_days(self, moment: TimeOfDay) -> list[float]:
        """A clock time on each day of the run and on those before and after it, s since 1970."""
        begin, end = self.executions[0][0], self.executions[-1][1]
        days = range(math.floor(begin / _DAY) - 1, math.floor(end / _DAY) + 2)
        return [day * _DAY + moment.seconds for day in days]

    def _nearest(self, at: float) -> float:
        """Seconds of the run at a time, s since 1970; in a pause or outside, the nearest."""
        for (begin, end), offset in zip(self.executions, self.offsets, strict=True):
            if at <= end:
                return offset + max(0.0, at - begin)
        return self.seconds

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

        `edges` (edge,) are seconds of the run. The shares are (kind, edge − 1), float64, in
        the order of `kinds`; the rest to 1 is idle time.
        """
        shares = np.zeros((len(self.kinds), len(edges) - 1))
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
        self._name_own_steps(shares, rank, edges)
        return shares

    def _name_own_steps(self, shares: Array, rank: int, edges: Array) -> None:
        """Move time of "other" to the steps of your phases, as far as samples tell the step."""
        other, samples = RANK_ACTIVITIES.index("other"), self.record.samples
        unnamed = shares[other].copy()
        if not self.own_steps or not unnamed.any():
            return
        of_rank = np.flatnonzero(samples.rank == rank)
        end = self.of(samples.time[of_rank], samples.execution[of_rank])
        # Until the next sample, the step is that of the sample: spans have no gaps between them.
        begin = np.r_[0.0, end[:-1]] if len(end) else end
        names = np.array([self._steps_sampled[row] for row in of_rank])
        for place, name in enumerate(self.own_steps, len(RANK_ACTIVITIES)):
            rows = names == name
            if rows.any():
                moments = np.stack([begin[rows], end[rows]], 1).ravel()
                done = np.cumsum(end[rows] - begin[rows])
                covered = np.stack([np.r_[0.0, done[:-1]], done], 1).ravel()
                part = np.diff(np.interp(edges, moments, covered)) / np.diff(edges)
                shares[place] = unnamed * np.clip(part, 0, 1)
        named = shares[len(RANK_ACTIVITIES) :].sum(axis=0)
        shares[other] = np.clip(unnamed - named, 0, None)

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


def moment_of(word: str) -> Moment:
    """Parse a time of the run, or a clock time (UTC): with a date, or with "Z" or "UTC" after it.

    Raises `ValueError` if `word` has another form.
    """
    text = word.strip()
    if match := _DATE_AND_TIME.fullmatch(text):
        return datetime.fromisoformat(f"{match[1]}T{match[2]}").replace(tzinfo=timezone.utc)
    if match := _TIME_OF_DAY.fullmatch(text):
        seconds = seconds_at(match[1] if match[1].count(":") == 2 else f"{match[1]}:00")
        if seconds >= _DAY:
            raise ValueError(f"{word} is not a time of day")
        return TimeOfDay(seconds)
    seconds = seconds_at(text)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{word} is not a time of the run")
    return seconds


_DATE_AND_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?) ?(?:Z|UTC)?", re.ASCII)
_TIME_OF_DAY = re.compile(r"(\d\d?:\d\d(?::\d\d(?:\.\d+)?)?) ?(?:Z|UTC)", re.ASCII)


def clock(seconds: float) -> str:
    """Format seconds of the run as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
