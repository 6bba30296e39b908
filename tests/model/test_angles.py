"""Pitch-angle spectrograms: means over energy bands, each bin where it is on the circle."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.angles import CELLS, cell_edges, reduce_angles
from spectro_mpi.model.distribution import Distribution
from spectro_mpi.model.spectrogram import Legend, Spectrogram

MIDDLE = cell_edges().mean(axis=1)
STEP = 360 / 32
BANDS = [(100.0, 1000.0), (1000.0, 40000.0)]


def tables(random: np.random.Generator) -> NDArray[np.float64]:
    """Edges of two energy tables of 12 channels that touch, descending; the second has only 8."""
    edges = np.full((2, 12, 2), np.nan)
    for table, count in ((0, 12), (1, 8)):
        ends = np.sort(np.exp(random.uniform(2, 10.5, count + 1)))[::-1]
        edges[table, :count] = np.stack([ends[1:], ends[:-1]], axis=1)
    return edges


def distribution(random: np.random.Generator, records: int = 30) -> Distribution:
    """Random records of two modes; theta rises over the sweep and bins cross 360."""
    time = np.arange(records, dtype=np.float64)
    mode = (np.arange(records) % 3 == 2).astype(np.uint8)
    theta = 112.5 - STEP * np.arange(32)[:, None] + np.linspace(0, 5.5, 12)
    shift = random.uniform(-30, 30, (records, 1, 1))
    values = random.uniform(0, 1e6, (records, 32, 12)).astype(np.float32)
    values[random.random(values.shape) < 0.05] = -1e31
    measured = random.random((records, 1, 12)) > 0.1
    return Distribution(
        time=time,
        time_start=time,
        time_end=time + 1,
        valid=random.random(records) > 0.1,
        mode=mode,
        nbins=np.full(records, 32),
        nenergy=np.where(mode == 0, 12, 8),
        values=values,
        value_fill=None,
        pitch_angle=((theta + shift) % 360).astype(np.float32),
        weight=None,
        ring_width=np.full((1, 1, 1), STEP, np.float32),
        measured=measured,
    )


def straight(
    given: Distribution, edges: NDArray[Any], bands: list[tuple[float, float]]
) -> NDArray[np.float64]:
    """The same by loops over records, bins and channels."""
    assert given.measured is not None
    out = np.full((len(bands), len(given.time), CELLS), np.nan)
    for record in np.flatnonzero(given.valid).tolist():
        for number, (low, high) in enumerate(bands):
            found = []
            for one in range(given.nbins[record]):
                total = norm = east = north = 0.0
                for channel in range(given.nenergy[record]):
                    begin, end = edges[given.mode[record], channel]
                    weight = max(0.0, min(end, high) - max(begin, low))
                    value = float(given.values[record, one, channel])
                    if value < -1e30 or not given.measured[record, 0, channel]:
                        continue
                    angle = math.radians(float(given.pitch_angle[record, one, channel]))
                    total, norm = total + weight * value, norm + weight
                    east += weight * math.cos(angle)
                    north += weight * math.sin(angle)
                if norm > 0:
                    found.append((math.degrees(math.atan2(north, east)) % 360, total / norm))
            for cell, middle in enumerate(MIDDLE):
                away = [min(abs(a - middle), 360 - abs(a - middle)) for a, _ in found]
                if away and min(away) <= STEP / 2 * 1.001:
                    out[number, record, cell] = found[int(np.argmin(away))][1]
    return out


@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_a_loop_over_cells(seed: int) -> None:
    random = np.random.default_rng(seed)
    edges, given = tables(random), distribution(random)
    values, expected = reduce_angles(given, edges, BANDS), straight(given, edges, BANDS)
    # The mean of the unwrapped angles is the circular one to a thousandth of a degree: a cell
    # half way between two bins may show either.
    differing = ~np.isclose(values, expected, rtol=1e-6, equal_nan=True)
    assert differing.mean() < 2e-3
    assert np.isfinite(expected).mean() > 0.7


def test_a_channel_across_the_end_of_a_band_counts_by_the_part_inside() -> None:
    edges = np.array([[[80.0, 120.0], [120.0, 1000.0], [1000.0, 1200.0]]])
    values = np.array([[[1.0, 2.0, 100.0]]])
    given = one_bin(values, [[[10.0, 10.0, 10.0]]])
    means = reduce_angles(given, edges, [(100.0, 1000.0), (2000.0, 3000.0)])
    assert np.nanmax(means[0]) == pytest.approx((20 * 1 + 880 * 2) / 900)
    assert np.isnan(means[1]).all()


def one_bin(values: NDArray[Any], angles: list[list[list[float]]]) -> Distribution:
    shape = values.shape
    time = np.zeros(shape[0])
    return Distribution(
        time=time,
        time_start=time,
        time_end=time,
        valid=np.ones(shape[0], bool),
        mode=np.zeros(shape[0], np.uint8),
        nbins=np.full(shape[0], shape[1]),
        nenergy=np.full(shape[0], shape[2]),
        values=values.astype(np.float32),
        value_fill=None,
        pitch_angle=np.array(angles, np.float32),
        weight=None,
        width=np.full((1, 1, 1), STEP, np.float32),
    )


def test_a_bin_across_360_is_there_and_not_at_180() -> None:
    edges = np.array([[[100.0, 200.0], [200.0, 300.0]]])
    given = one_bin(np.ones((1, 1, 2)), [[[358.0, 2.0]]])
    shown = MIDDLE[np.isfinite(reduce_angles(given, edges, [(100.0, 300.0)])[0, 0])]
    assert sorted(shown.tolist()) == pytest.approx([2.8125, 357.1875])


def test_counts_have_bins_as_wide_as_they_are_apart() -> None:
    random = np.random.default_rng(9)
    given = replace(distribution(random), measured=None)
    counts = replace(
        given,
        values=random.integers(0, 50, given.values.shape).astype(np.uint16),
        ring_width=None,
    )
    values = reduce_angles(counts, tables(random), BANDS)
    assert np.isfinite(values[:, counts.valid]).mean() > 0.9
    assert np.isnan(values[:, ~counts.valid]).all()


@pytest.mark.parametrize("alpha", [20.0, 33.0, 50.0])
def test_an_empty_loss_cone_has_its_edge_where_it_is(alpha: float) -> None:
    """A synthetic cone around 180 that is empty: its edge is right to one bin."""
    random = np.random.default_rng(1)
    given = distribution(random, 40)
    away = np.abs(given.pitch_angle - 180)
    values = np.where(away < alpha, 1.0, 1000.0).astype(np.float32)
    given = replace(given, values=values, measured=None, valid=np.ones(40, bool))
    edges = np.broadcast_to(np.geomspace(40000, 90, 13), (2, 13))
    pairs = np.stack([edges[:, 1:], edges[:, :-1]], axis=2)
    for row in reduce_angles(given, pairs, BANDS).reshape(-1, CELLS):
        empty = MIDDLE[row < 500]
        assert abs(180 - alpha - empty.min()) <= STEP
        assert abs(180 + alpha - empty.max()) <= STEP


def with_angles(angles: NDArray[Any]) -> Spectrogram:
    records = angles.shape[1]
    time = np.arange(records, dtype=np.float64)
    return Spectrogram(
        instrument="ees",
        quantity="eflux",
        category=("all",),
        time=time,
        time_start=time,
        time_end=time + 1,
        mode=np.zeros(records, np.uint8),
        energy=np.array([[20.0, 10.0]], np.float32),
        values=np.ones((1, records, 2), np.float32),
        source="x.cdf",
        source_size=1,
        legend=Legend(z_label="Flux"),
        angles=angles.astype(np.float32),
        bands=np.array(BANDS, np.float32),
    )


def test_folded_values_are_means_of_both_halves() -> None:
    angles = np.random.default_rng(2).uniform(0, 9, (2, 5, CELLS))
    angles[0, 1, 3] = angles[0, 2, [4, CELLS - 5]] = np.nan
    data = with_angles(angles)
    folded = data.by_folded_angle
    assert folded is not None
    assert folded.edges[0, -1, 1] == 180
    assert folded.values.shape == (2, 5, CELLS // 2)
    np.testing.assert_allclose(
        folded.values[1, 3, 7], (angles[1, 3, 7] + angles[1, 3, CELLS - 8]) / 2, rtol=1e-6
    )
    assert folded.values[0, 1, 3] == np.float32(angles[0, 1, CELLS - 4])
    assert np.isnan(folded.values[0, 2, 4])
    assert data.by_folded_angle is folded  # figures of one item share what is computed of it


def test_they_are_an_instrument_of_their_own() -> None:
    data = with_angles(np.ones((2, 5, CELLS)))
    whole = data.by_angle
    assert whole is not None
    assert (whole.instrument, whole.category) == ("ees-angles", ("100-1000", "1000-40000"))
    assert (whole.legend.y_scale, whole.legend.axis_units) == ("linear", "degrees")
    assert replace(data, angles=np.empty((0, 0, 0), np.float32)).by_angle is None
