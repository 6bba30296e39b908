"""Any ISTP CDF gives the same arrays, however its mission lays it out, and never a wrong axis."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.demo import DemoSummary
from spectro_mpi.draw.figure import FigureContent, Painter, Panel, Style
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader
from spectro_mpi.model.extrema import Limits
from spectro_mpi.model.items import InputPath
from spectro_mpi.model.spectrogram import Spectrogram
from spectro_mpi.phases.reduce import reduce_file
from spectro_mpi.rundir.reader import open_run
from spectro_mpi.settings.instrument_table import InstrumentTable
from spectro_mpi.settings.loading import load_config
from spectro_mpi.settings.schema import Config, DataSettings, PlotSettings
from spectro_mpi.system.words import count
from tests.conftest import real_file, spectro_mpi
from tests.istp_files import (
    BINS,
    ENERGY,
    PITCH,
    RECORDS,
    TIME,
    Variable,
    flux,
    variables,
    with_energies,
    with_energy_first,
    write,
    write_column_major,
)

PSP = "psp_isois-epilo_l2-ic_20190401_v0.0.0.cdf"
TABLE = InstrumentTable(name="ions", file="tst_{date}_v{version}.cdf", value="Flux")
BY_ANGLE = replace(TABLE, pitch_angle="Pitch")


@pytest.mark.parametrize("how", ["deltas", "one alone", "bounds (2, n)", "bounds (n, 2)"])
def test_edges_are_those_that_the_axis_names(tmp_path: Path, how: str) -> None:
    given = variables()
    axis = given["Energy"]
    width = (0.1 * axis.data).astype(axis.data.dtype)
    named = {"DELTA_PLUS_VAR": "Width"}
    if how == "deltas":
        named["DELTA_MINUS_VAR"] = "Width"
    elif how.startswith("bounds"):
        named = {"BOUNDS": "Width"}
        last = how.endswith("(n, 2)")
        width = np.stack([axis.data, axis.data + width], axis=-1 if last else 0)
    given["Energy"] = replace(axis, attributes={**axis.attributes, **named})
    given["Width"] = Variable("Width", width, {"UNITS": "keV"}, varies=False)
    one = reduced(write(tmp_path / "a.cdf", given), TABLE)
    low = 900 if how == "deltas" else 1000
    centres = 1e3 * np.asarray(axis.data, np.float64).reshape(-1)
    np.testing.assert_allclose(one.edges[0, :, 0], low * centres / 1000, rtol=1e-5)
    np.testing.assert_allclose(one.edges[0, :, 1], 1.1 * centres, rtol=1e-5)


def config_of(table: InstrumentTable, **data: Any) -> Config:
    return Config(
        data=DataSettings(preset="istp", **data),
        instrument=(table,),
        pitch_angles={"all": ((0, 360),), "down": ((0, 30),), "across": ((60, 120),)},
    )


def reduced(
    path: Path,
    table: InstrumentTable = TABLE,
    reader: Callable[[Path], CdfReader] = CdflibReader,
    **data: Any,
) -> Spectrogram:
    file = InputPath(table.name, str(path), path.stat().st_size, 1)
    return reduce_file(file, reader(path), config_of(table, **data))


def expected(angles: slice | list[int] = slice(None)) -> np.ndarray[Any, Any]:
    """Mean over bins of what was measured, by solid angle: (record, channel)."""
    return weighted_mean(flux()[:, angles], ring_weights(np.arange(0, 181, 30.0))[angles])


def ring_weights(edges: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Solid angles of the rings between these pitch angles (degrees), / 2π."""
    return np.asarray(-np.diff(np.cos(np.radians(edges))))


