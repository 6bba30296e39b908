"""Lines against time: what is inked, gaps, many records, and axes that show both signs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.canvas import Canvas
from spectro_mpi.draw.columns import records_of
from spectro_mpi.draw.layout import Box
from spectro_mpi.draw.lines import (
    FINE,
    Points,
    coverage_of,
    extent_of,
    points_of,
    thinned,
    widened,
)
from spectro_mpi.draw.palette import BLACK
from spectro_mpi.draw.scale import signed_scale
from spectro_mpi.draw.ticks import value_ticks

ROWS, COLUMNS = 60, 90


def line_of(values: NDArray[np.float64], time: NDArray[np.float64] | None = None) -> Points:
    """A line of values in parts of the height, over all of their times."""
    time = np.arange(len(values), dtype=np.float64) if time is None else time
    records = records_of(time, np.full_like(time, np.nan), np.full_like(time, np.nan))
    return points_of(values, values, records, float(time.min()), float(time.max()))


def drawn(points: Points, width: float) -> NDArray[np.float64]:
    """(row, column) the part of each pixel that is covered."""
    extent = extent_of(points.scaled(1, ROWS), COLUMNS * FINE)
    row, column, part = coverage_of(widened(extent, width), ROWS)
    image = np.zeros((ROWS, COLUMNS))
    image[row, column] = part
    return image


def by_distance(points: Points, width: float) -> NDArray[np.float64]:
    """The same by 64 samples in each pixel: the part within half a width of any segment."""
    x, y = points.x * COLUMNS, points.low * ROWS
    fine = 8
    at = (np.arange(ROWS * fine) + 0.5) / fine, (np.arange(COLUMNS * fine) + 0.5) / fine
    best = np.full((len(at[0]), len(at[1])), np.inf)
    for x0, y0, x1, y1 in zip(x, y, x[1:], y[1:], strict=False):
        dx, dy = x1 - x0, y1 - y0
        along = ((at[1] - x0) * dx + (at[0][:, None] - y0) * dy) / (dx**2 + dy**2)
        along = np.clip(along, 0, 1)
        away = np.hypot(at[1] - x0 - along * dx, at[0][:, None] - y0 - along * dy)
        best = np.minimum(best, away)
    inside = (best <= width / 2).reshape(ROWS, fine, COLUMNS, fine)
    return np.asarray(inside.mean(axis=(1, 3)), np.float64)


@pytest.mark.parametrize("width", [1.0, 2.4, 5.0])
def test_a_line_inks_what_a_round_pen_would(width: float) -> None:
    rng = np.random.default_rng(3)
    line = line_of(0.5 + np.cumsum(rng.normal(0, 0.05, 18)))
    image, expected = drawn(line, width), by_distance(line, width)
    assert np.abs(image - expected).mean() < 0.01
    assert np.abs(image - expected).max() < 0.5
    assert image.sum() == pytest.approx(expected.sum(), rel=0.08)


def test_a_level_line_is_as_thick_as_its_pen() -> None:
    image = drawn(line_of(np.full(10, 0.431)), 2.4)
    np.testing.assert_allclose(image[:, 3:-3].sum(axis=0), 2.4, rtol=0.03)


def test_a_line_is_broken_at_gaps_and_missing_values() -> None:
    time = np.concatenate([np.arange(20.0), 60 + np.arange(20.0)])
    values = np.full(40, 0.5)
    values[30] = np.nan
    line = line_of(values, time)
    assert len(line.pieces) == 3
    inked = drawn(line, 1.0).max(axis=0) > 0
    middles = (np.arange(COLUMNS) + 0.5) / COLUMNS * 79
    assert not inked[(middles > 21.5) & (middles < 58)].any()
    assert not inked[np.abs(middles - 70) < 0.3].any()
    assert inked[middles < 19].all()


def test_a_record_without_neighbours_is_as_long_as_it_lasts() -> None:
    values = np.full(31, np.nan)
    values[10] = 0.5
    line = line_of(values)
    np.testing.assert_allclose(line.x * 30, [9.5, 10.5])
    assert line.is_joined.tolist() == [True]


def test_of_many_records_in_a_column_the_extremes_are_seen() -> None:
    values = np.random.default_rng(1).uniform(0.3, 0.6, 60_000)
    values[[7_000, 31_000]] = 0.05, 0.95
    image = drawn(line_of(values), 1.0)
    assert image[round(0.05 * ROWS), 7_000 * COLUMNS // 60_000] > 0.1
    assert image[round(0.95 * ROWS) - 1, 31_000 * COLUMNS // 60_000] > 0.1
    few = thinned(line_of(values), COLUMNS)
    assert len(few.x) <= 2 * COLUMNS
    np.testing.assert_allclose(drawn(few, 1.0), image, atol=0.8)
    assert few.low.min() == 0.05
    assert few.low.max() == 0.95


def test_what_lies_outside_is_cut_at_the_box() -> None:
    canvas = Canvas(np.zeros((100, 100), np.uint8))
    box = Box(20, 30, 80, 60)
    canvas.stroke(box, line_of(np.linspace(-2, 3, 50)), 3.0, BLACK)
    outside = canvas.image.copy()
    outside[box.top : box.bottom, box.left : box.right] = 0
    assert not outside.any()
    assert canvas.image.max() == BLACK


def test_a_band_is_filled_between_its_ends() -> None:
    canvas = Canvas(np.zeros((100, 100), np.uint8))
    line = line_of(np.full(9, 0.25))
    band = Points(line.x, line.low, line.low + 0.5, line.is_joined)
    canvas.stroke(Box(0, 0, 100, 100), band, 0.0, 1)
    assert (canvas.image[26:74, 2:-2] == 1).all()
    assert not canvas.image[:25].any()
    assert not canvas.image[76:].any()


def test_an_empty_line_draws_nothing() -> None:
    assert not drawn(line_of(np.full(5, np.nan)), 2.0).any()


@pytest.mark.parametrize("ends", [(-0.3, 40.0), (-5e9, 1.1e10), (0.0, 100.0), (-2e-6, 1e-9)])
def test_an_axis_of_both_signs_is_linear_around_0(ends: tuple[float, float]) -> None:
    scale = signed_scale(*ends)
    places = np.linspace(0, 1, 101)
    np.testing.assert_allclose(scale.fraction(scale.value(places)), places, atol=1e-12)
    assert scale.low <= 0 <= scale.high
    largest = max(-scale.low, scale.high)
    assert 1e2 < largest / scale.threshold <= 1e3 * (1 + 1e-9)
    decade = scale.fraction(10 * scale.threshold) - scale.fraction(scale.threshold)
    linear = scale.fraction(scale.threshold) - scale.fraction(0)
    assert linear == pytest.approx(decade)


def test_limits_without_any_size_give_an_axis() -> None:
    for low, high in ((0.0, 0.0), (np.nan, 1.0), (-np.inf, 0.0)):
        scale = signed_scale(low, high)
        assert (scale.low, scale.high) == (-1.0, 1.0)


@pytest.mark.parametrize("room", [0.05, 0.1, 0.18, 0.4])
def test_ticks_of_both_signs_do_not_meet(room: float) -> None:
    scale = signed_scale(-3e8, 2e10)
    ticks = value_ticks(scale, room)
    places = scale.fraction(ticks.major)
    assert 0.0 in ticks.major
    assert len(ticks.major) == 1 or np.diff(places).min() >= room
    assert len(ticks.major) >= (3 if room < 0.2 else 1)
    labels = dict(zip(ticks.major, ticks.labels, strict=True))
    assert labels[0.0] == "0"
    assert all(label.startswith("$\\mathdefault{−10^") for at, label in labels.items() if at < 0)
