"""FAST ESA files: quantities, cells and flags are those of a straight-line computation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.demo.tables import mode_tables
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from spectro_mpi.instruments.fast_esa_file import FastEsaFile
from spectro_mpi.instruments.fast_esa_quantities import QUANTITIES, quantity_of
from spectro_mpi.model.distribution import Distribution
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.pitch_angles import reduce_distribution
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.reduce import reduce_file
from spectro_mpi.settings.schema import Config, DataSettings
from tests.fast_files import SHAPE, Content, content, write
from tests.straight import Reduced, decoded, straight

CATEGORIES = Config().intervals
NAME = "fa_esa_l2_ees_20000101001737_13312_v01.cdf"


def reduced(path: Path, instrument: str = "ees", **data: Any) -> Spectrogram:
    file = InputPath(instrument, str(path), path.stat().st_size, 1)
    return reduce_file(file, CdflibReader(path), Config(data=DataSettings(**data)))


def chunk(path: Path, **data: Any) -> Distribution:
    file = FastEsaFile(CdflibReader(path), "ees", DataSettings(**data), CATEGORIES)
    return file.chunk(0, file.records)


def assert_straight(path: Path, **data: Any) -> Reduced:
    """Values of the program are those of the second computation, which is returned."""
    quantity = data.get("quantity", "counts")
    ours = reduced(path, **data)
    expected = straight(
        path,
        quantity,
        CATEGORIES,
        borders=data.get("angle_borders", ""),
        weight=data.get("angle_weight", "pitch-angle"),
        retrace=data.get("retrace", False),
        drop=data.get("quality") == "drop",
    )
    assert np.isfinite(expected.values).any()
    if ours.legend.is_whole:
        np.testing.assert_array_equal(ours.values, expected.values)
    else:
        # Fractions of a bin below 1e-6 are rounding.
        np.testing.assert_allclose(ours.values, expected.values, rtol=1e-6, atol=1e-30)
    return expected


# --- quantities


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("shift", [0.0, 3.3, -10.0])
def test_every_quantity_of_every_mode_is_that_of_the_straight_line(
    tmp_path: Path, quantity: str, shift: float
) -> None:
    path = write(tmp_path / NAME, content([0, 1, 2, 2, 0], shift=shift))
    assert_straight(path, quantity=quantity)


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("borders", ["fraction", "centre"])
@pytest.mark.parametrize("weight", ["pitch-angle", "domega"])
def test_borders_and_weights_are_as_set(
    tmp_path: Path, quantity: str, borders: str, weight: str
) -> None:
    path = write(tmp_path / NAME, content([0, 1, 2], shift=7.7))
    assert_straight(path, quantity=quantity, angle_borders=borders, angle_weight=weight)


@pytest.mark.parametrize("quantity", ["counts", "rate"])
def test_counts_of_burst_files_have_their_own_table(tmp_path: Path, quantity: str) -> None:
    given = content([0, 2])
    given["data_name"] = np.array("Eesa Burst")
    path = write(tmp_path / NAME, given)
    expected = assert_straight(path, quantity=quantity)
    for reader in (CdflibReader, PycdfppReader):
        file = FastEsaFile(reader(path), "ees", DataSettings(quantity=quantity), CATEGORIES)
        ours = reduce_distribution(file.chunk(0, 2), CATEGORIES, file.combine)
        np.testing.assert_allclose(ours.values, expected.values, rtol=1e-6)
    survey = straight(write(tmp_path / NAME, content([0, 2])), quantity, CATEGORIES)
    assert (expected.values != survey.values).any()
    # Without a data_name, the file's name says it.
    del given["data_name"]
    path = write(tmp_path / NAME.replace("ees", "eeb"), given)
    named = reduced(path, "eeb", quantity=quantity)
    np.testing.assert_allclose(named.values, expected.values, rtol=1e-6)


def test_one_bin_of_many_counts_is_more_than_many_bins_of_few(tmp_path: Path) -> None:
    given = content([0])
    given["data"][0, :32, 3:5] = 0
    given["data"][0, 7, 3] = 231  # 39,936 counts
    given["data"][0, :32, 4] = 8
    path = write(tmp_path / NAME, given)
    assert reduced(path).values[0, 0, 3:5].tolist() == [39_936, 256]
    assert reduced(path, quantity="codes").values[0, 0, 3:5].tolist() == [231, 256]


@pytest.mark.parametrize("quantity", ["rate", "eflux", "flux"])
@pytest.mark.parametrize("shift", [0.0, 4.0, 10.0])
def test_isotropic_plasma_has_the_same_rate_and_flux_in_all_directions_and_modes(
    tmp_path: Path, quantity: str, shift: float
) -> None:
    given = content([0, 1, 2], shift=shift)
    for record, mode in enumerate((0, 1, 2)):
        bins, channels = SHAPE[mode]
        # 40 counts in a twentieth of a second, whatever the integration time is.
        given["time_integ"][record] = 0.05
        given["data"][record, :bins, :channels] = 26
        given["eflux"][record, :bins, :channels] = 5e7
    ours = reduced(write(tmp_path / NAME, given), quantity=quantity)
    expected = {"rate": 800.0, "eflux": 5e7, "flux": 5e7}[quantity]
    for record, mode in enumerate((0, 1, 2)):
        counted = ours.values[:, record, 1 : SHAPE[mode][1] - 4 * (mode == 2)]
        if quantity == "flux":
            counted = counted * ours.energy[mode, 1 : 1 + counted.shape[1]]
        np.testing.assert_allclose(counted, expected, rtol=1e-5)


def test_sums_of_bins_are_larger_where_a_category_has_more_of_them(tmp_path: Path) -> None:
    given = content([0])
    given["data"][0, :32, :48] = 5
    values = reduced(write(tmp_path / NAME, given)).values[:, 0, 10]
    # 32 bins 11.25° apart; 17 of them lie in the two ranges of 100° of `perpendicular`.
    assert values[0] == 5 * 32
    assert values[1] + values[2] + values[3] < values[0]


@pytest.mark.parametrize(
    ("quantity", "units", "label", "words"),
    [
        ("counts", "counts", "Counts", "sum over"),
        ("rate", "s-1", "Count rate (s⁻¹)", "mean over"),
        (
            "eflux",
            "eV/(cm^2 s sr eV)",
            "Differential energy flux (eV cm⁻² s⁻¹ sr⁻¹ eV⁻¹)",
            "ring of pitch angles",
        ),
        (
            "flux",
            "1/(cm^2 s sr eV)",
            "Differential number flux (cm⁻² s⁻¹ sr⁻¹ eV⁻¹)",
            "ring of pitch angles",
        ),
        ("codes", "1", "Telemetry codes", "sum over"),
    ],
)
def test_units_and_labels_of_quantities(
    tmp_path: Path, quantity: str, units: str, label: str, words: str
) -> None:
    ours = reduced(write(tmp_path / NAME, content([0])), quantity=quantity)
    legend = ours.legend
    assert (ours.quantity, legend.units, legend.z_label) == (quantity, units, label)
    assert words in legend.long_name
    assert legend.by_mode == legend.is_whole == (quantity in ("counts", "codes"))
    assert quantity_of(DataSettings(quantity=quantity)).long_name == legend.long_name


def test_the_description_says_which_weights_and_borders_were_used(tmp_path: Path) -> None:
    given = content([0])
    path = write(tmp_path / NAME, given)
    words = reduced(path, quantity="eflux", angle_weight="domega").legend.long_name
    assert "domega" in words and "fraction" in words
    assert "as a whole" in reduced(path, quantity="eflux", angle_borders="centre").legend.long_name
    assert "ring" not in reduced(path, quantity="rate").legend.long_name
    fractions = reduced(path, angle_borders="fraction").legend
    assert "fraction" in fractions.long_name and not fractions.is_whole
    # A file without domega does not claim it.
    del given["domega"]
    path = write(tmp_path / NAME, given)
    ours = reduced(path, quantity="eflux", angle_weight="domega")
    assert "domega" not in ours.legend.long_name and "ring" in ours.legend.long_name
    np.testing.assert_array_equal(ours.values, reduced(path, quantity="eflux").values)


# --- which cells count


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
@pytest.mark.parametrize("retrace", [False, True])
def test_steps_that_are_no_measurement_keep_their_place(
    tmp_path: Path, quantity: str, retrace: bool
) -> None:
    path = write(tmp_path / NAME, content([0, 2, 1]))
    assert_straight(path, quantity=quantity, retrace=retrace)
    ours = reduced(path, quantity=quantity, retrace=retrace)
    drawn = np.isfinite(ours.values[0])
    assert drawn.sum(axis=1).tolist() == ([48, 96, 48] if retrace else [47, 91, 47])
    assert drawn[:, 0].tolist() == [retrace] * 3
    assert drawn[1, 91] and drawn[1, 92] == retrace
    assert ours.energy[0, 0] == np.float32(34119.7) and np.isfinite(ours.edges[0, 0]).all()
    # The retrace mirrors the step next to it.
    low, high = ours.edges[0, 0]
    assert low == ours.edges[0, 1, 1] and high == pytest.approx(34119.7**2 / low)


def altered(change: Callable[[Content], Any]) -> Content:
    given = content([0, 2, 1, 0], shift=2.2)
    change(given)
    return given


def several_tables(given: Content) -> None:
    """Two tables of `bins` and `gf`, in another order than the modes."""
    single, wide = given["bins"], np.ones_like(given["bins"])
    wide[:, 0] = wide[5, 60:70] = wide[9] = 0
    single[11, :20] = 0
    given["bins"] = np.stack([wide, single])
    given["bins_ind"][:] = [1, 0, 1, 0]
    given["gf"] = np.stack([given["gf"], given["gf"]])
    given["gf_ind"][:] = 1


def single_table(given: Content) -> None:
    """Some bins of the only table are no measurement; it says nothing above channel 47."""
    given["bins"][3] = given["bins"][20, 10:30] = 0


def several_responses(given: Content) -> None:
    """The only table of `bins` is of mode 0; `gf` has one of mode 2 too."""
    given["bins"][3] = given["bins"][20, 10:30] = 0
    given["gf"] = np.stack([given["gf"], mode_tables(2).gf])
    given["gf_ind"][1] = 1


def double_retrace(given: Content) -> None:
    given["header_bytes"][1:3, 6] = [2, 1 + 2 + 8]
    given["header_bytes"][3, 6] = 1


def exactly_360(given: Content) -> None:
    given["pitch_angle"][0, 4:9, 5] = 360.0
    given["pitch_angle"][1, 2, 90] = np.float32(360.0)


def validity(given: Content) -> None:
    given["valid"][:] = [1, 3, 2, 1]


def missing(given: Content) -> None:
    given["pitch_angle"][0, 3, 7] = np.nan
    given["eflux"][0, 4, 8:20] = np.nan
    given["eflux"][3, :20, 9] = -1e31


def dtheta_by_bin(given: Content) -> None:
    """Bins of unequal width, some of them not known."""
    given["dtheta"][0, 4:8] = 5.625
    given["dtheta"][2, 3, 50:60] = -1e31


def two_of_32_bins(given: Content) -> None:
    """Tables by mode of 32 bins, as in burst files."""
    for name in ("energy", "denergy", "dtheta", "eff"):
        given[name] = given[name][:, :32]


@pytest.mark.parametrize("quantity", ["counts", "rate", "eflux", "flux"])
@pytest.mark.parametrize(
    "change",
    [
        several_tables,
        single_table,
        several_responses,
        double_retrace,
        exactly_360,
        validity,
        missing,
        dtheta_by_bin,
        two_of_32_bins,
    ],
)
def test_cells_of_unusual_files_count_as_in_the_straight_line(
    tmp_path: Path, quantity: str, change: Callable[[Content], Any]
) -> None:
    assert_straight(write(tmp_path / NAME, altered(change)), quantity=quantity)


@pytest.mark.parametrize(("change", "bins"), [(None, 1), (single_table, 64)])
def test_measured_cells_are_told_by_bin_only_where_bins_in_use_differ(
    tmp_path: Path, change: Callable[[Content], Any] | None, bins: int
) -> None:
    given = content([0, 2, 1, 0]) if change is None else altered(change)
    measured = chunk(write(tmp_path / NAME, given)).measured
    assert measured is not None
    assert measured.shape == (4, bins, 96)


@pytest.mark.parametrize("quantity", ["counts", "rate", "eflux"])
@pytest.mark.parametrize("name", ["domega", "dtheta", "denergy", "bins", "header_bytes"])
def test_files_without_a_table_are_read(tmp_path: Path, quantity: str, name: str) -> None:
    path = write(tmp_path / NAME, altered(lambda given: given.pop(name)))
    expected = assert_straight(path, quantity=quantity)
    # Without `denergy`, `bins` still reports the retrace, except for bins that it does not have.
    drawn = np.isfinite(expected.values[0, :, 0])
    assert drawn.tolist() == [False, False, name == "denergy", False]


def test_a_file_without_denergy_and_bins_leaves_out_no_step(tmp_path: Path) -> None:
    given = content([0, 2])
    del given["denergy"], given["bins"]
    ours = reduced(write(tmp_path / NAME, given))
    assert np.isfinite(ours.values[0]).sum(axis=1).tolist() == [48, 96]
    # Edges are geometric means.
    inner = np.sqrt(np.float64(ours.energy[0, 9]) * ours.energy[0, 10])
    assert ours.edges[0, 9, 0] == pytest.approx(inner)


def test_a_single_table_without_gf_says_nothing_of_the_channels_of_other_modes(
    tmp_path: Path,
) -> None:
    given = content([0, 2])
    del given["denergy"], given["gf"]
    drawn = np.isfinite(reduced(write(tmp_path / NAME, given)).values[0])
    assert drawn.sum(axis=1).tolist() == [47, 95] and not drawn[:, 0].any()


def test_several_tables_without_an_index_say_nothing(tmp_path: Path) -> None:
    given = content([0, 2])
    given["bins"] = np.zeros((2, 32, 96), "u1")
    del given["bins_ind"]
    drawn = np.isfinite(reduced(write(tmp_path / NAME, given)).values[0])
    assert drawn.sum(axis=1).tolist() == [47, 91]


# --- quality


def flagged() -> Content:
    """An overflow, dead time, both, an overflow out of use, one of an invalid record, none."""
    given = content([0] * 8)
    given["data"][0, 5, 7] = 255
    given["time_integ"][1] = 1e-4
    given["data"][2, 5, 7], given["time_integ"][2] = 255, 1e-4
    given["data"][3, 40, 7] = given["data"][3, 5, 60] = 255
    given["data"][4, 5, 7], given["valid"][4] = 255, 0
    given["data_quality"][5], given["data_quality"][6] = 8, 255
    return given


@pytest.mark.parametrize("quantity", ["counts", "eflux"])
def test_records_of_overflow_and_dead_time_are_flagged(tmp_path: Path, quantity: str) -> None:
    path = write(tmp_path / NAME, flagged())
    expected = assert_straight(path, quantity=quantity)
    assert expected.quality.tolist() == [2, 4, 6, 0, 0, 8, 0, 0]
    for reader in (CdflibReader, PycdfppReader):
        file = FastEsaFile(reader(path), "ees", DataSettings(quantity=quantity), CATEGORIES)
        quality = file.chunk(0, 8).quality
        assert quality is not None and quality.tolist() == expected.quality.tolist()


def test_flagged_records_are_left_out_or_not_flagged_as_set(tmp_path: Path) -> None:
    path = write(tmp_path / NAME, flagged())
    expected = assert_straight(path, quality="drop")
    assert np.isnan(expected.values[0, [0, 1, 2, 4, 5]]).all()
    assert np.isfinite(expected.values[0, [3, 6, 7], 1:48]).all()
    assert chunk(path, quality="drop").quality is None
    assert chunk(path, quality="ignore").quality is None
    np.testing.assert_array_equal(reduced(path, quality="ignore").values, reduced(path).values)
    assert reduced(path).quality.tolist() == expected.quality.tolist()


def test_an_overflow_is_a_count_and_no_fill_value(tmp_path: Path) -> None:
    given = content([0])
    given["data"][0, :32, 3] = 0
    given["data"][0, 5, 3] = 255
    path = write(tmp_path / NAME, given)
    assert reduced(path).values[0, 0, 3] == 64_512
    given["data_name"] = np.array("Eesa Burst")
    assert reduced(write(tmp_path / NAME, given)).values[0, 0, 3] == 16_256


# --- uncertainty


def with_fluxes(modes: list[int]) -> Content:
    """Energy fluxes computed from the counts, by the formula of level 2; some counts are 0."""
    given = content(modes, shift=1.7)
    given["data"][:, 3:6] = 0
    given["data"][0, 9, 9] = 230
    given["time_integ"][0] = 0.004  # 38,912 counts: the live fraction is at its limit
    given["gf"] = np.stack([mode_tables(mode).gf for mode in (0, 1, 2)])
    given["gf_ind"][:] = modes
    counts, _ = decoded(given["data"], burst=False)
    for record, mode in enumerate(modes):
        bins, channels = SHAPE[mode]
        used = np.s_[:bins, :channels]
        dt = given["time_integ"][record]
        live = np.maximum(1 - 1.1e-7 * counts[record][used] / dt, 0.1)
        response = given["geom_factor"][record] * given["gf"][given["gf_ind"][record]][used]
        response = response * given["eff"][mode][used]
        given["eflux"][record][used] = counts[record][used] / live / (response * dt)
    return given


@pytest.mark.parametrize("quantity", ["counts", "rate", "eflux", "flux"])
@pytest.mark.parametrize("borders", ["", "centre", "fraction"])
def test_uncertainties_are_those_of_the_straight_line(
    tmp_path: Path, quantity: str, borders: str
) -> None:
    path = write(tmp_path / NAME, with_fluxes([0, 2, 1]))
    data: dict[str, Any] = {"quantity": quantity, "errors": True, "angle_borders": borders}
    ours = reduced(path, **data)
    expected = straight(path, quantity, CATEGORIES, borders=borders, with_errors=True)
    np.testing.assert_allclose(ours.values, expected.values, rtol=1e-6)
    np.testing.assert_allclose(ours.errors, expected.errors, rtol=1e-6)
    assert np.isfinite(ours.errors[0, 0, 1:48]).all()


def test_the_uncertainty_of_no_count_is_not_known_without_the_response(tmp_path: Path) -> None:
    """A single `gf` lacks the channels from 48 on."""
    given = content([2])
    given["data"][0, :32, :] = 20
    given["data"][0, 3, 20:70] = 0
    path = write(tmp_path / NAME, given)
    ours = reduced(path, quantity="eflux", errors=True)
    known = np.isfinite(ours.errors[0, 0])
    assert known[1:48].all() and not known[48:70].any() and known[70:92].all()


def test_uncertainties_that_the_file_cannot_give_are_refused(tmp_path: Path) -> None:
    given = with_fluxes([0])
    del given["eff"], given["geom_factor"]
    path = write(tmp_path / NAME, given)
    with pytest.raises(InvalidCdfError, match=r"has no geom_factor, eff, which data\.errors needs"):
        reduced(path, quantity="eflux", errors=True)
    assert np.isfinite(reduced(path, quantity="eflux").values).any()
    assert np.isfinite(reduced(path, errors=True).values).any()


# --- the demo, and files that are not as they should be


def test_a_rate_needs_the_integration_time(tmp_path: Path) -> None:
    given = content([0])
    del given["time_integ"]
    path = write(tmp_path / NAME, given)
    with pytest.raises(InvalidCdfError, match="has no variable time_integ"):
        reduced(path, quantity="rate")
    assert np.isfinite(reduced(path).values).any()


def test_data_that_are_no_telemetry_codes_are_refused(tmp_path: Path) -> None:
    given = content([0])
    given["data"] = given["data"].astype("i2")
    path = write(tmp_path / NAME, given)
    with pytest.raises(InvalidCdfError, match="data has the type CDF_INT2, expected CDF_UINT1"):
        reduced(path)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_both_readers_of_cdf_files_give_the_same(demo: DemoSummary, quantity: str) -> None:
    path = max(demo.directory.glob("FAST_data/*/*/*ees*13312*.cdf"))
    data = DataSettings(quantity=quantity, errors=True)
    chunks = [
        FastEsaFile(reader(path), "ees", data, CATEGORIES).chunk(3, 150)
        for reader in (CdflibReader, PycdfppReader)
    ]
    for name in ("values", "variance", "measured", "width", "ring_width", "quality"):
        one, other = (getattr(part, name) for part in chunks)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