def weighted_mean(
    values: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Mean over bins of (record, bin, channel); negative values and NaN are missing."""
    given = values.astype(np.float64) >= 0
    weight = given * weights[:, None]
    total = (np.where(given, values, 0).astype(np.float64) * weight).sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray[Any, Any] = (total / weight.sum(axis=1)).astype(np.float32)
    return mean


def assert_same(one: Spectrogram, other: Spectrogram) -> None:
    for name in ("time", "time_start", "time_end", "mode", "energy", "values", "category"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.legend == other.legend


def test_a_mean_over_the_bins_with_the_axes_the_attributes_name(tmp_path: Path) -> None:
    one = reduced(write(tmp_path / "x.cdf", variables()))
    np.testing.assert_allclose(one.values[0], expected(), rtol=1e-6)
    np.testing.assert_array_equal(one.time, TIME)
    np.testing.assert_allclose(one.energy, [1e3 * ENERGY])
    assert one.category == ("all",)
    assert one.quantity == "Flux"
    assert one.legend.z_label == "Proton flux (cm⁻² s⁻¹ sr⁻¹ keV⁻¹)"
    assert one.legend.y_label == "Energy (eV)"
    assert one.legend.title == "TST PART Proton flux"
    assert one.legend.rows == "mean over 6 bins, by solid angle"


def test_files_that_differ_in_layout_give_the_same_arrays(tmp_path: Path) -> None:
    pytest.importorskip("pycdfpp")
    given = variables()
    turned = with_energy_first(given)
    by_bin = with_energies(given, np.tile(ENERGY, (BINS, 1)))
    by_record = with_energies(given, np.tile(ENERGY, (RECORDS, 1)))
    paths = [
        write(tmp_path / "plain.cdf", given),
        write(tmp_path / "compressed.cdf", given, compressed=True),
        write(tmp_path / "turned.cdf", turned),
        write(tmp_path / "r.cdf", given, r_variables=True),
        write(tmp_path / "epoch.cdf", variables("CDF_EPOCH")),
        write(tmp_path / "by_bin.cdf", by_bin),
        write(tmp_path / "by_bin_turned.cdf", with_energy_first(by_bin)),
        write(tmp_path / "by_record.cdf", by_record),
        write_column_major(tmp_path / "column.cdf", given),
        write_column_major(tmp_path / "column_turned.cdf", turned),
        write_column_major(tmp_path / "column_by_bin.cdf", by_bin),
        write_column_major(tmp_path / "epoch16.cdf", variables("CDF_EPOCH16")),
    ]
    for table in (TABLE, BY_ANGLE, replace(TABLE, angles=2), replace(TABLE, angles="sum")):
        reference = reduced(paths[0], table)
        for path in paths:
            for reader in (CdflibReader, PycdfppReader):
                for records in (4096, 5):
                    assert_same(reduced(path, table, reader, chunk_records=records), reference)


def test_categories_by_pitch_angle_one_bin_and_sums(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", variables())
    by_angle = reduced(path, BY_ANGLE)
    assert by_angle.category == ("all", "down", "across")
    np.testing.assert_allclose(by_angle.values[1], expected([0]), rtol=1e-6)
    np.testing.assert_allclose(by_angle.values[2], expected([2, 3]), rtol=1e-6)
    one = reduced(path, replace(TABLE, angles=4))
    np.testing.assert_array_equal(one.values[0], expected([4]))
    assert one.legend.rows == "bin 4 of 6 (counted from 0)"
    total = reduced(path, replace(TABLE, angles="sum"))
    np.testing.assert_allclose(
        total.values[0], np.where(flux() < 0, 0, flux()).sum(axis=1), rtol=1e-6
    )
    with pytest.raises(InvalidCdfError, match=r"angles = .6. .* is not a bin of Flux"):
        reduced(path, replace(TABLE, angles=6))


def test_counts_are_summed_and_anything_else_is_averaged(tmp_path: Path) -> None:
    given = variables()
    counts = np.arange(RECORDS * BINS * 5, dtype=np.int64).reshape(RECORDS, BINS, 5)
    attributes = {**given["Flux"].attributes, "UNITS": "counts", "FILLVAL": np.int64(-(1 << 63))}
    given["Flux"] = Variable("Flux", counts, attributes)
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_array_equal(one.values[0], counts.sum(axis=1))
    assert one.legend.rows == "sum over 6 bins"
    mean = reduced(write(tmp_path / "y.cdf", variables()))
    assert mean.legend.rows == "mean over 6 bins, by solid angle"


def test_a_mean_is_weighted_by_solid_angle(tmp_path: Path) -> None:
    weight = np.array([1, 2, 3, 3, 2, 1], np.float32)
    given = variables() | {"Omega": Variable("Omega", weight, {"UNITS": "sr"}, varies=False)}
    one = reduced(write(tmp_path / "x.cdf", given), replace(TABLE, weight="Omega"))
    values = flux().astype(np.float64)
    present = values > 0
    wanted = np.where(present, values * weight[:, None], 0).sum(1)
    np.testing.assert_allclose(
        one.values[0], wanted / (present * weight[:, None]).sum(1), rtol=1e-6
    )


def test_energies_that_change_with_time_become_tables(tmp_path: Path) -> None:
    energy = np.tile(ENERGY, (RECORDS, 1))
    energy[6:] *= 2
    energy[9] = -1e31
    one = reduced(write(tmp_path / "x.cdf", with_energies(variables(), energy)), chunk_records=4)
    assert one.mode.dtype == np.uint8
    np.testing.assert_array_equal(one.mode, [0] * 6 + [1] * 3 + [2] + [1] * 2)
    np.testing.assert_allclose(one.energy, [1e3 * ENERGY, 2e3 * ENERGY, np.full(5, np.nan)])
    assert np.isnan(one.values[0, 9]).all()
    np.testing.assert_allclose(one.values[0, :9], expected()[:9], rtol=1e-6)


def test_energies_that_drift_with_every_record_keep_their_own_axis(tmp_path: Path) -> None:
    energy = (ENERGY * (1 + 0.01 * np.arange(RECORDS))[:, None]).astype(np.float32)
    one = reduced(write(tmp_path / "x.cdf", with_energies(variables(), energy)))
    assert len(one.energy) == RECORDS
    np.testing.assert_allclose(one.energy[one.mode], 1e3 * energy, rtol=1e-6)
    panel = Panel("ions", one, 0, Limits(2e3, 32e3, 5, 50), "flux")
    content = FigureContent("1", "", "", (), (panel,), ("log", "log"), "raw", ())
    picture = tmp_path / "x.png"
    picture.write_bytes(Painter().draw(content, Style(60, (12, 3), "viridis", 1)))
    agreed, pixels = read_back(picture, one)
    assert agreed > 0.97 * pixels  # but for those on the edges of records and channels


def test_bins_with_energies_of_their_own_give_their_values_at_common_energies(
    tmp_path: Path,
) -> None:
    energy = np.tile(ENERGY, (BINS, 1))
    energy[1] = ENERGY / 2  # its channels lie one lower: 16, 8, 4, 2, 1 keV
    one = reduced(write(tmp_path / "x.cdf", with_energies(variables(), energy)))
    values = flux().astype(np.float64)
    values[values < 0] = np.nan
    values[:, 1] = np.concatenate([np.full((RECORDS, 1), np.nan), values[:, 1, :-1]], axis=1)
    np.testing.assert_allclose(one.energy, [1e3 * ENERGY])
    weights = ring_weights(np.arange(0, 181, 30.0))
    np.testing.assert_allclose(one.values[0], weighted_mean(values, weights), rtol=1e-6)


def test_two_angle_axes_count_as_bins(tmp_path: Path) -> None:
    given = variables()
    attributes = {**given["Flux"].attributes, "DEPEND_1": "Phi", "DEPEND_2": "Theta"}
    attributes["DEPEND_3"] = "Energy"
    cells = flux().reshape(RECORDS, 2, 3, 5)
    four = given | {
        "Flux": Variable("Flux", cells, attributes),
        "Phi": Variable("Phi", PITCH[:2], {"UNITS": "deg"}, varies=False),
        "Theta": Variable("Theta", PITCH[:3], {"UNITS": "deg"}, varies=False),
        "Pitch": replace(given["Pitch"], data=PITCH.reshape(2, 3)),
    }
    path = write(tmp_path / "x.cdf", four)
    # Angles along two axes are not those of rings: all bins have equal weight.
    equal = np.ones(BINS)
    np.testing.assert_allclose(reduced(path).values[0], weighted_mean(flux(), equal), rtol=1e-6)
    by_angle = reduced(path, BY_ANGLE)
    for row, angles in enumerate(([0, 1, 2, 3, 4, 5], [0], [2, 3])):
        mean = weighted_mean(flux()[:, angles], equal[angles])
        np.testing.assert_allclose(by_angle.values[row], mean, rtol=1e-6)
    picked = reduced(path, replace(TABLE, angles=(1, 2)))
    np.testing.assert_array_equal(picked.values[0], expected([5]))


def test_a_frequency_spectrum_has_a_frequency_axis(tmp_path: Path) -> None:
    given = variables()
    attributes = {
        **given["Flux"].attributes,
        "DEPEND_1": "Freq",
        "UNITS": "V!U2!N/m!U2!N/Hz",
        "LABLAXIS": "E power",
    }
    del attributes["DEPEND_2"]
    waves = given | {
        "Flux": Variable("Flux", flux()[:, 0], attributes),
        "Freq": Variable("Freq", ENERGY, {"UNITS": "kHz"}, varies=False),
    }
    one = reduced(write(tmp_path / "x.cdf", waves))
    assert (one.legend.axis, one.legend.axis_units) == ("frequency", "Hz")
    assert one.legend.y_label == "Frequency (Hz)"
    assert one.legend.z_label == "E power (V² m⁻² Hz⁻¹)"
    np.testing.assert_allclose(one.energy, [1e3 * ENERGY])
    np.testing.assert_array_equal(one.values[0], expected([0]))


def test_start_and_end_of_records_come_from_the_deltas_of_their_time(tmp_path: Path) -> None:
    given = variables()
    for name, delta, units in (("Plus", 4_000_000_000, "ns"), ("Minus", 2000, "ms")):
        data = np.full(RECORDS, delta, np.int64)
        given[name] = Variable(name, data, {"UNITS": units})
    given["Epoch"].attributes.update(DELTA_PLUS_VAR="Plus", DELTA_MINUS_VAR="Minus")
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_allclose(one.time_start, TIME - 2)
    np.testing.assert_allclose(one.time_end, TIME + 4)


def test_what_lies_outside_the_valid_range_is_missing(tmp_path: Path) -> None:
    given = variables()
    given["Flux"].data[5, :, 2] = 2e6
    path = write(tmp_path / "x.cdf", given)
    assert np.isnan(reduced(path).values[0, 5, 2])
    assert reduced(path, replace(TABLE, valid_max=1e7)).values[0, 5, 2] == 2e6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: v["Flux"].attributes.pop("DEPEND_0"), "has no attribute DEPEND_0; .* `time`"),
        (lambda v: v["Energy"].attributes.pop("UNITS"), "units of energy or frequency .*`energy`"),
        (lambda v: v["Flux"].attributes.pop("DEPEND_2"), "no DEPEND_2.*name the variable"),
        (lambda v: v.pop("Epoch"), "has no variable Epoch"),
        (lambda v: v.pop("Flux"), "has no variable Flux"),
        (
            lambda v: v.update(Epoch=replace(v["Epoch"], data=v["Epoch"].data[:5])),
            "Epoch has 5 records, but Flux has 12",
        ),
        (
            lambda v: v.update(Energy=replace(v["Energy"], data=ENERGY[:3])),
            r"Energy has shape \(3,\) per record, which does not match the value's \(6, 5\)",
        ),
        (lambda v: v["Flux"].data.fill(-1e31), "none of its 12 records is valid"),
        (
            lambda v: v.update(Flux=replace(v["Flux"], data=flux()[:, 0, 0])),
            "one number per record",
        ),
    ],
)
def test_what_is_missing_is_told_with_the_setting_that_helps(
    tmp_path: Path, change: Callable[[dict[str, Variable]], object], told: str
) -> None:
    given = variables()
    change(given)
    with pytest.raises(InvalidCdfError, match=told):
        reduced(write(tmp_path / "x.cdf", given))


def test_settings_stand_in_for_missing_attributes(tmp_path: Path) -> None:
    given = variables()
    bare = {name: replace(one, attributes={}) for name, one in given.items()}
    table = replace(
        BY_ANGLE,
        time="Epoch",
        energy="Energy",
        energy_units="keV",
        units="1/(cm2 s sr keV)",
        label="Flux",
        fill=-1e31,
    )
    one = reduced(write(tmp_path / "x.cdf", bare), table)
    other = reduced(write(tmp_path / "y.cdf", given), BY_ANGLE)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.energy, other.energy)
    np.testing.assert_array_equal(one.time, other.time)
    assert one.legend.z_label == "Flux (cm⁻² s⁻¹ sr⁻¹ keV⁻¹)"


@pytest.mark.parametrize(
    ("quantity", "value", "angles", "weight"),
    [("codes", "data", "sum", ""), ("eflux", "eflux", "mean", "domega")],
)
def test_fast_through_istp_gives_what_fast_esa_gives(
    quantity: str, value: str, angles: Any, weight: str, demo: DemoSummary
) -> None:
    table = InstrumentTable(
        name="ees",
        file="fa_esa_l2_ees_{date}_{orbit}_v{version}.cdf",
        value=value,
        energy="energy_full",
        pitch_angle="pitch_angle",
        angles=angles,
        weight=weight,
        valid_max=1e30,
    )
    path = next(demo.directory.glob("FAST_data/*/*/*_ees_*_13313_*.cdf"))
    file = InputPath("ees", str(path), path.stat().st_size, 1)
    plain = DataSettings(
        quantity=quantity, retrace=True, angle_borders="centre", angle_weight="domega"
    )
    fast = reduce_file(file, CdflibReader(path), Config(data=plain))
    categories = Config().pitch_angles
    config = replace(config_of(table), pitch_angles=categories)
    istp = reduce_file(file, CdflibReader(path), config)
    assert istp.category == fast.category
    # Of records that are not valid, which only FAST files tell, istp knows nothing.
    valid = np.isfinite(fast.values).any(axis=(0, 2))
    assert valid.sum() > 100
    np.testing.assert_array_equal(istp.values[:, valid], fast.values[:, valid])
    np.testing.assert_array_equal(istp.energy[istp.mode][valid], fast.energy[fast.mode][valid])
    np.testing.assert_allclose(istp.time, fast.time, atol=1e-3)


def read_back(picture: Path, spectrogram: Spectrogram) -> tuple[int, int]:
    """Compare a figure's first panel with the values it shows, pixel by pixel.

    Returns the numbers of pixels that agree within two steps of the colour map, and of all.
    """
    import matplotlib as mpl
    from PIL import Image

    with Image.open(picture) as image:
        panel = json.loads(image.text["spectro-mpi"])["panels"][0]
        rgb = np.asarray(image.convert("RGB")).astype(int)
    left, top, right, bottom = panel["box"]
    colours = (mpl.colormaps[panel["colormap"]](np.arange(256))[:, :3] * 255).round().astype(int)
    shown = rgb[top:bottom, left:right]
    kinds, kind = np.unique(shown.reshape(-1, 3), axis=0, return_inverse=True)
    nearest = np.abs(kinds[:, None, :] - colours).sum(axis=2).argmin(axis=1)
    step = nearest[kind].reshape(shown.shape[:2])
    time = np.interp(np.arange(right - left) + 0.5, [0, right - left], panel["time"])
    low, high = np.log10(panel["energy"])
    energy = 10 ** np.interp(np.arange(bottom - top) + 0.5, [0, bottom - top], [high, low])
    record = np.abs(spectrogram.time[None] - time[:, None]).argmin(axis=1)
    modes, mode = np.unique(spectrogram.mode[record], return_inverse=True)
    edges = spectrogram.edges[modes].astype(float)
    inside = (edges[..., 0] <= energy[:, None, None]) & (energy[:, None, None] < edges[..., 1])
    channel, found = inside.argmax(axis=2)[:, mode], inside.any(axis=2)[:, mode]
    values = np.where(found, spectrogram.values[0][record[None, :], channel], np.nan)
    is_blank = ~(values > 0)
    values[is_blank] = 1
    z_low, z_high = np.log(panel["z"])
    wanted = np.clip((np.log(values) - z_low) / (z_high - z_low) * 256, 0, 255).astype(int)
    agrees = np.where(is_blank, (shown == 255).all(axis=2), np.abs(wanted - step) <= 2)
    return int(agrees.sum()), step.size


@pytest.mark.slow
def test_psp_epilo_is_drawn_by_settings_alone(tmp_path: Path) -> None:
    source = real_file(PSP)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / PSP).symlink_to(source)
    (tmp_path / "s.toml").write_text(
        'run_id = "psp"\ninput = "in"\n[data]\npreset = "istp"\n'
        '[plot]\nscales = [["log", "log"]]\nlimits = ["given_extrema"]\n'
        '[[instrument]]\nname = "epilo"\nfile = "psp_isois-epilo_l2-ic_{date}_v{version}.cdf"\n'
        'value = "H_CountRate_ChanT"\n'
    )
    done = spectro_mpi("run", tmp_path / "s.toml", "--no-progress", ranks=2)
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "psp")
    spectrogram = run.spectrogram("20190401", "epilo")
    import cdflib

    rate = cdflib.CDF(source).varget("H_CountRate_ChanT")
    np.testing.assert_allclose(spectrogram.values[0, :, :32], rate[:, :, :32].mean(1), rtol=1e-6)
    assert np.isnan(spectrogram.values[0, :, 32:]).all()
    folder = tmp_path / "runs/psp/plots/2019/04/20190401"
    assert sorted(path.name for path in folder.iterdir()) == [
        "20190401_instrument-grid_y-log_z-log_given_extrema-inferno.png",
        "20190401_spectrogram_epilo_y-log_z-log_given_extrema-inferno.png",
    ]
    for picture in folder.iterdir():
        agreed, pixels = read_back(picture, spectrogram)
        assert agreed > 0.97 * pixels  # but for those on the edges of records and channels
    assert spectro_mpi("verify", tmp_path / "runs/psp").code == 0


@pytest.mark.slow
def test_items_are_named_by_orbit_or_date_and_selected_by_number_or_name(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a_20170101_v1", "a_20170101_v1.10", "a_20170101_v1.9", "a_20170203_v1", "b_x_v1"):
        write(tmp_path / "in" / f"{name}.cdf", variables())
    settings = tmp_path / "s.toml"
    settings.write_text(
        'run_id = "r"\ninput = "in"\n[data]\npreset = "istp"\n[plot]\ndpi = 40\n'
        '[[instrument]]\nname = "a"\nfile = "a_{date}_v{version}.cdf"\nvalue = "Flux"\n'
        '[[instrument]]\nname = "b"\nfile = "b_{site}_v{version}.cdf"\nvalue = "Flux"\n'
    )
    done = spectro_mpi("run", settings, "--no-progress")
    assert done.code == 0, done.err
    run = open_run(tmp_path / "runs" / "r")
    assert run.items == ["20170101", "20170203", "x"]
    assert run.spectrogram("20170101", "a").source == "a_20170101_v1.10.cdf"
    folders = sorted(str(path.relative_to(run.path)) for path in run.path.glob("plots/*/*/*"))
    assert folders == ["plots/2017/01/20170101", "plots/2017/02/20170203", "plots/undated/00/x"]
    assert spectro_mpi("verify", run.path).code == 0
    for chosen, items in (("20170201-20170301", 1), ("x, 20170101", 2), ("y", 0)):
        plan = spectro_mpi("plan", settings, "-s", f"select.orbits={chosen!r}")
        assert f" {count(items, 'item')}," in plan.out if items else plan.code == 2, plan.err
    wrong = spectro_mpi("plan", settings, "-s", "select.instruments=['c']")
    assert wrong.code == 2
    assert 'no instrument is called "c"' in wrong.err


@pytest.mark.slow
def test_a_damaged_file_costs_its_item_and_not_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    whole = write(folder / "a_20170101.cdf", variables()).read_bytes()
    (folder / "a_20170102.cdf").write_bytes(whole[: len(whole) // 2])
    (folder / "a_20170103.cdf").write_bytes(b"404 not found")
    given = variables()
    del given["Flux"].attributes["DEPEND_2"]
    write(folder / "a_20170104.cdf", given)
    settings = tmp_path / "s.toml"
    settings.write_text(
        'run_id = "r"\ninput = "in"\n[data]\npreset = "istp"\n[plot]\ndpi = 40\n'
        '[[instrument]]\nname = "a"\nfile = "a_{date}.cdf"\nvalue = "Flux"\n'
    )
    done = spectro_mpi("run", settings, "--no-progress", ranks=3)
    assert done.code == 3, done.err
    errors = open_run(tmp_path / "runs" / "r").errors
    assert {item: one[0].reason for item, one in errors.items()} == {
        "20170102": "invalid-cdf",
        "20170103": "invalid-cdf",
        "20170104": "invalid-cdf",
    }
    assert "name the variable by `energy`" in errors["20170104"][0].message


def test_settings_come_back_from_a_run_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(
        '[data]\npreset = "istp"\n[[instrument]]\nname = "a"\nfile = "{orbit}.cdf"\nvalue = "F"\n'
        "angles = [1, 2]\nvalid_max = 3.0\n"
    )
    config = load_config(path)
    assert config.select.instruments == ("a",)
    again = tmp_path / "again.toml"
    again.write_text(config.to_toml())
    assert load_config(again) == config
    assert config.plot == PlotSettings()
