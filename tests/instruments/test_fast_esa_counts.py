"""Counts, dead time and energy flux: values of SPEDAS' conventions, computed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from spectro_mpi.instruments.fast_esa_counts import (
    code_steps,
    count_variance,
    decode_counts,
    eflux_of_counts,
    eflux_relative_error,
    live_fraction,
    one_count_level,
)
from tests.straight import decoded

GEOM_FACTOR, GF, EFF = 0.000147, 0.888614, 0.849728
"""Of a bin and channel of NASA's master."""
SURVEY, BURST = 0.0520833, 0.0016276
"""Integration times, s."""


def test_the_greatest_code_stands_for_the_greatest_count() -> None:
    codes = np.array([255], np.uint8)
    assert decode_counts(codes, burst=False).tolist() == [64_512]
    assert decode_counts(codes, burst=True).tolist() == [16_256]


@pytest.mark.parametrize(
    ("code", "survey", "burst"),
    [
        (0, (0, 1), (0, 1)),
        (15, (15, 1), (15, 1)),
        (16, (16, 2), (16, 2)),
        (24, (32, 4), (32, 4)),
        (40, (96, 4), (96, 4)),
        (100, (1280, 64), (1152, 32)),
        (200, (20480, 512), (9216, 128)),
        (231, (39936, 1024), (13184, 128)),
    ],
)
def test_a_code_stands_for_its_count_and_step(
    code: int, survey: tuple[int, int], burst: tuple[int, int]
) -> None:
    codes = np.array(code, np.uint8)
    for is_burst, expected in ((False, survey), (True, burst)):
        assert decode_counts(codes, is_burst) == expected[0]
        assert code_steps(codes, is_burst) == expected[1]


@pytest.mark.parametrize("burst", [False, True])
def test_all_codes_are_decoded_by_the_table_of_the_instrument(burst: bool) -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(2, 128)
    counts, steps = decoded(codes, burst)
    np.testing.assert_array_equal(decode_counts(codes, burst), counts)
    np.testing.assert_array_equal(code_steps(codes, burst), steps)
    # The codes leave out no count, and no count has two codes.
    np.testing.assert_array_equal(np.diff(counts.ravel()), steps.ravel()[:-1])


@pytest.mark.parametrize(
    ("integration", "counts", "live", "eflux"),
    [
        (SURVEY, 1, 0.999998, 172978.5),
        (SURVEY, 100, 0.999789, 17301460.0),
        (SURVEY, 39936, 0.915655, 7544383000.0),
        (BURST, 100, 0.993242, 557297400.0),
        (BURST, 8192, 0.44635, 101591100000.0),
        (BURST, 16256, 0.1, 899819900000.0),
    ],
)
def test_energy_flux_is_corrected_for_dead_time(
    integration: float, counts: int, live: float, eflux: float
) -> None:
    assert live_fraction(counts, integration) == pytest.approx(live, abs=6e-7)
    found = eflux_of_counts(counts, GEOM_FACTOR, GF, EFF, integration)
    assert found == pytest.approx(eflux, rel=1e-6)


def test_the_one_count_level_is_the_flux_of_a_count_without_dead_time() -> None:
    levels = one_count_level(GEOM_FACTOR, GF, EFF, np.array([SURVEY, BURST]))
    np.testing.assert_allclose(levels, [172978.1, 5535310.0], rtol=1e-6)
    assert one_count_level(GEOM_FACTOR, 0.0, EFF, SURVEY) == np.inf


@pytest.mark.parametrize(
    ("counts", "step", "sigma"),
    [(0, 1, 0.0), (9, 1, 3.0), (40, 4, 6.422616), (1024, 32, 33.305405), (39936, 1024, 356.815428)],
)
def test_the_uncertainty_of_a_count_is_that_of_counting_and_of_its_code(
    counts: int, step: int, sigma: float
) -> None:
    assert np.sqrt(count_variance(counts, step)) == pytest.approx(sigma, rel=1e-7)


def test_dead_time_enlarges_the_uncertainty_of_the_flux_until_it_is_at_its_limit() -> None:
    assert eflux_relative_error(8192, 128, BURST) == pytest.approx(0.026736, rel=2e-5)
    above = 16_256
    expected = np.sqrt(above + (128**2 - 1) / 12) / above
    assert eflux_relative_error(above, 128, BURST) == pytest.approx(expected, rel=1e-12)
    # By the derivative of the flux, from both sides.
    low, high = (eflux_of_counts(n, GEOM_FACTOR, GF, EFF, BURST) for n in (8191.0, 8193.0))
    slope = (high - low) / 2 / eflux_of_counts(8192, GEOM_FACTOR, GF, EFF, BURST)
    sigma = np.sqrt(count_variance(8192, 128))
    assert eflux_relative_error(8192, 128, BURST) == pytest.approx(slope * sigma, rel=1e-5)
    assert np.isnan(eflux_relative_error(0, 1, BURST))
