"""Both readers give the same arrays, and neither takes a truncated file for a whole one."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from cdflib import cdfread

from spectro_mpi.demo import DemoSummary
from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import (
    CdflibReader,
    CdfReader,
    PycdfppReader,
    has_fast_reader,
    loads_fast_reader,
)
from tests.conftest import real_file

READERS = (CdflibReader, PycdfppReader)
REAL = [
    "a_col_major_cdf.cdf",
    "a_compressed_cdf.cdf",
    "a_rle_compressed_cdf.cdf",
    "ac_h2_sis_20101105_v06.cdf",
    "fa_esa_l2_eeb_00000000_v01.cdf",
    "ge_k0_cpi_19921231_v02.cdf",
    "ia_k0_epi_19970102_v01.cdf",
    "psp_isois-epilo_l2-ic_20190401_v0.0.0.cdf",
]


def numeric(reader: CdfReader) -> list[str]:
    """Names of the variables that hold numbers."""
    return [
        name
        for name in sorted(reader.names)
        if not reader.records(name) or reader.range(name, 0, 1).dtype.kind in "fiu"
    ]


def assert_equal(one: CdfReader, other: CdfReader, names: list[str]) -> None:
    assert one.names == other.names
    for name in names:
        records = one.records(name)
        assert other.records(name) == records, name
        if not records:
            continue
        assert other.shape(name) == one.shape(name), name
        for first, last in {(0, records), (records // 3, records // 3 + 1)}:
            here, there = one.range(name, first, last), other.range(name, first, last)
            assert here.dtype == there.dtype.newbyteorder("=") or here.dtype == there.dtype, name
            np.testing.assert_array_equal(here, there, err_msg=name)


@pytest.mark.parametrize("name", REAL)
def test_real_files_read_the_same(name: str) -> None:
    pytest.importorskip("pycdfpp")
    path = real_file(name)
    one, other = CdflibReader(path), PycdfppReader(path)
    names = numeric(one)
    assert names
    assert_equal(one, other, names)


def test_sample_files_read_the_same(demo: DemoSummary) -> None:
    pytest.importorskip("pycdfpp")
    broken = {file.path for file in demo.damaged if file.expected == "error"}
    for path in sorted(demo.directory.glob("FAST_data/*/*/fa_esa_*13312*.cdf")):
        if path not in broken:
            one, other = CdflibReader(path), PycdfppReader(path)
            assert_equal(one, other, ["data", "pitch_angle", "eflux", "time_unix", "energy"])


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_cdf_is_refused(reader: type[CdfReader], tmp_path: Path) -> None:
    path = tmp_path / "x.cdf"
    path.write_text("404 not found")
    with pytest.raises(InvalidCdfError, match="header cannot be read"):
        reader(path)  # type: ignore[call-arg]
    path.write_bytes(b"")
    with pytest.raises(InvalidCdfError, match="is empty"):
        reader(path)  # type: ignore[call-arg]
    with pytest.raises(FileNotFoundError):
        reader(tmp_path / "none.cdf")  # type: ignore[call-arg]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_file_is_told_by_its_own_header(
    reader: type[CdfReader], share: float, demo: DemoSummary, tmp_path: Path
) -> None:
    whole = next(demo.directory.glob("FAST_data/*/*/*ees*13313*.cdf")).read_bytes()
    path = tmp_path / "x.cdf"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InvalidCdfError, match=f"is truncated: .* of {len(whole)} bytes"):
        reader(path)  # type: ignore[call-arg]


def test_a_fast_reader_that_cannot_be_imported_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pycdfpp.py").write_text("raise ImportError('GLIBC_2.99 not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "pycdfpp", raising=False)
    loads_fast_reader.cache_clear()
    assert has_fast_reader()
    assert not loads_fast_reader()
    assert "GLIBC_2.99 not found" in caplog.text
    loads_fast_reader.cache_clear()


def test_a_block_that_claims_too_much_takes_no_memory(demo: DemoSummary) -> None:
    CdflibReader(next(demo.directory.glob("FAST_data/*/*/*ees*13313*.cdf")))
    block = gzip.compress(b"electrons" * 100)
    assert cdfread.gzip_inflate(block) == b"electrons" * 100
    tracemalloc.start()
    with pytest.raises(Exception, match="checksum"):
        cdfread.gzip_inflate(block[:-4] + b"\xf0\xff\xff\xff")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
