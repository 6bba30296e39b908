"""The settings of the common limits take effect, in new runs and in those that are resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spectro_mpi.draw.kinds.base import Row
from spectro_mpi.model.spectrogram import Legend
from spectro_mpi.model.tally import merge_tallies, tally
from spectro_mpi.phases.plot import _without_positive
from spectro_mpi.phases.reduce import ReducePhase
from spectro_mpi.phases.registry import make_phase
from spectro_mpi.phases.workspace import Workspace
from spectro_mpi.settings.schema import Config, ExtremaSettings, ScalePair
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


def test_a_row_that_a_log_colour_scale_cannot_show_is_named() -> None:
    values = np.array([[[0, 0, np.nan]], [[-1, 0, 0]], [[1, 0, 0]], [[np.nan] * 3]])
    spectrogram = with_values(values)
    rows = [Row("", spectrogram, category) for category in range(4)]
    log: ScalePair = ("log", "log")
    linear: ScalePair = ("log", "linear")
    assert list(_without_positive(rows, log)) == ["No value above 0: ees all, ees upgoing"]
    assert list(_without_positive(rows, linear)) == []
    assert list(_without_positive(rows[2:], log)) == []
    alone = [Row("", with_values(values[:1]), 0)]
    assert list(_without_positive(alone, log)) == ["No value above 0: ees"]
    always_linear = [Row("", with_values(values, Legend(z_scale="linear")), 0)]
    assert list(_without_positive(always_linear, log)) == []
