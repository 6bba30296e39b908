"""Appends compressed records to the variables declared in a CDF file, block by block.

cdflib writes a variable as a whole, and puts the time of day into every compressed block. This
writer opens a file in which cdflib has declared the variables, and appends their values as
specified in the CDF Internal Format Description. Memory is limited to one block, equal values
give equal bytes, and a block of equal records is compressed only once.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

BLOCK_RECORDS = 64  # the most records in one compressed block
GZIP_LEVEL = 6

_VXR, _VVR, _CVVR = 6, 7, 13  # record types: index, values, compressed values
_GDR_POINTER, _FIRST_VARIABLE, _END_OF_FILE = 8 + 12, 20, 36
_NEXT_VARIABLE, _LAST_RECORD, _INDEX_HEAD, _INDEX_TAIL, _NAME = 12, 24, 28, 36, 84
_NAME_LENGTH = 256
_INDEX_ENTRIES = 7  # as NASA's library writes; it reads at most ten


@dataclass
class _Variable:
    offset: int  # of the variable's descriptor in the file
    records: int = 0
    blocks: list[tuple[int, int, int]] = field(default_factory=list)  # first, last, offset


class RecordWriter:
    """Appends blocks of records to a CDF 3 file of declared, empty, GZIP-compressed variables.

    A context manager: leaving it without an error writes the index of the blocks.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._gdr = self._offset_at(_GDR_POINTER)
        self._variables = dict(self._declared())
        self._end = self._file.seek(0, 2)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._index_blocks()
        self._file.close()

    def append(self, name: str, values: npt.NDArray[np.generic]) -> None:
        """Append one block: `values` is (record, *dims), with the data type of the variable."""
        raw = values.tobytes()
        self._append_block(name, len(values), raw, _gzip(raw))

    def append_repeated(self, name: str, record: npt.NDArray[np.generic], count: int) -> None:
        """Append one block of `count` equal records; `record` is (*dims)."""
        raw = record.tobytes()
        self._append_block(name, count, raw * count, _gzip_repeated(raw, count))

    def _append_block(self, name: str, count: int, raw: bytes, packed: bytes) -> None:
        variable = self._variables[name]
        first = variable.records
        variable.records += count
        variable.blocks.append((first, variable.records - 1, self._end))
        if len(packed) < len(raw):
            self._write(struct.pack(">qiiq", 24 + len(packed), _CVVR, 0, len(packed)), packed)
        else:
            self._write(struct.pack(">qi", 12 + len(raw), _VVR), raw)

    def _index_blocks(self) -> None:
        """Write the index records of each variable, and link them to its descriptor."""
        for variable in self._variables.values():
            if not variable.blocks:
                continue
            size = 28 + 16 * _INDEX_ENTRIES
            links = -(-len(variable.blocks) // _INDEX_ENTRIES)
            head, tail = self._end, self._end + (links - 1) * size
            for link in range(links):
                following = self._end + size if self._end < tail else 0
                entries = variable.blocks[link * _INDEX_ENTRIES :][:_INDEX_ENTRIES]
                unused = [(-1, -1, -1)] * (_INDEX_ENTRIES - len(entries))
                first, last, offset = zip(*entries, *unused, strict=True)
                self._write(
                    struct.pack(">qiqii", size, _VXR, following, _INDEX_ENTRIES, len(entries)),
                    struct.pack(f">{2 * _INDEX_ENTRIES}i", *first, *last),
                    struct.pack(f">{_INDEX_ENTRIES}q", *offset),
                )
            self._patch(variable.offset + _LAST_RECORD, ">i", variable.records - 1)
            self._patch(variable.offset + _INDEX_HEAD, ">q", head)
            self._patch(variable.offset + _INDEX_TAIL, ">q", tail)
        self._patch(self._gdr + _END_OF_FILE, ">q", self._end)

    def _declared(self) -> list[tuple[str, _Variable]]:
        declared = []
        offset = self._offset_at(self._gdr + _FIRST_VARIABLE)
        while offset:
            self._file.seek(offset + _NAME)
            name = self._file.read(_NAME_LENGTH).rstrip(b"\0").decode()
            declared.append((name, _Variable(offset)))
            offset = self._offset_at(offset + _NEXT_VARIABLE)
        return declared

    def _offset_at(self, position: int) -> int:
        self._file.seek(position)
        return int.from_bytes(self._file.read(8), "big")

    def _write(self, *parts: bytes) -> None:
        self._file.seek(self._end)
        for part in parts:
            self._end += self._file.write(part)

    def _patch(self, offset: int, layout: str, value: int) -> None:
        self._file.seek(offset)
        self._file.write(struct.pack(layout, value))


def _gzip(raw: bytes) -> bytes:
    # The gzip header of zlib has no time, unlike that of gzip.compress before Python 3.14.
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


@lru_cache(maxsize=1024)
def _gzip_repeated(raw: bytes, count: int) -> bytes:
    return _gzip(raw * count)
