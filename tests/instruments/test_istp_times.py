"""A record is drawn where its file says that it was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import CdflibReader, PycdfppReader
from spectro_mpi.instruments.inspection import inspect_file
from spectro_mpi.instruments.times import TimeUnit, seconds_in, time_unit_of
from spectro_mpi.model.spectrogram import Spectrogram
from tests.instruments.test_istp import TABLE, reduced
from tests.istp_files import RECORDS, TIME, Variable, epoch, variables, write

STEP = 6.0  # s between records


def file(
    tmp_path: Path,
    plus: Any = None,
    minus: Any = None,
    units: str = "s",
    time: Variable | None = None,
    **attributes: Any,
) -> Path:
    """A file whose time has deltas and attributes."""
    given = variables()
    if time is not None:
        given["Epoch"] = time
    for name, delta in (("Plus", plus), ("Minus", minus)):
        if delta is not None:
            data = np.asarray(delta, np.float64)
            given[name] = Variable(name, data, {"UNITS": units}, varies=data.ndim > 0)
            given["Epoch"].attributes[f"DELTA_{name.upper()}_VAR"] = name
    given["Epoch"].attributes.update(attributes)
    return write(tmp_path / "x.cdf", given)


def numbers(data: Any, **attributes: Any) -> Variable:
    """A time variable that is no epoch."""
    return Variable("Epoch", np.asarray(data), attributes)


def offsets(one: Spectrogram) -> tuple[float, float, float]:
    """Start, centre and end of each record, relative to the time in the file; the same for all."""
    rows = np.stack([one.time_start - TIME, one.time - TIME, one.time_end - TIME], axis=1)
    np.testing.assert_allclose(rows, np.broadcast_to(rows[0], rows.shape), atol=1e-6)
    start, centre, end = (round(float(offset), 5) for offset in rows[0])
    return start, centre, end


@pytest.mark.parametrize(
    ("plus", "minus", "place", "expected"),
    [
        (6.0, None, None, (0, 3, 6)),
        (None, 6.0, None, (-6, -3, 0)),
        (2.5, 2.5, None, (-2.5, 0, 2.5)),
        (5.0, 1.0, None, (-1, 2, 5)),
        (5.0, 0.0, None, (0, 2.5, 5)),
        (2.0, 2.0, 0.0, (0, 2, 4)),
        (2.0, 2.0, 1.0, (-4, -2, 0)),
        (3.0, 1.0, 0.5, (-2, 0, 2)),
        (4.0, None, 0.25, (-1, 1, 3)),
        (2.0, 2.0, 7.0, (-2, 0, 2)),  # no place in a record
        (None, None, 0.0, (0, 3, 6)),  # the width is that of the steps
        (None, None, 1.0, (-6, -3, 0)),
    ],
)
@pytest.mark.parametrize("by_record", [False, True])
def test_deltas_and_bin_location_place_a_record(
    tmp_path: Path, plus: Any, minus: Any, place: Any, expected: Any, by_record: bool
) -> None:
    if by_record:
        plus, minus = (None if one is None else np.full(RECORDS, one) for one in (plus, minus))
    attributes = {} if place is None else {"BIN_LOCATION": np.float64(place)}
    path = file(tmp_path, plus, minus, **attributes)
    assert offsets(reduced(path)) == expected
    assert offsets(reduced(path, chunk_records=5)) == expected


def test_without_deltas_the_time_is_that_of_the_file(tmp_path: Path) -> None:
    for attributes in ({}, {"BIN_LOCATION": np.float64(0.5)}, {"DELTA_PLUS_VAR": "missing"}):
        one = reduced(file(tmp_path, **attributes))
        np.testing.assert_array_equal(one.time, TIME)
        assert np.isnan(one.time_start).all() and np.isnan(one.time_end).all()


def test_a_delta_that_is_damaged_moves_no_record(tmp_path: Path) -> None:
    plus = np.full(RECORDS, STEP)
    plus[[2, 5, 7]] = [1e9, -4, np.nan]
    # Of a record without an own width, the others tell that its time is its start.
    assert offsets(reduced(file(tmp_path, plus))) == (0, 3, 6)


@pytest.mark.parametrize(
    ("word", "seconds"),
    [
        *(("ns", 1e-9), ("nanoseconds", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("microsec", 1e-6)),
        *(("ms", 1e-3), ("msec", 1e-3), ("MSecs", 1e-3), ("Milliseconds", 1e-3)),
        *(("s", 1), ("SEC", 1), ("secs", 1), ("seconds", 1), ("second(s)", 1), ("[s]", 1)),
        *(("min", 60), ("Minutes", 60), ("h", 3600), ("hr", 3600), ("hours", 3600)),
        *(("d", 86400), ("day", 86400), ("days", 86400)),
        *(("fortnights", None), ("m", None), ("sweeps", None), ("", None)),
    ],
)
def test_units_of_time_are_words(word: str, seconds: float | None) -> None:
    assert seconds_in(word) == seconds


@pytest.mark.parametrize(
    ("units", "half"), [("hours", 2 / 3600), ("usec", 2e6), ("Millisecond", 2e3), ("", 2e9)]
)
def test_deltas_are_in_their_units_or_in_those_of_the_time(
    tmp_path: Path, units: str, half: float
) -> None:
    assert offsets(reduced(file(tmp_path, half, half, units))) == (-2, 0, 2)


def test_a_delta_in_unknown_units_is_refused_by_name(tmp_path: Path) -> None:
    path = file(tmp_path, 2, 2, "sweeps")
    with pytest.raises(InvalidCdfError, match=r'Minus, the DELTA_MINUS_VAR of Epoch, .* "sweeps"'):
        reduced(path)
    assert "sweeps" in dict(inspect_file(path).others)["Flux"]


@pytest.mark.parametrize(
    ("units", "texts", "factor", "origin"),
    [
        ("seconds since 01-Jan-1970", (), 1, 0),
        ("sec", ("Time, UTC, in seconds since 01-Jan-1970/00:00:00",), 1, 0),
        ("sec", ("", "time_unix"), 1, 0),
        ("Unix time", (), 1, 0),
        ("msec", ("Unix time in ms",), 1e-3, 0),
        ("days since 1970-01-02", (), 86400, 86400),
        ("minutes since 1970-01-01T06:30:15.5Z", (), 60, 23415.5),
        ("hours since Jan 3, 1970 12:00 UTC", (), 3600, 216000),
        ("ms since 5 February 1970", (), 1e-3, 35 * 86400),
        ("Seconds since 1970-032", (), 1, 31 * 86400),
        ("ns since 19700101", (), 1e-9, 0),
        ("s since 1970-01-01T02:00:00+02:00", (), 1, 0),
    ],
)
def test_times_since_a_date_are_read(
    units: str, texts: tuple[str, ...], factor: float, origin: float
) -> None:
    assert time_unit_of("CDF_DOUBLE", units, texts) == TimeUnit("CDF_DOUBLE", factor, origin)


@pytest.mark.parametrize(
    ("units", "texts"),
    [
        ("s", ()),
        ("sec", ("seconds since midnight",)),
        ("s", ("from an instrument in orbit since 1996",)),
        ("seconds since 1958-01-01 TAI", ()),
        ("seconds since 1970-13-01", ()),
        ("sweeps since 1970-01-01", ()),
        ("", ("Time",)),
    ],
)
def test_a_number_without_a_date_or_a_unit_is_refused(units: str, texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"unit of time|counts from a date"):
        time_unit_of("CDF_DOUBLE", units, texts)


def test_a_file_with_times_in_days_since_a_date(tmp_path: Path) -> None:
    days = (TIME - 946_684_800) / 86400
    one = reduced(file(tmp_path, time=numbers(days, UNITS="days since 2000-01-01 00:00")))
    np.testing.assert_allclose(one.time, TIME, atol=1e-3)
    bare = file(tmp_path, time=numbers(days, UNITS="days"))
    with pytest.raises(InvalidCdfError, match=r"Epoch counts from a date .*`time_units`"):
        reduced(bare)
    one = reduced(bare, replace(TABLE, time_units="days since 1-Jan-2000"))
    np.testing.assert_allclose(one.time, TIME, atol=1e-3)


@pytest.mark.parametrize("reader", [CdflibReader, PycdfppReader])
@pytest.mark.parametrize("kind", ["CDF_TIME_TT2000", "CDF_EPOCH", "unix", "reversed"])
def test_two_times_a_record_are_its_start_and_end(tmp_path: Path, reader: Any, kind: str) -> None:
    if reader is PycdfppReader:
        pytest.importorskip("pycdfpp")
    ends = TIME + np.linspace(2, 5, RECORDS)
    if kind.startswith("CDF"):
        data = np.stack([epoch(kind, time) for time in (TIME, ends)], axis=1)
        both = Variable("Epoch", data, {"FILLVAL": data.dtype.type(0)}, cdf_type=kind)
    else:
        pair = (ends, TIME) if kind == "reversed" else (TIME, ends)
        both = numbers(np.stack(pair, axis=1), UNITS="seconds since 1970-01-01")
    one = reduced(file(tmp_path, time=both), reader=reader)
    precise = 1e-5  # s; CDF_EPOCH is precise to 8 µs
    np.testing.assert_allclose(one.time_start, TIME, atol=precise, rtol=0)
    np.testing.assert_allclose(one.time_end, ends, atol=precise, rtol=0)
    np.testing.assert_allclose(one.time, (TIME + ends) / 2, atol=precise, rtol=0)


def test_of_two_times_one_may_be_missing(tmp_path: Path) -> None:
    pair = np.stack([TIME, TIME + 4], axis=1)
    pair[3, 1], pair[5, 0], pair[7] = 0, 0, 0
    both = numbers(pair, UNITS="seconds since 1970-01-01", FILLVAL=np.float64(0))
    one = reduced(file(tmp_path, time=both))
    expected = TIME + 2
    expected[3], expected[5], expected[7] = TIME[3], TIME[5] + 4, np.nan
    np.testing.assert_allclose(one.time, expected)
    assert np.flatnonzero(np.isnan(one.time_start)).tolist() == [3, 5, 7]


def test_a_time_of_three_numbers_a_record_is_refused(tmp_path: Path) -> None:
    times = numbers(np.stack([TIME] * 3, axis=1), UNITS="seconds since 1970-01-01")
    with pytest.raises(InvalidCdfError, match=r"Epoch has shape \(3,\) per record"):
        reduced(file(tmp_path, time=times))


def test_fill_values_of_a_time_in_seconds_are_missing(tmp_path: Path) -> None:
    seconds = TIME.copy()
    seconds[4] = 0
    time = numbers(seconds, UNITS="seconds since 1970-01-01", FILLVAL=np.float64(0))
    assert np.flatnonzero(np.isnan(reduced(file(tmp_path, time=time)).time)).tolist() == [4]


@pytest.mark.parametrize("reader", [CdflibReader, PycdfppReader])
def test_times_outside_the_valid_range_are_missing_unless_it_is_stale(
    tmp_path: Path, reader: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if reader is PycdfppReader:
        pytest.importorskip("pycdfpp")
    count = 250
    seconds = TIME[0] + STEP * np.arange(count)
    seconds[[9, 80]] = [seconds[0] - 5e7, seconds[0] + 5e7]
    given = variables()
    tiled = np.tile(given["Flux"].data, (count // RECORDS + 1, 1, 1))[:count]
    given["Flux"] = replace(given["Flux"], data=tiled)

    def missing(**limits: float) -> list[int]:
        range_ = {name: np.float64(limit) for name, limit in limits.items()}
        given["Epoch"] = numbers(seconds, UNITS="seconds since 1970-01-01", **range_)
        one = reduced(write(tmp_path / "x.cdf", given), reader=reader)
        return [int(record) for record in np.flatnonzero(np.isnan(one.time))]

    assert missing(VALIDMIN=seconds[0] - 9, VALIDMAX=seconds[-1] + 9) == [9, 80]
    assert missing(VALIDMAX=seconds[-2]) == [80, count - 1]  # 2 of 250 are fewer than 1 %
    assert not caplog.records
    assert missing(VALIDMIN=seconds[0] - 9, VALIDMAX=seconds[-3]) == [9]
    assert "VALIDMAX of Epoch is ignored, because 3 times of 250" in caplog.text
    assert missing(VALIDMIN=seconds[-1], VALIDMAX=seconds[0]) == []


@pytest.mark.parametrize("reader", [CdflibReader, PycdfppReader])
def test_the_valid_range_of_an_epoch_is_read_by_both_readers(tmp_path: Path, reader: Any) -> None:
    if reader is PycdfppReader:
        pytest.importorskip("pycdfpp")
    from cdflib import cdfwrite

    path = tmp_path / "x.cdf"
    cdf = cdfwrite.CDF(path)
    for name, number, kind, limit in (
        ("a", 31, "CDF_EPOCH", 6.3745056e13),
        ("b", 33, "CDF_TIME_TT2000", 631152069184000000),
    ):
        spec = {"Variable": name, "Data_Type": number, "Num_Elements": 1, "Rec_Vary": True}
        attributes = {"VALIDMIN": [limit, kind]}
        cdf.write_var(spec | {"Dim_Sizes": []}, attributes, np.array([limit]))
    cdf.close()
    opened = reader(path)
    assert opened.attributes("a")["VALIDMIN"] == 6.3745056e13
    assert opened.attributes("b")["VALIDMIN"] == 631152069184000000
