"""Which figures of an item are made again, by what is recorded of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from spectro_mpi.errors import Failure
from spectro_mpi.model.extrema import basis_of_limits
from spectro_mpi.model.items import Item
from spectro_mpi.phases.interface import Phase
from spectro_mpi.phases.order import order_phases
from spectro_mpi.phases.plot import PlotPhase
from spectro_mpi.planning.todo import RunPlan
from spectro_mpi.rundir.layout import item_folder
from spectro_mpi.rundir.progress import Progress
from spectro_mpi.settings.schema import AxisLimits, Config, PlotSettings, ReportSettings, ScalePair

ITEM = Item("1", datetime(2000, 1, 1, tzinfo=timezone.utc), ())
CONFIG = Config(
    run_id="run",
    plot=PlotSettings(limits=("raw",)),
    report=ReportSettings(thumbnails=False, values=False),
)
GIVEN = {
    f"ees_log_log_{end}": value
    for end, value in zip(
        ("y_min", "y_max", "z_min", "z_max"), (4.0, 30000.0, 1.0, 900.0), strict=True
    )
}
EES, GRID = "pitch-angle/ees/log-log/raw", "instrument-grid//log-log/raw"


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    """An item of one instrument, two figures of which are drawn and up to date."""
    config = replace(CONFIG, output=str(tmp_path))
    order = order_phases(config)
    progress = Progress("run")
    progress.stores["reduce"] = {"1": "shard"}
    progress.settled["reduce"], progress.settled["plot"] = {"1"}, {"1"}
    plan = RunPlan(order, progress, {"1": ITEM})
    plan.known.data["1"] = ("shard", {"ees": "data"})
    plan.known.figures["1"] = expected(plan)
    folder = item_folder(config.run_dir, "plot", ITEM)
    folder.mkdir(parents=True)
    for stem in ("pitch-angle_ESA_ees", "instrument-grid_ESA"):
        (folder / f"1_{stem}_y-log_z-log_raw-inferno.png").touch()
    return plan


def plot_of(plan: RunPlan) -> PlotPhase:
    phase: Phase = plan.order.phases[1]
    assert isinstance(phase, PlotPhase)
    return phase


def expected(plan: RunPlan) -> dict[str, str]:
    digests = plot_of(plan).part_digests({}, {})
    return digests(ITEM, plan.known.data["1"][1], ())


def parts_to_make(plan: RunPlan) -> list[list[str]]:
    """The parts of each task."""
    return [list(task.parts or ()) for task in plan.tasks(plot_of(plan))]


def test_an_item_whose_figures_are_up_to_date_is_no_task(plan: RunPlan) -> None:
    assert list(expected(plan)) == [EES, GRID]
    assert not plan.outdated(plot_of(plan)).parts
    assert not plan.tasks(plot_of(plan))


def test_a_figure_that_differs_or_is_not_recorded_is_made_again(plan: RunPlan) -> None:
    plan.known.figures["1"][EES] = "other"
    outdated = plan.outdated(plot_of(plan))
    assert (outdated.items, outdated.parts) == (("1",), {"1": (EES,)})
    del plan.known.figures["1"][EES]
    assert plan.outdated(plot_of(plan)).parts == {"1": (EES,)}
    plan.progress.forget(["1"], ["plot"])
    assert parts_to_make(plan) == [[EES]]


def test_a_figure_that_failed_is_not_tried_again_until_what_it_shows_changes(
    plan: RunPlan,
) -> None:
    plan.known.figures["1"] = {part: f"!{digest}" for part, digest in expected(plan).items()}
    plan.progress.failures["1"] = (Failure("ees", "plot", "plotting", "cannot be drawn"),)
    assert not plan.outdated(plot_of(plan)).parts
    plan.known.figures["1"][GRID] = "other"  # its failures are of the whole item
    assert plan.outdated(plot_of(plan)).parts == {"1": (EES, GRID)}
    # Once it is not settled (--retry, a new file), what failed is missing whatever is recorded.
    plan.known.figures["1"] = {part: f"!{digest}" for part, digest in expected(plan).items()}
    plan.progress.forget(["1"], ["plot"])
    assert parts_to_make(plan) == [[EES, GRID]]


def test_a_figure_that_is_recorded_but_not_on_disk_is_made_again(plan: RunPlan) -> None:
    folder = item_folder(plan.order.config.run_dir, "plot", ITEM)
    plan.forget_missing()
    assert (plan.missing, plan.outdated(plot_of(plan)).parts) == (0, {})
    next(folder.glob("*grid*")).unlink()
    plan.forget_missing()
    assert (plan.missing, plan.outdated(plot_of(plan)).parts) == (1, {"1": (GRID,)})


def test_only_what_is_recorded_up_to_date_and_on_disk_need_not_be_compared_again(
    plan: RunPlan,
) -> None:
    plan.forget_missing()
    assert plan.current == {"plot": {"1"}}
    recorded = plan.known.figures["1"][EES]
    plan.known.figures["1"][EES] = "other"
    plan.forget_missing()
    assert plan.current == {"plot": set()}
    plan.known.figures["1"][EES] = recorded
    next(item_folder(plan.order.config.run_dir, "plot", ITEM).glob("*grid*")).unlink()
    plan.forget_missing()
    assert plan.current == {"plot": set()}


def test_what_failed_or_is_not_listed_is_not_looked_for(plan: RunPlan) -> None:
    unlisted = {"pitch-angle/ees/linear-log/raw": "other"}
    failed = {part: f"!{digest}" for part, digest in expected(plan).items()}
    plan.known.figures["1"] = unlisted | failed
    for path in item_folder(plan.order.config.run_dir, "plot", ITEM).iterdir():
        path.unlink()
    plan.forget_missing()
    assert (plan.missing, plan.known.figures["1"]) == (0, unlisted | failed)


def test_an_item_that_is_not_settled_needs_the_files_that_are_recorded(plan: RunPlan) -> None:
    plan.progress.forget(["1"], ["plot"])
    assert parts_to_make(plan) == [[]]  # only to be recorded as done
    folder = item_folder(plan.order.config.run_dir, "plot", ITEM)
    next(folder.glob("*grid*")).unlink()
    assert parts_to_make(plan) == [[GRID]]
    assert not plan.outdated(plot_of(plan)).parts


def test_data_that_was_reduced_again_changes_its_figures(plan: RunPlan) -> None:
    plan.known.data["1"] = ("shard", {"ees": "other"})
    assert plan.outdated(plot_of(plan)).parts == {"1": (EES, GRID)}
    plan.progress.stores["reduce"]["1"] = "shard-2"  # whose data is not known
    assert not plan.outdated(plot_of(plan)).parts
    plan.progress.forget(["1"], ["plot"])
    assert [task.parts for task in plan.tasks(plot_of(plan))] == [None]


@pytest.mark.parametrize(
    ("extrema", "before", "after", "is_outdated"),
    [
        (GIVEN, {"z_max": 100.0}, {"z_max": 200.0}, True),
        # The others are those of the row's own data, or of an empty panel.
        ({}, {"z_max": 100.0}, {"z_max": 200.0}, True),
        ({}, {}, {"y_min": 5.0}, True),
        # On a linear axis it is the limit; on a log axis a note has its value.
        (GIVEN, {"y_min": -7.0}, {"y_min": -8.0}, True),
        (GIVEN, {"z_max": 100.0}, {"z_max": 100.0}, False),
    ],
)
def test_limits_set_by_hand_are_in_the_digest_whatever_else_is_known(
    plan: RunPlan,
    extrema: dict[str, float],
    before: dict[str, float],
    after: dict[str, float],
    is_outdated: bool,
) -> None:
    def digest(axes: dict[str, float]) -> str:
        plot = PlotPhase()
        limits = replace(CONFIG.plot, limits=("given_extrema",))
        plot.config = replace(CONFIG, plot=limits, axes={"ees": AxisLimits(**axes)})
        made = plot.part_digests({"extrema": extrema}, {})(ITEM, {"ees": "data"}, ())
        return made["pitch-angle/ees/log-log/given_extrema"]

    assert (digest(before) != digest(after)) == is_outdated


def test_an_extremum_that_a_limit_set_by_hand_replaces_is_not_in_the_digest() -> None:
    config = replace(CONFIG, axes={"ees": AxisLimits(z_max=100.0)})
    larger = GIVEN | {"ees_log_log_z_max": 5000.0}
    pair: ScalePair = ("log", "log")
    same = [basis_of_limits(config, each, "ees", "all", pair) for each in (GIVEN, larger)]
    assert same[0] == same[1]
    other = GIVEN | {"ees_log_log_z_min": 2.0}
    assert basis_of_limits(config, other, "ees", "all", pair) != same[0]
