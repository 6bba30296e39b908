"""PDF and SVG files of a run are checked to the byte."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from spectro_mpi.draw.vector import VectorPainter
from spectro_mpi.operations.figure_files import problem_of_vector
from tests.draw.test_pixels import content, spectrogram, style


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


def test_any_changed_byte_of_an_svg_is_found(tmp_path: Path) -> None:
    whole = VectorPainter().file(content(spectrogram(np.ones((9, 48)))), style(), "svg")
    file = tmp_path / "x.svg"
    file.write_bytes(whole)
    assert problem_of_vector(file) == ""
    for at in range(0, len(whole), len(whole) // 40):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "is damaged" in problem_of_vector(file)
        file.write_bytes(whole[:at])
        assert problem_of_vector(file) == "is damaged (it is cut off)"
