"""The atlas agrees with a straight computation, record by record, whatever order items come in."""

from __future__ import annotations

import pickle
import random
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.instruments.flux_units import ENERGY_FLUX_UNITS, measure_of
from spectro_mpi.model.artifacts import Group
from spectro_mpi.model.atlas_grid import NOWHERE, Grid
from spectro_mpi.model.atlas_groups import groups_of
from spectro_mpi.model.atlas_item import AtlasPlan, contribution_of
from spectro_mpi.model.atlas_tally import (
    NUMBERS,
    AtlasTally,
    Sums,
    TopItems,
    arrays_of,
    bin_ends,
    bin_sums,
    excess_of,
    numbers_of,
    tally_from,
)
from spectro_mpi.model.ephemeris import Variable
from spectro_mpi.model.items import item_order
from spectro_mpi.model.spectrogram import Legend, Spectrogram
from spectro_mpi.settings.atlas import AtlasSettings
from spectro_mpi.settings.direction import Direction
from spectro_mpi.settings.schema import Config

EDGES = np.array([10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0])
BANDS = ((15.0, 100.0), (100.0, 640.0))
EFLUX = "eV/(cm^2 s sr eV)"
DIRECTIONS = {
    "down": Direction(toward="earth", within=30),
    "up": Direction(away="earth", within=30),
    "cone": Direction(losscone="down"),
}
CONFIG = Config(
    pitch_angles={**DIRECTIONS, "perpendicular": ((40, 140), (220, 320))},
    atlas=AtlasSettings(
        bands={"ees": BANDS},
        mlt_hours=6.0,
        ilat=(60.0, 85.0),
        ilat_degrees=10.0,
        altitudes=(0.0, 1000.0, 4000.0),
        percentiles=(20.0, 50.0, 90.0),
        beam_channels=2,
    ),
)
CATEGORIES = tuple(CONFIG.pitch_angles)


def ephemeris(**values: NDArray[Any]) -> tuple[Variable, ...]:
    return tuple(Variable(name, each.astype(np.float32)) for name, each in values.items())


