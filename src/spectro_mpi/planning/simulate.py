"""Predict how long a run takes: start, reduce, gather, plot and end, as the roles would do them.

`play.py` simulates reduce and plot event by event. What rank 0 and the writer do before, between
and after them, while all workers wait, is charged as it was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from spectro_mpi.planning.costs import Constants, ItemCost
from spectro_mpi.planning.play import Play
from spectro_mpi.settings.schema import Config

WORTHWHILE = 0.8
"""Lowest efficiency of a worker for which more ranks are recommended."""

MOST_RANKS_WITH_REPORT = 64
"""On more ranks `submit` has the report made by a job of one task, since all ranks wait for it."""

_CLOSE = 0.02
"""Tolerance of the number of workers at the knee, relative to it."""


@dataclass(frozen=True)
class Simulated:
    """The result of a simulation."""

    ranks: int
    workers: int
    makespan: float
    """Time from launch to exit, s."""
    phases: Mapping[str, float]
    """Times of start, reduce, gather, plot and end, s."""
    coordinator: float
    """Share of reduce and plot during which the coordinator is busy."""
    writer: float
    """Share of reduce and plot during which the writer is busy."""
    batch: int
    """Items per commit."""
    lost: Mapping[str, float]
    """Cause → share of the workers' time from launch to exit: `LOSSES`."""
    report: float = 0.0
    """Time of the report that a job of its own makes, s; 0: it is part of `end`, or not made."""

    @property
    def limit(self) -> str:
        """What costs the workers most of their time, one of `LOSSES`."""
        return max(self.lost, key=lambda cause: self.lost[cause])


LOSSES: Mapping[str, str] = {
    "serial": "start and end, while all workers wait",
    "writer": "the writer",
    "commits": "waiting for commits (flush_batch_size)",
    "coordinator": "the coordinator",
    "last": "the last items of a phase, while other workers have none left",
}
"""Why workers wait → in words."""


def simulate(
    jobs: Sequence[ItemCost],
    config: Config,
    constants: Constants,
    ranks: int,
    cores: int | None = None,
    marks: int = 0,
) -> Simulated:
    """Simulate a run on `ranks` MPI ranks, which share `cores` (None: a core for each rank).

    `marks`: marked events, which every worker gets.
    """
    play = Play(config, constants, ranks, cores, marks)
    count, workers = len(jobs), len(play.workers)
    prepared = count * (constants.inventory_item + constants.plan_item)
    started = constants.start * play.crowd + prepared
    reduced = play.phase(jobs, False, started, constants.child_start if play.isolated else 0.0)
    gathered = reduced + workers * (constants.message + constants.merge)
    plotted = play.phase(jobs, True, gathered, constants.plot_start)
    ended, report = _end(config, constants, count, ranks, plotted)
    phases = {
        "start": started,
        "reduce": reduced - started,
        "gather": gathered - reduced,
        "plot": plotted - gathered,
        "end": ended - plotted,
    }
    served = max(phases["reduce"] + phases["plot"], 1e-9)
    whole = max(workers * ended, 1e-9)
    lost = {cause: seconds / whole for cause, seconds in play.lost.items()}
    lost["serial"] = (ended - phases["reduce"] - phases["plot"]) / max(ended, 1e-9)
    return Simulated(
        ranks=ranks,
        workers=workers,
        makespan=ended,
        phases=phases,
        coordinator=play.coordinator.busy / served,
        writer=play.busy_writing / served,
        batch=play.batch,
        lost=lost,
        report=report,
    )


def _end(
    config: Config, constants: Constants, items: int, ranks: int, now: float
) -> tuple[float, float]:
    """When the run ends, and the time of the report that a job of its own makes after it."""
    interval = config.run.sample_interval_seconds
    samples = ranks * now / interval + 2 * items if interval else 0.0
    ended = now + constants.finish_item * items + constants.fold_row * samples
    report = constants.report + constants.report_item * items if config.report.at_end else 0.0
    return (ended + report, 0.0) if ranks <= MOST_RANKS_WITH_REPORT else (ended, report)


def efficiency(alone: Simulated, many: Simulated) -> float:
    """Work done per second by a worker of `many`, relative to the single worker of `alone`."""
    return alone.makespan / (many.workers * many.makespan)


def knee(
    jobs: Sequence[ItemCost],
    config: Config,
    constants: Constants,
    alone: Simulated,
    cores: int | None = None,
    marks: int = 0,
) -> Simulated:
    """The run with the most workers that reach `WORTHWHILE`, to within 2 % of their number.

    `alone` is the run with one worker. Efficiency is assumed to fall as workers are added, except
    where the report becomes a job of its own.
    """

    def between(low: int, best: Simulated, high: int) -> Simulated:
        step = max(1, int(_CLOSE * high))
        first = best
        while high - low > max(1, int(_CLOSE * low)):
            # The knee is usually close to the upper bound, so look there first.
            middle = (low + high) // 2
            workers = max(high - step, middle) if best is first else middle
            played = simulate(jobs, config, constants, workers + 2, cores, marks)
            if efficiency(alone, played) >= WORTHWHILE:
                low, best = workers, played
            else:
                high, step = workers, 4 * step
        return best

    high = 1 + _most_workers(jobs, config, constants, alone.makespan)
    apart = MOST_RANKS_WITH_REPORT - 1
    """Workers of the smallest run without a report."""
    if config.report.at_end and high > apart:
        played = simulate(jobs, config, constants, apart + 2, cores, marks)
        if efficiency(alone, played) >= WORTHWHILE:
            return between(apart, played, high)
        high = apart
    return between(1, alone, high)


def busy_batch(
    jobs: Sequence[ItemCost],
    config: Config,
    constants: Constants,
    ranks: int,
    cores: int | None = None,
    most_lost: float = 0.07,
) -> Simulated:
    """The run with the smallest batch k W + 1 with which workers lose little time to commits.

    If no batch reaches `most_lost`, the run with the batch that loses least.
    """
    workers = max(1, ranks - 2)
    best: Simulated | None = None
    for times in (1, 2, 3, 4, 6, 8):
        settings = replace(config, run=replace(config.run, flush_batch_size=times * workers + 1))
        played = simulate(jobs, settings, constants, ranks, cores)
        if best is None or played.lost["commits"] < best.lost["commits"]:
            best = played
        if played.lost["commits"] <= most_lost:
            break
    assert best is not None
    return best


def _most_workers(
    jobs: Sequence[ItemCost], config: Config, constants: Constants, alone: float
) -> int:
    """Upper bound on worthwhile workers, from work that is shared out perfectly evenly."""
    count = len(jobs)
    megabytes = sum(job.result for job in jobs)
    servers = (
        count * constants.write_item + constants.write_mb * megabytes,
        count * constants.write_drawn,
    )
    work = [job.reduce for job in jobs], [job.plot for job in jobs]
    fixed = constants.start + count * (constants.inventory_item + constants.plan_item)
    fixed += constants.finish_item * count

    def makespan(workers: int) -> float:
        batch = config.run.batch_size(workers)
        commits = constants.commit / batch * count, constants.journal / batch * count
        reduce, plot = (
            max(max(seconds), sum(seconds) / workers, server + commit)
            for seconds, server, commit in zip(work, servers, commits, strict=True)
        )
        gather = workers * (constants.message + constants.merge)
        return fixed + reduce + gather + plot

    low, high = 1, count + 1
    while high - low > 1:
        middle = (low + high) // 2
        if alone >= WORTHWHILE * middle * makespan(middle):
            low = middle
        else:
            high = middle
    return low
