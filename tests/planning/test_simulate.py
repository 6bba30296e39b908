"""A plan tells what a run would take: the simulation keeps to what cannot be otherwise."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st

from spectro_mpi.errors import UserError
from spectro_mpi.model.items import InputPath, Item
from spectro_mpi.planning.costs import Constants, ItemCost, costs_of, load_constants
from spectro_mpi.planning.inventory import take_inventory
from spectro_mpi.planning.play import Play
from spectro_mpi.planning.simulate import WORTHWHILE, busy_batch, efficiency, knee, simulate
from spectro_mpi.planning.stacks import snake
from spectro_mpi.settings.schema import Config, PlotSettings, ReportSettings, RunSettings
from tests.conftest import spectro_mpi

INLINE = Config(run=RunSettings(isolation="none"))
COSTS = Constants(
    machine="a machine like any other",
    start=0.6,
    child_start=0.3,
    plot_start=0.4,
    task=0.003,
    pace=1.1,
    supervise=0.005,
    reduce_item=0.003,
    reduce_mb={
        "pycdfpp counts": 0.0055,
        "pycdfpp eflux": 0.007,
        "cdflib counts": 0.01,
        "cdflib eflux": 0.014,
    },
    record_bytes=12_000.0,
    plot_item=0.005,
    plot_mb=0.0006,
    figure={"given_extrema": 0.006, "raw": 0.01},
    megapixel=0.001,
    frame=0.05,
    result_mb=0.13,
    write_item=0.006,
    write_mb=0.002,
    write_drawn=0.0001,
    commit=0.01,
    journal=0.0005,
    commit_syncs=3.0,
    journal_syncs=1.0,
    figure_syncs=2.0,
    fsync=0.001,
    message=0.0006,
    message_busy=0.00015,
    mark=1e-7,
    merge=0.0007,
    inventory_item=0.0001,
    plan_item=0.0001,
    finish_item=0.0002,
    fold_row=3e-5,
    report=2.0,
    report_item=0.0005,
    polling=0.03,
)
FREE = replace(
    COSTS,
    start=0.0,
    child_start=0.0,
    plot_start=0.0,
    task=0.0,
    pace=1.0,
    supervise=0.0,
    frame=0.0,
    write_item=0.0,
    write_mb=0.0,
    write_drawn=0.0,
    commit=0.0,
    journal=0.0,
    fsync=0.0,
    message=0.0,
    message_busy=0.0,
    mark=0.0,
    merge=0.0,
    inventory_item=0.0,
    plan_item=0.0,
    finish_item=0.0,
    fold_row=0.0,
    report=0.0,
    report_item=0.0,
    polling=0.0,
)
"""Nothing but reducing and drawing costs anything."""

seconds = st.floats(0.001, 100)
some_jobs = st.lists(st.tuples(st.integers(0, 10**7), seconds, seconds), min_size=1, max_size=40)


def jobs_from(rows: list[tuple[int, float, float]]) -> list[ItemCost]:
    return [
        ItemCost(size, (place, ""), reduce, plot, frames=1 << place % 5, result=size / 1e7)
        for place, (size, reduce, plot) in enumerate(rows)
    ]


def archive(items: int) -> list[Item]:
    """Orbits of log-normal size."""
    start = datetime(2000, 1, 1, tzinfo=timezone.utc)
    sizes = np.random.default_rng(1).lognormal(15, 0.5, items).astype(int)
    return [
        Item(str(place), start, (InputPath("ees", "", int(size), 1),))
        for place, size in enumerate(sizes)
    ]


@checked(deadline=None)
@given(some_jobs)
def test_one_worker_takes_the_sum_of_all_costs(rows: list[tuple[int, float, float]]) -> None:
    jobs = jobs_from(rows)
    work = sum(job.reduce + job.plot for job in jobs)
    assert simulate(jobs, INLINE, FREE, ranks=1).makespan == pytest.approx(work)
    assert simulate(jobs, INLINE, FREE, ranks=3).makespan == pytest.approx(work)
    one = simulate(jobs, INLINE, replace(FREE, start=3.0, plot_start=1.0, frame=0.5), ranks=3)
    frames = min(5, len(jobs))
    assert one.makespan == pytest.approx(work + 3.0 + 1.0 + 0.5 * frames)


@checked(deadline=None)
@given(some_jobs, st.integers(3, 30), st.none() | st.integers(1, 30))
def test_no_run_is_shorter_than_its_largest_item_or_an_even_share(
    rows: list[tuple[int, float, float]], ranks: int, cores: int | None
) -> None:
    jobs = jobs_from(rows)
    for constants in (FREE, COSTS):
        made = simulate(jobs, INLINE, constants, ranks, cores)
        share = made.workers if cores is None else min(cores, made.workers)
        for phase, costs in (
            ("reduce", [job.reduce for job in jobs]),
            ("plot", [job.plot for job in jobs]),
        ):
            least = max(max(costs), sum(costs) / share)
            assert made.phases[phase] >= least * (1 - 1e-9)
        assert made.makespan == pytest.approx(sum(made.phases.values()))


@checked(deadline=None)
@given(some_jobs, st.integers(3, 30), st.booleans())
def test_no_run_is_longer_than_list_scheduling_allows(
    rows: list[tuple[int, float, float]], ranks: int, isolated: bool
) -> None:
    # Costs by size, which is what the stacks are made by; two tasks ahead hold one more back.
    jobs = [replace(job, reduce=1 + job.size / 1e6) for job in jobs_from(rows)]
    made = simulate(jobs, Config() if isolated else INLINE, FREE, ranks)
    costs = [job.reduce for job in jobs]
    assert made.phases["reduce"] <= sum(costs) / made.workers + 2 * max(costs) + 1e-9


def test_more_workers_are_never_slower_but_for_messages() -> None:
    jobs = costs_of(archive(2000), Config(), COSTS, fast_reader=True)
    makespans = [simulate(jobs, Config(), FREE, ranks).makespan for ranks in range(3, 60, 4)]
    assert makespans == sorted(makespans, reverse=True)
    dear = replace(FREE, message=0.05, message_busy=0.05)
    assert simulate(jobs, Config(), dear, 2000).makespan > 2 * 2000 * dear.message


def test_feeding_from_the_fullest_stack_is_no_slower_than_bare_snake() -> None:
    snaky = Config(run=RunSettings(schedule="snake"))
    rng = np.random.default_rng(3)
    for _ in range(20):
        rows = [(int(size), *rng.lognormal(0, 1, 2)) for size in rng.lognormal(14, 1, 200)]
        jobs = jobs_from(rows)
        for ranks in (4, 10, 34):
            balanced = simulate(jobs, Config(), FREE, ranks).makespan
            longest = max(max(job.reduce, job.plot) for job in jobs)
            assert balanced <= simulate(jobs, snaky, FREE, ranks).makespan + 2 * longest


def test_workers_beyond_the_cores_share_them() -> None:
    jobs = costs_of(archive(400), Config(), COSTS, fast_reader=True)
    two = simulate(jobs, Config(), FREE, ranks=4, cores=2)
    eight = simulate(jobs, Config(), FREE, ranks=10, cores=2)
    assert eight.makespan == pytest.approx(two.makespan, rel=0.02)
    assert simulate(jobs, Config(), FREE, ranks=10).makespan < 0.3 * two.makespan


def test_the_writer_is_one_and_bounds_what_workers_can_give() -> None:
    jobs = costs_of(archive(500), Config(), COSTS, fast_reader=True)
    slow = replace(FREE, write_item=0.2)
    made = simulate(jobs, Config(), slow, ranks=66)
    assert made.phases["reduce"] == pytest.approx(500 * 0.2, rel=0.05)
    assert made.writer > 0.9
    best = knee(jobs, Config(), slow, simulate(jobs, Config(), slow, 3))
    assert best.ranks < 66


def busy(workers: int, batch: int, commit: float = 0.04) -> float:
    """Share of the workers' time that is work, for tasks of some 60 ms."""
    spread = 0.6
    tasks = np.random.default_rng(1).lognormal(-(spread**2) / 2, spread, 150 * workers) * 0.06
    jobs = [ItemCost(1000, (place, ""), task, 0.0, 0, 0.0) for place, task in enumerate(tasks)]
    config = Config(run=RunSettings(isolation="none", flush_batch_size=batch))
    play = Play(config, replace(FREE, commit=commit), workers + 2, None)
    took = play.phase(jobs, drawing=False, now=0.0, ready=0.0)
    waited = sum(play.lost.values())
    assert waited + tasks.sum() == pytest.approx(workers * took, rel=0.01), (
        "every second is counted"
    )
    return float(tasks.sum()) / (workers * took)


