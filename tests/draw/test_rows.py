"""Pixel rows against a reference that goes through them one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.draw.columns import columns_of, records_of
from spectro_mpi.draw.palette import BLANK
from spectro_mpi.draw.raster import paint, reduce_columns, tables_of
from spectro_mpi.draw.scale import Scale
from spectro_mpi.model.extrema import Limits, raw_limits
from spectro_mpi.model.spectrogram import Spectrogram
from tests.draw.test_pixels import draw, spectrogram
from tests.model.test_channels import fast_edges

STEP = np.arange(10, 211, dtype=np.uint8)
"""A palette with as many colours as the values of these tests."""


def shown_at(edges: NDArray[Any], scale: Scale, rows: int, row: int) -> list[tuple[int, float]]:
    """(channel, weight) of a pixel row, counted from the bottom."""
    place = [scale.fraction(pair) * rows for pair in edges.astype(float)]
    overlap = [min(high, row + 1) - max(low, row) for low, high in place]
    at = [n for n, (low, high) in enumerate(place) if low <= row + 0.5 < high]
    middle = [
        n for n, (low, high) in enumerate(place)
        if high - low < 1
        and int(np.floor((max(low, 0) + min(high, rows)) / 2)) == row
        and not any(low <= k + 0.5 < high for k in range(rows))
    ]  # fmt: skip
    if not at and not middle:
        return []
    touching = [n for n, part in enumerate(overlap) if part > 1e-6]
    if not any(place[n][1] - place[n][0] < 1 for n in touching):
        return [(at[0], 1.0)]
    return [(n, overlap[n]) for n in touching]


@pytest.mark.parametrize("kind", ["log", "linear"])
@pytest.mark.parametrize("seed", range(6))
def test_pixels_are_those_of_a_straight_reference(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables, channels, rows, records = 2, 30, 61, 40
    bounds = np.sort(10 ** rng.uniform(0, 3, (tables, channels + 1)), axis=1)
    edges = np.stack([bounds[:, :-1], bounds[:, 1:]], axis=2)
    edges[:, ::5, 1] = edges[:, ::5].mean(axis=2)  # gaps
    pairs: NDArray[np.float32] = edges.astype(np.float32)
    energy: NDArray[np.float32] = pairs.mean(axis=2).astype(np.float32)
    values = rng.integers(0, 200, (records, channels)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    mode = rng.integers(0, tables, records).astype(np.uint8)
    time: NDArray[np.float64] = np.arange(records, dtype=np.float64) + 0.5
    half: NDArray[np.float64] = np.full(records, 0.5)
    held = records_of(time, time - half, time + half)
    columns = columns_of(held, 0, records, records // 2)
    cells = reduce_columns(values, tables_of(energy, pairs, mode, held), held, columns)
    scale = Scale(kind, 2.0, 700.0)
    painted = paint(cells, columns, rows, scale, Scale("linear", -0.25, 200.75), STEP)
    picture = painted.pixels[::-1]
    for column in range(records // 2):
        for row in range(rows):
            total = weight = 0.0
            for record in (2 * column, 2 * column + 1):
                for channel, share in shown_at(pairs[mode[record]], scale, rows, row):
                    if np.isfinite(values[record, channel]):
                        total += share * values[record, channel]
                        weight += share
            expected = STEP[int(total / weight + 0.25)] if weight else BLANK
            assert abs(int(picture[row, column]) - int(expected)) <= int(weight % 1 > 0)


@pytest.mark.parametrize("y_scale", ["log", "linear"])
@pytest.mark.parametrize("mode", [0, 2])
def test_a_beam_in_any_channel_is_seen_between_its_edges(mode: int, y_scale: Any) -> None:
    energy, width, edges = fast_edges(mode)
    for channel in np.flatnonzero(width > 0):
        values = np.full((20, 96), np.nan)
        values[:, np.isfinite(energy)] = 0
        values[:, channel] = 200
        base = spectrogram(values, mode=mode)
        tables = np.stack([energy if n == mode else base.energy[n] for n in range(3)])
        pairs = base.edges.copy()
        pairs[mode] = edges
        beam = replace(base, energy=tables.astype(np.float32), edges=pairs)
        for limits in (Limits(3.9, 33000, 1, 300), raw_limits(beam, 0, (y_scale, "log"), 0.99)):
            assert limits is not None
            limits = replace(limits, z_min=0.001, z_max=300)
            shown = draw(beam, scales=(y_scale, "log"), limits=limits)
            rows = np.flatnonzero(~(shown.blank | shown.under).all(axis=1))
            scale = Scale(y_scale, *shown.entry["energy"])
            top, bottom = (1 - scale.fraction(edges[channel, [1, 0]])) * len(shown.energy)
            assert len(rows), f"channel {channel} is not seen"
            assert abs(rows[0] - top) <= 1 and abs(rows[-1] + 1 - bottom) <= 1


def test_edges_that_were_left_out_are_geometric() -> None:
    energy = np.array([[40, 20, 10, np.nan]], np.float32)
    time = np.arange(2.0)
    one = Spectrogram(
        "a", "b", ("all",), time, time, time, np.zeros(2, np.uint8), energy,
        np.ones((1, 2, 4), np.float32), "f", 1,
    )  # fmt: skip
    np.testing.assert_allclose(one.edges[0, 1], [14.142136, 28.284271], rtol=1e-6)
    assert np.isnan(one.edges[0, 3]).all()
