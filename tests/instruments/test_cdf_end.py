"""A CDF file that is cut off anywhere, or is another kind of file, is found by its own records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cdflib import cdfwrite

from spectro_mpi.errors import InvalidCdfError
from spectro_mpi.instruments.cdf import check_whole
from spectro_mpi.instruments.cdf_end import check_complete, is_cdf
from tests.conftest import SHARED_DATA

SPECIFICATIONS = {"plain": {}, "compressed": {"Compressed": 6}, "md5": {"Checksum": True}}


@pytest.fixture(params=sorted(SPECIFICATIONS))
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.cdf"
    file = cdfwrite.CDF(path, cdf_spec=SPECIFICATIONS[request.param])
    file.write_globalattrs({"Project": {0: "test"}})
    spec = {"Variable": "x", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True}
    values = np.random.default_rng(0).random((50, 20)).astype("f4")
    file.write_var({**spec, "Dim_Sizes": [20], "Compress": 0}, var_data=values)
    file.close()
    return path


def test_a_whole_file_is_complete_and_a_cut_one_is_not(whole: Path, tmp_path: Path) -> None:
    check_complete(whole)
    check_whole(whole)
    content = whole.read_bytes()
    cut = tmp_path / "cut.cdf"
    for size in (0, 1, 7, 8, 9, 20, 28, 60, 300, 400, len(content) // 2, len(content) - 1):
        cut.write_bytes(content[:size])
        with pytest.raises(InvalidCdfError):
            check_complete(cut)
        if size > 60:
            with pytest.raises(InvalidCdfError, match="truncated"):
                check_whole(cut)


def test_bytes_after_the_end_do_no_harm(whole: Path) -> None:
    if "md5" not in whole.name:
        whole.write_bytes(whole.read_bytes() + b"\0" * 100)
        check_complete(whole)


def test_a_checksum_finds_a_changed_byte_unless_it_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.cdf"
    file = cdfwrite.CDF(path, cdf_spec={"Checksum": True})
    file.write_globalattrs({"Project": {0: "test" * 100}})
    file.close()
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    check_complete(path, checksum=False)
    with pytest.raises(InvalidCdfError, match="checksum"):
        check_complete(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>not found</html>" * 100,
        bytes(1000),
        bytes.fromhex("CDF300010000FFFF") + b"\xff" * 1000,
        bytes.fromhex("CDF30001CCCC0001") + b"\xff" * 1000,
        bytes.fromhex("0000FFFF0000FFFF") + b"\xff" * 1000,
    ],
)
def test_what_is_no_cdf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.cdf"
    path.write_bytes(content)
    with pytest.raises(InvalidCdfError):
        check_complete(path)


def test_folders_and_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.cdf")
    for path in (tmp_path, tmp_path / "pipe.cdf"):
        with pytest.raises(InvalidCdfError, match="is not a file"):
            check_complete(path)


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs files of real missions")
def test_files_of_real_missions_are_complete() -> None:
    checked = []
    for path in sorted(SHARED_DATA.rglob("*.cdf")):
        with path.open("rb") as file:
            if is_cdf(file.read(8)):
                checked.append(path)
                check_complete(path)
    assert len(checked) > 4
