"""Numbers of cells by value: exact for whole numbers, in bins of 0.1 % for any other.

Pure array science: no files, no MPI.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

N = TypeVar("N", bound=np.generic)

MANTISSA_BITS_DROPPED = 13
"""Of a float32's 23. With ten bits left, a bin is 0.1 % wide and its middle 0.05 % off at most."""
LARGEST_WHOLE = 65535
"""Whole numbers of a larger magnitude are tallied in bins of 0.1 %."""

_BLOCK_BITS = 10
_BLOCK = 1 << _BLOCK_BITS
"""Bins per block; of 0.1 % bins this is an octave."""
_UNCOMPRESSED = 16384
"""Bytes of a message above which bins are compressed."""


def _no_numbers() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


def _no_blocks() -> NDArray[np.int64]:
    return np.zeros((0, _BLOCK), np.int64)


def union_of(first: NDArray[N], second: NDArray[N]) -> NDArray[N]:
    """The numbers that either array has, each once, ascending; both (number,), without NaN.

    As `numpy.union1d`, which imports numpy.ma, for which ranks have no other use.
    """
    both = np.sort(np.concatenate([first, second]))
    is_new = np.ones(len(both), np.bool_)
    np.not_equal(both[1:], both[:-1], out=is_new[1:])
    return both[is_new]


@dataclass
class Bins:
    """Numbers of cells by the number of their bin. Bins merge in any order, to the same bytes."""

    blocks: NDArray[np.int64] = field(default_factory=_no_numbers)
    """(block,) numbers of the blocks of 1,024 bins that have cells, ascending."""
    cells: NDArray[np.int64] = field(default_factory=_no_blocks)
    """(block, 1024) number of cells in each of their bins."""

    def merge(self, other: Bins) -> None:
        """Add the cells of `other`."""
        if not len(other.blocks):
            return
        where = np.searchsorted(self.blocks, other.blocks)
        known = where < len(self.blocks)
        if not (known.all() and (self.blocks[where] == other.blocks).all()):
            union = union_of(self.blocks, other.blocks)
            cells = np.zeros((len(union), _BLOCK), np.int64)
            cells[np.searchsorted(union, self.blocks)] = self.cells
            self.blocks, self.cells = union, cells
            where = np.searchsorted(union, other.blocks)
        first, last = int(where[0]), int(where[-1]) + 1
        if last - first == len(where):  # as a rule; adding to a slice is faster
            self.cells[first:last] += other.cells
        else:
            self.cells[where] += other.cells

    def held(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The bins that have cells: their numbers, ascending, and how many cells; both (bin,)."""
        block, place = np.nonzero(self.cells)
        return self.blocks[block] * _BLOCK + place, self.cells[block, place]

    def __reduce__(self) -> tuple[Any, ...]:
        """As few bytes: the tallies of an item of FAST stay below 1 MB, whatever its counts are."""
        return _unpacked, (self.blocks, pack_whole(self.cells))


def bins_of(numbers: NDArray[np.int32]) -> Bins:
    """Count cells by the numbers of their bins, which are any whole numbers."""
    if not numbers.size:
        return Bins()
    first = int(numbers.min()) >> _BLOCK_BITS
    count = (int(numbers.max()) >> _BLOCK_BITS) - first + 1
    cells = np.bincount(numbers - np.int32(first * _BLOCK), minlength=count * _BLOCK)
    blocks = cells.astype(np.int64, copy=False).reshape(count, _BLOCK)
    used = np.flatnonzero(blocks.any(axis=1))
    return Bins(first + used, blocks[used])


def bins_from(numbers: NDArray[np.integer[Any]], cells: NDArray[np.integer[Any]]) -> Bins:
    """The bins whose numbers and cells, both (bin,), `Bins.held` gives."""
    held = numbers.astype(np.int64)
    blocks, where = np.unique(held >> _BLOCK_BITS, return_inverse=True)
    dense = np.zeros((len(blocks), _BLOCK), np.int64)
    dense[where.reshape(-1), held & (_BLOCK - 1)] = cells
    return Bins(blocks, dense)


def range_numbers(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """The numbers of the 0.1 % bins of positive values, from 1 on; they ascend with the values.

    The bit pattern of a float32 is ordered like the number itself, so that its upper bits are the
    number of a bin without computing a logarithm. A negative value has the negative number.
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    numbers: NDArray[np.int32] = (bits >> MANTISSA_BITS_DROPPED) + np.int32(1)
    return numbers


def range_middles(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """The middles of 0.1 % bins, of either sign; 0 of number 0."""
    upper = np.abs(numbers)
    ends = [
        (number.astype(np.uint32) << MANTISSA_BITS_DROPPED).view(np.float32).astype(np.float64)
        for number in (np.maximum(upper - 1, 0), upper)
    ]
    return np.where(numbers == 0, 0, np.sign(numbers) * (ends[0] + ends[1]) / 2)


PackedWhole = tuple[str, bytes, bool]
"""Whole numbers as few bytes: their type, their bytes, and whether these are deflated."""


def pack_whole(numbers: NDArray[np.integer[Any]]) -> PackedWhole:
    """Pack whole numbers at or above 0 of any shape; `unpack_whole` gives them as (number,)."""
    narrow = numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))), order="C")
    if narrow.nbytes <= _UNCOMPRESSED:
        return narrow.dtype.char, narrow.tobytes(), False
    # The bytes of one significance stand together: most of the higher ones are 0.
    planes = narrow.view(np.uint8).reshape(-1, narrow.itemsize).T.tobytes()
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return narrow.dtype.char, deflate.compress(planes) + deflate.flush(), True


def unpack_whole(packed: PackedWhole) -> NDArray[np.unsignedinteger[Any]]:
    """The numbers that `pack_whole` packed, one after the other."""
    kind, content, is_deflated = packed
    dtype = np.dtype(kind)
    if not is_deflated:
        return np.frombuffer(content, dtype)
    inflated = isal_zlib.decompress(content)  # several times faster than zlib
    planes = np.frombuffer(inflated, np.uint8).reshape(dtype.itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(-1)


def _unpacked(blocks: NDArray[np.int64], packed: PackedWhole) -> Bins:
    return Bins(blocks, unpack_whole(packed).reshape(-1, _BLOCK).astype(np.int64))
