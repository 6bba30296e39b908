"""The settings of the common limits take effect, in new runs and in those that are resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.draw.contents import limit_notes, panel_of
from spectro_mpi.draw.kinds.base import Row
from spectro_mpi.draw.notes import without_positive
from spectro_mpi.model.extrema import Limits, empty_limits
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.model.tally import merge_tallies, tally
from spectro_mpi.phases.reduce import ReducePhase
from spectro_mpi.phases.registry import make_phase
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import AxisLimits, Config, ExtremaSettings, ScalePair
from tests.conftest import spectro_mpi
from tests.model.spectrograms import random_counts, with_values


def reduce_phase(extrema: ExtremaSettings) -> ReducePhase:
    phase = make_phase("reduce", Workspace(Config(extrema=extrema), Path("nowhere")))
    assert isinstance(phase, ReducePhase)
    return phase


@pytest.mark.parametrize(
    "change", [{"min_percentile": 7.0}, {"max_percentile": 60.0}, {"energy_coverage": 0.5}]
)
def test_each_setting_changes_the_extrema_and_what_they_are_made_from(
    change: dict[str, float],
) -> None:
    whole = tally(random_counts(1, 200))
    merge_tallies(whole, tally(random_counts(2, 200)))
    before, after = (
        reduce_phase(settings)
        for settings in (ExtremaSettings(), replace(ExtremaSettings(), **change))
    )
    assert before.basis() != after.basis()
    assert before.conclude(whole) != after.conclude(whole)


def test_a_resumed_run_has_the_limits_of_its_settings(settings: Path) -> None:
    few = ("-s", "select.orbits=13313")
    run_dir = settings.parent / "runs" / "fast"
    assert spectro_mpi("assets", settings, *few).code == 0
    before = json.loads((run_dir / "extrema.json").read_text())
    changed = (*few, "-s", "extrema.min_percentile=20")
    assert spectro_mpi("assets", settings, *changed).code == 0
    resumed = json.loads((run_dir / "extrema.json").read_text())
    assert spectro_mpi("assets", settings, *changed, "-s", "run_id=fresh").code == 0
    fresh = json.loads((run_dir.with_name("fresh") / "extrema.json").read_text())
    assert resumed == fresh != before
    assert resumed["ees_log_log_z_min"] > before["ees_log_log_z_min"]


ENDS = ("y_min", "y_max", "z_min", "z_max")
LOG: ScalePair = ("log", "log")


def drawn(
    data: Spectrogram, extrema: dict[str, float], limits: str = "given_extrema", **by_hand: Any
) -> tuple[Limits, tuple[str, ...]]:
    """The limits of a figure with `[axes.ees]`, and its notes on them."""
    config = Config(axes={"ees": AxisLimits(**by_hand)})
    rows = [Row("", data, 0), Row("", data, 0)]
    panel = panel_of(config, extrema, rows[0], LOG, limits)
    return panel.limits, tuple(limit_notes(config, extrema, rows, LOG))


@pytest.mark.parametrize(
    ("by_hand", "expected"),
    [
        ({}, (7.0, 1800.0, 1, 10)),
        ({"y_min": 1.0, "z_max": 100.0}, (1, 1800.0, 1, 100)),
        ({"y_max": 77.7, "z_min": 3.3}, (7.0, 77.7, 3.3, 10)),
        ({"y_min": 5000.0, "z_max": 0.5}, (5000, 50000, 0.05, 0.5)),
        (dict(zip(ENDS, (2.0, 3.0, 4.0, 5.0), strict=True)), (2, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("value", [0, -3])
def test_limits_set_by_hand_are_kept_where_no_value_counts(
    value: float, by_hand: dict[str, Any], expected: tuple[float, ...]
) -> None:
    data = with_values(np.full((1, 4, 5), value))
    # Channels from 10, 20 eV, … to 40, 500 eV; their outermost edges mirror the inner ones.
    assert 7.0 <= 10**2 / np.sqrt(10 * 20) < 7.1
    assert 1700 < 500**2 / np.sqrt(40 * 500) <= 1800
    limits, notes = drawn(data, {}, **by_hand)
    assert (limits, notes) == (Limits(*expected), ())


def test_raw_limits_do_not_heed_those_set_by_hand() -> None:
    data = with_values(np.full((1, 4, 5), 30))
    assert drawn(data, {}, "raw", y_min=99.0, z_max=1e6)[0] == drawn(data, {}, "raw")[0]


def test_limits_that_a_log_axis_cannot_have_are_left_out_with_a_note() -> None:
    data = with_values(np.full((1, 4, 5), 30))
    common = dict(zip(ENDS, (7.0, 1800.0, 2.0, 60.0), strict=True))
    extrema = {f"ees_log_log_{end}": value for end, value in common.items()}
    limits, notes = drawn(data, extrema, y_min=-700.0, z_min=0.0, z_max=50.0)
    assert limits == Limits(7, 1800, 2, 50)
    assert notes == (
        "axes.ees.y_min = -700 cannot be shown on a log axis",
        "axes.ees.z_min = 0 cannot be shown on a log axis",
    )
    linear = replace(data, legend=Legend(y_scale="linear", z_scale="linear"))
    limits, notes = drawn(linear, extrema, y_min=-700.0, z_min=0.0, z_max=50.0)
    assert (limits, notes) == (Limits(-700, 1800, 0, 50), ())


@pytest.mark.parametrize("negative", [False, True])
def test_a_row_on_log_axes_never_has_limits_that_are_for_linear_ones(negative: bool) -> None:
    rng = np.random.default_rng(4)
    logarithmic = with_values(rng.lognormal(8, 1, (1, 300, 5)))
    values = rng.normal(-50, 20, (1, 300, 5)) if negative else rng.lognormal(2, 1, (1, 300, 5))
    linear = with_values(values, Legend(y_scale="linear", z_scale="linear"))
    merged = tally(logarithmic)
    merge_tallies(merged, tally(linear))
    extrema = reduce_phase(ExtremaSettings()).conclude(merged)
    assert extrema["ees_log_log_z_min"] <= 0
    limits, notes = drawn(logarithmic, extrema)
    low, high = np.percentile(logarithmic.values, [1, 99])
    assert 0.9 * low <= limits.z_min <= low < high <= limits.z_max <= 1.1 * high
    assert limits.y_min == 7.0
    assert notes == (
        "ees: energy limits of this row alone; the common ones are for a linear axis",
        "ees: colour limits of this row alone; the common ones are for a linear axis",
    )
    assert drawn(logarithmic, extrema, z_max=3e4)[0] == replace(limits, z_max=3e4)
    limits, notes = drawn(linear, extrema)
    assert limits.z_min <= extrema["ees_log_log_z_min"] and notes == ()


def test_an_empty_row_shows_the_channels_that_are_measured() -> None:
    values = np.full((2, 4, 5), np.nan)
    blank = empty_limits(with_values(values), LOG)
    assert (blank.y_min, blank.y_max) == (7.0, 1800.0)
    values[1, 2, 2:4] = 0  # 30 and 20 eV of the first table
    partly = empty_limits(with_values(values), LOG)
    assert (partly.y_min, partly.y_max) == (14.0, 35.0)
    edges = np.sqrt([10 * 20, 30 * 40])
    assert 14 <= edges[0] < 14.2 and 34 < edges[1] <= 35


def test_a_row_that_a_log_colour_scale_cannot_show_is_named() -> None:
    values = np.array([[[0, 0, np.nan]], [[-1, 0, 0]], [[1, 0, 0]], [[np.nan] * 3]])
    spectrogram = with_values(values)
    rows = [Row("", spectrogram, category) for category in range(4)]
    linear: ScalePair = ("log", "linear")
    assert list(without_positive(rows, LOG)) == ["No value above 0: ees all, ees upgoing"]
    assert list(without_positive(rows, linear)) == []
    assert list(without_positive(rows[2:], LOG)) == []
    alone = [Row("", with_values(values[:1]), 0)]
    assert list(without_positive(alone, LOG)) == ["No value above 0: ees"]
    always_linear = [Row("", with_values(values, Legend(z_scale="linear")), 0)]
    assert list(without_positive(always_linear, LOG)) == []
