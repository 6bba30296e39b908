"""Categories by direction: around 0 or 180 by hemisphere, as wide as set or as the loss cone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.model.distribution import Categories, Combine, Distribution
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.settings.direction import Direction
from tests.model.straight_angles import Intervals, share

DOWN = Direction(toward="earth", within=30)
UP = Direction(away="earth", within=30)
CONE_DOWN, CONE_UP = Direction(losscone="down"), Direction(losscone="up")
CATEGORIES: Categories = {
    "all": ((0.0, 360.0),),
    "down": DOWN,
    "up": UP,
    "cone": CONE_DOWN,
    "hole": CONE_UP,
}


def distribution(random: np.random.Generator, records: int, fraction: bool) -> Distribution:
    """Random records of 32 bins and 3 channels, half of them south."""
    time = np.arange(records, dtype=np.float64)
    whole = np.full(records, 32), np.full(records, 3)
    angle = (random.uniform(0, 360, (records, 1, 1)) + 11.25 * np.arange(32)[:, None]) % 360
    angle = angle + random.uniform(-2, 2, (records, 32, 3))
    return Distribution(
        time=time,
        time_start=time,
        time_end=time + 1,
        valid=np.ones(records, bool),
        mode=np.zeros(records, np.uint8),
        nbins=whole[0],
        nenergy=whole[1],
        values=random.uniform(1, 100, (records, 32, 3)).astype(np.float32),
        value_fill=None,
        pitch_angle=angle.astype(np.float32),
        weight=None,
        width=np.full((1, 1, 1), 11.25, np.float32) if fraction else None,
        earthward=np.where(time % 2, 180.0, 0.0),
        loss_cone=random.uniform(5, 90, records),
    )


def wrapped(middle: float, reach: float) -> Intervals:
    """The interval `middle` ± `reach` as intervals within 0 to 360."""
    low, high = (middle - reach) % 360, (middle + reach) % 360
    return [(low, high)] if low < high else [(low, 360.0), (0.0, high)]


def mean(record: Distribution, intervals: Intervals, channel: int) -> float:
    """The mean of one record by a loop over its bins."""
    width = 0.0 if record.width is None else 11.25
    angles = record.pitch_angle[0, :, channel].astype(np.float64)
    shares = np.array([share(angle, width, intervals) for angle in angles])
    if not shares.sum() > 0:
        return float("nan")
    return float((shares * record.values[0, :, channel]).sum() / shares.sum())


def only(given: Distribution, record: int) -> Distribution:
    """One record of a distribution."""
    names = [
        "time",
        "time_start",
        "time_end",
        "valid",
        "mode",
        "nbins",
        "nenergy",
        "values",
        "pitch_angle",
    ]
    names += ["earthward", "loss_cone"]
    arrays: dict[str, Any] = {name: getattr(given, name)[record : record + 1] for name in names}
    return replace(given, **arrays)


@pytest.mark.parametrize("fraction", [True, False])
def test_each_record_has_the_interval_of_its_hemisphere(fraction: bool) -> None:
    given = distribution(np.random.default_rng(3), 40, fraction)
    values = reduce_distribution(given, CATEGORIES, "mean").values
    assert given.earthward is not None
    assert given.loss_cone is not None
    for record in range(40):
        down, cone = float(given.earthward[record]), float(given.loss_cone[record])
        one = only(given, record)
        for row, (middle, reach) in enumerate(
            [(down, 30.0), (180 - down, 30.0), (down, cone), (180 - down, cone)], 1
        ):
            for channel in range(3):
                expected = mean(one, wrapped(middle, reach), channel)
                np.testing.assert_allclose(values[row, record, channel], expected, rtol=2e-6)


def test_a_direction_is_the_category_that_a_user_would_have_written() -> None:
    given = distribution(np.random.default_rng(4), 30, fraction=True)
    north: Categories = {"all": ((0, 360),), "a": ((0, 30), (330, 360)), "b": ((150, 210),)}
    plain = reduce_distribution(given, north, "mean").values
    values = reduce_distribution(given, CATEGORIES, "mean").values
    south = np.arange(30) % 2 == 1
    np.testing.assert_array_equal(values[1], np.where(south[:, None], plain[2], plain[1]))
    np.testing.assert_array_equal(values[2], np.where(south[:, None], plain[1], plain[2]))


def test_all_directions_are_within_180_degrees() -> None:
    given = distribution(np.random.default_rng(5), 10, fraction=True)
    given = replace(given, loss_cone=np.full(10, 180.0))
    values = reduce_distribution(given, CATEGORIES, "sum").values
    np.testing.assert_array_equal(values[3], values[0])


def test_a_record_without_ephemeris_is_missing_in_such_rows_only() -> None:
    given = distribution(np.random.default_rng(6), 10, fraction=True)
    assert given.earthward is not None
    unknown = np.where(np.arange(10) < 4, np.nan, given.earthward)
    combines: tuple[Combine, ...] = ("sum", "mean")
    for combine in combines:
        values = reduce_distribution(replace(given, earthward=unknown), CATEGORIES, combine).values
        assert np.isnan(values[1:, :4]).all()
        assert np.isfinite(values[:, 4:]).all()
        assert np.isfinite(values[0]).all()
    nothing = reduce_distribution(replace(given, earthward=None), CATEGORIES, "mean").values
    assert np.isnan(nothing[1:]).all()
    no_cone = reduce_distribution(replace(given, loss_cone=None), CATEGORIES, "mean").values
    assert np.isnan(no_cone[3:]).all()
    assert np.isfinite(no_cone[1:3]).all()