@pytest.mark.parametrize(
    ("workers", "batch", "share"), [(16, 10, 0.65), (16, 33, 0.93), (64, 10, 0.49), (64, 129, 0.94)]
)
def test_small_batches_have_workers_wait_for_commits(
    workers: int, batch: int, share: float
) -> None:
    assert busy(workers, batch) == pytest.approx(share, abs=0.06)
    assert busy(workers, batch, commit=0.0) > 0.96


def test_a_batch_that_is_not_set_keeps_workers_busy() -> None:
    for workers in (1, 5, 16):
        assert busy(workers, 0) > 0.85


def test_the_batch_that_keeps_workers_busy_is_found() -> None:
    jobs = costs_of(archive(600), Config(), COSTS, fast_reader=True)
    slow = replace(FREE, fsync=0.01, commit_syncs=3.0, journal_syncs=1.0, figure_syncs=0.0)
    small = Config(run=RunSettings(flush_batch_size=5))
    waiting = simulate(jobs, small, slow, ranks=18)
    better = busy_batch(jobs, small, slow, ranks=18)
    assert better.lost["commits"] < 0.07 < waiting.lost["commits"]
    assert better.batch % 16 == 1
    assert better.makespan < waiting.makespan
    assert (waiting.batch, waiting.limit) == (5, "commits")


