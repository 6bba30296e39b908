"""Ephemeris files are read as tolerantly as their writers differ."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spectro_mpi.demo import DemoSummary
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, CdfReader, PycdfppReader, has_fast_reader
from spectro_mpi.instruments.ephemeris import joined, read_ephemeris
from spectro_mpi.model.ephemeris import Ephemeris
from spectro_mpi.settings.ephemeris import EphemerisSettings
from tests.istp_files import Variable, epoch, write

TIME = 946_685_857.0 + 60.0 * np.arange(4)
UNIX = Variable("unix_time", TIME, {})
EPOCH = Variable("Epoch", epoch("CDF_EPOCH", TIME), {}, cdf_type="CDF_EPOCH")
DEFAULT = EphemerisSettings()


def by_record(name: str, values: list[Any], **attributes: Any) -> Variable:
    return Variable(name, np.array(values, np.float32), attributes)


ALT = by_record("alt", [350, 1000, -1e31, 2000])
ILAT = by_record("ilat", [60, 65, 70, 75])
TEXT = Variable("text", np.array(["2000"] * 4), {}, cdf_type="CDF_CHAR")


def read(path: Path, *variables: Variable, settings: EphemerisSettings = DEFAULT) -> Ephemeris:
    write(path, {variable.name: variable for variable in variables})
    found = read_ephemeris(CdflibReader(path), settings)
    if has_fast_reader():
        fast = read_ephemeris(PycdfppReader(path), settings)
        np.testing.assert_array_equal(fast.time, found.time)
        for one, other in zip(fast.variables, found.variables, strict=True):
            np.testing.assert_array_equal(one.values, other.values)
    return found


def values(found: Ephemeris) -> dict[str, NDArray[Any]]:
    return {variable.name: variable.values for variable in found.variables}


@pytest.mark.parametrize("time", [UNIX, EPOCH, replace(UNIX, name="TIME")])
def test_times_are_an_epoch_or_seconds_since_1970(tmp_path: Path, time: Variable) -> None:
    found = read(tmp_path / "x.cdf", time, ALT, ILAT)
    np.testing.assert_allclose(found.time, TIME, atol=1e-6)
    assert values(found)["alt"].tolist() == pytest.approx([350, 1000, np.nan, 2000], nan_ok=True)
    assert found.source == "x.cdf"


def test_what_an_attribute_names_goes_before_names(tmp_path: Path) -> None:
    other = Variable("T2", TIME + 7, {"UNITS": "seconds since 1970-01-01"})
    alt = by_record("alt", [1, 2, 3, 4], DEPEND_0="T2")
    assert read(tmp_path / "x.cdf", UNIX, other, alt).time.tolist() == (TIME + 7).tolist()
    given = EphemerisSettings(time="unix_time")
    found = read(tmp_path / "y.cdf", UNIX, other, alt, settings=given)
    assert found.time.tolist() == TIME.tolist()


def test_names_match_in_any_case_and_points_in_any_order(tmp_path: Path) -> None:
    backward = replace(UNIX, data=TIME[::-1].copy())
    found = read(tmp_path / "x.cdf", backward, by_record("ALT", [4, 3, 2, 1]))
    assert values(found)["alt"].tolist() == [1, 2, 3, 4]


def test_circular_variables_are_known_by_name_or_by_their_range(tmp_path: Path) -> None:
    wanted = EphemerisSettings(variables={"mlt": "MLT", "lon": "GLON", "b": "B[1]", "l": "L"})
    lon = by_record(
        "GLON", [1, 2, 3, 4], UNITS="deg", VALIDMIN=np.float32(0), VALIDMAX=np.float32(360)
    )
    vector = by_record("B", [[1, 2, 3]] * 4, UNITS="nT", CATDESC="Magnetic field")
    found = read(
        tmp_path / "x.cdf",
        UNIX,
        by_record("MLT", [1, 2, 3, 4]),
        lon,
        vector,
        by_record("L", [4, 5, 6, 7]),
        settings=wanted,
    )
    assert {each.name: each.period for each in found.variables} == {
        "mlt": 24.0,
        "lon": 360.0,
        "b": 0.0,
        "l": 0.0,
    }
    assert values(found)["b"].tolist() == [2, 2, 2, 2]
    (field,) = (each for each in found.variables if each.name == "b")
    assert (field.units, field.long_name) == ("nT", "Magnetic field")


def test_altitudes_in_metres_become_kilometres(tmp_path: Path) -> None:
    found = read(tmp_path / "x.cdf", UNIX, by_record("alt", [1e6] * 4, UNITS="m"))
    assert values(found)["alt"].tolist() == [1000] * 4


def test_what_is_missing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = EphemerisSettings(variables={"alt": "alt", "shadow": "no_such"})
    with caplog.at_level(logging.WARNING):
        for name in ("one.cdf", "two.cdf"):
            found = read(tmp_path / name, UNIX, ALT, settings=wanted)
    assert list(values(found)) == ["alt"]
    said = [record.getMessage() for record in caplog.records]
    assert said == ["one.cdf, and files like it: no variable no_such"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ((UNIX, by_record("speed", [1, 2, 3, 4])), "has no variable alt, ilat"),
        ((by_record("other", [1, 2, 3, 4]), ALT), "has no variable of times"),
        ((UNIX, by_record("alt", [1, 2])), "alt has 2 records, expected 4"),
        ((UNIX, by_record("alt", [[1, 2]] * 4)), r"name one, as in alt\[0\]"),
        ((replace(UNIX, data=np.full(4, -1e31)), ALT), "none of its times is valid"),
        ((UNIX, replace(TEXT, name="alt")), "alt is text, expected numbers"),
        ((replace(TEXT, name="unix_time"), ALT), "unix_time is text, expected numbers"),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, variables: tuple[Variable, ...], message: str
) -> None:
    with pytest.raises(InvalidCdfError, match=message):
        read(tmp_path / "x.cdf", *variables)


def test_a_component_that_a_variable_lacks_is_refused(tmp_path: Path) -> None:
    wanted = EphemerisSettings(variables={"alt": "alt[1]"})
    with pytest.raises(InvalidCdfError, match="alt has 1 component"):
        read(tmp_path / "x.cdf", UNIX, ALT, settings=wanted)


def test_what_is_not_finite_is_not_known(tmp_path: Path) -> None:
    found = read(tmp_path / "x.cdf", UNIX, by_record("alt", [1, np.inf, -np.inf, 4]))
    assert values(found)["alt"].tolist() == pytest.approx([1, np.nan, np.nan, 4], nan_ok=True)


def test_several_files_are_one_ephemeris(tmp_path: Path) -> None:
    late = replace(UNIX, data=TIME + 240)
    parts = [
        read(tmp_path / "b.cdf", late, by_record("alt", [5, 6, 7, 8]), ILAT),
        read(tmp_path / "a.cdf", UNIX, by_record("alt", [1, 2, 3, 4])),
    ]
    found = joined(parts)
    assert values(found)["alt"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert np.isnan(values(found)["ilat"][:4]).all()
    assert values(found)["ilat"][4:].tolist() == [60, 65, 70, 75]
    assert found.source == "b.cdf, a.cdf"


def test_the_demo_has_all_that_such_a_file_has(demo: DemoSummary) -> None:
    path = max(demo.directory.rglob("fa_k0_orb_13312_v01.cdf"))
    readers: list[CdfReader] = [CdflibReader(path)]
    if has_fast_reader():
        readers.append(PycdfppReader(path))
    for reader in readers:
        found = read_ephemeris(reader, DEFAULT)
        assert list(values(found)) == ["alt", "ilat", "mlt", "flat", "flng"]
        assert all(np.isfinite(each).all() for each in values(found).values())
        assert {"orbit", "r", "v", "fa_spin_ra", "fa_spin_dec"} <= reader.names
