"""Limits of axes and colours are those of a straight computation from all values pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.extrema import Limits, empty_limits, flat_extrema, given_limits, raw_limits
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.model.tally import Tallies, merge_tallies, tally
from spectro_mpi.settings.schema import AxisLimits, ExtremaSettings, ScalePair
from tests.model.spectrograms import FLUX, random_counts, random_flux, with_values

SETTINGS = ExtremaSettings()
LOG: ScalePair = ("log", "log")
LINEAR: ScalePair = ("log", "linear")


def tallied(spectrograms: Sequence[Spectrogram]) -> Tallies:
    merged: Tallies = {}
    for part in spectrograms:
        merge_tallies(merged, tally(part))
    return merged


def pooled(spectrograms: Sequence[Spectrogram], row: int) -> NDArray[np.float64]:
    values = np.concatenate([part.values[row].ravel() for part in spectrograms], dtype=np.float64)
    return values[np.isfinite(values) & (values > 0)]


def colours(parts: Sequence[Spectrogram], scales: ScalePair, **settings: float) -> tuple[Any, Any]:
    """The limits of the colour scale of category `all`, unrounded; None: there are none."""
    flat = flat_extrema(tallied(parts), [scales], replace(SETTINGS, **settings))
    name = f"ees_{scales[0]}_{scales[1]}_z"
    return flat.get(f"{name}_min"), flat.get(f"{name}_max")


@pytest.mark.parametrize("coverage", [0.2, 0.5, 0.9, 1.0])
def test_y_max_is_the_smallest_upper_edge_that_covers_so_many_cells(coverage: float) -> None:
    parts = [random_counts(seed) for seed in range(5)]
    energies = []
    for part in parts:
        counted = np.isfinite(part.values[0]) & (part.values[0] > 0)
        energies.append(part.edges[part.mode][..., 1][counted])
    pool = np.sort(np.concatenate(energies))
    smallest = next(e for e in np.unique(pool) if (pool <= e).sum() >= coverage * len(pool))
    ends = tallied(parts)["ees", "all"].levels.limits("log", coverage)
    assert ends is not None and ends[1] == smallest


def test_flat_keys_and_minima() -> None:
    parts = [random_counts(1)]
    flat = flat_extrema(tallied(parts), [("log", "log"), ("linear", "linear")], SETTINGS)
    assert len(flat) == 3 * 2 * 4
    assert flat["ees_log_log_y_min"] == np.float32(10 / np.sqrt(2))
    assert flat["ees_log_log_z_min"] == np.percentile(pooled(parts, 0), 0.1)
    assert flat["ees_linear_linear_y_min"] == flat["ees_linear_linear_z_min"] == 0
    assert flat["ees-all_log_log_z_max"] == flat["ees_log_log_z_max"]
    assert flat["ees-upgoing_log_log_z_max"] == np.percentile(pooled(parts, 1), 95)
    assert flat["ees-upgoing_log_log_z_min"] == np.percentile(pooled(parts, 1), 0.1)


def test_a_min_percentile_of_0_is_the_smallest_positive_value() -> None:
    parts = [random_flux(seed) for seed in range(4)]
    pool = pooled(parts, 0)
    assert colours(parts, LOG, min_percentile=0)[0] == pool.min()
    assert colours(parts, LOG, max_percentile=100)[1] == pool.max()


def test_one_tiny_value_in_one_of_ten_orbits_changes_no_limits() -> None:
    orbits = [random_flux(seed, 2000) for seed in range(10)]
    before = flat_extrema(tallied(orbits), [LOG], SETTINGS)
    stray = orbits[3].values.copy()
    stray[0, 7, 2] = 1e-12
    orbits[3] = replace(orbits[3], values=stray)
    after = flat_extrema(tallied(orbits), [LOG], SETTINGS)
    for category in ("all", "upgoing"):
        first, second = (
            given_limits(flat, {}, "ees", category, LOG, "own") for flat in (before, after)
        )
        assert first == second is not None
    # The smallest value itself would have begun the scale 12 decades lower.
    assert colours(orbits, LOG, min_percentile=0)[0] == np.float32(1e-12)


def test_a_linear_scale_of_values_of_which_any_is_negative_is_by_all_finite_ones() -> None:
    rng = np.random.default_rng(3)
    plain = with_values(rng.lognormal(2, 1, (1, 300, 5)))
    net = with_values(rng.normal(-1, 10, (1, 200, 5)))
    low, high = colours([plain], LINEAR)
    assert (low, high) == (0, pytest.approx(np.percentile(plain.values, 95), rel=1e-3))
    # In whatever item the negative values are, the scale is one for all.
    pool = np.concatenate([plain.values.ravel(), net.values.ravel()]).astype(np.float64)
    for parts in ([plain, net], [net, plain]):
        low, high = colours(parts, LINEAR)
        assert low == pytest.approx(np.percentile(pool, 0.1), rel=1e-3)
        assert high == pytest.approx(np.percentile(pool, 95), rel=1e-3)
    # A log scale shows positive values only.
    low, high = colours([plain, net], LOG)
    assert low == pytest.approx(np.percentile(pool[pool > 0], 0.1), rel=1e-3)
    assert high == pytest.approx(np.percentile(pool[pool > 0], 95), rel=1e-3)


def test_channels_with_negative_values_only_lie_within_the_axis() -> None:
    values = np.ones((1, 40, 5))
    values[..., 4] = np.nan
    values[..., 3] = 0
    positive = with_values(values)
    values = values.copy()
    values[..., 4] = -3
    signed = with_values(values)
    flat = flat_extrema(tallied([positive]), [LOG], replace(SETTINGS, energy_coverage=1))
    assert flat["ees_log_log_y_min"] == positive.edges[0, 2, 0]
    for parts in ([positive, signed], [signed, positive]):
        flat = flat_extrema(tallied(parts), [LOG], replace(SETTINGS, energy_coverage=1))
        assert flat["ees_log_log_y_min"] == positive.edges[0, 4, 0]
        assert flat["ees_log_log_y_max"] == positive.edges[0, 0, 1]


@pytest.mark.parametrize("limits", ["common", "raw"])
@pytest.mark.parametrize("values", [(-170, -150, -120), (0, 0, 0)])
def test_without_a_positive_value_only_a_linear_scale_has_limits(
    limits: str, values: tuple[float, ...]
) -> None:
    db = with_values(np.repeat(values, 5).reshape(1, 3, 5))
    flat = flat_extrema(tallied([db]), [LOG, LINEAR], SETTINGS)
    on_log, on_linear = (
        raw_limits(db, 0, scales, 0.99)
        if limits == "raw"
        else given_limits(flat, {}, "ees", "all", scales, "own")
        for scales in (LOG, LINEAR)
    )
    assert on_log is None
    assert on_linear is not None
    percents = (1, 99) if limits == "raw" else (0.1, 95)
    low, high = np.percentile(np.repeat(values, 5), percents)
    assert on_linear.z_min <= low <= high <= on_linear.z_max
    assert on_linear.z_max - high <= 10 and low - on_linear.z_min <= 10
    assert on_linear.y_min <= db.edges[0, 4, 0] and on_linear.y_max >= db.edges[0, 0, 1]


def test_without_a_finite_value_there_are_no_limits() -> None:
    empty = with_values(np.full((2, 40, 5), np.nan))
    flat = flat_extrema(tallied([empty]), [LOG, LINEAR], SETTINGS)
    assert flat == {}
    for scales in (LOG, LINEAR):
        assert given_limits(flat, {}, "ees", "all", scales, "own") is None
        assert raw_limits(empty, 0, scales, 0.99) is None


def test_limits_are_for_the_scales_that_an_instrument_is_drawn_with() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(5, 10, (1, 40, 5))
    legend = Legend(y_scale="linear", z_scale="linear")
    forced, free = with_values(values, legend), with_values(values)
    flat = flat_extrema(tallied([forced]), [LOG], SETTINGS)
    plain = flat_extrema(tallied([free]), [("linear", "linear")], SETTINGS)
    assert len(flat) == 8
    for key, limit in flat.items():
        assert limit == plain[key.replace("log_log", "linear_linear")]
    assert flat["ees_log_log_y_min"] == 0 > flat["ees_log_log_z_min"]
    assert raw_limits(forced, 0, LOG, 0.99) == raw_limits(free, 0, ("linear", "linear"), 0.99)
    assert empty_limits(forced, LOG) == empty_limits(free, ("linear", "linear"))
    # Files that disagree, in whatever order, are taken as linear.
    for first, second in (("linear", "log"), ("log", "linear"), ("", "linear"), ("linear", "")):
        parts = [with_values(values, Legend(z_scale=scale)) for scale in (first, second)]
        assert flat_extrema(tallied(parts), [LOG], SETTINGS)["ees_log_log_z_min"] < 0


def test_limits_are_rounded_outward_and_overridden_by_settings() -> None:
    flat = {
        f"{name}_log_log_{end}": value
        for name, values in {
            "ees": (5.88, 30105.6, 3.0, 1234.0),
            "ees-upgoing": (9.8, 812.3, 1.0, 77.1),
        }.items()
        for end, value in zip(("y_min", "y_max", "z_min", "z_max"), values, strict=True)
    }
    assert given_limits(flat, {}, "ees", "all", LOG, "own") == Limits(5.8, 31000, 3, 1300)
    own = given_limits(flat, {}, "ees", "upgoing", LOG, "own")
    assert own == Limits(9.8, 820, 1, 78)
    whole = given_limits(flat, {}, "ees", "upgoing", LOG, "instrument")
    assert whole == Limits(5.8, 31000, 3, 1300)
    axes = {"ees": AxisLimits(z_max=99.9, y_min=7.77), "ees.upgoing": AxisLimits(z_max=11)}
    assert given_limits(flat, axes, "ees", "all", LOG, "own") == Limits(7.77, 31000, 3, 99.9)
    assert given_limits(flat, axes, "ees", "upgoing", LOG, "own") == Limits(7.77, 820, 1, 11)


def test_negative_limits_are_rounded_outward_too() -> None:
    flat = dict(
        zip(
            (f"ees_log_linear_{end}" for end in ("y_min", "y_max", "z_min", "z_max")),
            (10.0, 100.0, -171.2, -118.3),
            strict=True,
        )
    )
    assert given_limits(flat, {}, "ees", "all", LINEAR, "own") == Limits(10, 100, -180, -110)


@pytest.mark.parametrize(
    ("computed", "axes", "expected"),
    [
        ((1, 100), AxisLimits(z_max=0.5), (0.05, 0.5)),
        ((1, 100), AxisLimits(z_min=300), (300, 3000)),
        ((1, 100), AxisLimits(z_max=7), (1, 7)),
        ((-170, -120), AxisLimits(z_min=-50), (-50, -5)),
        ((-170, -120), AxisLimits(z_max=-200), (-2000, -200)),
        ((-170, -120), AxisLimits(z_min=0), (0, 1)),
        ((10, 100), AxisLimits(z_max=0), (-1, 0)),
    ],
)
def test_an_end_set_beyond_the_other_moves_the_other(
    computed: tuple[float, float], axes: AxisLimits, expected: tuple[float, float]
) -> None:
    ends = {"y_min": 10.0, "y_max": 30000.0, "z_min": computed[0], "z_max": computed[1]}
    flat = {f"ees_log_linear_{end}": float(value) for end, value in ends.items()}
    limits = given_limits(flat, {"ees": axes}, "ees", "all", LINEAR, "own")
    assert limits == Limits(10, 30000, *expected)


def test_an_energy_set_beyond_the_other_end_moves_that() -> None:
    ends = {"y_min": 10.0, "y_max": 30000.0, "z_min": 1.0, "z_max": 100.0}
    flat = {f"ees_log_log_{end}": value for end, value in ends.items()}
    axes = {"ees": AxisLimits(y_min=50000.0)}
    assert given_limits(flat, axes, "ees", "all", LOG, "own") == Limits(50000, 5e5, 1, 100)


def test_raw_limits_are_the_rows_own() -> None:
    part = random_counts(3)
    low, high = np.percentile(pooled([part], 1), [1, 99])
    limits = raw_limits(part, 1, LOG, 0.99)
    assert limits is not None
    assert limits.z_min <= low < 1.1 * limits.z_min + 1
    assert limits.z_max >= high > 0.9 * limits.z_max


def test_raw_limits_of_many_records_are_those_of_their_means() -> None:
    rng = np.random.default_rng(8)
    sparse = 200.0 * (rng.random((1, 40960, 5)) < 0.02)
    limits = raw_limits(with_values(sparse, FLUX), 0, LOG, 0.99)
    means = sparse.reshape(2048, 20, 5).mean(axis=1)
    low, high = np.percentile(means[means > 0], [1, 99])
    assert low == 10 < high < 200
    assert limits is not None and limits.z_min == 10
    assert high <= limits.z_max <= 1.1 * high