def test_what_is_done_while_all_workers_wait_is_charged() -> None:
    jobs = costs_of(archive(1000), Config(), COSTS, fast_reader=True)
    free = simulate(jobs, Config(), FREE, ranks=34)
    for dear, took in (
        (replace(FREE, inventory_item=0.01), 10.0),
        (replace(FREE, plan_item=0.01), 10.0),
        (replace(FREE, finish_item=0.01), 10.0),
        (replace(FREE, report=3.0, report_item=0.007), 10.0),
    ):
        made = simulate(jobs, Config(), dear, ranks=34)
        assert made.makespan - free.makespan == pytest.approx(took)
        assert made.lost["serial"] > 0
    many = simulate(jobs, Config(), replace(FREE, mark=1e-6), ranks=34, marks=5000)
    assert many.makespan - free.makespan > 0.9 * 2 * 5000e-6, "of both phases, to the first worker"
    rows = 2000 + 34 * free.makespan / 5
    folded = simulate(jobs, Config(), replace(FREE, fold_row=1e-3), ranks=34)
    assert folded.makespan - free.makespan == pytest.approx(1e-3 * rows)


def test_on_many_ranks_the_report_is_a_job_of_its_own() -> None:
    jobs = costs_of(archive(300), Config(), COSTS, fast_reader=True)
    costs = replace(FREE, report=5.0)
    few, many = (simulate(jobs, Config(), costs, ranks) for ranks in (64, 65))
    assert few.phases["end"] == pytest.approx(5.0)
    assert (few.report, many.report, many.phases["end"]) == (0.0, 5.0, 0.0)
    without = Config(report=ReportSettings(at_end=False))
    assert simulate(jobs, without, costs, 64).phases["end"] == 0.0


def test_the_knee_names_what_limits_it() -> None:
    jobs = costs_of(archive(2000), Config(), COSTS, fast_reader=True)
    for costs, limit in (
        (replace(FREE, write_item=0.005), "writer"),
        (replace(FREE, message=0.02, message_busy=0.02), "coordinator"),
        (replace(FREE, start=30.0), "serial"),
        (FREE, "last"),
    ):
        alone = simulate(jobs, Config(), costs, 3)
        assert knee(jobs, Config(), costs, alone).limit == limit


@pytest.mark.parametrize(("scales", "plot", "workers"), [(1, 0.098, 63), (4, 0.393, 115)])
def test_the_knee_of_the_archive_with_the_costs_measured(
    scales: int, plot: float, workers: int
) -> None:
    # Tasks as they were measured with one and four pairs of scales when the writer was the limit
    # beyond 20 and 35 workers. With 63 workers `submit` has the report made by another job.
    jobs = [
        ItemCost(size, (place, ""), 0.061 * size / 3.7e6, plot * size / 3.7e6, 0, 0.13 * size / 1e6)
        for place, size in enumerate(item.size for item in archive(51_000))
    ]
    mean = 3.7e6 * len(jobs) / sum(job.size for job in jobs)
    jobs = [replace(job, reduce=job.reduce * mean, plot=job.plot * mean) for job in jobs]
    config, constants = Config(), load_constants()
    alone, many = (simulate(jobs, config, constants, count + 2) for count in (1, workers))
    assert efficiency(alone, many) >= WORTHWHILE


def test_frames_are_drawn_once_a_worker() -> None:
    jobs = costs_of(archive(40), Config(plot=PlotSettings(kinds=("pitch-angle",))), COSTS, True)
    dear = replace(FREE, frame=7.0)
    plain, framed = (simulate(jobs, Config(), one, ranks=4).makespan for one in (FREE, dear))
    assert framed - plain == pytest.approx(7.0, abs=0.5)


