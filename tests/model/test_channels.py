"""Channels have the edges that files report, and axes enclose whole channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spectro_mpi.demo.tables import mode_tables
from spectro_mpi.model.channels import channel_edges, log_edges, measured_channels
from spectro_mpi.model.extrema import empty_limits, flat_extrema, given_limits, raw_limits
from spectro_mpi.model.levels import Levels, count_levels
from spectro_mpi.model.samples import Samples
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.model.tally import Tallies, merge_tallies, tally
from spectro_mpi.settings.schema import ExtremaSettings, ScalePair

NAN = np.nan


def fast_edges(mode: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Centres, widths and edges of a mode of FAST, NaN where it has no channel."""
    table = mode_tables(mode)
    energy, width = (np.where(part[0] < 0, NAN, part[0]) for part in (table.energy, table.denergy))
    return energy, width, channel_edges(energy, width / 2, width / 2, is_log=True)


@pytest.mark.parametrize(
    ("mode", "count", "lowest", "highest"),
    [(0, 47, 3.92, 32112.64), (2, 91, 3.92, 32112.62)],
)
def test_fast_channels_are_those_of_the_reference(
    mode: int, count: int, lowest: float, highest: float
) -> None:
    """The values are computed from the tables of the instrument's master file."""
    _, width, edges = fast_edges(mode)
    used = edges[width > 0]
    assert len(used) == count
    assert used.min() == pytest.approx(lowest, rel=1e-6)
    assert used.max() == pytest.approx(highest, rel=1e-6)
    ranked = used[np.argsort(used[:, 0])]
    np.testing.assert_array_equal(ranked[1:, 0], ranked[:-1, 1])


@pytest.mark.parametrize(
    ("centres", "below", "above", "is_log", "expected"),
    [
        ([20, 45, 80, 400], [10, 15, 20, 100], [5, 15, 20, 100], True,
         [[10, 25], [30, 60], [60, 100], [300, 500]]),
        ([10, 20, 40], None, [10, 20, 40], True, [[10, 20], [20, 40], [40, 80]]),
        ([10, 20, 40], [5, 10, 20], None, True, [[5, 10], [10, 20], [20, 40]]),
        ([0, 1, 2], None, None, None, [[-0.5, 0.5], [0.5, 1.5], [1.5, 2.5]]),
        ([-90, 0, 90], None, None, False, [[-135, -45], [-45, 45], [45, 135]]),
        ([40, 10, NAN, 20], None, None, None,
         [[28.284271, 56.568542], [7.071068, 14.142136], [NAN, NAN], [14.142136, 28.284271]]),
        ([4, 16, 0], None, None, True, [[2, 8], [8, 32], [NAN, NAN]]),
        ([1, 5, 9.5], None, None, None, [[-1, 3], [3, 7.25], [7.25, 11.75]]),
        # A slight overlap meets in the middle, a larger one between the centres.
        ([10, 20], [5, 5.05], [5, 5], False, [[5, 14.975], [14.975, 25]]),
        ([10, 20], [5, 8], [8, 5], False, [[5, 15], [15, 25]]),
        # If the channels do not overlap there, in the middle of the overlap.
        ([38, 50], [2, 10], [3, 10], False, [[36, 40.5], [40.5, 60]]),
        ([38, 50], [8, 14], [4, 9], True, [[30, 39], [39, 59]]),
        ([10, 50, 52], [4, 38, 1], [4, 38, 4], False, [[6, 13], [13, 51], [51, 56]]),
        # The edge that one of two reports is that of both; the outermost are mirrored.
        ([10, 20, 40], [2, NAN, 0], [6, NAN, 0], True,
         [[8, 16], [16, 28.284271], [28.284271, 56.568542]]),
    ],
)  # fmt: skip
def test_edges(centres: Any, below: Any, above: Any, is_log: Any, expected: Any) -> None:
    low, high = (None if part is None else np.array(part, float) for part in (below, above))
    found = channel_edges(np.array(centres, float), low, high, is_log)
    np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-6)


def test_a_channel_at_or_below_0_cannot_be_drawn_on_a_log_axis() -> None:
    centres = np.array([0.0, 4.5, 18])
    found = log_edges(np.array([[-1, 0], [0, 9], [9, 27.0]]), centres)
    np.testing.assert_allclose(found, np.array([[NAN, NAN], [2.25, 9], [9, 27]]))


