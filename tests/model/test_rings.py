"""Rings of pitch angle have the solid angles of the specification, and add up to the sphere."""

from __future__ import annotations

import numpy as np
import pytest

from spectro_mpi.model.rings import ring_solid_angle
from tests.model.straight_angles import ring

# domega(p, 11.25) of the reference values of the specification, sr.
REFERENCE = {
    0.0: 0.030255255,
    1.171875: 0.031563098,
    5.625: 0.060364822,
    45.0: 0.43547868,
    90.0: 0.615859856,
    180.0: 0.030255255,
    270.0: 0.615859856,
    359.0: 0.031207606,
}


def test_rings_have_the_reference_values() -> None:
    solid = ring_solid_angle(np.array(list(REFERENCE)), np.array(11.25))
    np.testing.assert_allclose(solid, list(REFERENCE.values()), rtol=1e-7)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-11), (np.float32, 1e-6)])
def test_any_angle_and_width_gives_the_integral_between_its_edges(
    dtype: type[np.float64] | type[np.float32], rtol: float
) -> None:
    random = np.random.default_rng(5)
    angle = np.concatenate([random.uniform(-900, 900, 300), np.arange(-360.0, 721, 5.625)])
    width = random.choice([0.01, 1, 5.625, 11.25, 90, 180, 200, 360, 500], len(angle))
    angle, width = angle.astype(dtype), width.astype(dtype)
    solid = ring_solid_angle(angle, width)
    assert solid.dtype == dtype
    expected = [ring(float(a), float(w)) for a, w in zip(angle, width, strict=True)]
    np.testing.assert_allclose(solid, expected, rtol=rtol)


def test_the_bins_of_a_circle_add_up_to_the_sphere() -> None:
    for count in (1, 2, 3, 32, 64):
        for shift in (0.0, 1.3, 5.625, -77.7):
            angle = shift + 360 / count * np.arange(count)
            assert ring_solid_angle(angle, np.array(360 / count)).sum() == pytest.approx(
                4 * np.pi, rel=1e-13
            )


def test_the_rings_of_an_axis_from_0_to_180_have_the_reference_weights() -> None:
    # HOPE pitch axis of the reference values: edges and weights / 4π, counted as whole rings.
    edges = np.array([0.0, 9, 27, 45, 63, 81, 99, 117, 135, 153, 171, 180])
    expected = [0.00615583, 0.04834091, 0.09194987, 0.12655814, 0.14877802, 0.15643447]
    solid = ring_solid_angle((edges[1:] + edges[:-1]) / 2, np.diff(edges)) * 2 / (4 * np.pi)
    np.testing.assert_allclose(solid, [*expected, *expected[-2::-1]], atol=5e-9)


def test_what_has_no_angle_or_no_width_has_no_ring() -> None:
    angle = np.array([np.nan, np.inf, 10, 10, 10])
    width = np.array([1, 1, np.nan, -1, 0])
    np.testing.assert_array_equal(ring_solid_angle(angle, width), [np.nan] * 4 + [0])
