"""Superposed epoch analysis: against a straight computation, and the same in any order."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from spectro_mpi.model.epochs import Epochs, TimeBins, epochs_by_index, epochs_in_time, time_bins
from spectro_mpi.model.marks import Mark, Marks
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.superposed import STATISTICS, Superposed, superposed
from spectro_mpi.model.superposition import Superposition, rounded_edges, superpose
from spectro_mpi.settings.superpose import SuperposeSettings
from tests.model.spectrograms import FLUX, random_counts, random_flux, with_values

BINS = TimeBins(7.0, 4, 6)
EPOCHS = Epochs(np.array([-20.0, 3.0, 70.5, 71.0, 250.0, 399.0, 9e5]), np.arange(7) * 11)
"""Before all records, near their edges, nearly together, and far from all."""


QUARTILES = ("lower_quartile", "median", "upper_quartile")


def items(seed: int) -> list[Spectrogram]:
    """Five items that follow each other, with gaps, several tables of energy and stray order."""
    rng = np.random.default_rng(seed)
    parts: list[Spectrogram] = []
    for number in range(5):
        whole = (random_counts if number % 2 else random_flux)(seed + number, 80)
        time = 80.0 * number + np.sort(rng.uniform(0, 80, 80))
        time[30:34] = np.nan
        if number == 3:
            shuffled = rng.permutation(80)
            time = time[shuffled]
        mode = whole.mode.copy()
        mode[5] = 9  # of no table
        parts.append(replace(whole, time=time, mode=mode, legend=FLUX, quantity="flux"))
    return parts


def merged(parts: Sequence[Spectrogram], memory_mb: int = 100) -> Superposition:
    found = [superpose(part, EPOCHS, BINS, memory_mb) for part in parts]
    whole: Superposition
    whole, *others = [pickle.loads(pickle.dumps(each)) for each in found if each is not None]
    for other in others:
        whole.merge(other)
    return whole


def same(one: Superposed, other: Superposed) -> None:
    for each in fields(Superposed):
        np.testing.assert_array_equal(getattr(one, each.name), getattr(other, each.name))


def straight(
    parts: Sequence[Spectrogram], row: int, bounds: tuple[float, float], energy: tuple[float, float]
) -> tuple[list[float], set[int]]:
    """The values in a cell, and the events that have any there."""
    values, events = [], set()
    for zero, identity in zip(EPOCHS.time, EPOCHS.identity, strict=True):
        for part in parts:
            for record, time in enumerate(part.time):
                if not bounds[0] <= time - zero < bounds[1] or part.mode[record] >= len(
                    part.energy
                ):
                    continue
                edges = rounded_edges(part.edges[part.mode[record]])
                for channel, value in enumerate(part.values[row, record]):
                    low, high = edges[channel]
                    if np.isfinite(value) and low <= energy[0] and energy[1] <= high:
                        values.append(float(value))
                        events.add(int(identity))
    return values, events


def test_it_equals_a_straight_computation() -> None:
    parts = items(1)
    result = superposed("ees", merged(parts))
    assert result.edges.shape[0] > 5  # of two tables
    assert result.event_count == 6
    seen = 0
    for row in range(2):
        for at, bounds in enumerate(result.time_edges.tolist()):
            for channel, energy in enumerate(result.edges.tolist()):
                values, events = straight(parts, row, tuple(bounds), tuple(energy))
                where = row, at, channel
                assert result.records[where] == len(values), where
                assert result.events[where] == len(events), where
                if not values:
                    assert all(np.isnan(getattr(result, name)[where]) for name in STATISTICS)
                    continue
                seen += 1
                assert result.mean[where] == pytest.approx(np.mean(values), rel=1e-6)
                for name, percent in (
                    ("lower_quartile", 25),
                    ("median", 50),
                    ("upper_quartile", 75),
                ):
                    exact = np.percentile(values, percent)
                    high = np.percentile(values, percent, method="higher")
                    assert abs(getattr(result, name)[where] - exact) <= 1.01 * result.width * high
    assert seen > 100


def test_zero_is_a_value_and_missing_is_none() -> None:
    values = np.full((1, 4, 5), np.nan)
    values[0, :, 0] = 0
    values[0, 1:3, 1] = [0, 8]
    result = superposed("ees", merged([with_values(values, time=np.arange(3.0, 7.0))]))
    at = BINS.before
    assert result.records[0, at].tolist() == [2, 4]  # energies ascend
    assert result.mean[0, at].tolist() == [4, 0]
    assert len(result.edges) == 2  # channels without any value make no bins


def test_the_order_of_items_and_how_records_are_split_into_items_change_nothing() -> None:
    parts = items(2)
    one = superposed("ees", merged(parts))
    same(one, superposed("ees", merged(parts[::-1])))
    same(one, superposed("ees", merged([parts[k] for k in (3, 0, 4, 2, 1)])))
    split = []
    for part in parts:
        order = np.argsort(part.time, kind="stable")
        for rows in np.array_split(order, 7):
            split.append(
                replace(
                    part,
                    time=part.time[rows],
                    time_start=part.time_start[rows],
                    time_end=part.time_end[rows],
                    mode=part.mode[rows],
                    values=part.values[:, rows],
                )
            )
    same(one, superposed("ees", merged(split)))
    same(one, superposed("ees", merged(split[::-1])))
    # As ranks send them: each has merged some, and not sorted all of them in.
    whole, other = merged(split[::2]), merged(split[1::2])
    whole.merge(pickle.loads(pickle.dumps(other)))
    same(one, superposed("ees", whole))


def test_with_less_memory_the_bins_are_wider_and_the_order_still_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spectro_mpi.model.superposition.ENTRY_BYTES", (1 << 20) // 700)
    parts = items(3)
    whole = merged(parts, memory_mb=1)
    whole.histograms.settle()
    assert whole.histograms.level > 0
    one = superposed("ees", whole)
    assert one.width > 2**-5
    same(one, superposed("ees", merged(parts[::-1], memory_mb=1)))
    exact = superposed("ees", merged(parts))
    np.testing.assert_array_equal(one.mean, exact.mean)
    np.testing.assert_array_equal(one.events, exact.events)


def test_a_signal_around_events_is_recovered_from_noise() -> None:
    rng = np.random.default_rng(4)
    bins = TimeBins(10.0, 12, 12)
    zeros = np.arange(500.0, 40_500.0, 1000.0)
    whole = None
    for zero in zeros:
        time = zero + np.arange(-198.75, 200.0, 2.5)
        shape = 100 * np.exp(-(((time - zero - 30) / 20) ** 2))
        values = rng.poisson(20 + shape[None, :, None], (1, len(time), 5))
        item = with_values(values, time=time)
        part = superpose(item, Epochs(zeros, np.arange(40)), bins, 100)
        assert part is not None
        if whole is None:
            whole = part
        else:
            whole.merge(part)
    assert whole is not None
    result = superposed("ees", whole)
    fine = np.linspace(-120, 120, 2401)
    expected = np.array(
        [
            np.mean(20 + 100 * np.exp(-(((fine[(fine >= a) & (fine < b)] - 30) / 20) ** 2)))
            for a, b in result.time_edges
        ]
    )
    for found in (result.mean, result.median):
        np.testing.assert_allclose(found[0].mean(axis=1), expected, rtol=0.05)
    assert result.event_count == 40
    assert (result.events == 40).all()
    assert (result.records == 160).all()


def test_tables_that_drift_by_less_than_the_rounding_share_their_bins() -> None:
    energy = np.array([[1000, 100, 10]], np.float32)
    tables = np.concatenate([energy * np.float32(1 + 1e-5 * drift) for drift in range(50)])
    spectrogram = replace(
        with_values(np.ones((1, 50, 3)), time=np.arange(50.0) / 10 + 3),
        energy=tables,
        edges=np.empty((0, 0, 2), np.float32),
        mode=np.arange(50, dtype=np.uint8),
    )
    assert 3 <= len(superposed("ees", merged([spectrogram])).edges) <= 6


def test_it_knows_the_modes_of_all_items() -> None:
    parts = [
        with_values(np.ones((1, 4, 5)), mode=np.full(4, mode), time=np.arange(3.0, 7.0) + mode)
        for mode in (1, 0)
    ]
    assert superposed("ees", merged(parts[:1])).modes == (1,)
    assert superposed("ees", merged(parts)).modes == (0, 1)


def test_no_record_in_any_window_contributes_nothing() -> None:
    spectrogram = random_flux(1)
    assert superpose(spectrogram, Epochs(np.array([1e7]), np.array([1])), BINS, 1) is None
    assert superpose(spectrogram, Epochs(np.empty(0), np.empty(0, np.int64)), BINS, 1) is None
    untimed = replace(spectrogram, time=np.full(40, np.nan))
    assert superpose(untimed, EPOCHS, BINS, 1) is None
    empty = replace(spectrogram, values=np.full_like(spectrogram.values, np.nan))
    assert superpose(empty, EPOCHS, BINS, 1) is None


@pytest.mark.parametrize(
    ("seconds", "bins"), [((0.3, 0.6, 0.1), (3, 6)), ((25, 0, 10), (3, 0)), ((0, 1, 3), (0, 1))]
)
def test_a_window_is_extended_to_whole_bins(
    seconds: tuple[float, float, float], bins: tuple[int, int]
) -> None:
    found = time_bins(SuperposeSettings(*seconds))
    assert (found.before, found.after) == bins
    assert found.edges[found.before - 1, 1] == 0 or not found.before


def times_of(marks: Marks, instrument: str = "ees", **settings: Any) -> list[float]:
    times: list[float] = epochs_in_time(
        marks, instrument, SuperposeSettings(**settings)
    ).time.tolist()
    return times


def test_events_of_all_items_by_time_are_those_that_figures_show() -> None:
    marks: Marks = {
        "1": (Mark("ees", 10.0, 20.0), Mark("ies", 50.0, 60.0)),
        "2": (Mark("", 15.0, 30.0, "cusp"), Mark("ees", 7, 9)),
        "3": (Mark("ies", 80.0, 81.0), Mark("ees", 10.0, 20.0)),
        "4": (Mark("ies", 100.0, 110.0), Mark("eeb", 105.0, 120.0)),
    }
    assert times_of(marks) == [10, 15, 100]  # listed twice: once; of 4 those of others
    assert times_of(marks, "ies") == [15, 50, 80, 100]
    assert times_of(marks, zero="middle") == [15, 22.5, 110]
    assert times_of(marks, zero="end") == [20, 30, 120]
    assert times_of(marks, labels=("cusp",)) == [15]


def test_events_by_index_are_known_to_their_item_only() -> None:
    spectrogram = random_flux(1)
    marks = (Mark("ees", 7, 9), Mark("ees", 10.0, 20.0))
    assert times_of({"1": marks}) == [10]
    settings = SuperposeSettings()
    found = epochs_by_index(marks, {"ees": spectrogram}, "ees", "1", settings)
    assert found.time.tolist() == [6.5]  # the record begins half-way to the one before
    other = epochs_by_index(marks, {"ees": spectrogram}, "ees", "2", settings)
    assert other.identity.tolist() != found.identity.tolist()
