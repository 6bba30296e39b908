"""Settings of the superposed epoch analysis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

MOST_TIME_BINS = 10_000


@dataclass(frozen=True)
class SuperposeSettings:
    """What phase "superpose" lays over each other: the records around events."""

    before_seconds: Annotated[float, Interval(ge=0, le=1e9)] = 300.0
    """Time before an event that is taken, s; extended to whole bins."""
    after_seconds: Annotated[float, Interval(ge=0, le=1e9)] = 300.0
    """Time after it, s; extended to whole bins."""
    bin_seconds: Annotated[float, Interval(gt=0, le=1e9)] = 10.0
    """Length of a bin of time, s; the time of the event lies between two bins. Shorter ones than
    the records stay empty in part."""
    zero: Literal["start", "middle", "end"] = "start"
    """Which time of an event is its time 0."""
    labels: tuple[str, ...] = ()
    """Labels of the events that are taken; empty: all."""
    memory_mb: Annotated[int, Interval(ge=1, le=1_000_000)] = 100
    """Memory of the histograms of an instrument in a process. Where more would be needed, their
    bins are made wider."""

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012


def mistakes_of_superpose(
    settings: SuperposeSettings, is_phase: bool, events: str
) -> Iterator[str]:
    """The mistakes that types cannot express, a sentence each.

    `is_phase`: whether `phases` lists "superpose"; `events` is `plot.events`.
    """
    if is_phase and not events:
        yield 'phases: "superpose" needs a table of events; set plot.events'
    span = settings.before_seconds + settings.after_seconds
    if not span:
        yield "superpose.before_seconds and after_seconds are both 0: nothing would be taken"
    elif span / settings.bin_seconds > MOST_TIME_BINS:
        yield (
            f"superpose.bin_seconds = {settings.bin_seconds:g}: a window of {span:g} s would have "
            f"{span / settings.bin_seconds:,.6g} bins; the maximum is {MOST_TIME_BINS:,}"
        )
    if len(set(settings.labels)) < len(settings.labels):
        yield "superpose.labels: lists the same entry twice"
