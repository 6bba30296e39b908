"""Compression: equal input gives equal bytes, wherever the stream lies in memory."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from isal import isal_zlib

from spectro_mpi.system.deflate import deflated
from tests.draw.same_bytes import filtered_rows, streams_at_many_addresses


@pytest.mark.parametrize("sizes", [[1], [2, 300_000], [70_000, 1, 70_000], [4, 0, 9]])
def test_what_is_compressed_comes_back(sizes: list[int]) -> None:
    rng = np.random.default_rng(len(sizes))
    parts = [rng.integers(0, 9, size).astype(np.uint8) for size in sizes]
    assert zlib.decompress(deflated(parts)) == b"".join(part.tobytes() for part in parts)


def test_a_part_may_be_overwritten_once_the_next_is_asked_for() -> None:
    row = np.zeros(1000, np.uint8)

    def parts() -> object:
        for value in range(9):
            row[:] = value
            yield row

    assert zlib.decompress(deflated(parts())) == bytes(np.repeat(np.arange(9, dtype="u1"), 1000))  # type: ignore[arg-type]


def test_the_bytes_do_not_depend_on_the_address_of_the_stream() -> None:
    assert len(streams_at_many_addresses(deflated, 2000)) == 1


def test_the_first_bytes_are_in_two_blocks_of_their_own() -> None:
    """Without them the address matters once in some thousand addresses."""
    stream, end = deflated([filtered_rows()]), 0
    for known in (1, 9):
        end = stream.index(b"\x00\x00\xff\xff", end) + 4
        assert len(zlib.decompressobj().decompress(stream[:end])) == known
    plain: bytes = isal_zlib.compress(filtered_rows(), 2)
    assert len(stream) <= len(plain) + 32
