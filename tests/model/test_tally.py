"""Percentiles of merged tallies equal numpy's over all cells, however the parts are merged."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.model.tally import Tallies, merge_tallies, tally
from tests.model.spectrograms import COUNTS, FLUX, random_counts, random_flux, with_values

PERCENTS = [0, 0.1, 0.5, 33.3, 50, 95, 99.9, 100]


def tallied(spectrograms: list[Spectrogram]) -> Tallies:
    merged: Tallies = {}
    for part in spectrograms:
        merge_tallies(merged, tally(part))
    return merged


def finite(spectrograms: list[Spectrogram], row: int = 0) -> NDArray[np.float64]:
    values = np.concatenate([part.values[row].ravel() for part in spectrograms], dtype=np.float64)
    return values[np.isfinite(values)]


def counts_up_to(largest: int, seed: int, records: int = 300) -> Spectrogram:
    """Whole numbers of both signs of any magnitude up to the largest."""
    rng = np.random.default_rng(seed)
    size = np.floor((largest + 1) ** rng.random((1, records, 5)))
    return with_values(size * rng.choice([-1, 0, 1, 1], size.shape), COUNTS)


def test_percentiles_of_counts_are_exactly_numpys() -> None:
    parts = [random_counts(seed) for seed in range(9)]
    parts += [counts_up_to(65535, seed) for seed in range(4)]
    counts, pool = tallied(parts)["ees", "all"], finite(parts)
    assert pool.min() < 0 and pool.max() > 60000
    assert counts.percentiles(PERCENTS, positive=False) == np.percentile(pool, PERCENTS).tolist()
    expected = np.percentile(pool[pool > 0], PERCENTS).tolist()
    assert counts.percentiles(PERCENTS, positive=True) == expected


def test_percentiles_of_large_counts_are_exact_below_65536_and_numpys_within_a_thousandth() -> None:
    parts = [counts_up_to(64 * 64512, seed, 2000) for seed in range(4)]
    counts, pool = tallied(parts)["ees", "all"], finite(parts)
    pool = pool[pool > 0]
    percents = np.linspace(0, 100, 401)
    expected = np.percentile(pool, percents)
    percentiles = np.array(counts.percentiles(percents.tolist(), positive=True))
    small = expected < 65535
    assert 0 < small.sum() < len(small) - 20
    np.testing.assert_array_equal(percentiles[small], expected[small])
    np.testing.assert_allclose(percentiles, expected, rtol=1e-3)


@pytest.mark.parametrize("is_signed", [False, True])
def test_percentiles_of_flux_are_numpys_within_a_thousandth(is_signed: bool) -> None:
    parts = [random_flux(seed, 400) for seed in range(9)]
    if is_signed:
        parts += [with_values(-part.values) for part in parts[:3]]
    counts, pool = tallied(parts)["ees", "all"], finite(parts)
    percentiles = counts.percentiles(PERCENTS, positive=False)
    np.testing.assert_allclose(percentiles, np.percentile(pool, PERCENTS), rtol=1e-3)
    percentiles = counts.percentiles(PERCENTS, positive=True)
    np.testing.assert_allclose(percentiles, np.percentile(pool[pool > 0], PERCENTS), rtol=1e-3)


def test_values_that_are_no_whole_numbers_are_not_rounded() -> None:
    part = with_values(np.array([[[0.25, 0.5, 0.5, 0.5, 3]]]), COUNTS)
    (median,) = tally(part)["ees", "all"].percentiles([50], positive=True)
    assert median == pytest.approx(0.5, rel=1e-3)


def test_means_and_single_counts_are_ranked_together() -> None:
    rng = np.random.default_rng(2)
    few = with_values(rng.poisson(4, (1, 3000, 5)).astype(float), COUNTS)
    many = with_values(rng.poisson(0.05, (1, 40000, 5)) * 3.0, COUNTS)
    size = math.ceil(40000 / 2048)
    means = np.concatenate([many.values[0, at : at + size].mean(0) for at in range(0, 40000, size)])
    pool = np.concatenate([few.values.ravel(), means.astype(np.float64)])
    counts = tallied([many, few])["ees", "all"]
    assert len(counts.whole.blocks) and len(counts.ranges.blocks)
    percents = np.linspace(0, 100, 101)
    for positive, values in ((False, pool), (True, pool[pool > 0])):
        percentiles = counts.percentiles(percents.tolist(), positive)
        np.testing.assert_allclose(percentiles, np.percentile(values, percents), rtol=1e-3)
    assert 0 < counts.smallest_positive < 1


def test_the_order_and_grouping_of_merges_make_no_difference() -> None:
    parts = [random_counts(seed) for seed in range(4)]
    parts += [random_flux(seed) for seed in range(4)]
    parts += [with_values(-random_flux(9).values, Legend(z_scale="linear"))]
    parts += [counts_up_to(10**6, seed) for seed in range(3)]
    parts += [with_values(np.full((2, 3, 5), np.nan))]
    parts += [with_values(np.random.default_rng(1).normal(0, 9, (2, 5000, 5)), COUNTS)]
    expected = pickled(tallied(parts))
    rng = np.random.default_rng(0)
    for _ in range(12):
        groups = [tally(parts[place]) for place in rng.permutation(len(parts))]
        while len(groups) > 1:
            into, other = rng.choice(len(groups), 2, replace=False)
            # Half of them travel, as between ranks.
            added = pickle.loads(pickle.dumps(groups[other], 5)) if other % 2 else groups[other]
            merge_tallies(groups[into], added)
            del groups[other]
        assert pickled(groups[0]) == expected


def pickled(tallies: Tallies) -> dict[tuple[str, str], bytes]:
    return {key: pickle.dumps(copy.deepcopy(counts)) for key, counts in sorted(tallies.items())}


def test_a_merge_leaves_the_other_tally_as_it_is() -> None:
    first, second = tally(random_counts(1)), tally(random_counts(2))
    before = pickled(second)
    whole: Tallies = {}
    merge_tallies(whole, second)
    merge_tallies(whole, first)
    assert pickled(second) == before


SHAPE = (4, 4096, 96)


def adversarial(kind: str) -> NDArray[np.float32]:
    """Values of four categories that fill as many bins as such values can."""
    share = np.random.default_rng(0).random(SHAPE)
    values = {
        "counts": share * 65536,
        "sums": share * 64 * 64512,
        "sums of any size": (64 * 64512) ** share,
        "net counts": share * 131072 - 65536,
        "flux": 10 ** (16 * share - 3) + 0.5,
        "flux of 40 decades": 10 ** (40 * share - 20),
    }[kind]
    return (values if "flux" in kind else np.floor(values)).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "legend"),
    [
        ("counts", COUNTS),
        ("sums", COUNTS),
        ("sums of any size", COUNTS),
        ("net counts", COUNTS),
        ("flux", FLUX),
        ("flux of 40 decades", FLUX),
    ],
)
def test_the_tallies_of_four_instruments_take_less_than_a_megabyte(
    kind: str, legend: Legend
) -> None:
    """With as many records as are tallied singly; the four instruments have the same values."""
    values = adversarial(kind)
    part = with_values(values, legend)
    tallies = tally(part)
    assert len(tallies) == 4
    message = pickle.dumps(tallies, protocol=5)
    assert 4 * len(message) < 1_000_000
    restored = pickle.loads(message)
    assert pickled(restored) == pickled(tallies)
    (median,) = restored["ees", "all"].percentiles([50], positive=False)
    exact = np.median(part.values[0].astype(np.float64))
    assert median == pytest.approx(exact, rel=1e-3)
