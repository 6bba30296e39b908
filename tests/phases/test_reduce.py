"""Reduced values are those of a straight-line computation from the CDF files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.demo import DemoSummary
from spectro_mpi.errors import InvalidCdfError, reason_of
from spectro_mpi.instruments.cdf import CdflibReader
from spectro_mpi.model.distribution import (
    EVERYTHING,
    FILL_FLOAT,
    Categories,
    Combine,
    Distribution,
)
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.model.spectrogram import Legend
from spectro_mpi.phases.reduce import reduce_file, reduce_source
from spectro_mpi.settings.schema import Config, DataSettings
from tests.conftest import real_file
from tests.straight import reduced


def input_path(path: Path) -> InputPath:
    return InputPath("ees", str(path), path.stat().st_size, 1)


def distribution(
    values: NDArray[np.float32] | NDArray[np.uint8],
    angles: Sequence[float],
    weight: NDArray[np.float32] | None = None,
) -> Distribution:
    """Records of `values` (record, bin, channel), each bin at one pitch angle."""
    records, bins, channels = values.shape
    ones = np.ones(records)
    return Distribution(
        time=ones,
        time_start=ones,
        time_end=ones,
        valid=np.ones(records, bool),
        mode=np.zeros(records, np.uint8),
        nbins=np.full(records, bins),
        nenergy=np.full(records, channels),
        values=values,
        value_fill=255 if values.dtype == np.uint8 else FILL_FLOAT,
        pitch_angle=np.broadcast_to(np.array(angles, np.float32)[:, None], values.shape).copy(),
        weight=weight,
    )


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
def test_store_values_equal_a_straight_line_computation(demo: DemoSummary, quantity: str) -> None:
    config = Config(data=DataSettings(quantity=quantity, chunk_records=100))
    broken = {file.path for file in demo.damaged if file.expected == "error"}
    modes: set[int] = set()
    for path in sorted(demo.directory.glob("FAST_data/*/*/fa_esa_*.cdf")):
        if path in broken:
            continue
        spectrogram = reduce_file(input_path(path), CdflibReader(path), config)
        values = spectrogram.values[:, ::7]
        expected = reduced(path, quantity, config.intervals, every=7)
        modes |= set(spectrogram.mode[np.isfinite(spectrogram.values[0]).any(axis=1)].tolist())
        if quantity == "counts":
            np.testing.assert_array_equal(values, expected.astype(np.float32))
        else:
            np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert modes == {0, 1, 2}


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
def test_the_size_of_chunks_makes_no_difference(demo: DemoSummary, quantity: str) -> None:
    path = max(demo.directory.glob("FAST_data/*/*/*ees*13312*.cdf"))
    results = [
        reduce_file(
            input_path(path),
            CdflibReader(path),
            Config(data=DataSettings(quantity=quantity, chunk_records=records)),
        )
        for records in (4096, 37)
    ]
    for name in ("time", "time_start", "time_end", "mode", "energy", "values"):
        first, second = (getattr(one, name) for one in results)
        np.testing.assert_array_equal(first, second)


class Chunks:
    """An open file of 5 records, whose chunks have flags and uncertainties."""

    records, most_records, channels = 5, 5, 2
    weight = "file"
    quantity = "flux"
    combine: Combine = "mean"
    legend = Legend()
    energy = np.array([[1, 2]], np.float32)
    edges = np.array([[[0.5, 1.5], [1.5, 2.5]]], np.float32)

    def __init__(self, categories: Categories) -> None:
        self.categories = categories

    def chunk(self, first: int, last: int) -> Distribution:
        number = np.arange(first, last)
        values = np.repeat(number[:, None, None] + [[1.0], [2.0], [3.0]], 2, axis=2)
        return replace(
            distribution(values.astype(np.float32), [0, 90, 180]),
            time=number.astype(float),
            variance=np.full(values.shape, 4.0),
            quality=number.astype(np.uint8),
        )


def test_flags_uncertainties_and_intervals_are_those_of_all_chunks(tmp_path: Path) -> None:
    categories: Categories = {"all": [(0, 360)], "along": [(0, 30), (330, 360)], "none": [(1, 2)]}
    (tmp_path / "p.cdf").write_bytes(b"p")
    file = InputPath("p", str(tmp_path / "p.cdf"), 1, 1)
    config = Config(data=DataSettings(chunk_records=2))
    reduced = reduce_source(file, Chunks(categories), config)
    assert reduced.quality.tolist() == [0, 1, 2, 3, 4]
    assert reduced.values[:, :, 0].tolist()[:2] == [[2, 3, 4, 5, 6], [1, 2, 3, 4, 5]]
    np.testing.assert_allclose(reduced.errors[0], np.sqrt(3 * 4) / 3, rtol=1e-6)
    np.testing.assert_allclose(reduced.errors[1], 2)
    assert np.isnan(reduced.errors[2]).all()
    expected = [[[0, 360], [np.nan] * 2], [[0, 30], [330, 360]], [[1, 2], [np.nan] * 2]]
    np.testing.assert_array_equal(reduced.intervals, np.array(expected, np.float32))
    assert reduced.intervals.dtype == reduced.errors.dtype == np.float32
    without_angles = reduce_source(file, Chunks(EVERYTHING), config)
    assert without_angles.intervals.size == 0


def test_intervals_are_closed_below_and_open_above_and_wrap_at_360() -> None:
    angles = [0.0, 29.999, 30.0, 149.999, 150.0, 210.0, 330.0, 359.99, 360.0, -10.0]
    one = distribution(np.ones((1, len(angles), 1), np.uint8), angles)
    categories: dict[str, list[tuple[float, float]]] = {
        "downgoing": [(0, 30), (330, 360)],
        "upgoing": [(150, 210)],
        "odd": [(29.999, 30)],
        "none": [(40, 41)],
    }
    counted = reduce_distribution(one, categories, "sum").values[:, 0, 0]
    # 0, 29.999, 330, 359.99, 360 (that is 0) and -10 (that is 350) go down.
    assert counted[:3].tolist() == [6, 1, 1]
    assert np.isnan(counted[3])


def test_fill_values_bins_and_channels_out_of_use_and_invalid_records_do_not_count() -> None:
    values = np.full((4, 3, 3), 7, np.uint8)
    values[0, 0, 0] = 255
    one = distribution(values, [10, 20, 30])
    one.pitch_angle[1, 0, 0] = FILL_FLOAT
    one = replace(
        one,
        valid=np.array([True, True, False, True]),
        nbins=np.array([3, 2, 3, 255]),
        nenergy=np.array([3, 2, 3, 3]),
    )
    counted = reduce_distribution(one, {"all": [(0, 360)]}, "sum").values[0]
    np.testing.assert_array_equal(
        counted, [[14, 21, 21], [7, 14, np.nan], [np.nan] * 3, [np.nan] * 3]
    )


def test_eflux_is_weighted_by_solid_angle_where_there_is_one() -> None:
    values = np.array([[[1.0], [4.0], [FILL_FLOAT]]], np.float32)
    weight = np.array([[[3.0], [1.0], [9.0]]], np.float32)
    everything = {"all": [(0.0, 360.0)]}
    angles = [0, 90, 180]
    weighted = reduce_distribution(distribution(values, angles, weight), everything, "mean").values
    plain = reduce_distribution(distribution(values, angles), everything, "mean").values
    assert weighted.item() == (1 * 3 + 4 * 1) / 4
    assert plain.item() == 2.5


def test_each_kind_of_damage_is_told_for_what_it_is(demo: DemoSummary) -> None:
    told = {}
    for file in demo.damaged:
        if file.expected == "error":
            with pytest.raises(InvalidCdfError) as caught:
                reduce_file(input_path(file.path), CdflibReader(file.path), Config())
            told[file.damage] = str(caught.value)
            is_sound = file.damage in ("no-records", "all-fill")
            reason = "no-data" if is_sound else "invalid-cdf"
            assert reason_of(caught.value, "reduce") == reason
    assert told.keys() == {
        "empty",
        "text",
        "truncated",
        "no-records",
        "all-fill",
        "missing-variable",
        "wrong-dimensions",
    }
    assert "is empty (0 bytes)" in told["empty"]
    assert "has no records" in told["no-records"]
    assert "records is valid" in told["all-fill"]
    assert "has no variable pitch_angle" in told["missing-variable"]
    assert (
        "pitch_angle has shape (64, 96), expected (32, 48), as data has" in told["wrong-dimensions"]
    )


def test_nasas_master_is_a_valid_file_without_data() -> None:
    path = real_file("fa_esa_l2_eeb_00000000_v01.cdf")
    with pytest.raises(InvalidCdfError, match="has no records"):
        reduce_file(input_path(path), CdflibReader(path), Config())


@pytest.mark.parametrize("name", ["not_a_cdf.cdf", "ac_h2_sis_20101105_v06.cdf"])
def test_files_of_other_kinds_are_refused(name: str) -> None:
    path = real_file(name)
    with pytest.raises(InvalidCdfError):
        reduce_file(input_path(path), CdflibReader(path), Config())