def test_the_knee_is_worthwhile_and_much_more_is_not() -> None:
    jobs = costs_of(archive(3000), Config(), COSTS, fast_reader=True)
    alone = simulate(jobs, Config(), COSTS, 3)
    best = knee(jobs, Config(), COSTS, alone)
    assert efficiency(alone, best) >= WORTHWHILE
    beyond = simulate(jobs, Config(), COSTS, round(1.1 * best.ranks) + 2)
    assert efficiency(alone, beyond) < WORTHWHILE


def test_one_item_is_worth_one_worker() -> None:
    jobs = costs_of(archive(1), Config(), COSTS, fast_reader=False)
    alone = simulate(jobs, Config(), COSTS, 3)
    assert knee(jobs, Config(), COSTS, alone).workers == 1


def test_more_to_draw_and_slower_reading_cost_more() -> None:
    items = archive(10)

    def work(config: Config, fast: bool = True) -> float:
        return sum(job.reduce + job.plot for job in costs_of(items, config, COSTS, fast))

    plain = work(Config())
    assert work(Config(plot=PlotSettings(scales=(("log", "log"), ("linear", "log"))))) > plain
    assert work(Config(plot=PlotSettings(limits=("raw",)))) < plain
    assert work(Config(), fast=False) > plain
    assert work(INLINE) > plain, "pycdfpp is only for processes that may die"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"start": 1}'])
def test_a_file_that_holds_no_constants_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text(content)
    with pytest.raises(UserError, match="holds no constants"):
        load_constants(tmp_path / "costs.json")


def test_constants_of_another_machine(settings: Path, tmp_path: Path) -> None:
    slower = replace(COSTS, machine="a snail", plot_item=100.0)
    (tmp_path / "costs.json").write_text(json.dumps(asdict(slower)))
    done = spectro_mpi("plan", settings, "--constants", tmp_path / "costs.json", "--cores", "2")
    assert done.code == 0
    assert "a snail" in done.out
    assert "makespan" in done.out and "efficiency" in done.out
    assert "worth asking for: up to" in done.out
    assert "limit beyond " in done.out
    assert "flush_batch_size 10: workers wait" in done.out
    assert re.search(r"fsync in the output: [\d.]+ ms", done.out)
    assert not (settings.parent / "runs").exists(), "it leaves nothing where it measures"


def test_plan_needs_neither_mpi_nor_matplotlib(settings: Path, tmp_path: Path) -> None:
    for name in ("mpi4py", "matplotlib", "h5py"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} was imported')")
    done = spectro_mpi("plan", settings, env={"PYTHONPATH": str(tmp_path)})
    assert (done.code, done.err) == (0, "")


@pytest.mark.slow
def test_the_archive_on_thousands_of_workers(capsys: pytest.CaptureFixture[str]) -> None:
    items, took = archive(51_000), {}
    began = time.perf_counter()

    def lap(what: str) -> None:
        nonlocal began
        took[what] = time.perf_counter() - began
        began = time.perf_counter()

    jobs = costs_of(items, Config(), COSTS, fast_reader=True)
    lap("costs")
    stacks = snake(items, 4096)
    lap("snake")
    made = simulate(jobs, Config(), COSTS, ranks=4098)
    lap("simulation")
    knee(jobs, Config(), COSTS, simulate(jobs, Config(), COSTS, 3))
    lap("knee")
    assert sum(len(stack.items) for stack in stacks) == 51_000
    assert made.workers == 4096
    with capsys.disabled():
        print(f"\n51,000 items, 4,096 workers: {_told(took)}")
    assert sum(took.values()) < 60


@pytest.mark.slow
def test_an_inventory_of_two_hundred_thousand_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for orbit in range(50_000):
        if orbit % 1000 == 0:
            folder = tmp_path / f"{orbit}"
            folder.mkdir()
            first = folder / "first"
            first.touch()
        for instrument in ("ees", "eeb", "ies", "ieb"):
            name = f"fa_esa_l2_{instrument}_20000101001737_{orbit:05d}_v01.cdf"
            os.link(first, f"{folder}/{name}")  # a name is what counts; a file costs ten times more
    began = time.perf_counter()
    items = take_inventory(Config(input=str(tmp_path))).items
    took = {"inventory": time.perf_counter() - began}
    assert len(items) == 50_000
    began = time.perf_counter()
    assert len(snake(items, 4096)) == 4096
    took["snake"] = time.perf_counter() - began
    with capsys.disabled():
        print(f"\n200,000 files: {_told(took)}")
    assert sum(took.values()) < 60


def _told(took: dict[str, float]) -> str:
    return ", ".join(f"{what} {spent:.1f} s" for what, spent in took.items())
