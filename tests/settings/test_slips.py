"""Settings that are allowed but likely slips get one line each, and others none."""

from __future__ import annotations

from pathlib import Path

import pytest

from spectro_mpi.settings.loading import config_from_text
from spectro_mpi.settings.slips import likely_slips


def slips(text: str) -> list[str]:
    return list(likely_slips(config_from_text(text, Path(), "")))


def test_the_defaults_are_no_slip() -> None:
    assert slips("") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extrema.max_percentile = 0.95", "not a share of 1; did you mean 95?"),
        ("extrema.min_percentile = 80", "did you mean 20?"),
        ("extrema.energy_coverage = 0.01", "did you mean 0.99?"),
        ("pitch_angles.cone = [[0, 0.5], [5.78, 6.28]]", "pitch_angles.cone: is in degrees"),
        ("axes.ees.y_max = 30", "axes.ees.y_max = 30: is in eV; did you mean 30000?"),
        ("angles.bands.ees = [[0.1, 1]]", "is in eV; did you mean [100, 1000]?"),
        ("moments.energies.ies = [0.02, 30]", "moments.energies.ies = [0.02, 30]: is in eV"),
        ("plot.zoom_minutes = 375", "is in minutes; did you mean 6.25?"),
        ("plot.panel_size = [30, 8]", "is in inches; of centimetres that is [11.8, 3.15]"),
        ("run.memory_limit_mb = 2", "run.memory_limit_mb = 2: is in MB"),
        ("run.instrument_timeout_seconds = 90", "run.orbit_timeout_seconds = 60 ends"),
    ],
)
def test_a_likely_slip_is_one_sentence(text: str, told: str) -> None:
    (sentence,) = slips(text)
    assert told in sentence


@pytest.mark.parametrize(
    "text",
    [
        "pitch_angles.narrow = [[0, 5]]",
        "axes.ees.y_max = 1000",
        "run.orbit_timeout_seconds = 20",
        "extrema.max_percentile = 50",
    ],
)
def test_what_may_be_meant_is_no_slip(text: str) -> None:
    assert slips(text) == []
