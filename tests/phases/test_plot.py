"""The plot phase: labels, scales and limits of panels, and titles of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.draw.content import Panel
from spectro_mpi.draw.contents import panel_of
from spectro_mpi.draw.kinds import KINDS, Row
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.settings.schema import Config, PlotSettings, ScalePair

LEGEND = Legend(z_label="Flux (cm⁻² s⁻¹)", y_label="Frequency (Hz)", long_name="Flux")


def spectrogram(**changes: Any) -> Spectrogram:
    time = np.arange(5.0)
    values = np.array([[-3, 1, 10, 20, 30]] * 5, np.float32)[None].repeat(2, axis=0)
    one = Spectrogram(
        "ees", "counts", ("all", "parallel"), time, time - 0.5, time + 0.5, np.zeros(5, np.uint8),
        np.array([[-45, 45, 90, 135, 180]], np.float32), values, "f.cdf", 1, LEGEND,
    )  # fmt: skip
    return replace(one, **changes)


def config(**plot: Any) -> Config:
    return Config(plot=PlotSettings(**plot))


@pytest.mark.parametrize(
    ("settings", "legend", "labels"),
    [
        ({}, LEGEND, ("Frequency (Hz)", "Flux (cm⁻² s⁻¹)")),
        ({"z_label": "Counts"}, LEGEND, ("Frequency (Hz)", "Counts")),
        ({"y_label": "Energy (eV)"}, LEGEND, ("Energy (eV)", "Flux (cm⁻² s⁻¹)")),
        ({}, replace(LEGEND, z_label=""), ("Frequency (Hz)", "Flux")),
    ],
)
def test_labels_are_those_of_the_data_unless_they_are_set(
    settings: dict[str, str], legend: Legend, labels: tuple[str, str]
) -> None:
    row = Row("all", spectrogram(legend=legend), 0)
    shown = panel_of(config(**settings), {}, row, ("log", "log"), "raw")
    assert (shown.y_label, shown.z_label) == labels


def panel(data: Spectrogram, pair: ScalePair, limits: str, **extrema: float) -> Panel:
    return panel_of(config(), extrema, Row("all", data, 0), pair, limits)


def test_limits_are_those_of_the_scale_that_is_drawn() -> None:
    linear = spectrogram(legend=replace(LEGEND, y_scale="linear"))
    for limits in ("raw", "given_extrema"):
        assert panel(spectrogram(), ("linear", "log"), limits).limits.y_min == -90
        assert panel(linear, ("log", "log"), limits).limits.y_min == -90
        assert panel(spectrogram(), ("log", "log"), limits).limits.y_min > 0


def test_common_limits_are_found_under_the_scales_of_the_pair() -> None:
    linear = spectrogram(legend=replace(LEGEND, y_scale="linear"))
    ends = {"y_min": -90.0, "y_max": 200.0, "z_min": 1.0, "z_max": 30.0}
    extrema = {f"ees_log_log_{end}": value for end, value in ends.items()}
    limits = panel(linear, ("log", "log"), "given_extrema", **extrema).limits
    assert (limits.y_min, limits.y_max) == (-90.0, 200.0)


def test_rows_show_the_intervals_that_are_stored() -> None:
    nan = np.nan
    stored = np.array([[[0, 360], [nan, nan]], [[0, 22.5], [337.5, 360]]], np.float32)
    config = Config()
    titles = [
        row.label
        for row in KINDS["pitch-angle"].rows(
            config, "ees", {"ees": spectrogram(intervals=stored, category=("all", "downgoing"))}
        )
    ]
    assert titles == ["all (0°–360°)", "downgoing (0°–22.5°, 337.5°–360°)"]


def test_rows_of_a_store_without_intervals_show_those_of_the_settings() -> None:
    config = Config(pitch_angles={"all": ((0.0, 360.0),), "cone": ((10.0, 20.0),)})
    rows = KINDS["pitch-angle"].rows(config, "ees", {"ees": spectrogram(category=("all", "cone"))})
    assert [row.label for row in rows] == ["all (0°–360°)", "cone (10°–20°)"]
