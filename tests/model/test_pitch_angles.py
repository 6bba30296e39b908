"""Bins are reduced to categories as a loop over cells does it, with every kind of membership."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.distribution import FILL_FLOAT, Categories, Combine, Distribution
from spectro_mpi.model.pitch_angles import reduce_distribution
from tests.model.straight_angles import reduce_cells, ring, share

FIXED: dict[str, list[tuple[float, float]]] = {
    "all": [(0, 360)],
    "parallel": [(0, 30), (330, 360)],
    "antiparallel": [(150, 210)],
    "perpendicular": [(40, 140), (220, 320)],
}
DEFAULT: Categories = FIXED


def distribution(values: NDArray[Any], angle: NDArray[Any], **others: Any) -> Distribution:
    """Valid records of `values` at `angle`, both (record, bin, channel), without a fill value."""
    records, bins, channels = values.shape
    ones = np.ones(records)
    given = Distribution(
        time=ones,
        time_start=ones,
        time_end=ones,
        valid=np.ones(records, bool),
        mode=np.zeros(records, np.uint8),
        nbins=np.full(records, bins),
        nenergy=np.full(records, channels),
        values=values,
        value_fill=None,
        pitch_angle=np.broadcast_to(np.asarray(angle, np.float32), values.shape),
        weight=None,
    )
    return replace(given, **others)


def sweep(
    random: np.random.Generator, records: int, bins: int = 32, channels: int = 6
) -> NDArray[np.float32]:
    """Angles as FAST has them: bins in steps, turned per record, rising over the channels."""
    turn = random.uniform(0, 360, (records, 1, 1))
    bin_angle = 112.5 - 360 / bins * np.arange(bins)[None, :, None]
    angle = np.mod(bin_angle + turn + np.linspace(0, 5.5, channels), 360).astype(np.float32)
    return np.where(random.random(angle.shape) < 0.01, np.float32(360), angle)


@dataclass
class Case:
    """A random distribution, and the same as arrays of full shape for the loop over cells."""

    distribution: Distribution
    categories: dict[str, list[tuple[float, float]]]
    combine: Combine
    counts: NDArray[np.bool_]
    full: dict[str, Any]


def random_intervals(random: np.random.Generator) -> list[tuple[float, float]]:
    """Some intervals; many touch, overlap, begin at 0 or end at 360."""
    ends = [0.0, 30.0, 33.3, 150.0, 210.0, 330.0, 360.0, *random.uniform(0, 360, 3).tolist()]
    pairs = [sorted(random.choice(ends, 2, replace=False)) for _ in range(random.integers(1, 4))]
    return [(float(low), float(high)) for low, high in pairs]


def random_case(seed: int) -> Case:
    """Sum or mean, integers or floats, whole bins or fractions, weights, masks and fill."""
    random = np.random.default_rng(seed)
    shape = records, bins, channels = 5, int(random.choice([1, 3, 32])), 4
    angle = sweep(random, records, bins, channels)
    if seed % 3 == 0:
        angle = random.choice([-370.0, -180, -0.5, 0, 30, 359.99, 360, 725], shape)
        angle = (angle + random.uniform(0, 20, shape)).astype(np.float32)
    combine: Combine = "sum" if random.random() < 0.5 else "mean"
    values: NDArray[Any] = random.integers(0, 64513, shape).astype(np.uint16)
    counts = np.ones(shape, bool)
    others: dict[str, Any] = {}
    full: dict[str, Any] = {}
    if random.random() < 0.6:
        values = random.lognormal(5, 2, shape).astype(np.float32)
        values[random.random(shape) < 0.1] = random.choice([np.nan, FILL_FLOAT])
        others["value_fill"] = FILL_FLOAT
        counts &= np.isfinite(values) & (values > -1e30)
    if random.random() < 0.3:
        lost = random.random(shape) < 0.1
        angle = np.where(lost, np.float32(random.choice([np.nan, FILL_FLOAT, np.inf])), angle)
        counts &= ~lost
    part = tuple(size if random.random() < 0.5 else 1 for size in shape)
    if random.random() < 0.7:
        width = random.choice([11.25, 5.625, 90, 200, 360, 0, np.nan, FILL_FLOAT, 1.0], part)
        others["width"] = width.astype(np.float32)
        full["width"] = np.broadcast_to(others["width"], shape)
    if random.random() < 0.5:
        others["measured"] = random.random(part) < 0.8
        counts &= others["measured"]
    kind = random.integers(3)
    if kind == 1:
        weight = random.uniform(0.01, 0.6, part).astype(np.float32)
        others["weight"] = np.where(random.random(part) < 0.1, np.float32(FILL_FLOAT), weight)
    elif kind == 2:
        others["ring_width"] = random.choice([11.25, 0, 200], part).astype(np.float32)
    if combine == "mean" and kind:
        full["weight"] = (
            np.broadcast_to(others["weight"], shape)
            if kind == 1
            else rings(angle, np.broadcast_to(others["ring_width"], shape))
        )
        counts = counts & (full["weight"] > (0 if kind == 2 else -1e30))
    others["variance"] = full["variance"] = random.uniform(0, 9, shape)
    categories = {"all": [(0.0, 360.0)], "a": random_intervals(random), **FIXED}
    categories["b"] = random_intervals(random)
    return Case(distribution(values, angle, **others), categories, combine, counts, full)


def rings(angle: NDArray[Any], width: NDArray[Any]) -> NDArray[np.float64]:
    """Solid angle of each cell, 0 where it has none."""
    out = np.zeros(angle.shape)
    for cell in np.ndindex(angle.shape):
        if np.isfinite(angle[cell]) and angle[cell] > -1e30 and width[cell] > 0:
            out[cell] = ring(float(angle[cell]), float(width[cell]))
    return out


@pytest.mark.parametrize("seed", range(60))
def test_values_and_errors_are_those_of_a_loop_over_cells(seed: int) -> None:
    case = random_case(seed)
    given = case.distribution
    reduced = reduce_distribution(given, case.categories, case.combine)
    values, errors = reduce_cells(
        given.values, case.counts, given.pitch_angle, case.categories, case.combine, **case.full
    )
    assert reduced.errors is not None
    if given.values.dtype == np.uint16 and case.combine == "sum" and given.width is None:
        np.testing.assert_array_equal(reduced.values, values)
    np.testing.assert_allclose(reduced.values, values, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(reduced.errors, errors, rtol=1e-6, atol=1e-30)
    assert reduced.values.dtype == reduced.errors.dtype == np.float32


def test_one_bin_and_its_share_of_each_category() -> None:
    # overlap(p, 11.25, lo, hi) of the reference values of the specification.
    expected = {
        (25.3125, 330, 30): 0.916667,
        (36.5625, 330, 30): 0.0,
        (329.0625, 330, 30): 0.416667,
        (351.5625, 330, 30): 1.0,
        (0.0, 330, 30): 1.0,
        (149.0625, 150, 210): 0.416667,
        (30.0, 330, 30): 0.5,
        (359.0, 0, 360): 1.0,
    }
    for (angle, low, high), value in expected.items():
        intervals = [(low, high)] if low < high else [(0, high), (low, 360)]
        one = distribution(
            np.ones((1, 1, 1)),
            np.full((1, 1, 1), angle),
            width=np.full((1, 1, 1), 11.25, np.float32),
        )
        summed = reduce_distribution(one, {"one": intervals}, "sum").values.item()
        assert np.nan_to_num(summed) == pytest.approx(value, abs=1e-6)
        assert share(angle, 11.25, intervals) == pytest.approx(value, abs=1e-6)


def test_sums_of_decoded_counts_are_exact_at_their_largest() -> None:
    shape = 3, 64, 2
    for dtype in (np.uint16, np.int32, np.uint32, np.int64):
        values = np.full(shape, 64512, dtype)
        values[1, :5] = [1], [3], [64511], [2], [0]
        angle = sweep(np.random.default_rng(1), 3, 64, 2)
        reduced = reduce_distribution(distribution(values, angle), DEFAULT, "sum").values
        for number, intervals in enumerate(DEFAULT.values()):
            inside = np.vectorize(lambda at, i=intervals: share(at, 0, i) == 1)(angle)
            expected = np.where(inside, values.astype(np.int64), 0).sum(axis=1)
            np.testing.assert_array_equal(reduced[number].astype(np.int64), expected)
    assert reduced[0, 0, 0] == 64 * 64512
    net = distribution(np.array([[[2**24 + 1], [-(2**24)]]]), np.zeros((1, 2, 1)))
    assert reduce_distribution(net, DEFAULT, "sum").values[0].item() == 1


def test_code_255_counts_unless_it_is_the_fill_value() -> None:
    values = np.array([[[255], [1]]], np.uint8)
    given = distribution(values, np.zeros((1, 2, 1)))
    assert reduce_distribution(given, DEFAULT, "sum").values[0].item() == 256
    filled = replace(given, value_fill=255)
    assert reduce_distribution(filled, DEFAULT, "sum").values[0].item() == 1


def test_isotropic_plasma_has_one_mean_in_all_directions_and_sums_to_the_sphere() -> None:
    random = np.random.default_rng(7)
    angle = sweep(random, 40)
    spectrum = random.lognormal(10, 3, (40, 1, 6)).astype(np.float32)
    width = np.full((1, 1, 1), 11.25, np.float32)
    given = distribution(
        np.broadcast_to(spectrum, angle.shape), angle, width=width, ring_width=width
    )
    means = reduce_distribution(given, DEFAULT, "mean").values
    np.testing.assert_allclose(means, np.broadcast_to(spectrum[:, 0], means.shape), rtol=1e-6)


def test_the_errors_of_a_cell_with_an_unknown_variance_are_unknown() -> None:
    variance = np.ones((2, 4, 3))
    variance[1, 2, 1] = np.nan
    given = distribution(np.ones((2, 4, 3)), np.zeros((2, 4, 3)), variance=variance)
    errors = reduce_distribution(given, DEFAULT, "sum").errors
    assert errors is not None
    np.testing.assert_array_equal(errors[0], [[2, 2, 2], [2, np.nan, 2]])


def test_slabs_make_no_difference() -> None:
    random = np.random.default_rng(3)
    angle = sweep(random, 300)
    values = random.lognormal(5, 2, angle.shape)
    width = np.where(random.random((300, 1, 1)) < 0.5, 11.25, 5.625).astype(np.float32)
    given = distribution(
        values,
        angle,
        width=width,
        ring_width=width,
        measured=random.random((300, 1, 6)) < 0.9,
        variance=values,
        nbins=random.choice([16, 32], 300),
        nenergy=random.choice([5, 6], 300),
        valid=random.random(300) < 0.9,
    )
    whole = reduce_distribution(given, DEFAULT, "mean")
    names = (
        "valid",
        "nbins",
        "nenergy",
        "values",
        "pitch_angle",
        "width",
        "ring_width",
        "measured",
        "variance",
    )
    for one in range(0, 300, 41):
        record = {name: getattr(given, name)[one : one + 1] for name in names}
        alone = reduce_distribution(replace(given, **record), DEFAULT, "mean")
        np.testing.assert_array_equal(alone.values[:, 0], whole.values[:, one])
        assert alone.errors is not None and whole.errors is not None
        np.testing.assert_array_equal(alone.errors[:, 0], whole.errors[:, one])
