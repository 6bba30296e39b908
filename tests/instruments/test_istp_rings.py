"""Means over a pitch-angle axis are those over solid angle, as missions compute their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from spectro_mpi.instruments.istp import AngleBorders, IstpFile
from spectro_mpi.settings.instrument_table import InstrumentTable
from tests.conftest import real_file
from tests.instruments.test_istp import (
    BY_ANGLE,
    TABLE,
    config_of,
    reduced,
    ring_weights,
    weighted_mean,
)
from tests.istp_files import (
    BINS,
    CHANNELS,
    ENERGY,
    PITCH,
    RECORDS,
    TIME,
    Variable,
    epoch,
    flux,
    variables,
    write,
)

REAL_HOPE = "rbspa_rel04_ect-hope-PA-L3_20121201_v0.0.0.cdf"
HOPE = InstrumentTable(name="ele", file="rbspa_{date}_v{version}.cdf", value="FEDU")
HOPE_ANGLES = np.array([4.5, 18, 36, 54, 72, 90, 108, 126, 144, 162, 175.5], np.float32)
HOPE_EDGES = np.array([0, 9, 27, 45, 63, 81, 99, 117, 135, 153, 171, 180])


def hope() -> dict[str, Variable]:
    """Variables with the structure of the RBSP HOPE files of pitch angles (level 3)."""
    rng = np.random.default_rng(3)
    fedu = rng.lognormal(8, 2, (RECORDS, 11, CHANNELS)).astype(np.float32)
    fedu[:, [0, 10]] = -1e31  # as in the public file of 2012-12-01
    fedu[2, 0, 1] = fedu[5, 10, 3] = 1e4
    fedu[7, :, 2] = -1e31
    fedo = weighted_mean(fedu, ring_weights(HOPE_EDGES))
    fill = {"FILLVAL": np.float32(-1e31), "VALIDMIN": np.float32(0)}
    data = {**fill, "VAR_TYPE": "data", "DEPEND_0": "Epoch_Ele", "SCALETYP": "log"}
    units = {"UNITS": "s!E-1!Ncm!E-2!Nster!E-1!NkeV!E-1!N", "LABLAXIS": "e- flux"}
    axis = {**fill, "UNITS": "eV", "SCALETYP": "log", "DEPEND_0": "Epoch_Ele"}
    deltas = {"DELTA_PLUS_VAR": "ENERGY_Ele_DELTA", "DELTA_MINUS_VAR": "ENERGY_Ele_DELTA"}
    energy = np.tile(1e3 * ENERGY[::-1], (RECORDS, 1))
    by_angle = {"DEPEND_1": "PITCH_ANGLE", "DEPEND_2": "HOPE_ENERGY_Ele"}
    pitch = {**fill, "VALIDMAX": np.float32(180), "LABLAXIS": "pitch angle", "SCALETYP": "linear"}
    listed = (
        Variable("Epoch_Ele", epoch("CDF_EPOCH", TIME), {}, cdf_type="CDF_EPOCH"),
        Variable("FEDU", fedu, {**data, **units, **by_angle}),
        Variable("FEDO", fedo, {**data, **units, "DEPEND_1": "HOPE_ENERGY_Ele"}),
        Variable("HOPE_ENERGY_Ele", energy, {**axis, **deltas}),
        Variable("ENERGY_Ele_DELTA", (energy / 10).astype(np.float32), axis),
        Variable("PITCH_ANGLE", HOPE_ANGLES, pitch, varies=False),
    )
    return {variable.name: variable for variable in listed}


@pytest.mark.parametrize("pitch_angle", ["PITCH_ANGLE", ""])
@pytest.mark.parametrize("reader", [CdflibReader, PycdfppReader])
def test_the_mean_of_hope_is_its_omnidirectional_flux(
    tmp_path: Path, reader: Any, pitch_angle: str
) -> None:
    path = write(tmp_path / "x.cdf", hope())
    table = replace(HOPE, pitch_angle=pitch_angle)
    for records in (4096, 5):
        everything = reduced(path, table, reader, chunk_records=records).values[0]
        np.testing.assert_allclose(everything, hope()["FEDO"].data, rtol=1e-6)


@pytest.mark.parametrize("particle", "EP")
def test_the_mean_of_a_real_hope_file_is_its_omnidirectional_flux(particle: str) -> None:
    path = real_file(REAL_HOPE)
    table = replace(HOPE, value=f"F{particle}DU", pitch_angle="PITCH_ANGLE")
    import cdflib

    omnidirectional = cdflib.CDF(path).varget(f"F{particle}DO")
    omnidirectional[omnidirectional < 0] = np.nan
    assert np.isfinite(omnidirectional).sum() == 7200
    np.testing.assert_allclose(reduced(path, table).values[0], omnidirectional, rtol=1e-6)


def test_categories_whose_borders_are_edges_of_rings_have_their_rings(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", hope())
    intervals: dict[str, tuple[tuple[float, float], ...]] = {
        "all": ((0, 360),),
        "low": ((0, 27), (333, 360)),
        "across": ((81, 117),),
    }
    file = IstpFile(CdflibReader(path), replace(HOPE, pitch_angle="PITCH_ANGLE"), intervals)
    assert file.legend.rows == "mean over 11 bins, by solid angle"
    config = replace(
        config_of(replace(HOPE, pitch_angle="PITCH_ANGLE")), pitch_angles={**intervals}
    )
    rows = _reduced(path, config)
    fedu, weights = hope()["FEDU"].data, ring_weights(HOPE_EDGES)
    for row, chosen in ((1, [0, 1]), (2, [5, 6])):
        expected = weighted_mean(fedu[:, chosen], weights[chosen])
        np.testing.assert_allclose(rows[row], expected, rtol=1e-6)


def test_a_border_within_a_ring_takes_its_fraction_of_a_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", hope())
    intervals: dict[str, tuple[tuple[float, float], ...]] = {
        "all": ((0, 360),),
        "low": ((0, 30), (330, 360)),
        "across": ((60, 100),),
    }
    fedu, weights = hope()["FEDU"].data, ring_weights(HOPE_EDGES)
    low, high = HOPE_EDGES[:-1], HOPE_EDGES[1:]
    table = replace(HOPE, pitch_angle="PITCH_ANGLE")
    for borders in ("", "fraction", "centre"):
        config = replace(config_of(table, angle_borders=borders), pitch_angles={**intervals})
        rows = _reduced(path, config)
        for row, (begin, end) in ((1, (0, 30)), (2, (60, 100))):
            share = np.clip(np.minimum(high, end) - np.maximum(low, begin), 0, None) / (high - low)
            if borders == "centre":
                share = ((begin <= HOPE_ANGLES) & (end > HOPE_ANGLES)).astype(float)
            expected = weighted_mean(fedu, weights * share)
            np.testing.assert_allclose(rows[row], expected, rtol=1e-6, err_msg=borders)


def test_rings_have_an_extent_where_borders_cut_them(tmp_path: Path) -> None:
    path = write(tmp_path / "x.cdf", hope())
    table = replace(HOPE, pitch_angle="PITCH_ANGLE")
    ends = np.stack([HOPE_EDGES[:-1], HOPE_EDGES[1:]])

    def extent(borders: AngleBorders, **changes: Any) -> Any:
        file = IstpFile(CdflibReader(path), replace(table, **changes), {"all": ()}, borders)
        chunk = file.chunk(0, RECORDS)
        return chunk.pitch_angle[0, :, 0], None if chunk.width is None else chunk.width[0, :, 0]

    for arguments in (("",), ("fraction",)):
        middle, width = extent(*arguments)
        np.testing.assert_allclose(middle, ends.mean(axis=0))
        np.testing.assert_allclose(width, ends[1] - ends[0])
    for centre, width in (extent("centre"), extent("", angles="sum"), extent("", angles=2)):
        np.testing.assert_allclose(centre, HOPE_ANGLES if len(centre) > 1 else [36])
        assert width is None
    assert extent("fraction", angles="sum")[1] is not None


def test_rings_have_the_edges_that_the_pitch_angles_name(tmp_path: Path) -> None:
    given = variables()
    half = np.array([15, 10, 15, 15, 10, 15], np.float32)
    given["Pitch"].attributes.update(DELTA_PLUS_VAR="Half", DELTA_MINUS_VAR="Half")
    for units, factor in (("degrees", 1), ("rad", np.pi / 180)):
        data = (half * factor).astype(np.float32)
        given["Half"] = Variable("Half", data, {"UNITS": units}, varies=False)
        weights = np.cos(np.radians(PITCH - half)) - np.cos(np.radians(PITCH + half))
        path = write(tmp_path / f"{units}.cdf", given)
        for table in (TABLE, BY_ANGLE):
            expected = weighted_mean(flux(), weights)
            np.testing.assert_allclose(reduced(path, table).values[0], expected, rtol=2e-6)


def test_pitch_angles_of_each_record_have_rings_of_their_own(tmp_path: Path) -> None:
    given = variables()
    angles = np.sort(np.random.default_rng(5).uniform(1, 179, (RECORDS, BINS)), axis=1)
    radians = np.radians(angles).astype(np.float32)
    attributes = {**given["Pitch"].attributes, "UNITS": "radians"}
    given["Pitch"] = Variable("Pitch", radians[:, ::-1].copy(), attributes)
    middle = (angles[:, 1:] + angles[:, :-1]) / 2
    first, last = 2 * angles[:, :1] - middle[:, :1], 2 * angles[:, -1:] - middle[:, -1:]
    edges = np.clip(np.concatenate([first, middle, last], axis=1), 0, 180)
    weights = ring_weights(edges)[:, ::-1]
    values = flux()
    expected = np.concatenate(
        [weighted_mean(values[[row]], weights[row]) for row in range(RECORDS)]
    )
    path = write(tmp_path / "x.cdf", given)
    for records in (4096, 5):
        for table in (TABLE, BY_ANGLE):
            everything = reduced(path, table, chunk_records=records).values[0]
            np.testing.assert_allclose(everything, expected, rtol=1e-5)


def test_each_gyrophase_of_a_ring_has_the_same_weight(tmp_path: Path) -> None:
    given = hope()
    fedu = given["FEDU"]
    turned = np.stack([fedu.data, 3 * fedu.data, 2 * fedu.data], axis=2)
    turned[turned < 0] = -1e31
    attributes = {**fedu.attributes, "DEPEND_2": "Phase", "DEPEND_3": "HOPE_ENERGY_Ele"}
    given["FEDU"] = replace(fedu, data=turned, attributes=attributes)
    given["Phase"] = Variable("Phase", PITCH[:3], {"UNITS": "deg"}, varies=False)
    path = write(tmp_path / "x.cdf", given)
    for pitch_angle in ("", "PITCH_ANGLE"):
        everything = reduced(path, replace(HOPE, pitch_angle=pitch_angle)).values[0]
        np.testing.assert_allclose(everything, 2 * given["FEDO"].data, rtol=2e-6)


def test_sums_are_never_weighted_and_a_solid_angle_of_the_file_wins(tmp_path: Path) -> None:
    given = variables()
    own = np.array([1, 5, 2, 8, 3, 4], np.float32)
    given["Omega"] = Variable("Omega", own, {"UNITS": "sr"}, varies=False)
    path = write(tmp_path / "x.cdf", given)
    total = reduced(path, replace(BY_ANGLE, angles="sum")).values[0]
    np.testing.assert_allclose(total, np.where(flux() < 0, 0, flux()).sum(axis=1), rtol=1e-6)
    mean = reduced(path, replace(BY_ANGLE, weight="Omega")).values[0]
    np.testing.assert_allclose(mean, weighted_mean(flux(), own), rtol=1e-6)


@pytest.mark.parametrize(
    ("angles", "attributes"),
    [
        (PITCH, {"UNITS": "deg", "LABLAXIS": "Look direction"}),
        (2 * PITCH, {"UNITS": "deg", "LABLAXIS": "Pitch angle"}),
        (np.arange(6, dtype=np.float32), {"UNITS": " ", "LABLAXIS": "Pitch angle bin"}),
    ],
)
def test_angles_that_are_no_rings_have_equal_weight(
    tmp_path: Path, angles: np.ndarray[Any, Any], attributes: dict[str, Any]
) -> None:
    given = variables()
    # "Pitch", the name of the variable, says what it is as well.
    given["Flux"].attributes["DEPEND_1"] = "Axis"
    given["Axis"] = Variable("Axis", angles, attributes, varies=False)
    one = reduced(write(tmp_path / "x.cdf", given))
    np.testing.assert_allclose(one.values[0], weighted_mean(flux(), np.ones(BINS)), rtol=1e-6)
    assert one.legend.rows == "mean over 6 bins"


def _reduced(path: Path, config: Any) -> np.ndarray[Any, Any]:
    from spectro_mpi.model.items import InputPath
    from spectro_mpi.phases.reduce import reduce_file

    file = InputPath(config.instrument[0].name, str(path), path.stat().st_size, 1)
    return reduce_file(file, CdflibReader(path), config).values
