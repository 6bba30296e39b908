"""PDF files of a run are checked to the byte."""

from __future__ import annotations

import zlib
from pathlib import Path

from spectro_mpi.operations.verify import problem_of_vector


def test_a_changed_byte_in_a_stream_of_a_pdf_is_found(tmp_path: Path) -> None:
    parts = [zlib.compress(bytes(range(256)) * 9), zlib.compress(b"0 0 m 9 9 l S")]
    whole = b"%PDF-1.4\n"
    for part in parts:
        whole += b"<< /Filter /FlateDecode >>\nstream\n" + part + b"\nendstream\n"
    whole += b"trailer\n%%EOF\n"
    file = tmp_path / "x.pdf"
    file.write_bytes(whole)
    assert problem_of_vector(file) == ""
    for part in parts:
        at = whole.index(part) + len(part) // 2
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "cannot be decompressed" in problem_of_vector(file)
    file.write_bytes(whole[:-9])
    assert "cut off" in problem_of_vector(file)
