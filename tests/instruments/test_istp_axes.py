"""Axes, valid ranges and scales as real files write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.as_set import shown_as_set
from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from tests.instruments.test_istp import TABLE, reduced, weighted_mean
from tests.istp_files import (
    BINS,
    CHANNELS,
    ENERGY,
    RECORDS,
    TIME,
    Variable,
    epoch,
    flux,
    variables,
    with_energies,
    write,
)

READERS = (CdflibReader, PycdfppReader)


def of_bands(labels: list[str], **attributes: str) -> dict[str, Variable]:
    """A flux by record and channel whose axis has labels only."""
    given = variables()
    value = given["Flux"]
    own = {**value.attributes, "DEPEND_1": "Bands"}
    del own["DEPEND_2"]
    given["Flux"] = replace(value, data=flux()[:, 0, : len(labels)].copy(), attributes=own)
    given["Bands"] = Variable("Bands", np.array(labels), {**attributes}, varies=False)
    return given


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("labels", "edges", "units"),
    [
        (
            ["13.6 - 15.1 MeV", "15.1-17.1 MeV", "19 to 21.5MeV"],
            [(13.6e6, 15.1e6), (15.1e6, 17.1e6), (19e6, 21.5e6)],
            "eV",
        ),
        (
            ["H 800 keV/n - 1.2 MeV/n", "H 1.2 - 3e0 MeV/n"],
            [(0.8e6, 1.2e6), (1.2e6, 3e6)],
            "eV/n",
        ),
        (["P1 (0.1-1 kHz)", "P2 (1-10 kHz)"], [(100, 1000), (1000, 10000)], "Hz"),
    ],
)
def test_labels_that_name_ranges_are_an_axis(
    tmp_path: Path, reader: Any, labels: list[str], edges: list[tuple[float, float]], units: str
) -> None:
    one = reduced(write(tmp_path / "x.cdf", of_bands(labels)), TABLE, reader)
    np.testing.assert_allclose(one.edges[0], edges, rtol=1e-6)
    np.testing.assert_allclose(one.energy[0], np.sqrt(np.prod(edges, axis=1)), rtol=1e-6)
    np.testing.assert_array_equal(one.values[0], flux()[:, 0, : len(labels)])
    assert one.legend.axis_units == units


def test_labels_that_name_energies_are_an_axis(tmp_path: Path) -> None:
    one = reduced(write(tmp_path / "x.cdf", of_bands(["E1: 10 keV", "E2: 20 keV", "E3: 40 keV"])))
    np.testing.assert_allclose(one.energy[0], [1e4, 2e4, 4e4])
    np.testing.assert_allclose(one.edges[0, 1], np.array([1, 2]) * 1e4 * np.sqrt(2), rtol=1e-6)


def of_edges(ends: list[list[float]], **attributes: Any) -> dict[str, Variable]:
    """A flux by record and channel whose DEPEND_1 holds the edges of the channels."""
    channels = len(ends) if len(ends[0]) == 2 and len(ends) != 2 else len(ends[0])
    given = of_bands([""] * channels)
    given["Bands"] = Variable("Bands", np.array(ends), {"UNITS": "keV", **attributes}, varies=False)
    return given


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("axis", ["", "Bands"])
@pytest.mark.parametrize(
    ("ends", "edges"),
    [
        ([[20, 50, 90], [50, 80, 200]], [(20, 50), (50, 80), (90, 200)]),
        ([[700, 300], [300, 100], [90, 30]], [(300, 700), (100, 300), (30, 90)]),
        ([[20, 50], [70, 90]], [(20, 50), (70, 90)]),
        ([[20, 70], [50, 90]], [(20, 50), (70, 90)]),
    ],
)
def test_a_variable_with_the_edges_of_the_channels_is_an_axis(
    tmp_path: Path, reader: Any, axis: str, ends: list[list[float]], edges: list[tuple[float, ...]]
) -> None:
    path = write(tmp_path / "x.cdf", of_edges(ends))
    one = reduced(path, replace(TABLE, energy=axis), reader)
    wanted = np.array(edges) * 1e3
    np.testing.assert_allclose(one.edges[0], wanted, rtol=1e-6)
    np.testing.assert_allclose(one.energy[0], np.sqrt(wanted[:, 0] * wanted[:, 1]), rtol=1e-6)
    np.testing.assert_array_equal(one.values[0], flux()[:, 0, : len(edges)])


def test_edges_of_a_channel_that_is_missing_leave_it_out(tmp_path: Path) -> None:
    given = of_edges([[20, 50, -1], [50, 80, -1]], FILLVAL=np.float64(-1))
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_allclose(one.edges[0, :2], [(2e4, 5e4), (5e4, 8e4)], rtol=1e-6)
    assert np.isnan(one.edges[0, 2]).all()
    assert np.isnan(one.values[0, :, 2]).all()


def test_labels_of_a_pointer_are_an_axis_and_take_their_unit_from_the_table(
    tmp_path: Path,
) -> None:
    given = of_bands(["flux_C 6.4-8.6", "flux_C 8.6-11.2"])
    del given["Flux"].attributes["DEPEND_1"]
    given["Flux"].attributes["LABL_PTR_1"] = "Bands"
    path = write(tmp_path / "x.cdf", given)
    for table in (
        replace(TABLE, energy_units="MeV/nuc"),
        replace(TABLE, energy="Bands", energy_units="MeV/nuc"),
    ):
        one = reduced(path, table)
        np.testing.assert_allclose(one.edges[0], [(6.4e6, 8.6e6), (8.6e6, 11.2e6)], rtol=1e-6)
        assert one.legend.y_label == "Energy (eV/nuc)"
    with pytest.raises(InvalidCdfError, match="name the variable by `energy`"):
        reduced(path)
    with pytest.raises(InvalidCdfError, match=r"Bands holds text .*`energy_units`"):
        reduced(path, replace(TABLE, energy="Bands"))


@pytest.mark.parametrize(
    "labels",
    [
        ["low", "high"],
        ["1-2 MeV", "> 2 MeV"],
        ["> 1 MeV", "> 2 MeV"],
        ["2-1 MeV", "3-4 MeV"],
        ["1-2 km", "2-3 km"],
    ],
)
def test_labels_that_name_no_energies_are_refused(tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(InvalidCdfError, match=r"no axis in units of energy .*DEPEND_1 = Bands"):
        reduced(write(tmp_path / "x.cdf", of_bands(labels)))


def test_energies_beside_an_axis_of_step_numbers_are_found(tmp_path: Path) -> None:
    given = variables()
    steps = np.arange(CHANNELS, dtype=np.int32)
    given["Step"] = Variable("Step", steps, {"UNITS": " "}, varies=False)
    given["Flux"].attributes["DEPEND_2"] = "Step"
    deltas = {"DELTA_PLUS_VAR": "Half", "DELTA_MINUS_VAR": "Half"}
    given["Energy"].attributes.update(DEPEND_1="Step", **deltas)
    half = (ENERGY / 4).astype(np.float32)
    given["Half"] = Variable("Half", half, {"UNITS": "keV", "DEPEND_1": "Step"}, varies=False)
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_allclose(one.energy[0], 1e3 * ENERGY)
    np.testing.assert_allclose(one.edges[0, :, 1], 1250 * ENERGY, rtol=1e-6)
    given["Other"] = replace(given["Energy"], name="Other")
    with pytest.raises(InvalidCdfError, match="name the variable by `energy`"):
        reduced(write(tmp_path / "y.cdf", given))


def themis(records: int = RECORDS) -> dict[str, Variable]:
    """A file whose DEPEND_0 is virtual and has no records, as those of THEMIS (level 2)."""
    given = variables()
    del given["Epoch"]
    virtual = {"VIRTUAL": "TRUE", "FUNCT": "comp_themis_epoch"}
    components = {"COMPONENT_0": "epoch0", "COMPONENT_1": "seconds"}
    origin = epoch("CDF_EPOCH", np.zeros(1))[0]
    nothing = np.zeros(0)
    given["Epoch"] = Variable("Epoch", nothing, {**virtual, **components}, cdf_type="CDF_EPOCH")
    given["epoch0"] = Variable("epoch0", origin, {}, varies=False, cdf_type="CDF_EPOCH")
    text = {"UNITS": "sec", "CATDESC": "Time, UTC, in seconds since 01-Jan-1970"}
    given["seconds"] = Variable("seconds", TIME[:records], text)
    value = given["Flux"]
    given["Flux"] = replace(value, data=value.data[:records].copy())
    return given


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("records", [RECORDS, 1])
def test_a_virtual_epoch_is_read_from_its_component_with_a_time_per_record(
    tmp_path: Path, reader: Any, records: int
) -> None:
    given = themis(records)
    path = write(tmp_path / "x.cdf", given)
    np.testing.assert_allclose(reduced(path, TABLE, reader).time, TIME[:records], atol=1e-3)
    given["Epoch"].attributes["COMPONENT_0"] = "seconds"
    given["Epoch"].attributes["COMPONENT_1"] = "epoch0"
    swapped = write(tmp_path / "y.cdf", given)
    np.testing.assert_allclose(reduced(swapped, TABLE, reader).time, TIME[:records], atol=1e-3)


def test_seconds_without_a_date_count_from_the_epoch_beside_them(tmp_path: Path) -> None:
    given = themis()
    start = TIME[0] - 100
    given["epoch0"] = replace(given["epoch0"], data=epoch("CDF_EPOCH", np.array([start]))[0])
    given["seconds"] = Variable("seconds", TIME - start, {"UNITS": "sec"})
    np.testing.assert_allclose(reduced(write(tmp_path / "x.cdf", given)).time, TIME, atol=1e-3)


def test_a_virtual_epoch_without_such_a_component_is_refused(tmp_path: Path) -> None:
    given = themis()
    given["seconds"] = replace(given["seconds"], data=TIME[:5])
    with pytest.raises(InvalidCdfError, match=r"Epoch has 0 records.*computed from .*set `time`"):
        reduced(write(tmp_path / "x.cdf", given))


@pytest.mark.parametrize("reader", READERS)
def test_a_valid_range_may_differ_by_channel_bin_or_cell(tmp_path: Path, reader: Any) -> None:
    values = flux()
    cells = np.full((BINS, CHANNELS), 1e6, np.float32)
    cells[2, 3] = cells[4] = 20
    for name, limit in (
        ("channel", np.array([1e6, 20, 1e6, 30, 1e6], np.float32)),
        ("bin", np.array([1e6, 20, 1e6, 30, 1e6, 10], np.float32)),
        ("cell", cells.ravel()),
    ):
        given = variables()
        given["Flux"].attributes["VALIDMAX"] = limit
        del given["Pitch"].attributes["LABLAXIS"]  # the mean is then not by solid angle
        given["Flux"].attributes["DEPEND_1"] = "Look"
        given["Look"] = replace(given.pop("Pitch"), name="Look")
        shaped = cells if name == "cell" else limit[:, None] if name == "bin" else limit
        expected = weighted_mean(np.where(values > shaped, np.nan, values), np.ones(BINS))
        one = reduced(write(tmp_path / f"{name}.cdf", given), TABLE, reader)
        np.testing.assert_allclose(one.values[0], expected, rtol=1e-6)


def test_the_valid_range_of_an_axis_may_differ_by_channel(tmp_path: Path) -> None:
    given = variables()
    given["Energy"].attributes["VALIDMAX"] = np.array([100, 100, 5, 100, 100], np.float32)
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_array_equal(np.isnan(one.energy[0]), [False, False, True, False, False])


def test_a_sum_splits_channels_of_bins_with_different_energies_by_overlap(tmp_path: Path) -> None:
    # Five channels of 2 keV; in bin 1 two of 5 keV; bin 2 lies 1 keV higher.
    energy = np.tile(np.array([1, 3, 5, 7, 9], np.float32), (BINS, 1))
    half = np.ones((BINS, CHANNELS), np.float32)
    energy[1], half[1] = [2.5, 7.5, np.nan, np.nan, np.nan], 2.5
    energy[2] += 1
    counts = np.arange(RECORDS * BINS * CHANNELS, dtype=np.int32).reshape(RECORDS, BINS, CHANNELS)
    given = with_energies(variables(), energy)
    deltas = {"DELTA_PLUS_VAR": "Half", "DELTA_MINUS_VAR": "Half", "SCALETYP": "linear"}
    given["Energy"].attributes.update(deltas)
    given["Half"] = Variable("Half", half, {"UNITS": "keV"}, varies=False)
    attributes = {**given["Flux"].attributes, "UNITS": "counts"}
    for limit in ("FILLVAL", "VALIDMIN", "VALIDMAX"):
        del attributes[limit]
    given["Flux"] = Variable("Flux", counts, attributes)
    one = reduced(write(tmp_path / "x.cdf", given))
    assert one.legend.rows == "sum over 6 bins"
    expected = counts[:, [0, 3, 4, 5]].sum(axis=1).astype(np.float64)
    wide = counts[:, 1] / 5
    expected += np.stack(
        [2 * wide[:, 0], 2 * wide[:, 0], wide[:, 0] + wide[:, 1]] + [2 * wide[:, 1]] * 2, 1
    )
    shifted = counts[:, 2] / 2
    expected += shifted + np.pad(shifted, ((0, 0), (1, 0)))[:, :-1]
    np.testing.assert_allclose(one.energy[0], 1e3 * energy[0])
    np.testing.assert_allclose(one.values[0], expected, rtol=1e-6)


def test_scales_are_those_of_the_table_or_linear_by_scaletyp(tmp_path: Path) -> None:
    given = variables()
    log = reduced(write(tmp_path / "log.cdf", given)).legend
    assert (log.y_scale, log.z_scale) == ("", "")
    given["Energy"].attributes["SCALETYP"] = "LINEAR"
    given["Flux"].attributes["SCALETYP"] = "linear "
    path = write(tmp_path / "linear.cdf", given)
    linear = reduced(path).legend
    assert (linear.y_scale, linear.z_scale) == ("linear", "linear")
    table = replace(TABLE, y_scale="log", z_scale="log")
    assert reduced(path, table).legend == linear  # the store has what the file says
    set_by_hand = shown_as_set(reduced(path, table), [table]).legend
    assert (set_by_hand.y_scale, set_by_hand.z_scale) == ("log", "log")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["text", "per channel", "whole number", "double"])
def test_limits_and_fill_values_of_another_type_than_the_values(
    tmp_path: Path, reader: Any, kind: str
) -> None:
    given = without_angles()
    data = given["Flux"].data
    data[4], data[6, 2], data[7, 0] = -999, 2e4, -3
    numbers = (-999, -2, 10**4)
    told: dict[str, dict[str, Any]] = {
        "text": {"FILLVAL": " -9.99E+02", "VALIDMIN": "-2.0", "VALIDMAX": "10000"},
        "per channel": {
            "FILLVAL": np.full(5, -999, np.float32),
            "VALIDMIN": np.linspace(-2, -2, 5),
            "VALIDMAX": np.array([1e4, 1e9, 1e4, 1e9, 1e9]),
        },
        "whole number": dict(zip(NAMES, map(np.int32, numbers), strict=True)),
        "double": dict(zip(NAMES, map(np.float64, numbers), strict=True)),
    }
    given["Flux"].attributes.update(told[kind])
    one = reduced(write(tmp_path / "x.cdf", given), reader=reader)
    expected = data.copy()
    expected[4], expected[6, 2], expected[7, 0] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(one.values[0], expected)


NAMES = ("FILLVAL", "VALIDMIN", "VALIDMAX")


def without_angles() -> dict[str, Variable]:
    """A flux by record and energy, without fill values."""
    given = variables()
    flux = given["Flux"]
    told = {key: text for key, text in flux.attributes.items() if key not in (*NAMES, "DEPEND_2")}
    data = np.random.default_rng(2).lognormal(2, 1, (RECORDS, CHANNELS)).astype(np.float32)
    return {
        "Epoch": given["Epoch"],
        "Energy": given["Energy"],
        "Flux": replace(flux, data=data, attributes={**told, "DEPEND_1": "Energy"}),
    }


@pytest.mark.parametrize("units", ["dB", "log10(cm^-2 s^-1)", "Log (V/m)", "[dB re 1 nT]", "ln nT"])
@pytest.mark.parametrize("scale", ["log", "linear", ""])
def test_logarithms_are_never_drawn_on_a_log_colour_scale(
    tmp_path: Path, units: str, scale: str
) -> None:
    given = without_angles()
    given["Flux"].attributes.update(UNITS=units, SCALETYP=scale)
    path = write(tmp_path / "x.cdf", given)
    assert reduced(path).legend.z_scale == "linear"
    given["Flux"].attributes.update(UNITS="counts/log10(E)")
    expected = "linear" if scale == "linear" else ""
    assert reduced(write(path, given)).legend.z_scale == expected