def spectrogram(seed: int, records: int = 60, units: str = EFLUX) -> Spectrogram:
    """Random fluxes in random places, some of them unknown."""
    rng = np.random.default_rng(seed)
    values = rng.lognormal(10, 2, (len(CATEGORIES), records, 6)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[rng.random(values.shape) < 0.05] = 0
    unknown = np.full(records, np.nan)
    centres = np.sqrt(EDGES[1:] * EDGES[:-1])
    ilat = rng.uniform(-90, 90, records)
    where = ephemeris(
        mlt=rng.uniform(0, 24, records),
        ilat=np.where(rng.random(records) < 0.05, np.nan, ilat),
        alt=rng.uniform(0, 4500, records),
        hemisphere=np.sign(ilat),
        loss_cone=rng.uniform(20, 50, records),
    )
    return Spectrogram(
        instrument="ees",
        quantity="eflux",
        category=CATEGORIES,
        time=np.arange(records, dtype=np.float64),
        time_start=unknown,
        time_end=unknown,
        mode=np.zeros(records, np.uint8),
        energy=centres[None].astype(np.float32),
        edges=np.stack([EDGES[:-1], EDGES[1:]], axis=1)[None].astype(np.float32),
        values=values,
        source="x.cdf",
        source_size=1,
        legend=Legend(units=units),
        ephemeris=where,
    )


def tally_of(item: str, data: Spectrogram, config: Config = CONFIG) -> AtlasTally:
    sums = frozenset({"ees"} if data.legend.is_whole else ())
    return contribution_of(AtlasPlan(config), item, [data], {"ees": measure_of(data)}, sums)


def maps_of(items: dict[str, Spectrogram], config: Config = CONFIG) -> list[Group]:
    whole = AtlasTally()
    for item, data in items.items():
        whole.merge(tally_of(item, data, config))
    return groups_of(AtlasPlan(config), whole)


def cells_of(at: dict[str, Any], record: int) -> tuple[int, int, int, int] | None:
    """Straight: hemisphere, altitude, latitude, local time of a record."""
    ilat, mlt, alt = (float(at[name][record]) for name in ("ilat", "mlt", "alt"))
    if not (60 <= abs(ilat) <= 85 and 0 <= alt <= 4000):
        return None
    return int(ilat < 0), int(alt >= 1000), int((abs(ilat) - 60) // 10), int(mlt // 6)


def integral(data: Spectrogram, row: int, record: int, band: tuple[float, float]) -> float:
    """Straight: ∫ eflux dE over a band; NaN if less than half of its channels have values."""
    total = covered = whole = 0.0
    for channel, (low, high) in enumerate(pairwise(EDGES)):
        width = min(high, band[1]) - max(low, band[0])
        if width > 0:
            whole += width
            value = float(data.values[row, record, channel])
            if np.isfinite(value):
                covered += width
                total += value * width
    return total if covered >= whole / 2 else np.nan


def test_maps_are_those_of_a_straight_computation() -> None:
    items = {str(number): spectrogram(number) for number in range(30)}
    pooled, by_altitude = maps_of(items)
    values: dict[tuple[int, ...], list[float]] = defaultdict(list)
    fills: dict[tuple[int, ...], list[float]] = defaultdict(list)
    records: Counter[tuple[int, ...]] = Counter()
    of_item: dict[tuple[int, ...], Counter[str]] = defaultdict(Counter)
    for item, data in items.items():
        at = {each.name: each.values for each in data.ephemeris}
        for record in range(len(data.time)):
            cell = cells_of(at, record)
            if cell is None:
                continue
            records[cell] += 1
            of_item[cell][item] += 1
            for (row, _), (number, band) in product(enumerate(CATEGORIES), enumerate(BANDS)):
                value = integral(data, row, record, band)
                if np.isfinite(value):
                    place = (row, number, *cell)
                    values[place].append(value)
            for number, band in enumerate(BANDS):
                inside, outside = (integral(data, row, record, band) for row in (2, 3))
                if np.isfinite(inside) and outside > 0:
                    place = (0, number, *cell)
                    fills[place].append(inside / outside)
    datasets = by_altitude.datasets
    assert datasets["energy_flux_mean"].units == ENERGY_FLUX_UNITS
    for name, straight in (("energy_flux", values), ("loss_cone_fill", fills)):
        mean, count = (datasets[f"{name}{each}"].values for each in ("_mean", "_count"))
        percentiles = datasets[f"{name}_percentile"].values
        assert np.count_nonzero(count) == len(straight) > 50
        assert np.isnan(mean[count == 0]).all() and np.isnan(percentiles[:, count == 0]).all()
        for where, each in straight.items():
            assert count[where] == len(each)
            narrow = np.array(each, np.float32).astype(np.float64)
            assert mean[where] == pytest.approx(narrow.mean(), rel=1e-6)
            found = [maps[where] for maps in percentiles]
            np.testing.assert_allclose(found, np.percentile(each, [20, 50, 90]), rtol=0.13)
    assert datasets["records"].values.sum() == sum(records.values())
    assert pooled.datasets["records"].values.sum() == sum(records.values())
    for spot in records:
        assert datasets["records"].values[spot] == records[spot]
        assert datasets["items"].values[spot] == len(of_item[spot])
        ranked = sorted(of_item[spot].items(), key=lambda each: (-each[1], item_order(each[0])))
        top = [(item, count) for item, count in ranked[:5]]
        numbers, counts = (datasets[f"top_{each}"].values[spot] for each in ("item", "records"))
        names = np.append(datasets["item"].values, "")[numbers]
        assert list(zip(names.tolist(), counts.tolist(), strict=True))[: len(top)] == top
        assert not any(names[len(top) :])


def test_altitudes_together_are_counted_as_a_whole() -> None:
    data = spectrogram(1, records=4)
    place = ephemeris(
        mlt=np.full(4, 1.0),
        ilat=np.full(4, 70.5),
        alt=np.array([100.0, 200.0, 1500.0, 9000.0]),
        hemisphere=np.ones(4),
    )
    flux = np.array([1, 2, 6, 900], np.float32)[:, None]
    values = np.broadcast_to(flux, (4, 4, 6)).astype(np.float32)
    pooled, by_altitude = maps_of({"1": replace(data, ephemeris=place, values=values)})
    cell, width = (0, 1, 0), BANDS[0][1] - BANDS[0][0]
    assert pooled.datasets["records"].values[cell] == 3  # one is above all ranges
    assert pooled.datasets["items"].values[cell] == 1
    assert pooled.datasets["energy_flux_mean"].values[0, 0][cell] == pytest.approx(3 * width)
    assert pooled.datasets["energy_flux_percentile"].values[1, 0, 0][cell] == pytest.approx(
        2 * width
    )
    assert by_altitude.datasets["records"].values[0, :, 1, 0].tolist() == [2, 1]
    assert by_altitude.datasets["items"].values[0, :, 1, 0].tolist() == [1, 1]


def test_items_in_any_order_and_grouping_give_the_same_arrays() -> None:
    parts = {str(number): tally_of(str(number), spectrogram(number)) for number in range(40)}
    packed = {item: pickle.dumps(tally) for item, tally in parts.items()}

    def merged(order: list[str]) -> AtlasTally:
        whole = AtlasTally()
        for item in order:
            whole.merge(pickle.loads(packed[item]))
        return whole

    expected = arrays_of(merged(list(packed)))
    for seed in range(5):
        order = list(packed)
        random.Random(seed).shuffle(order)
        groups = [merged(order[first : first + 7]) for first in range(0, 40, 7)]
        random.Random(seed).shuffle(groups)
        whole = AtlasTally()
        for group in groups:
            whole.merge(tally_from(arrays_of(group)))
        arrays = arrays_of(whole)
        assert arrays.keys() == expected.keys()
        for name, array in arrays.items():
            assert array.dtype == expected[name].dtype, name
            np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(
    ("mlt", "ilat", "alt", "north", "cell"),
    [
        (0.0, 60.0, 0.0, 1, (0, 0, 0, 0)),
        (24.0, 60.0, 0.0, 1, (0, 0, 0, 0)),  # midnight is 0 h
        (23.999999, 69.9999, 999.9, 1, (0, 0, 0, 3)),
        (-0.5, 70.0, 1000.0, 1, (0, 1, 1, 3)),  # hours east of midnight
        (-1e-30, 70.0, 1000.0, 1, (0, 1, 1, 0)),
        (30.0, 85.0, 4000.0, 1, (0, 1, 2, 1)),  # the last borders belong to the last cells
        (6.0, -60.0, 0.0, -1, (1, 0, 0, 1)),
        (5.9999, -84.9, 0.0, -1, (1, 0, 2, 0)),
        (6.0, 59.999, 0.0, 1, None),
        (6.0, 85.001, 0.0, 1, None),
        (6.0, 70.0, 4000.1, 1, None),
        (np.nan, 70.0, 0.0, 1, None),
        (6.0, np.nan, 0.0, 1, None),
        (6.0, 70.0, np.nan, 1, None),
        (6.0, 70.0, 0.0, np.nan, None),
    ],
)
def test_a_record_lies_in_one_cell(
    mlt: float, ilat: float, alt: float, north: float, cell: tuple[int, ...] | None
) -> None:
    grid = Grid(CONFIG.atlas)
    assert grid.shape == (2, 2, 3, 4)
    where = {"mlt": mlt, "ilat": ilat, "alt": alt, "hemisphere": north}
    (found,) = grid.cells_of({name: np.array([each]) for name, each in where.items()}, 1)
    expected = NOWHERE if cell is None else np.ravel_multi_index(cell, grid.shape)
    assert found == expected


def test_without_ranges_of_altitude_it_need_not_be_known() -> None:
    settings = replace(CONFIG, atlas=replace(CONFIG.atlas, altitudes=()))
    data = spectrogram(1)
    without = tuple(each for each in data.ephemeris if each.name != "alt")
    (only,) = maps_of({"1": replace(data, ephemeris=without)}, settings)
    assert only.name == "ees"
    assert only.datasets["records"].values.sum() > 10
    assert not maps_of({"1": replace(data, ephemeris=without)})


def test_bins_hold_the_sums_of_their_values() -> None:
    rng = np.random.default_rng(0)
    positive = np.minimum(rng.lognormal(0, 30, 5000), 3e38)
    values = np.concatenate([positive, -rng.lognormal(0, 3, 500), [0, 0, 1e-42, 3e-45]])
    values = values.astype(np.float32)
    numbers = numbers_of(values)
    assert numbers.min() >= 0 and numbers.max() < NUMBERS
    order = np.argsort(values)
    assert (np.diff(numbers[order]) >= 0).all()
    low, high = bin_ends(numbers)
    size = np.abs(values.astype(np.float64))
    assert ((low <= size) & ((size < high) | (size == 0))).all()
    normal = size > 1e-37
    assert ((high - low)[normal] <= low[normal] / 8).all()
    alone = bin_sums(numbers, np.ones_like(numbers), excess_of(values))
    np.testing.assert_array_equal(alone, values.astype(np.float64))


def test_small_and_many_contributions_are_summed_by_key() -> None:
    chance = random.Random(0)
    sums, straight = Sums.none(2), Counter[int]()
    for _ in range(300):
        keys = [chance.randrange(500) for _ in range(300)]
        straight.update(keys)
        columns = np.stack([np.ones(300, np.int64), np.array(keys)], axis=1)
        sums.merge(pickle.loads(pickle.dumps(Sums(np.array(keys), columns))))
    keys_held, columns = sums.held()
    assert keys_held.tolist() == sorted(straight)
    assert columns[:, 0].tolist() == [straight[key] for key in sorted(straight)]
    assert columns[:, 1].tolist() == [key * straight[key] for key in sorted(straight)]
    empty = pickle.loads(pickle.dumps(Sums.none(2))).held()
    assert [each.shape for each in empty] == [(0,), (0, 2)]


def test_of_equal_numbers_of_records_the_item_that_comes_first_is_listed() -> None:
    names = ["9999", "10000", "10001", "b", "a", "13", "7"]
    expected = ["7", "13", "9999", "10000", "10001"]
    for seed in range(10):
        random.Random(seed).shuffle(names)
        top = TopItems()
        for name in names:
            top.merge(TopItems(np.array([3]), np.array([4]), np.array([name])))
        assert top.items.tolist() == expected
        top.merge(TopItems(np.array([2, 3]), np.array([1, 5]), np.array(["z", "z"])))
        assert top.cells.tolist() == [2, 3, 3, 3, 3, 3]
        assert top.items.tolist() == ["z", "z", *expected[:4]]


def beams_of(values: Any, **more: Any) -> tuple[list[float], list[int]]:
    """Occurrence and number of records by band, of `down` (channel,) over 10 in `perpendicular`."""
    data = spectrogram(1, records=1, **more)
    place = ephemeris(mlt=np.ones(1), ilat=np.full(1, 70.0), alt=np.ones(1), hemisphere=np.ones(1))
    cells = np.full((4, 1, 6), 10.0, np.float32)
    cells[0, 0] = values
    errors = np.sqrt(cells) if not data.legend.is_whole else np.empty((0, 0, 0))
    made = replace(data, values=cells, ephemeris=place, errors=errors.astype(np.float32))
    pooled = maps_of({"1": made})[0].datasets
    cell = (0, slice(None), 0, 1, 0)
    shares = pooled["beam_occurrence"].values[cell].tolist()
    return shares, pooled["beam_count"].values[cell].tolist()


def test_a_beam_stands_out_in_neighbouring_channels_of_the_band() -> None:
    # Channels 0 to 2 (half of 10 to 20 eV) are of the lower band, 3 to 5 of the upper one.
    assert beams_of([40, 40, 10, 10, 10, 10]) == ([1, 0], [1, 1])
    assert beams_of([40, 10, 40, 10, 10, 10])[0] == [0, 0]
    assert beams_of([10, 10, 40, 40, 10, 10])[0] == [0, 0]  # across the border
    assert beams_of([10, 10, 10, 10, 30, 30])[0] == [0, 1]
    assert beams_of([10, 10, 10, 10, 29, 30])[0] == [0, 0]
    # With one known channel it cannot be judged.
    assert beams_of([np.nan, np.nan, 40, 10, 40, 40])[1] == [0, 1]


def test_a_beam_has_more_counts_than_the_criterion_asks_for() -> None:
    data = spectrogram(1, records=2)
    place = ephemeris(mlt=np.ones(2), ilat=np.full(2, 70.0), alt=np.ones(2), hemisphere=np.ones(2))
    values = np.zeros((4, 2, 6), np.float32)
    values[0, 0], values[0, 1] = 7.0, 2.5  # the smallest value is taken for the one-count level
    made = replace(data, values=values, ephemeris=place)
    shares = maps_of({"1": made})[0].datasets["beam_occurrence"].values[0, :, 0, 1, 0]
    assert shares.tolist() == [0, 0]
    values[0, 0] = 8.0
    shares = maps_of({"1": replace(made, values=values)})[0].datasets["beam_occurrence"].values
    assert shares[0, :, 0, 1, 0].tolist() == [0.5, 0.5]
    # With uncertainties the number of counts is known: (7 / 7)² is one, (7 / 3.5)² four.
    for sigma, share in ((7.0, 0.0), (3.5, 0.5)):
        errors = np.full(values.shape, sigma, np.float32)
        found = maps_of({"1": replace(made, errors=errors)})[0].datasets["beam_occurrence"]
        assert found.values[0, 0, 0, 1, 0] == share


def test_counts_are_compared_by_the_angles_that_they_cover() -> None:
    data = replace(
        spectrogram(1, records=1),
        legend=Legend(units="counts", is_whole=True, long_name="Decoded counts"),
        quantity="counts",
        intervals=np.array(
            [[[np.nan] * 2] * 2] * 3 + [[[40, 140], [220, 320]]], np.float32
        ),  # 200 degrees
        ephemeris=ephemeris(
            mlt=np.ones(1),
            ilat=np.full(1, -70.0),
            alt=np.ones(1),
            hemisphere=-np.ones(1),
            loss_cone=np.full(1, 25.0),
        ),
    )
    values = np.zeros((4, 1, 6), np.float32)
    values[0], values[1], values[2], values[3] = 24, 27, 5, 40  # of 60, 60, 50, 200 degrees
    datasets = maps_of({"1": replace(data, values=values)})[0].datasets
    assert datasets["counts_mean"].values[:, 0, 1, 1, 0].tolist() == [24, 27, 5, 40]
    assert datasets["counts_mean"].units == "counts"
    assert "energy_flux_mean" not in datasets
    fill = datasets["loss_cone_fill_mean"].values[0, 0, 1, 1, 0]
    assert fill == pytest.approx((5 / 50) / (40 / 200))
    # 24/60 is twice, 27/60 not three times 40/200; 37/60 is.
    assert datasets["beam_occurrence"].values[:, 0, 1, 1, 0].tolist() == [0, 0]
    values[1] = 37
    found = maps_of({"1": replace(data, values=values)})[0].datasets["beam_occurrence"]
    assert found.values[:, 0, 1, 1, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("units", "axis_units", "expected"),
    [
        ("eV/(cm^2 s sr eV)", "eV", (0, 1.0)),
        ("keV/(cm^2 s sr keV)", "eV", (0, 1.0)),
        ("eV cm!U-2!N s!U-1!N sr!U-1!N keV!U-1!N", "eV", (0, 1e-3)),
        ("1/(cm^2 s sr eV)", "eV", (1, 1.0)),
        ("s!e-1!ncm!e-2!nster!e-1!nkeV!e-1!n", "eV", (1, 1e-3)),
        ("#/(cm^2-s-sr-keV)", "eV", (1, 1e-3)),
        ("m^-2 s^-1 sr^-1 eV^-1", "eV", (1, 1e-4)),
        ("(electrons cm^-2 sec^-1 steradian^-1 KeV^-1)", "eV", (1, 1e-3)),
        ("cm^-2 s^-1 sr^-1 eV^-1 keV^-1", "eV", None),
        ("keV eV cm^-2 s^-1 sr^-1 eV^-1", "eV", None),
        ("eV/(cm^2 s sr eV)", "eV/nuc", None),
        ("counts", "eV", None),
        ("s-1", "eV", None),
        ("cm^-2 s^-1 sr^-1", "eV", None),
        ("1/(cm^2 s eV)", "eV", None),
        ("s^3 km^-6", "eV", None),
        ("", "eV", None),
    ],
)
def test_what_can_be_integrated_to_an_energy_flux_is_known_by_its_units(
    units: str, axis_units: str, expected: tuple[int, float] | None
) -> None:
    data = replace(spectrogram(1), legend=Legend(units=units, axis_units=axis_units))
    measure = measure_of(data)
    assert measure.is_integral == (expected is not None)
    if expected is None:
        assert (measure.name, measure.units) == ("eflux", units or "1")
    else:
        assert measure.power == expected[0]
        assert measure.factor == pytest.approx(expected[1])
        assert measure.units == ENERGY_FLUX_UNITS


def test_a_number_flux_gives_the_energy_flux_of_the_same_plasma() -> None:
    eflux = spectrogram(3)
    flux = replace(
        eflux, values=eflux.values / eflux.energy[0], legend=Legend(units="1/(cm^2 s sr eV)")
    )
    ours, theirs = (maps_of({"1": each})[0].datasets for each in (eflux, flux))
    np.testing.assert_allclose(
        ours["energy_flux_mean"].values, theirs["energy_flux_mean"].values, rtol=1e-5
    )