@st.composite
def random_spectrogram(draw: st.DrawFn) -> Spectrogram:
    """Two tables of random channels with gaps, cells of which many are missing or 0."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    channels = draw(st.integers(1, 9))
    bounds = np.sort(10 ** rng.uniform(-1, 5, (2, 2 * channels)), axis=1)
    edges = bounds.reshape(2, channels, 2)
    centres = edges.mean(axis=2).astype(np.float32)
    values = rng.lognormal(2, 2, (2, 6, channels)) * (rng.random((2, 6, channels)) < 0.4)
    values[rng.random(values.shape) < 0.2] = NAN
    time = np.arange(6.0)
    mode = rng.integers(0, 2, 6).astype(np.uint8)
    return Spectrogram(
        "ees", "eflux", ("all", "up"), time, time, time, mode, centres,
        values.astype(np.float32), "f", 1, edges=edges.astype(np.float32),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(random_spectrogram(), min_size=1, max_size=4), st.sampled_from(["log", "linear"]))
def test_limits_enclose_whole_channels(parts: list[Spectrogram], y_scale: Any) -> None:
    scales: ScalePair = (y_scale, "log")
    merged: Tallies = {}
    for part in parts:
        merge_tallies(merged, tally(part))
    backward: Tallies = {}
    for part in reversed(parts):
        merge_tallies(backward, tally(part))
    coverage = ExtremaSettings(energy_coverage=0.9)
    flat = flat_extrema(merged, [scales], coverage)
    assert flat == flat_extrema(backward, [scales], coverage)
    for row, category in enumerate(("all", "up")):
        cells = [held for part in parts for held in counted(part, row)]
        common = given_limits(flat, {}, "ees", category, scales, "own")
        assert_encloses(common, cells, y_scale, 0.9)
        raw = raw_limits(parts[0], row, scales, 0.9)
        assert_encloses(raw, counted(parts[0], row), y_scale, 0.9)
    blank = empty_limits(parts[0], scales)
    measured = np.isfinite(parts[0].values).any(axis=0)
    edges = parts[0].edges[parts[0].mode][measured] if measured.any() else parts[0].edges
    assert edges.max() <= blank.y_max <= 1.1 * edges.max()
    lowest = 0 if y_scale == "linear" else edges.min()
    assert 0.9 * lowest <= blank.y_min <= lowest


def counted(one: Spectrogram, row: int) -> list[tuple[float, float]]:
    """The edges of the channel of each positive cell."""
    held = one.values[row] > 0
    return [(float(low), float(high)) for low, high in one.edges[one.mode][held]]


def assert_encloses(limits: Any, cells: Any, y_scale: str, coverage: float) -> None:
    if not cells:
        assert limits is None
        return
    lowest = min(low for low, _ in cells)
    highest = sorted(high for _, high in cells)
    reached = next(e for n, e in enumerate(highest, 1) if n >= coverage * len(highest))
    assert limits.y_max >= reached and limits.y_max <= 1.1 * reached
    if y_scale == "linear":
        assert limits.y_min == 0
    else:
        assert 0.9 * lowest <= limits.y_min <= lowest


@pytest.mark.parametrize("behind", ["nothing", "no channel", "the same again"])
def test_the_last_reported_edge_is_kept_whatever_stands_behind_it(behind: str) -> None:
    """The last two channels overlap, so that one edge is moved; the outermost is not."""
    more = {"nothing": [], "no channel": [np.nan, np.nan], "the same again": [90.0, 90.0]}[behind]
    centres = np.array([10.0, 30.0, 70.0, 90.0, *more])
    half = np.array([1.0, 5.0, 20.0, 20.0, *[20.0 for _ in more]])
    edges = channel_edges(centres, half, half, is_log=True)
    border = np.sqrt(70 * 90)
    expected = [[9, 11], [25, 35], [50, border], [border, 110]]
    np.testing.assert_allclose(edges[:4], expected, rtol=1e-6)


@pytest.mark.parametrize("records", [0, 1, 50])
def test_measured_channels_are_those_with_a_finite_value_in_a_record_of_the_table(
    records: int,
) -> None:
    random = np.random.default_rng(records)
    values = np.where(random.random((2, records, 6)) < 0.05, 1.0, NAN).astype(np.float32)
    mode = random.integers(0, 4, records).astype(np.uint8)  # of the last one there is no table
    expected = np.zeros((2, 3, 6), bool)
    for category, record, channel in np.argwhere(np.isfinite(values)):
        if mode[record] < 3:
            expected[category, mode[record], channel] = True
    np.testing.assert_array_equal(measured_channels(values, mode, 3), expected)


@pytest.mark.parametrize("tables", [1, 3, 40])
def test_cells_of_all_records_are_those_of_each_record(tables: int) -> None:
    random = np.random.default_rng(tables)
    energy = np.sort(random.uniform(1, 100, (tables, 5)), axis=1).astype(np.float32)
    edges = channel_edges(energy)
    values = random.choice(np.array([NAN, 0, 1], np.float32), (200, 5))
    mode = random.integers(0, tables, 200).astype(np.uint8)
    whole = count_levels(energy, edges, Samples(mode, values, are_means=False))
    merged = Levels()
    for record in range(200):
        part = Samples(mode[record : record + 1], values[record : record + 1], are_means=False)
        merged.merge(count_levels(energy, edges, part))
    np.testing.assert_array_equal(whole.upper, merged.upper)
    np.testing.assert_array_equal(whole.cells, merged.cells)
