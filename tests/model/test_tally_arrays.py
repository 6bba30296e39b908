"""Tallies kept as arrays come back as they were, and merge as if they had never been kept."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.tally import Tallies, merge_tallies, tally
from spectro_mpi.model.tally_arrays import arrays_of, tallies_from
from tests.model.spectrograms import COUNTS, random_counts, random_flux, with_values


def all_kinds() -> list[Spectrogram]:
    """Counts beyond 65,535 and negative, fluxes, nothing but fill, whole and fractional values."""
    rng = np.random.default_rng(5)
    large = with_values(np.floor(rng.lognormal(8, 4, (3, 50, 5))) - 100, COUNTS)
    empty = with_values(np.full((1, 4, 5), np.nan))
    return [random_counts(1), random_flux(2), large, empty, random_counts(3), random_flux(4)]


def merged(parts: list[Tallies]) -> Tallies:
    whole: Tallies = {}
    for part in parts:
        merge_tallies(whole, part)
    return whole


@pytest.mark.parametrize("spectrograms", [[], all_kinds()[:1], all_kinds()[3:4], all_kinds()])
def test_tallies_come_back_to_the_last_bit(spectrograms: list[Spectrogram]) -> None:
    tallies = merged([tally(each) for each in spectrograms])
    arrays = arrays_of(tallies)
    back = tallies_from(arrays)
    assert {key: pickle.dumps(back[key]) for key in back} == {
        key: pickle.dumps(tallies[key]) for key in tallies
    }
    assert all(array.dtype.kind in "iufU" for array in arrays.values())


def test_what_was_kept_in_groups_merges_to_what_all_items_give_in_any_order() -> None:
    spectrograms = all_kinds()
    whole = arrays_of(merged([tally(each) for each in spectrograms]))
    rng = np.random.default_rng(1)
    for _ in range(20):
        order = rng.permutation(len(spectrograms))
        cuts = np.sort(rng.integers(0, len(order) + 1, 2))
        groups = [
            tallies_from(arrays_of(merged([tally(spectrograms[place]) for place in part])))
            for part in np.split(order, cuts)
        ]
        kept = arrays_of(merged(groups))
        assert kept.keys() == whole.keys()
        for name, array in whole.items():
            assert kept[name].dtype == array.dtype
            np.testing.assert_array_equal(kept[name], array)
