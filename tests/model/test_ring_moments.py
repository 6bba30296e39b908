"""Integrals over the rings of bins, by themselves and around the circle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.ring_moments import ring_weights
from spectro_mpi.model.scratch import Scratch
from tests.model.straight_moments import ring


def column(angles: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """(1, bin, 1)."""
    return angles.astype(np.float32)[None, :, None]


@pytest.mark.parametrize("width", [1.0, 5.625, 11.25, 40.0, 89.0, 91.0, 200.0, 360.0])
@pytest.mark.parametrize("times", [1, 2])
def test_they_are_those_of_the_parts_that_the_axes_cut(width: float, times: int) -> None:
    angles = np.concatenate([np.linspace(0, 360, 361), 90.0 * np.arange(5) + width / 2])
    weights = ring_weights(column(angles), np.full((1, 1, 1), width), times)
    expected = np.array([ring(float(np.float32(angle)), width) for angle in angles]) * times
    found = np.stack([weights.whole, weights.along, weights.against, weights.square])[:, 0, :, 0]
    np.testing.assert_allclose(found.T, expected, atol=2e-6 * times)
    np.testing.assert_allclose(weights.net, weights.along + weights.against, atol=1e-6)
    assert weights.along.min() >= 0
    assert weights.against.max() <= 1e-6


@pytest.mark.parametrize("bins", [16, 32, 64])
@pytest.mark.parametrize("shift", [0.0, 1.3, 5.6, 77.7])
def test_around_the_circle_they_add_up(bins: int, shift: float) -> None:
    angles = (360 / bins * np.arange(bins) + shift) % 360
    weights = ring_weights(column(angles), np.full((1, 1, 1), 360 / bins))
    sums = [float(weight.sum(dtype=np.float64)) / np.pi for weight in weights]
    np.testing.assert_allclose(sums, [4, 1, -1, 0, 4 / 3], atol=2e-6)


def test_known_bins_have_the_solid_angles_of_spedas() -> None:
    # domega of 11.25° bins, and with the cosine, as j_2d_new computes them.
    angles = np.array([0.0, 1.171875, 45.0, 90.0, 180.0, 359.0])
    weights = ring_weights(column(angles), np.full((1, 1, 1), 11.25))
    whole = [0.030255255, 0.031563098, 0.43547868, 0.615859856, 0.030255255, 0.031207606]
    net = [0.030182411, 0.031471196, 0.306447161, 0.0, -0.030182411, 0.031120911]
    np.testing.assert_allclose(weights.whole[0, :, 0], whole, atol=1e-6)
    np.testing.assert_allclose(weights.net[0, :, 0], net, atol=1e-6)


def test_widths_may_differ_and_arrays_may_be_used_again() -> None:
    random = np.random.default_rng(1)
    scratch = Scratch()
    for shape in ((3, 8, 5), (2, 8, 5), (4, 9, 7)):
        angle = (360 * random.random(shape)).astype(np.float32)
        for axes in ((shape[0], 1, 1), (1, shape[1], 1), (1, 1, shape[2]), shape):
            width = random.uniform(1, 80, axes)
            weights = ring_weights(angle, width, scratch=scratch)
            wide = np.broadcast_to(width, shape)
            for place in np.ndindex(*shape):
                expected = ring(float(angle[place]), float(wide[place]))
                found = [
                    getattr(weights, name)[place]
                    for name in ("whole", "along", "against", "square")
                ]
                np.testing.assert_allclose(found, expected, atol=3e-6)
