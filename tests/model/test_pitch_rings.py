"""Rings of pitch angle have the edges of the instrument, and solid angles that add up to 4π."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from spectro_mpi.model.pitch_rings import ring_edges, ring_solid_angles

HOPE = np.array([4.5, 18, 36, 54, 72, 90, 108, 126, 144, 162, 175.5], np.float32)
HOPE_EDGES = [0, 9, 27, 45, 63, 81, 99, 117, 135, 153, 171, 180]


def borders(*centres: float) -> list[list[float]]:
    """The edges of rings, as pairs."""
    pairs: list[list[float]] = ring_edges(np.array(centres)).round(9).tolist()
    return pairs


def test_centres_in_the_middle_of_their_rings_fill_0_to_180() -> None:
    pairs = np.stack([HOPE_EDGES[:-1], HOPE_EDGES[1:]], axis=1)
    np.testing.assert_array_equal(ring_edges(HOPE), pairs)
    order = np.random.default_rng(1).permutation(len(HOPE))
    np.testing.assert_array_equal(ring_edges(HOPE[order]), pairs[order])
    padded = np.append(HOPE, np.nan)
    np.testing.assert_array_equal(ring_edges(np.stack([padded, padded[::-1]]))[1, 1:], pairs[::-1])


def test_other_centres_have_edges_midway() -> None:
    assert borders(0, 45, 90, 180) == [[0, 22.5], [22.5, 67.5], [67.5, 135], [135, 180]]
    # The outermost mirror the inner ones: 20 − 15 and 100 + 25.
    assert borders(20, 50, 100) == [[5, 35], [35, 75], [75, 125]]
    assert np.isnan(ring_edges(np.array([20, np.nan, 50])))[1].all()


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_edges_that_the_file_reports_are_kept_and_clipped(order: slice) -> None:
    centres, half = np.array([4.0, 30, 90, 178])[order], np.array([6.0, 15, 20, 5])[order]
    expected = np.array([[0, 10], [15, 45], [70, 110], [173, 180]])[order]
    np.testing.assert_allclose(ring_edges(centres, half, half), expected)
    # Not the rule for centres in the middle of their rings, though it would fit.
    narrow = np.full(11, 1.0)
    np.testing.assert_allclose(
        ring_edges(HOPE, narrow, narrow), np.stack([HOPE - 1, HOPE + 1], axis=1)
    )


def test_deltas_that_are_0_or_missing_report_nothing() -> None:
    for delta in (np.zeros(11), np.full(11, np.nan)):
        np.testing.assert_array_equal(ring_edges(HOPE, delta, delta), ring_edges(HOPE))


def test_solid_angles_are_those_of_rings_and_add_up_to_the_sphere() -> None:
    edges = np.radians(HOPE_EDGES)
    expected = [2 * np.pi * (np.cos(low) - np.cos(high)) for low, high in pairwise(edges)]
    solid_angles = ring_solid_angles(ring_edges(HOPE))
    np.testing.assert_allclose(solid_angles, expected, rtol=1e-12)
    assert solid_angles.sum() == pytest.approx(4 * np.pi, rel=1e-12)


def test_bins_of_the_same_pitch_angle_share_their_ring() -> None:
    single = ring_solid_angles(ring_edges(np.array([30.0, 90, 150])))
    shared = ring_solid_angles(ring_edges(np.array([90.0, 30, 90, 150, 90, np.nan])))
    np.testing.assert_allclose(shared[[1, 3]], single[[0, 2]])
    np.testing.assert_allclose(shared[[0, 2, 4]], single[1] / 3)
    assert np.isnan(shared[5])
