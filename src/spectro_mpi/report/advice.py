"""Advice for the next job: sentences on the memory and the workers that a run needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spectro_mpi.model.items import item_order
from spectro_mpi.planning.costs import Constants, ItemCost, load_constants
from spectro_mpi.planning.simulate import Simulated, simulate
from spectro_mpi.report.run_time import RunTime, read_run_time
from spectro_mpi.resources import Samples, Steps
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.schema import Config
from spectro_mpi.system.activity import ACTIVITIES

_SPARE = 1.25
"""Memory to request, as a multiple of the peak memory."""
_FEWEST = 20
"""Number of items, or of samples, below which no conclusion is drawn."""
_MOST_JOBS = 20_000
"""Limit of simulated items; if there are more, every n-th item is simulated."""
_STARVED = 0.75
"""Mean load of a computing worker, in cores, below which there are too few cores."""


def advice(run_dir: Path) -> list[str]:
    """Return sentences: the memory to request, the load of the workers, the gain of more ranks.

    The list is empty if nothing was sampled, also if `run_dir` is not a run directory. Raises
    `UserError` if there are samples, but the settings of the run cannot be read.
    """
    time = read_run_time(run_dir)
    if time is None:
        return []
    sentences = [_memory(time), _busy(time), *_starved(time)]
    sentences.append(_scaling(time, open_run(run_dir).config))
    return [sentence for sentence in sentences if sentence]


def _memory(time: RunTime) -> str:
    samples = time.record.samples
    samples = samples.at(np.isin(samples.rank, time.workers))
    if not len(samples):
        return ""
    peak = float((samples.resident + samples.child_resident).max())
    request = int(np.ceil(_SPARE * peak / 100) * 100)
    sentence = f"Peak memory of a worker with its compute process: {peak:.0f} MB"
    tasks = _tasks(time)
    if len(tasks):
        most = int(np.argmax(tasks.peak))
        sentence += f" (highest: item {tasks.item[most]}, phase {tasks.phase[most]})"
    return f"{sentence}; --mem-per-cpu={request}M leaves headroom."


def _busy(time: RunTime) -> str:
    tasks = _tasks(time)
    if not len(tasks):
        return ""
    within = computed = total = 0.0
    for execution in np.unique(tasks.execution):
        done = tasks.at(tasks.execution == execution)
        span = float((done.begin + done.seconds).max() - done.begin.min())
        ranks = time.record.ranks.at(time.record.ranks.execution == execution)
        workers = sum("worker" in roles for roles in ranks.roles.tolist())
        total += span * workers
        within += float(done.seconds.sum())
        computed += float(np.minimum(done.spent.sum(axis=1), done.seconds).sum())
    shares = tasks.spent.sum(axis=0)
    most = [int(place) for place in np.argsort(-shares)[:2]]
    spent_on = " and ".join(
        f"{100 * shares[place] / max(shares.sum(), 1e-9):.0f} % {ACTIVITIES[place]}"
        for place in most
    )
    return (
        f"Workers were busy {100 * within / total:.0f} % of the time, computing "
        f"{100 * computed / total:.0f} % ({spent_on})."
    )


def _starved(time: RunTime) -> list[str]:
    """Return a sentence if the workers had too few cores, else nothing."""
    samples = time.record.samples
    at_work = samples.at(
        np.isin(samples.rank, time.workers)
        & np.isin(samples.activity, ("reduce", "draw", "encode"))
    )
    if len(at_work) < _FEWEST:
        return []
    load = _mean(at_work)
    cores: dict[str, int] = {}
    for host, count in zip(time.record.ranks.host.tolist(), time.record.ranks.cores, strict=True):
        cores[host] = int(count)
    if load > _STARVED or not cores:
        return []
    workers, available = len(time.workers), sum(cores.values())
    return [
        f"While it computed, a worker had {100 * load:.0f} % of a core: {workers} workers and "
        f"other processes shared {available} cores. Use fewer ranks, or a core for each rank."
    ]


def _mean(samples: Samples) -> float:
    busy = float(((samples.cpu + samples.child_cpu) * samples.seconds).sum())
    return busy / max(float(samples.seconds.sum()), 1e-9)


def _scaling(time: RunTime, config: Config) -> str:
    """Return a sentence on more and fewer workers, from a simulation with the measured times."""
    jobs = _jobs(time)
    if len(jobs) < _FEWEST:
        return ""
    constants = load_constants()
    workers = int(np.median(_workers_by_execution(time)))
    now = _simulated(jobs, config, constants, workers)
    more = _simulated(jobs, config, constants, 2 * workers)
    gain = now.makespan / more.makespan
    sentence = (
        f"Twice the workers ({workers} → {2 * workers}, {2 * workers + 2} ranks), each on a "
        f"separate core, would be {gain:.1f} × as fast"
    )
    if gain < 1.5:
        fewer = _simulated(jobs, config, constants, max(1, workers // 2))
        sentence += f"; half the workers would take {fewer.makespan / now.makespan:.1f} × as long"
    if more.writer > 0.7:
        sentence += f"; with twice the workers, the writer would be {100 * more.writer:.0f} % busy"
    return sentence + " (simulated with the items of this run)."


def _simulated(
    jobs: list[ItemCost], config: Config, constants: Constants, workers: int
) -> Simulated:
    return simulate(jobs, config, constants, workers + 2)


def _workers_by_execution(time: RunTime) -> list[int]:
    ranks = time.record.ranks
    return [
        sum("worker" in roles for roles in ranks.roles[ranks.execution == execution].tolist())
        for execution in np.unique(ranks.execution)
    ]


def _jobs(time: RunTime) -> list[ItemCost]:
    """Return the measured costs of the items; a phase that an item lacks costs the mean."""
    tasks = _tasks(time)
    seconds = {
        phase: {
            str(item): float(spent)
            for item, spent in zip(
                tasks.item[tasks.phase == phase],
                tasks.spent[tasks.phase == phase].sum(axis=1),
                strict=True,
            )
        }
        for phase in ("reduce", "plot")
    }
    sizes = dict(zip(tasks.item.tolist(), tasks.size.tolist(), strict=True))
    mean = {phase: float(np.mean([*spent.values()] or [0.0])) for phase, spent in seconds.items()}
    constants = load_constants()
    jobs = [
        ItemCost(
            size=size,
            order=item_order(item),
            reduce=seconds["reduce"].get(item, mean["reduce"]),
            plot=seconds["plot"].get(item, mean["plot"]),
            frames=0,
            result=constants.result_mb * size / 1e6,
        )
        for item, size in sizes.items()
    ]
    return jobs[:: max(1, len(jobs) // _MOST_JOBS)]


def _tasks(time: RunTime) -> Steps:
    """Return the tasks of the phases reduce and plot."""
    steps = time.record.steps
    return steps.at((steps.item != "") & np.isin(steps.phase, ("reduce", "plot")))
