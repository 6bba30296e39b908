"""What to ask of Slurm next time: sentences from what a run was seen to need."""

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
"""What to ask for, as a multiple of the memory seen."""
_FEWEST = 20
"""Items below which a run says nothing of larger ones."""
_MOST_JOBS = 20_000
"""Items that are simulated; of more, evenly chosen ones."""
_STARVED = 0.75
"""Cores a compute process has at work, below which ranks outnumber the cores."""


def advice(run_dir: Path) -> list[str]:
    """Memory to ask for, how busy the workers were, what more ranks would bring.

    Empty where nothing was sampled. Raises `UserError` if `run_dir` is no run directory.
    """
    time = read_run_time(run_dir)
    if time is None:
        return []
    sentences = [_memory(time), _busy(time), *_starved(time)]
    return [one for one in [*sentences, _scaling(time, open_run(run_dir).config)] if one]


def _memory(time: RunTime) -> str:
    samples = time.record.samples
    samples = samples.at(np.isin(samples.rank, time.workers))
    if not len(samples):
        return ""
    peak = float((samples.resident + samples.child_resident).max())
    asked = int(np.ceil(_SPARE * peak / 100) * 100)
    told = f"Peak memory of a worker with its compute process: {peak:.0f} MB"
    tasks = _tasks(time)
    if len(tasks):
        most = int(np.argmax(tasks.peak))
        told += f" (item {tasks.item[most]} needed most, phase {tasks.phase[most]})"
    return f"{told}; --mem-per-cpu={asked}M leaves room."


def _busy(time: RunTime) -> str:
    tasks = _tasks(time)
    if not len(tasks):
        return ""
    within = computed = total = 0.0
    for execution in np.unique(tasks.execution):
        own = tasks.at(tasks.execution == execution)
        span = float((own.begin + own.seconds).max() - own.begin.min())
        ranks = time.record.ranks.at(time.record.ranks.execution == execution)
        workers = sum("worker" in roles for roles in ranks.roles.tolist())
        total += span * workers
        within += float(own.seconds.sum())
        computed += float(np.minimum(own.spent.sum(axis=1), own.seconds).sum())
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
    """Whether compute processes had to share cores."""
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
    workers, there = len(time.workers), sum(cores.values())
    return [
        f"A worker had {100 * load:.0f} % of a core while it computed: {workers} workers and other "
        f"processes shared {there} cores; fewer ranks, or cores of their own, cost nothing."
    ]


def _mean(samples: Samples) -> float:
    busy = float(((samples.cpu + samples.child_cpu) * samples.seconds).sum())
    return busy / max(float(samples.seconds.sum()), 1e-9)


def _scaling(time: RunTime, config: Config) -> str:
    """What more and fewer workers would bring, simulated with the items' own times."""
    jobs = _jobs(time)
    if len(jobs) < _FEWEST:
        return ""
    constants = load_constants()
    workers = int(np.median(_workers_by_execution(time)))
    now = _played(jobs, config, constants, workers)
    more = _played(jobs, config, constants, 2 * workers)
    gain = now.makespan / more.makespan
    told = (
        f"Twice the workers ({workers} → {2 * workers}, {2 * workers + 2} ranks), each with a core "
        f"of its own, would be {gain:.1f} × as fast"
    )
    if gain < 1.5:
        fewer = _played(jobs, config, constants, max(1, workers // 2))
        told += f"; half of them would take {fewer.makespan / now.makespan:.1f} × as long"
    if more.writer > 0.7:
        told += f"; the writer would be {100 * more.writer:.0f} % busy then"
    return told + " (simulated, for as many items as here)."


def _played(jobs: list[ItemCost], config: Config, constants: Constants, workers: int) -> Simulated:
    return simulate(jobs, config, constants, workers + 2)


def _workers_by_execution(time: RunTime) -> list[int]:
    ranks = time.record.ranks
    return [
        sum("worker" in roles for roles in ranks.roles[ranks.execution == one].tolist())
        for one in np.unique(ranks.execution)
    ]


def _jobs(time: RunTime) -> list[ItemCost]:
    """The items by what they were seen to cost; phases an item has not been through: the mean."""
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
    mean = {phase: float(np.mean([*ones.values()] or [0.0])) for phase, ones in seconds.items()}
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
    """What workers did of the pipeline's own phases."""
    steps = time.record.steps
    return steps.at((steps.item != "") & np.isin(steps.phase, ("reduce", "plot")))
