"""Where the spacecraft was: interpolation round the circle, hemisphere, loss cone."""

from __future__ import annotations

import numpy as np
import pytest

from spectro_mpi.model.ephemeris import Ephemeris, Variable, loss_cone, mirror_ratio

MINUTES = 60 * np.arange(5, dtype=np.float64)


def at(ephemeris: Ephemeris, *times: float) -> dict[str, list[float]]:
    """Each variable at some times."""
    found = ephemeris.at(np.array(times, np.float64))
    return {each.name: each.values.astype(np.float64).tolist() for each in found}


def ephemeris(**values: list[float]) -> Ephemeris:
    period = {"mlt": 24.0, "flng": 360.0}
    return Ephemeris(
        MINUTES,
        tuple(
            Variable(name, np.array(each, np.float64), period=period.get(name, 0.0))
            for name, each in values.items()
        ),
    )


@pytest.mark.parametrize(
    ("altitude", "latitude", "ratio", "cone"),
    [
        (100, 70, 1.0, 90.0),
        (350, 70, 1.122557, 70.705832),
        (1000, 65, 1.494408, 54.887368),
        (2000, 70, 2.19653, 42.433356),
        (4175, 60, 4.689736, 27.501388),
        (4175, -70, 4.46828, 28.234075),
    ],
)
def test_the_loss_cone_is_that_of_a_dipole(
    altitude: float, latitude: float, ratio: float, cone: float
) -> None:
    place = np.array([altitude], np.float64), np.array([latitude], np.float64)
    assert mirror_ratio(*place)[0] == pytest.approx(ratio, rel=1e-6)
    assert loss_cone(*place)[0] == pytest.approx(cone, rel=1e-6)


def test_below_100_km_every_particle_is_lost() -> None:
    assert loss_cone(np.array([60.0]), np.array([70.0]))[0] == 90


def test_values_are_interpolated_the_shorter_way_round_the_circle() -> None:
    given = ephemeris(
        alt=[0, 60, 120, 180, 240],
        mlt=[23.0, 23.8, 0.6, 1.4, 2.2],
        flng=[178, 179, -179, -178, -177],
    )
    found = at(given, 30, 90, 105)
    assert found["alt"] == pytest.approx([30, 90, 105])
    assert found["mlt"] == pytest.approx([23.4, 0.2, 0.4], abs=1e-5)
    assert found["flng"] == pytest.approx([178.5, -180, -179.5])
    # Longitudes without a negative one reach to 360.
    assert at(ephemeris(flng=[358, 359, 0, 1, 2]), 90)["flng"] == pytest.approx([359.5])


def test_the_invariant_latitude_jumps_from_north_to_south() -> None:
    given = ephemeris(ilat=[28, 26, -25, -27, -29])
    assert at(given, 30, 80, 100, 150)["ilat"] == pytest.approx(
        [27, 25.667, -25.333, -26], abs=1e-3
    )
    assert at(given, 80, 100)["hemisphere"] == [1, -1]


@pytest.mark.parametrize("after", [-2.0, -26.0, -60.0])
def test_its_sign_changes_half_way_as_the_hemisphere_does(after: float) -> None:
    given = ephemeris(ilat=[28, 26, after, after, after])
    times = np.arange(60.0, 121.0)
    found = at(given, *times)
    assert np.sign(found["ilat"]).tolist() == found["hemisphere"]
    assert found["hemisphere"] == np.where(times <= 90, 1, -1).tolist()


def test_hours_stay_below_24() -> None:
    assert at(ephemeris(mlt=[23.9, 24.0, 24.1, 24.2, 24.3]), 60, 90)["mlt"] == pytest.approx(
        [0.0, 0.05], abs=1e-5
    )


def test_times_in_any_order_and_without_a_value() -> None:
    given = ephemeris(alt=[0, 60, np.nan, 180, 240])
    assert at(given, 180, 120, 0)["alt"] == pytest.approx([180, 120, 0])
    assert np.isnan(at(given, np.nan)["alt"])[0]


def test_nothing_is_invented_far_from_the_points() -> None:
    given = ephemeris(alt=[0, 60, 120, 180, 240])
    assert at(given, -60, 300)["alt"] == pytest.approx([-60, 300])
    assert np.isnan(at(given, -61, 301)["alt"]).all()
    apart = Ephemeris(np.array([0.0, 601.0]), (Variable("alt", np.array([0.0, 1.0])),))
    assert np.isnan(at(apart, 300)["alt"]).all()
    assert at(apart, 0, 601)["alt"] == [0, 1]  # the points themselves


def test_the_hemisphere_is_the_sign_of_the_invariant_latitude() -> None:
    given = ephemeris(ilat=[70, 60, np.nan, -60, -70], flat=[60, 50, -40, 40, 40])
    assert at(given, 0, 59, 120, 240)["hemisphere"] == [1, 1, -1, -1]


def test_an_invariant_latitude_without_sign_leaves_it_to_the_footprint() -> None:
    given = ephemeris(ilat=[70, 60, 50, 60, 70], flat=[60, 50, -30, -50, -60])
    assert at(given, 0, 240)["hemisphere"] == [1, -1]
    # Not below −50: the footprint may be south of the geographic equator, but north of the other.
    given = ephemeris(ilat=[20, 15, 10, 15, 20], flat=[10, 5, -2, 5, 10])
    assert at(given, 120)["hemisphere"] == [1]


def test_what_is_not_known_is_not_derived() -> None:
    found = at(ephemeris(alt=[1000] * 5), 30)
    assert np.isnan(found["hemisphere"]).all()
    assert "loss_cone" not in found
    found = at(ephemeris(alt=[1000] * 5, ilat=[65] * 5), 30)
    assert found["loss_cone"] == pytest.approx([54.887368], rel=1e-6)
